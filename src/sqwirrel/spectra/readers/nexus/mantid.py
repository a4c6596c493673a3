"""Mantid processed workspaces (SaveNexus) of energy transfer, by detector or by |Q|.

`/mantid_workspace_1/workspace/{values, errors, axis1, axis2}` with one standard deviation in `errors`. Where axis2 is
the spectrum number, the angles come from `instrument/{detector, physical_detectors}` and E_i from `logs/Ei/value`;
such a file says no angular widths, so a ring's is taken to reach half way to its neighbours. Spectra whose detectors
are all masked hold zeros that nobody measured: `instrument/instrument_parameter_map` lists them.
"""

import re
from pathlib import Path

import h5py
import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from sqwirrel.errors import InputError
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.points import QShells
from sqwirrel.spectra.readers.nexus.hdf5 import attribute, column, dataset, is_hdf5, map_of, number, opened, text, words
from sqwirrel.spectra.rebin import edges_of
from sqwirrel.spectra.rings import Rings, to_spectrum
from sqwirrel.spectra.spectrum import Spectrum

ENTRY = "mantid_workspace_1"


def sniff(path: Path) -> bool:
    """Whether the file holds a Mantid workspace."""
    if not is_hdf5(path):
        return False
    with opened(path) as file:
        return f"{ENTRY}/workspace" in file


def read(path: Path) -> Spectrum:
    """The |Q|, energy map of the workspace."""
    with opened(path) as file:
        entry = file[ENTRY]
        if "mantid_workspace_2" in file:
            raise InputError(f"{path.name} holds a group of Mantid workspaces; save the one to use by itself")
        kinds = (_unit(entry, "axis1", path), _unit(entry, "axis2", path))
        if kinds == ("DeltaE", "spectraNumber"):
            return to_spectrum(_rings(entry, path))
        if set(kinds) == {"DeltaE", "MomentumTransfer"}:
            return _shell_map(entry, path, kinds)
    raise InputError(
        f"{path.name} is a Mantid workspace '{_name(entry, path)}' with axes of {kinds[0]} and {kinds[1]}; expected "
        "DeltaE by spectrum or by MomentumTransfer. Reduce it to energy transfer first (DgsReduction)"
    )


def _unit(entry: h5py.Group, axis: str, path: Path) -> str:
    held = dataset(entry, f"workspace/{axis}", path)
    if held is None:
        raise InputError(f"{path.name} is a Mantid workspace without '{axis}'; save it again with SaveNexus")
    return text(attribute(held, "units")) or "no unit"


def _name(entry: h5py.Group, path: Path) -> str:
    return words(entry, "workspace_name", path) or path.stem


def _shell_map(entry: h5py.Group, path: Path, kinds: tuple[str, str]) -> Spectrum:
    """A workspace that holds |Q| and energy already, in either order of its axes."""
    values, errors = map_of(entry, "workspace/values", path), map_of(entry, "workspace/errors", path)
    energy, shells = column(entry, "workspace/axis1", path), column(entry, "workspace/axis2", path)
    if kinds[0] == "MomentumTransfer":
        values, errors, energy, shells = values.T.copy(), errors.T.copy(), shells, energy
    shell_edges, energy_edges = edges_of(shells, values.shape[0]), edges_of(energy, values.shape[1])
    if shell_edges is None or energy_edges is None:
        raise InputError(f"{path.name} has {len(shells)} |Q| values and {len(energy)} energies for {values.shape} bins")
    incident_energy = number(entry, "logs/Ei/value", path) if "logs/Ei/value" in entry else None
    points = QShells.from_edges(shell_edges)
    measurement = Measurement(points, torch.from_numpy(energy_edges), None, incident_energy=incident_energy)
    return Spectrum.from_arrays(torch.from_numpy(values), torch.from_numpy(errors), measurement)


def _rings(entry: h5py.Group, path: Path) -> Rings:
    """One ring a spectrum, at the mean scattering angle of its detectors."""
    missing = [name for name in _NEEDED if name not in entry]
    if missing:
        raise InputError(
            f"{path.name} is a Mantid workspace '{_name(entry, path)}' by spectrum number, without '{missing[0]}', so "
            "its scattering angles or incident energy are unknown; save it as NXSPE or after SofQW"
        )
    mode = words(entry, "logs/deltaE-mode/value", path) or "Direct"
    if mode != "Direct":
        raise InputError(f"{path.name} was measured in {mode} geometry; only direct geometry (fixed E_i) is read")
    values, errors = map_of(entry, "workspace/values", path), map_of(entry, "workspace/errors", path)
    energy = column(entry, "workspace/axis1", path)
    keep = np.diff(energy) > 1e-9  # Mantid may close the last bin twice, at no width
    edges = np.append(energy[:-1][keep], energy[1:][keep][-1:])
    angles, masked = _angles(entry, path)
    if len(angles) != len(values) or len(energy) != values.shape[1] + 1:
        raise InputError(
            f"{path.name} has values of shape {values.shape} for {len(angles)} spectra with angles and "
            f"{len(energy)} energies; expected one angle a spectrum and one energy more than bins"
        )
    values, errors = values[:, keep], errors[:, keep]
    valid = np.isfinite(values) & np.isfinite(errors) & ~masked[:, None]
    width = np.full(len(angles), np.inf)
    return Rings(angles, width, edges, number(entry, "logs/Ei/value", path), values, errors, valid)


_NEEDED = (
    "logs/Ei/value",
    "instrument/detector/detector_count",
    "instrument/detector/detector_list",
    "instrument/physical_detectors/detector_number",
    "instrument/physical_detectors/polar_angle",
)


def _angles(entry: h5py.Group, path: Path) -> tuple[Float64[np.ndarray, " spectrum"], Bool[np.ndarray, " spectrum"]]:
    """Mean scattering angle (degrees) of each spectrum over its unmasked detectors, and whether all are masked."""
    count, listed, numbers = (column(entry, name, path).astype(np.int64) for name in _NEEDED[1:4])
    polar = column(entry, _NEEDED[4], path)
    order = np.argsort(numbers)
    place = order[np.searchsorted(numbers, listed, sorter=order).clip(max=len(order) - 1)]
    if (numbers[place] != listed).any() or count.sum() != len(listed) or (count < 1).any():
        raise InputError(f"{path.name} names detectors whose place it does not say; save it as NXSPE instead")
    spectrum = np.repeat(np.arange(len(count)), count)
    is_masked = np.isin(listed, _masked_detectors(entry, path))
    working = np.bincount(spectrum, weights=~is_masked, minlength=len(count))
    weight = np.where(is_masked & (working[spectrum] > 0), 0.0, 1.0)
    total = np.bincount(spectrum, weights=weight * polar[place], minlength=len(count))
    return total / np.bincount(spectrum, weights=weight, minlength=len(count)), working == 0


def _masked_detectors(entry: h5py.Group, path: Path) -> Int64[np.ndarray, " detector"]:
    """Numbers of the detectors that the parameter map marks, as in `detID:308;bool;masked;1`."""
    content = words(entry, "instrument/instrument_parameter_map/data", path)
    return np.array([int(n) for n in re.findall(r"detID:(\d+);bool;masked;1", content)], dtype=np.int64)
