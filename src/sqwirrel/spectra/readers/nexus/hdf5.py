"""Opening HDF5 files, and the few ways they store a number."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.limits import check_count, check_pixels

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether the file starts as HDF5 files do, damaged or not."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading; one cut short or damaged, or with links into other files, is refused."""
    try:
        with h5py.File(path, "r") as file:
            _check_links(file, path)
            yield file
    except (OSError, RuntimeError, KeyError) as error:  # h5py raises all three where its library fails
        raise InputError(
            f"{path.name} is an HDF5 file that is truncated or damaged ({error}); fetch a complete copy"
        ) from error


def _check_links(file: h5py.File, path: Path) -> None:
    """Nothing outside the file is read on its behalf."""

    def external(name: bytes, info: h5py.h5l.LinkInfo) -> bytes | None:
        return name if info.type == h5py.h5l.TYPE_EXTERNAL else None

    if name := file.id.links.visit(external, info=True):
        raise _leads_out(name.decode("utf-8", "replace"), path)


def _leads_out(name: str, path: Path) -> InputError:
    return InputError(f"'{name}' of {path.name} lies in another file, which is not followed; save all in one file")


def dataset(group: h5py.Group, name: str, path: Path) -> h5py.Dataset | None:
    """What is held at `name`, if it is a dataset of a size that is read; refuses one that leads out of the file."""
    held = _held(group, name, path)
    if held is not None:
        check_count(held.size or 0, name, path)
        check_count((held.size or 0) * held.dtype.itemsize // 8, name, path)
    return held


def _held(group: h5py.Group, name: str, path: Path) -> h5py.Dataset | None:
    """A dataset of any size that lies in the file, in chunks of a size that is read."""
    try:
        held = group.get(name)
        if not isinstance(held, h5py.Dataset):
            return None
        chunk = prod(held.chunks or ()) * held.dtype.itemsize
    except TypeError as error:  # a type that numpy has not
        raise InputError(f"'{name}' of {path.name} has a type that is not known ({error})") from None
    if held.external or held.is_virtual:
        raise _leads_out(name, path)
    check_count(chunk // 8, name, path)
    return held


def array(group: h5py.Group, name: str, path: Path) -> Float64[np.ndarray, "..."]:
    """The numbers at `name`; refuses a file that lacks them."""
    return np.asarray(_numeric(dataset(group, name, path), group, name, path)[()], dtype=np.float64)


def rows(group: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """The dataset of two axes at `name`, too large perhaps to be read at once, for some rows at a time."""
    held = _numeric(_held(group, name, path), group, name, path)
    check_pixels(held.size, name, path)
    if held.ndim != 2:
        raise _not_flat(held.shape, name, path)
    return held


def _numeric(held: h5py.Dataset | None, group: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    if held is None:
        raise InputError(f"{path.name} has no '{name}' in '{group.name}', which its format requires")
    if held.dtype.kind not in "iufb" or held.size is None:
        raise InputError(f"'{name}' of {path.name} does not hold numbers")
    return held


def column(group: h5py.Group, name: str, path: Path) -> Float64[np.ndarray, " number"]:
    """The numbers at `name` in a row, of whatever shape they are."""
    return array(group, name, path).ravel()


def map_of(group: h5py.Group, name: str, path: Path) -> Float64[np.ndarray, "row column"]:
    """The numbers at `name`, which must have two axes."""
    values = array(group, name, path)
    if values.ndim != 2:
        raise _not_flat(values.shape, name, path)
    return values


def _not_flat(shape: tuple[int, ...], name: str, path: Path) -> InputError:
    return InputError(f"'{name}' of {path.name} has the shape {shape}; expected two axes")


def number(group: h5py.Group, name: str, path: Path) -> float:
    """The single number at `name`."""
    values = array(group, name, path).ravel()
    if len(values) != 1:
        raise InputError(f"'{name}' of {path.name} should be one number; it holds {len(values)}")
    return float(values[0])


def words(group: h5py.Group, name: str, path: Path) -> str:
    """The text at `name`, empty where there is none."""
    held = dataset(group, name, path)
    return "" if held is None else text(held[()])


def attribute(held: h5py.HLObject, name: str) -> object:
    """The attribute `name`, empty where there is none that can be read."""
    try:
        return held.attrs.get(name, "")
    except (OSError, TypeError, ValueError):
        return ""


def integer(held: h5py.HLObject, name: str, path: Path) -> int:
    """The whole number in the attribute `name`."""
    value = np.asarray(attribute(held, name))
    if value.size != 1 or value.dtype.kind not in "iu":
        raise InputError(f"'{name}' of {path.name} should be a whole number, got '{text(attribute(held, name))[:40]}'")
    return int(value.ravel()[0])


def text(value: object) -> str:
    """An attribute or dataset of text, however it is stored (bytes, str, array of either)."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
