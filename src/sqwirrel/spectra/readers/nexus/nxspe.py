"""NXSPE 1.0 to 1.3: reduced direct-geometry data, one row a detector or ring. They become a |Q|, energy map, or, of a
crystal that was turned, one `run` of a scan.

One root group of any name holds `definition` = NXSPE, `NXSPE_info/fixed_energy` (incident energy, meV) and
`data/{data, error, energy, polar, polar_width}` (angles in degrees, `error` one standard deviation). `energy` holds
bin edges, but centres in some files of version 1.3. Masked detectors hold -1e30 up to version 1.1 and NaN after it.
Beside them are `data/azimuthal` (degrees), `NXSPE_info/psi` (degrees, NaN where it was not told) and
`NXSPE_info/ki_over_kf_scaling` (not 0 where values were multiplied by k_i / k_f).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.limits import LARGEST
from sqwirrel.spectra.pixels import Run
from sqwirrel.spectra.pixels.run import Block
from sqwirrel.spectra.readers.nexus.hdf5 import array, column, dataset, is_hdf5, number, opened, rows, words
from sqwirrel.spectra.readers.text.numbers import measured
from sqwirrel.spectra.rebin import edges_of
from sqwirrel.spectra.rings import Rings, to_spectrum
from sqwirrel.spectra.spectrum import Spectrum


def sniff(path: Path) -> bool:
    """Whether a root group says that it is NXSPE."""
    if not is_hdf5(path):
        return False
    with opened(path) as file:
        return _entry(file, path) is not None


def read(path: Path) -> Spectrum:
    """The |Q|, energy map of the detectors; the temperature is not in such a file."""
    with opened(path) as file:
        entry = _entry(file, path)
        if entry is None:
            raise InputError(f"{path.name} is not an NXSPE file")
        return to_spectrum(_rings(entry, path))


@contextmanager
def run(path: Path) -> Iterator[Run]:
    """The detectors one by one, while the file is open; blocks of rows as they lie in it are read at once."""
    with opened(path) as file:
        entry = _entry(file, path)
        if entry is None:
            raise InputError(
                f"{path.name} is not an NXSPE file, nor a .spe file; a scan of angles of a crystal is made of those, "
                "one an angle"
            )
        values, errors = rows(entry, "data/data", path), rows(entry, "data/error", path)
        polar, azimuth = column(entry, "data/polar", path), column(entry, "data/azimuthal", path)
        if errors.shape != values.shape or not len(polar) == len(azimuth) == len(values):
            raise InputError(
                f"{path.name} holds data of shape {values.shape}, errors {errors.shape}, {len(polar)} polar and "
                f"{len(azimuth)} azimuthal angles; expected (detectors, energies) twice and two angles a detector"
            )

        def read(start: int, stop: int) -> Block:
            held = [np.asarray(each[start:stop], dtype=np.float64) for each in (values, errors)]
            return held[0], held[1], measured(held[0], held[1])

        yield Run(
            path.name,
            number(entry, "NXSPE_info/fixed_energy", path),
            _optional(entry, "psi", path),
            None if (scaling := _optional(entry, "ki_over_kf_scaling", path)) is None else scaling != 0,
            _energy_edges(column(entry, "data/energy", path), values.shape[1], path),
            polar,
            azimuth,
            min(values.chunks[0] if values.chunks else 1, max(1, LARGEST // 8 // values.shape[1])),
            read,
        )


def _optional(entry: h5py.Group, name: str, path: Path) -> float | None:
    """A number of the file; None where it is not there, or none."""
    if dataset(entry, f"NXSPE_info/{name}", path) is None:
        return None
    value = number(entry, f"NXSPE_info/{name}", path)
    return value if np.isfinite(value) else None


def _entry(file: h5py.File, path: Path) -> h5py.Group | None:
    for group in file.values():
        if isinstance(group, h5py.Group) and words(group, "definition", path) == "NXSPE":
            return group
    return None


def _rings(entry: h5py.Group, path: Path) -> Rings:
    values, errors = array(entry, "data/data", path), array(entry, "data/error", path)
    polar, energy = array(entry, "data/polar", path), column(entry, "data/energy", path)
    width = array(entry, "data/polar_width", path)
    if values.ndim != 2 or errors.shape != values.shape or not polar.shape == width.shape == values.shape[:1]:
        raise InputError(
            f"{path.name} holds data of shape {values.shape}, errors {errors.shape}, polar angles {polar.shape} and "
            f"widths {width.shape}; expected (detectors, energies) twice and (detectors,) twice"
        )
    valid = measured(values, errors)
    incident_energy = number(entry, "NXSPE_info/fixed_energy", path)
    return Rings(polar, width, _energy_edges(energy, values.shape[1], path), incident_energy, values, errors, valid)


def _energy_edges(energy: Float64[np.ndarray, " any"], bins: int, path: Path) -> Float64[np.ndarray, " edge"]:
    edges = edges_of(energy, bins)
    if edges is None:
        raise InputError(f"{path.name} has {len(energy)} energies for {bins} energy bins; expected {bins + 1} edges")
    return edges
