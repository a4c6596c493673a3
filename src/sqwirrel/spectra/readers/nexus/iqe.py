"""HDF5 histograms of I(Q, E): a group with `data`, `errors` and `grid`, as multiphonon and drchops write them.

One root group (any name) holds `data` and `errors` (by the `index` of the axes in `grid`), and in `grid` one group an
axis with `bin boundaries`, `bin centers` and the attribute `unit`, SI with a factor ('1e+10*m**-1'). What is called
errors is the variance: in measured files it is proportional to the data, as the variance of counts is.
"""

import re
from pathlib import Path

import h5py
import numpy as np
import torch
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.points import QShells
from sqwirrel.spectra.readers.nexus.hdf5 import array, attribute, column, integer, is_hdf5, opened, text
from sqwirrel.spectra.spectrum import Spectrum

UNITS = {"m**-1": ("Q", 1e-10), "m**2*kg*s**-2": ("energy", 1 / 1.602176634e-22)}
"""What an SI unit measures, and its size in 1/angstrom or meV."""


def sniff(path: Path) -> bool:
    """Whether a root group holds data, errors and a grid."""
    if not is_hdf5(path):
        return False
    with opened(path) as file:
        return _entry(file) is not None


def read(path: Path) -> Spectrum:
    """The |Q|, energy map; it says neither temperature nor incident energy."""
    with opened(path) as file:
        entry = _entry(file)
        if entry is None:
            raise InputError(f"{path.name} is no histogram of I(Q, E)")
        grid = [each for each in entry["grid"].values() if isinstance(each, h5py.Group)]
        axes = {kind: (index, edges) for kind, index, edges in (_axis(each, path) for each in grid)}
        if set(axes) != {"Q", "energy"}:
            raise InputError(f"{path.name} has the axes {sorted(axes)}; expected Q and energy")
        order = [axes["Q"][0], axes["energy"][0]]
        if sorted(order) != [0, 1]:
            raise InputError(f"{path.name} gives its axes the places {order}; expected 0 and 1")
        held, spread = array(entry, "data", path), array(entry, "errors", path)
    edges = [axes[kind][1] for kind in ("Q", "energy")]
    shape = [len(edges[k]) - 1 for k in order]
    if list(held.shape) != shape or list(spread.shape) != shape:
        raise InputError(f"{path.name} has data of shape {held.shape} and errors of {spread.shape} on axes of {shape}")
    values, variances = np.transpose(held, order), np.transpose(spread, order)
    valid = np.isfinite(values) & np.isfinite(variances) & (variances >= 0)
    measurement = Measurement(QShells.from_edges(edges[0]), edges[1], temperature=None)
    errors = np.sqrt(np.where(valid, variances, 0.0))
    return Spectrum.from_arrays(_tensor(values), _tensor(errors), measurement, valid=_tensor(valid))


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def _entry(file: h5py.File) -> h5py.Group | None:
    for group in file.values():
        if isinstance(group, h5py.Group) and {"data", "errors", "grid"} <= set(group):
            return group if isinstance(group["grid"], h5py.Group) and len(group["grid"]) == 2 else None
    return None


def _axis(group: h5py.Group, path: Path) -> tuple[str, int, Float64[np.ndarray, " edge"]]:
    """Kind, place and edges (internal units) of an axis."""
    unit = text(attribute(group, "unit"))
    factor, _, si = unit.rpartition("*m**") if "*m**" in unit else ("1", "", unit.removeprefix("m**"))
    kind, scale = UNITS.get(f"m**{si}", ("", 0.0))
    if not kind or not re.fullmatch(r"[\d.eE+-]+", factor):
        raise InputError(f"{path.name} has an axis in '{unit}'; expected Q in m**-1 and energy in m**2*kg*s**-2")
    return kind, integer(group, "index", path), column(group, "bin boundaries", path) * (float(factor) * scale)
