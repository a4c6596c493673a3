"""Our own HDF5: the DataArray as scipp writes it, and the measurement beside it. What is written is read back exactly.

Root attributes: format = "sqwirrel spectrum", version = 1. The rest of the root is scipp's; group `measurement` holds
`temperature` (K), `incident_energy` (meV), both absent where unknown, `field` (T), `energy` (meV, edges), and `edges`
(1/angstrom) for shells or `q`, `box` (rlu), `cell` (angstrom, degrees) and `vectors` (angstrom) for a path.
"""

from collections.abc import Callable
from pathlib import Path

import h5py
import scipp as sc
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.measurement import Measurement, QPath, QShells
from sqwirrel.spectra.readers.hdf5 import array, is_hdf5, number, opened, text
from sqwirrel.spectra.spectrum import Spectrum

FORMAT = "sqwirrel spectrum"
VERSION = 1


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
        measurement = _measurement(file["measurement"], path)
    try:
        data = sc.io.load_hdf5(path)
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        raise InputError(f"the data of {path.name} are damaged ({error}); write the file again") from error
    if not isinstance(data, sc.DataArray):
        raise InputError(f"{path.name} holds a {type(data).__name__}; expected a DataArray")
    return Spectrum(data, measurement)


def write(path: Path, spectrum: Spectrum) -> None:
    """Write `spectrum` to a new file."""
    sc.io.save_hdf5(spectrum.data, path)
    with h5py.File(path, "r+") as file:
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        for name, values in _fields(spectrum.measurement).items():
            file[f"measurement/{name}"] = values.numpy()


def _fields(measurement: Measurement) -> dict[str, Tensor]:
    numbers = {"temperature": measurement.temperature, "incident_energy": measurement.incident_energy}
    known = {name: torch.tensor(value, dtype=torch.float64) for name, value in numbers.items() if value is not None}
    return {"energy": measurement.energy, "field": measurement.field, **known, **_point_fields(measurement.points)}


def _point_fields(points: QShells | QPath) -> dict[str, Tensor]:
    match points:
        case QShells(edges):
            return {"edges": edges}
        case QPath(lattice, q, box):
            cell = [lattice.a, lattice.b, lattice.c, lattice.alpha, lattice.beta, lattice.gamma]
            cells = {"cell": torch.tensor(cell, dtype=torch.float64), "vectors": lattice.vectors}
            return {"q": q, "box": box, **cells}


def _measurement(group: h5py.Group, path: Path) -> Measurement:
    def tensor(name: str) -> Tensor:
        return torch.from_numpy(array(group, name, path))

    def optional(name: str) -> float | None:
        return number(group, name, path) if name in group else None

    points = QShells(tensor("edges")) if "edges" in group else _path(tensor)
    return Measurement(points, tensor("energy"), optional("temperature"), tensor("field"), optional("incident_energy"))


def _path(tensor: Callable[[str], Tensor]) -> QPath:
    """A path, on the lattice of `cell` in the orientation of `vectors`."""
    lattice, vectors = Lattice(*tensor("cell").tolist()), tensor("vectors")
    if not torch.equal(lattice.vectors, vectors):
        lattice = Lattice.from_vectors(vectors)
    return QPath(lattice, tensor("q"), tensor("box"))
