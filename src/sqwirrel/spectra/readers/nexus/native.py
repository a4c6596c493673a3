"""Our own HDF5: the DataArray as scipp writes it, and the measurement beside it. What is written is read back exactly.

Root attributes: format = "sqwirrel spectrum", version = 1. The rest of the root is scipp's; group `measurement` holds
`field` (T), `energy` (meV, edges), the conditions of `CONDITIONS` that are known, and `edges` (1/angstrom) for shells.
A crystal has `cell` (angstrom, degrees) and `vectors` (angstrom), and `q`, `box` (rlu) for a path, `axes`, `edges_1` to
`edges_3`, `origin` and perhaps `beam` for a grid, `q`, `scan` and perhaps `plane` for points of scans.
"""

from collections.abc import Callable
from pathlib import Path

import h5py
import scipp as sc
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.grid import Beam, QGrid
from sqwirrel.spectra.measurement import Measurement, Points
from sqwirrel.spectra.points import QPath, QPoints, QShells
from sqwirrel.spectra.readers.limits import check_count
from sqwirrel.spectra.readers.nexus.hdf5 import array, is_hdf5, number, opened, text
from sqwirrel.spectra.spectrum import Spectrum

FORMAT = "sqwirrel spectrum"
VERSION = 1
CONDITIONS = ("temperature", "incident_energy", "final_energy", "exposure")


def sniff(path: Path) -> bool:
    """Whether the file says that it is ours."""
    if not is_hdf5(path):
        return False
    with opened(path) as file:
        return text(file.attrs.get("format", "")) == FORMAT


def read(path: Path) -> Spectrum:
    """The spectrum as it was written."""
    with opened(path) as file:
        version = int(file.attrs.get("version", 0))
        if version != VERSION:
            raise InputError(f"{path.name} has the format version {version}; this sqwirrel reads {VERSION}")
        if "measurement" not in file:
            raise InputError(f"{path.name} lacks the group 'measurement'; write it again with sqwirrel")
        _check_sizes(file, path)
        measurement = _measurement(file["measurement"], path)
    try:
        data = sc.io.load_hdf5(path)
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        raise InputError(f"the data of {path.name} are damaged ({error}); write the file again") from error
    if not isinstance(data, sc.DataArray):
        raise InputError(f"{path.name} holds a {type(data).__name__}; expected a DataArray")
    return Spectrum(data, measurement)


def _check_sizes(file: h5py.File, path: Path) -> None:
    """Refuses a file with an array that is too large, before scipp reads all of them."""

    def check(name: str, held: h5py.Group | h5py.Dataset) -> None:
        if isinstance(held, h5py.Dataset):
            check_count(held.size or 0, name, path)

    file.visititems(check)


def write(path: Path, spectrum: Spectrum) -> None:
    """Write `spectrum` to a new file."""
    sc.io.save_hdf5(spectrum.data, path)
    with h5py.File(path, "r+") as file:
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        for name, values in _fields(spectrum.measurement).items():
            file[f"measurement/{name}"] = values.numpy()


def _fields(measurement: Measurement) -> dict[str, Tensor]:
    numbers = {name: getattr(measurement, name) for name in CONDITIONS}
    known = {name: torch.as_tensor(value, dtype=torch.float64) for name, value in numbers.items() if value is not None}
    return {"energy": measurement.energy, "field": measurement.field, **known, **_point_fields(measurement.points)}


def _point_fields(points: Points) -> dict[str, Tensor]:
    match points:
        case QShells(edges):
            return {"edges": edges}
        case QPath(lattice, q, box):
            return {"q": q, "box": box, **_cell(lattice)}
        case QGrid(lattice, axes, edges, origin, beam):
            along = {f"edges_{k}": each for k, each in enumerate(edges, start=1)}
            held = {} if beam is None else {"beam": beam.direction, "beam_energy": torch.tensor(beam.incident_energy)}
            return {"axes": axes, "origin": origin, **along, **held, **_cell(lattice)}
        case QPoints(lattice, q, scan, plane):
            return {"q": q, "scan": scan, **({} if plane is None else {"plane": plane}), **_cell(lattice)}


def _cell(lattice: Lattice) -> dict[str, Tensor]:
    cell = [lattice.a, lattice.b, lattice.c, lattice.alpha, lattice.beta, lattice.gamma]
    return {"cell": torch.tensor(cell, dtype=torch.float64), "vectors": lattice.vectors}


def _measurement(group: h5py.Group, path: Path) -> Measurement:
    def tensor(name: str) -> Tensor:
        return torch.from_numpy(array(group, name, path))

    def optional(name: str) -> float | None:
        return number(group, name, path) if name in group else None

    exposure = tensor("exposure") if "exposure" in group else None
    conditions = (optional("temperature"), tensor("field"), optional("incident_energy"), optional("final_energy"))
    return Measurement(_points(group, tensor), tensor("energy"), *conditions, exposure)


def _points(group: h5py.Group, tensor: Callable[[str], Tensor]) -> Points:
    """Shells, or points of a crystal on the lattice of `cell` in the orientation of `vectors`."""
    if "edges" in group:
        return QShells(tensor("edges"))
    lattice, vectors = Lattice(*tensor("cell").tolist()), tensor("vectors")
    if not torch.equal(lattice.vectors, vectors):
        lattice = Lattice.from_vectors(vectors)
    if "axes" in group:
        beam = Beam(tensor("beam"), float(tensor("beam_energy"))) if "beam" in group else None
        return QGrid(lattice, tensor("axes"), [tensor(f"edges_{k}") for k in (1, 2, 3)], tensor("origin"), beam)
    if "scan" in group:
        return QPoints(lattice, tensor("q"), tensor("scan"), tensor("plane") if "plane" in group else None)
    return QPath(lattice, tensor("q"), tensor("box"))
