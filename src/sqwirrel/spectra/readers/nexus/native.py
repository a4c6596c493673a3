"""Our own HDF5: the DataArray as scipp writes it, and the measurement beside it. What is written is read back exactly.

Root attributes: format = "sqwirrel spectrum", version = 1; of what a translator made, version = 2 and `translated`, the
domain that it took it to: what does not know of translations refuses it. The rest of the root is scipp's, with the
coordinate `pixels` where it is known of how many each bin is the mean; group `measurement` holds `field` (T), `energy`
(meV, edges), the conditions of `CONDITIONS` that are known (`exposure` with the attribute `unit` where that is known),
and `edges` (1/angstrom) for shells.
A crystal has `cell` (angstrom, degrees) and `vectors` (angstrom), and `q`, `box` (rlu) for a path, `axes`, `edges_1` to
`edges_3`, `origin` and perhaps `beam` for a grid, `q`, `scan` and perhaps `plane` for points of scans.
"""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import scipp as sc
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.grid import Beam, QGrid
from sqwirrel.spectra.measurement import Measurement, Points
from sqwirrel.spectra.points import QPath, QPoints, QShells
from sqwirrel.spectra.readers.nexus.hdf5 import array, attribute, integer, is_hdf5, number, opened, text
from sqwirrel.spectra.spectrum import PIXELS, TRANSLATED, UNMEASURED, Spectrum

FORMAT = "sqwirrel spectrum"
VERSION, OF_TRANSLATED = 1, 2
CONDITIONS = ("temperature", "incident_energy", "final_energy", "exposure")


def sniff(path: Path) -> bool:
    """Whether the file says that it is ours."""
    if not is_hdf5(path):
        return False
    with opened(path) as file:
        return text(attribute(file, "format")) == FORMAT


def read(path: Path) -> Spectrum:
    """The spectrum as it was written."""
    with opened(path) as file:
        version = integer(file, "version", path)
        if version not in (VERSION, OF_TRANSLATED):
            raise InputError(f"{path.name} has the format version {version}; this sqwirrel reads 1 and 2")
        if not isinstance(file.get("measurement"), h5py.Group):
            raise InputError(f"{path.name} lacks the group 'measurement'; write it again with sqwirrel")
        measurement = _measurement(file["measurement"], path)
        data = _data(file, measurement, path)
        if version == OF_TRANSLATED:
            data.coords[TRANSLATED] = sc.scalar(text(attribute(file, TRANSLATED)) or "another domain")
        return Spectrum(data, measurement)


def _data(file: h5py.File, measurement: Measurement, path: Path) -> sc.DataArray:
    """Values, variances, masks, pixels and unit; scipp's own loader would read all that a file holds, and believe its
    sizes.
    """
    dims = [measurement.points.dim, "energy"]
    held = (_held(file, "masks"), [name for name in _held(file, "coords") if name.endswith(f"_{PIXELS}/values")])
    masked, number = ([array(file, name, path) for name in names] for names in held)
    values, variances = (array(file, name, path) for name in ("data/values", "data/variances"))
    if any(each.shape != measurement.shape for each in (values, variances, *masked, *number)):
        raise InputError(f"{path.name} has data of another shape than its measurement, {measurement.shape}")
    unmeasured = np.logical_or.reduce([each != 0 for each in masked]) if masked else np.zeros(values.shape, bool)
    unit = attribute(file["data/values"], "unit")  # (version, factor, powers by name), as scipp writes it
    is_counts = isinstance(unit, np.void) and "counts" in str(unit.dtype)
    data = sc.array(dims=dims, values=values, variances=variances, unit="counts" if is_counts else "one")
    coords = {PIXELS: sc.array(dims=dims, values=number[0])} if number else {}
    return sc.DataArray(data, coords=coords, masks={UNMEASURED: sc.array(dims=dims, values=unmeasured)})


def _held(file: h5py.File, kind: str) -> list[str]:
    """Where the values of every mask, or of every coordinate, are."""
    group = file.get(kind)
    return [f"{kind}/{name}/values" for name in group] if isinstance(group, h5py.Group) else []


def write(path: Path, spectrum: Spectrum) -> None:
    """Write `spectrum` to a new file."""
    plain = spectrum.data.drop_coords(TRANSLATED) if spectrum.translated else spectrum.data
    sc.io.save_hdf5(plain, path)
    with h5py.File(path, "r+") as file:
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        if spectrum.translated:
            file.attrs["version"], file.attrs[TRANSLATED] = OF_TRANSLATED, spectrum.translated
        for name, values in _fields(spectrum.measurement).items():
            file[f"measurement/{name}"] = values.numpy()
        if spectrum.measurement.exposure is not None:
            file["measurement/exposure"].attrs["unit"] = spectrum.measurement.exposure_unit or ""


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
    unit = None if exposure is None else text(attribute(group["exposure"], "unit")) or None
    conditions = (optional("temperature"), tensor("field"), optional("incident_energy"), optional("final_energy"))
    return Measurement(_points(group, tensor, path), tensor("energy"), *conditions, exposure, unit)


def _points(group: h5py.Group, tensor: Callable[[str], Tensor], path: Path) -> Points:
    """Shells, or points of a crystal on the lattice of `cell` in the orientation of `vectors`."""
    if "edges" in group:
        return QShells(tensor("edges"))
    cell, vectors = tensor("cell"), tensor("vectors")
    if cell.shape != (6,) or vectors.shape != (3, 3):
        raise InputError(f"the lattice has the shapes {tuple(cell.shape)} and {tuple(vectors.shape)}; write it again")
    lattice = Lattice(*cell.tolist())
    if not torch.equal(lattice.vectors, vectors):
        lattice = Lattice.from_vectors(vectors)
    if "axes" in group:
        beam = Beam(tensor("beam"), number(group, "beam_energy", path)) if "beam" in group else None
        return QGrid(lattice, tensor("axes"), [tensor(f"edges_{k}") for k in (1, 2, 3)], tensor("origin"), beam)
    if "scan" in group:
        return QPoints(lattice, tensor("q"), tensor("scan"), tensor("plane") if "plane" in group else None)
    return QPath(lattice, tensor("q"), tensor("box"))
