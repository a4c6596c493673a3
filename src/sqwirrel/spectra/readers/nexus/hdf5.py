"""Opening HDF5 files, and the few ways they store a number."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.spectra.readers.limits import check_count

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether the file starts as HDF5 files do, damaged or not."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading; a file cut short, or a damaged part of it, is refused."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:  # h5py raises all three where its library fails
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path.name} is an HDF5 file that is truncated or damaged ({reason}); fetch a complete copy"
        ) from error


def array(group: h5py.Group, name: str, path: Path) -> Float64[np.ndarray, "..."]:
    """The numbers at `name`; refuses a file that lacks them."""
    if not isinstance(group.get(name), h5py.Dataset):
        raise InputError(f"{path.name} has no '{name}' in '{group.name}', which its format requires")
    check_count(group[name].size or 0, name, path)
    try:
        return np.asarray(group[name][()], dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"'{name}' of {path.name} does not hold numbers") from None


def number(group: h5py.Group, name: str, path: Path) -> float:
    """The single number at `name`."""
    values = array(group, name, path).ravel()
    if len(values) != 1:
        raise InputError(f"'{name}' of {path.name} should be one number; it holds {len(values)}")
    return float(values[0])


def words(group: h5py.Group, name: str, path: Path) -> str:
    """The text at `name`, empty where there is none."""
    held = group.get(name)
    if not isinstance(held, h5py.Dataset):
        return ""
    check_count((held.size or 0) * held.dtype.itemsize // 8, name, path)
    return text(held[()])


def text(value: object) -> str:
    """An attribute or dataset of text, however it is stored (bytes, str, array of either)."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
