"""Mantid MDHistoWorkspace (SaveMD): cuts of a crystal along any axes, or |Q| and energy.

`/MDHistoWorkspace/data/{signal, errors_squared, num_events, mask, D0, D1, ...}`: arrays in reversed order (D0 runs
fastest), the D are bin edges whose `long_name` is the direction ('[H,0,0]', '[-0.5K,K,0]'), 'DeltaE' or '|Q|'; the
lattice is in `experimentN/sample/oriented_lattice`. With `QConvention` = 'Crystallography' Q is k_f - k_i, the
opposite of ours, so that its edges change sign. NaN and mask = 1 are unmeasured. A bin with num_events = 0 holds 0
whether or not it was measured, unless a normalisation has made NaN of those that were not (0 / 0): if none is NaN, we
ask. (Mantid, Framework/MDAlgorithms, SaveMD version 2; Concepts: "Q convention", "MDHistoWorkspace", MDNorm.)
"""

import re
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Float64

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.readers import cut as cuts
from sqwirrel.spectra.readers.beside import Known
from sqwirrel.spectra.readers.cut import Axis, Cut
from sqwirrel.spectra.readers.nexus.hdf5 import array, attribute, is_hdf5, number, opened, text
from sqwirrel.spectra.spectrum import Spectrum

ENTRY = "MDHistoWorkspace"
_TEMPERATURES = ("SampleTemp", "sample_temperature", "temperature", "Temp", "T_sample", "SampleTemperature")
_CELL = tuple(f"unit_cell_{name}" for name in ("a", "b", "c", "alpha", "beta", "gamma"))


def sniff(path: Path) -> bool:
    """Whether the file holds an MDHistoWorkspace."""
    if not is_hdf5(path):
        return False
    with opened(path) as file:
        return f"{ENTRY}/data" in file


def read(path: Path, known: Known) -> Spectrum:
    """The cut; what it does not hold was `known`, or is asked for."""
    with opened(path) as file:
        entry = file[ENTRY]
        cut = _cut(entry, path, known)
        return cuts.to_spectrum(cut, known, _lattice(entry, path))


def _cut(entry: h5py.Group, path: Path, known: Known) -> Cut:
    signal = array(entry, "data/signal", path)
    variances = array(entry, "data/errors_squared", path)
    if variances.shape != signal.shape:
        raise InputError(f"{path.name} has signal of shape {signal.shape} and errors_squared of {variances.shape}")
    is_turned = text(attribute(entry, "QConvention")).lower() == "crystallography"
    axes = [_axis(entry, n, path) for n in range(signal.ndim)]
    turned = tuple(n for n, axis in enumerate(axes) if is_turned and axis.direction is not None)
    axes = [Axis(a.name, -a.edges[::-1], a.direction) if n in turned else a for n, a in enumerate(axes)]
    if tuple(len(axis.edges) - 1 for axis in axes) != signal.T.shape:
        raise InputError(f"{path.name} has signal of shape {signal.shape}, which is not that of its axes D, reversed")
    valid = _measured(entry, signal, path, known) & np.isfinite(variances)
    errors = np.sqrt(np.where(valid, variances.clip(min=0), 0.0))
    values, errors, valid = (np.flip(each.T, turned) for each in (np.where(valid, signal, 0.0), errors, valid))
    temperature, incident_energy = _logged(entry, _TEMPERATURES, path), _logged(entry, ("Ei", "EnergyRequest"), path)
    return Cut(tuple(axes), values, errors, valid, temperature=temperature, incident_energy=incident_energy)


def _axis(entry: h5py.Group, n: int, path: Path) -> Axis:
    edges = cuts.meant(array(entry, f"data/D{n}", path).ravel())
    held = entry[f"data/D{n}"]
    name, unit = text(attribute(held, "long_name")) or f"D{n}", text(attribute(held, "units"))
    if cuts.direction(name) is not None and re.fullmatch(r"(Angstrom|A)\^-1", unit):
        raise InputError(
            f"{path.name} has the axis {name} in {unit}; save it in r.l.u. (BinMD or MDNorm with HKL axes)"
        )
    return Axis(name, edges, cuts.direction(name))


def _measured(
    entry: h5py.Group, signal: Float64[np.ndarray, "..."], path: Path, known: Known
) -> Bool[np.ndarray, "..."]:
    """Where the signal is finite and no mask lies; asks for more if events are counted and no bin without is NaN."""
    filled, masked = (_flags(entry, name, signal.shape, path) for name in ("num_events", "mask"))
    valid: Bool[np.ndarray, ...] = np.isfinite(signal) & ~masked
    empty = valid & ~filled
    is_told = not filled.any() or not empty.any() or np.isnan(signal[~filled & ~masked]).any()
    if not is_told and not known.are_empty_bins_measured(int(empty.sum())):
        valid &= filled
    return valid


def _flags(entry: h5py.Group, name: str, shape: tuple[int, ...], path: Path) -> Bool[np.ndarray, "..."]:
    """Where the array of this name is not 0; nowhere if it is not there."""
    if f"data/{name}" not in entry:
        return np.zeros(shape, dtype=np.bool_)
    held = array(entry, f"data/{name}", path)
    if held.shape != shape:
        raise InputError(f"{path.name} has signal of shape {shape} and {name} of {held.shape}")
    return held.astype(np.bool_)


def _experiments(entry: h5py.Group) -> list[h5py.Group]:
    return [entry[name] for name in sorted(entry) if re.fullmatch(r"experiment\d+", name)]


def _lattice(entry: h5py.Group, path: Path) -> Lattice | None:
    for run in _experiments(entry):
        cell = run.get("sample/oriented_lattice")
        if isinstance(cell, h5py.Group):
            return Lattice(*(number(cell, name, path) for name in _CELL))
    return None


def _logged(entry: h5py.Group, names: tuple[str, ...], path: Path) -> float | None:
    """The mean over runs and time of the first log of these names that is there."""
    found = [
        float(np.nanmean(array(run, f"logs/{name}/value", path)))
        for run in _experiments(entry)
        for name in names
        if f"logs/{name}/value" in run
    ]
    return float(np.mean(found)) if found else None
