"""Ways to damage an HDF5 file from within: what it holds stays HDF5, but is not what a reader expects."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from benchmarks.hostile.damage import REALS, Rng

WORKSPACE = "mantid_workspace_1/workspace"
CANARY = 777.25
"""What another file holds; a spectrum with it was read from there."""
Change = Callable[[h5py.File, str, Rng], None]


def changed(path: Path, rng: Rng) -> str:
    """Damages the file in one to three places; returns the names of what was done. More may lie beside it."""
    done = []
    with h5py.File(path, "r+") as file:
        for _ in range(int(rng.integers(1, 4))):
            places: list[str] = []
            file.visititems(lambda name, held, places=places: places.append(name) if _is_dataset(held) else None)
            if not places:
                break
            change = CHANGES[rng.integers(len(CHANGES))]
            with contextlib.suppress(
                KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError
            ):  # h5py writes it not
                change(file, places[rng.integers(len(places))], rng)
            done.append(change.__name__)
    return "+".join(done)


def _is_dataset(held: object) -> bool:
    return isinstance(held, h5py.Dataset)


def huge(file: h5py.File, name: str, rng: Rng) -> None:
    """A shape that would fill any memory, nothing of it written."""
    ndim = max(1, file[name].ndim)
    del file[name]
    shape = (2 ** int(rng.integers(26, 40)),) if ndim == 1 else (2**20, 2 ** int(rng.integers(8, 20)))
    file.create_dataset(name, shape, "f8", chunks=(2**8,) * len(shape))


def bomb(file: h5py.File, name: str, rng: Rng) -> None:
    """Many numbers in few bytes, in one compressed chunk that is larger than what is asked for."""
    small = tuple(min(n, 10) for n in file[name].shape or (1,))
    ndim = len(small)
    del file[name]
    kind = rng.choice(["f8", "i1", "f4"])
    if rng.random() < 0.5:
        shape = (2 ** int(rng.integers(18, 24)),) if ndim == 1 else (2**10, 2 ** int(rng.integers(10, 14)))
        file.create_dataset(name, shape, kind, compression="gzip", fillvalue=1)[...] = 1
        return
    chunk = (2**26,) if ndim == 1 else (2**13, 2**13) + (1,) * (ndim - 2)
    maximum = (None,) * ndim
    file.create_dataset(name, small, "i1", maxshape=maximum, chunks=chunk, compression="gzip")[...] = 1


def reshaped(file: h5py.File, name: str, rng: Rng) -> None:
    """Another shape: a scalar, nothing at all, one axis more or less, one number more or less."""
    old = file[name]
    if old.dtype.kind not in "iuf" or old.size is None or old.size > 2**22:
        return
    values = old[()]
    values = np.asarray(values)
    shapes = [
        lambda: values.ravel()[:1].reshape(()),
        lambda: values[..., None],
        lambda: values.ravel(),
        lambda: values.ravel()[:0],
        lambda: np.append(values.ravel(), values.ravel()[-1:]),
        lambda: values.ravel()[:-1],
        lambda: values.T.copy(),
        lambda: np.zeros((0, 3)),
    ]
    new = shapes[rng.integers(len(shapes))]()
    del file[name]
    file[name] = h5py.Empty("f8") if rng.random() < 0.1 else new


def retyped(file: h5py.File, name: str, rng: Rng) -> None:
    """Another type, of the same shape."""
    shape = file[name].shape or ()
    if np.prod(shape) > 2**18:
        return
    del file[name]
    made = TYPES[rng.integers(len(TYPES))]
    file.create_dataset(name, shape, made())


TYPES: tuple[Callable[[], object], ...] = (
    lambda: h5py.string_dtype(),
    lambda: "S7",
    lambda: np.dtype([("a", "f8"), ("b", "i4", (3,))]),
    lambda: h5py.ref_dtype,
    lambda: h5py.regionref_dtype,
    lambda: h5py.vlen_dtype("f8"),
    lambda: "?",
    lambda: "c16",
    lambda: "f2",
    lambda: ">u8",
    lambda: "V16",
    lambda: h5py.enum_dtype({"RED": 0, "GREEN": 1}),
    lambda: h5py.opaque_dtype(np.dtype("datetime64[ns]")),
    lambda: ("f8", (2, 2)),
)


def valued(file: h5py.File, name: str, rng: Rng) -> None:
    """Some or all numbers are none that anyone measured, or stand in another order."""
    held = file[name]
    if held.dtype.kind not in "iuf" or not held.size or held.size > 2**22:
        return
    values = np.asarray(held[()]).copy()
    flat = values.reshape(-1)
    new = float(rng.choice(REALS))
    if held.dtype.kind in "iu":
        new = float(rng.choice([-1, 0, 2**31 - 1])) if held.dtype.kind == "i" else 0.0
    with np.errstate(all="ignore"):
        match rng.integers(4):
            case 0:
                flat[rng.integers(flat.size)] = new
            case 1:
                flat[:] = new
            case 2:
                flat[:] = flat[::-1].copy()
            case _:
                flat *= np.asarray(rng.choice([-1.0, 1e200, 0.0])).astype(flat.dtype)
    del file[name]
    file[name] = values


def attributed(file: h5py.File, name: str, rng: Rng) -> None:
    """Attributes of odd types and sizes, on an object, its group or the root."""
    held = [file[name], file[name].parent, file][rng.integers(3)]
    keys = [*held.attrs, "units", "long_name", "index", "version", "format", "unit", "dims", "QConvention"]
    key = str(rng.choice(keys))
    odd = [
        np.arange(3000),
        h5py.Empty("S1"),
        np.zeros((2, 0)),
        b"\xff\xfe\x00",
        np.nan,
        -1,
        2**62,
        "",
        "x" * 60000,
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        file.ref,
        np.array([b"a", b"b"]),
        "a\nb\x1b[31m",
        1 + 2j,
    ]
    new = odd[rng.integers(len(odd))]
    if rng.random() < 0.2 and key in held.attrs:
        del held.attrs[key]
    else:
        held.attrs.create(key, new) if not isinstance(new, np.ndarray) else held.attrs.create(key, data=new)


def unlinked(file: h5py.File, name: str, rng: Rng) -> None:
    """Gone, replaced by a group, by a link that leads round in circles, or by the group that holds it."""
    above = file[name].parent.name
    del file[name]
    match rng.integers(5):
        case 0:
            pass
        case 1:
            file.create_group(name)
        case 2:
            file[name] = h5py.SoftLink(f"/{name}")
        case 3:
            file[name] = h5py.SoftLink("/nowhere")
        case _:
            file[name] = file[above]


def linked_out(file: h5py.File, name: str, rng: Rng) -> None:
    """A link, storage, or a view that leads into another file, where the canary is."""
    held, folder = file[name], Path(file.filename).parent
    shape, kind, attributes = held.shape or (), held.dtype, dict(held.attrs)
    if held.size is None or held.size > 2**20 or kind.kind not in "iuf":
        shape, kind = (4,), np.dtype("f8")
    other = folder / "other.h5"
    with h5py.File(other, "a") as canary:
        place = f"canary{len(canary)}"
        canary[place] = np.full(shape, CANARY).astype(kind)
    del file[name]
    match rng.integers(3) if shape else 0:
        case 0:
            file[name] = h5py.ExternalLink(str(other), place)
            return
        case 1:
            raw = folder / f"{place}.bin"
            raw.write_bytes(np.full(shape, CANARY).astype(kind).tobytes())
            made = file.create_dataset(name, shape, kind, external=[(str(raw), 0, h5py.h5f.UNLIMITED)])
        case _:
            layout = h5py.VirtualLayout(shape, kind)
            layout[...] = h5py.VirtualSource(str(other), place, shape, kind)
            made = file.create_virtual_dataset(name, layout)
    for key, value in attributes.items():
        made.attrs[key] = value


def crowded(file: h5py.File, name: str, rng: Rng) -> None:
    """Thousands of groups, wide or deep."""
    del name
    if rng.random() < 0.5:
        for n in range(3000):
            file.create_group(f"many/{n}")
    else:
        file.create_group("/".join(["deep"] * 800))


def large(path: Path, kind: str, rng: Rng) -> None:
    """A file of a format with as many bins as may be read, or more, in a few kilobytes."""
    n, m = (int(1.2 * 2 ** rng.integers(8, 14)) for _ in "nm")
    polar = np.repeat([10.0, 100.0], n) if rng.random() < 0.3 else np.linspace(1, 100, 2 * n)
    whole(path, kind, n, m, polar[::2])


def whole(path: Path, kind: str, n: int, m: int, polar: np.ndarray) -> None:
    """A file of a format, with n shells or detectors at these angles (degrees) and m energies."""
    edges = np.arange(m + 1.0)
    arrays = {
        "nxspe": {"a/data/data": (n, m), "a/data/error": (n, m)},
        "iqe": {"a/data": (n, m), "a/errors": (n, m)},
        "mdhisto": {f"MDHistoWorkspace/data/{name}": (m, 1, 1, n) for name in ("signal", "errors_squared", "mask")},
        "mantid": {f"{WORKSPACE}/{name}": (n, m) for name in ("values", "errors")},
        "sqwirrel": {f"{name}/values": (n, m) for name in ("data", "masks/a")} | {"data/variances": (n, m)},
    }
    shells = np.linspace(1, 100, n + 1)
    axes = {
        "nxspe": {
            "a/definition": b"NXSPE",
            "a/NXSPE_info/fixed_energy": 2.0 * m,
            "a/data/polar": polar,
            "a/data/polar_width": shells[1:] / n,
            "a/data/energy": edges,
        },
        "iqe": {"a/grid/Q/bin boundaries": shells, "a/grid/E/bin boundaries": edges},
        "mdhisto": {f"MDHistoWorkspace/data/D{k}": axis for k, axis in enumerate((shells, [0.0, 1], [0.0, 1], edges))},
        "mantid": {f"{WORKSPACE}/axis1": edges, f"{WORKSPACE}/axis2": shells},
        "sqwirrel": {"measurement/edges": shells, "measurement/energy": edges, "measurement/field": np.zeros(3)},
    }
    labels = {
        "iqe": {
            "a/grid/Q": {"unit": "1e+10*m**-1", "index": 0},
            "a/grid/E": {"unit": "1.602176634e-22*m**2*kg*s**-2", "index": 1},
        },
        "mdhisto": {
            f"MDHistoWorkspace/data/D{k}": {"long_name": name}
            for k, name in enumerate(("[H,0,0]", "[0,K,0]", "[0,0,L]", "DeltaE"))
        },
        "mantid": {f"{WORKSPACE}/axis1": {"units": "DeltaE"}, f"{WORKSPACE}/axis2": {"units": "MomentumTransfer"}},
        "sqwirrel": {"/": {"format": "sqwirrel spectrum", "version": 1}},
    }
    with h5py.File(path, "w") as file:
        for name, shape in arrays[kind].items():
            file.create_dataset(name, shape, "f4", compression="gzip", fillvalue=float("mask" not in name))
        for name, values in axes[kind].items():
            file[name] = values
        for name, pairs in labels.get(kind, {}).items():
            file[name].attrs.update(pairs)
    path.with_name(f"{path.name}.toml").write_text("lattice = [5, 5, 5, 90, 90, 90]\n", encoding="utf-8")


CHANGES: tuple[Change, ...] = (
    huge,
    bomb,
    bomb,
    reshaped,
    reshaped,
    retyped,
    retyped,
    valued,
    valued,
    valued,
    attributed,
    attributed,
    unlinked,
    linked_out,
    linked_out,
    crowded,
)
