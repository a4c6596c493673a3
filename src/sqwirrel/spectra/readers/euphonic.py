"""Spectrum2D of Euphonic, as its `to_json_file` writes it: |Q| and energy. It is simulated, so its errors are 0.

`x_data` and `y_data` are bin edges or centres with pint's names of units, `z_data` is (x, y). Energy may be given as a
frequency or a wavenumber. (Euphonic documentation, "Spectra".)
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.limits import LONGEST, json_of
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.points import QShells
from sqwirrel.spectra.rebin import edges_of
from sqwirrel.spectra.spectrum import Spectrum
from sqwirrel.units import to_internal

SIGNATURE = b'"__euphonic_class__"'
PINT = {"millielectron_volt": "meV", "electron_volt": "eV", "terahertz": "THz", "centimeter": "cm", " ": ""}
PER_CM = to_internal(0.0299792458, "THz", "meV")
"""One wavenumber 1/cm, h c, meV: c = 0.0299792458 cm THz."""


def sniff(path: Path) -> bool:
    """Whether this is JSON that says it is of Euphonic."""
    with path.open("rb") as file:
        return file.read(1) == b"{" and SIGNATURE in file.read(LONGEST)


def read(path: Path) -> Spectrum:
    """The powder map; NaN is unmeasured, as where the kinematics of an instrument do not reach."""
    content = json_of(path)
    kind = content.get("__euphonic_class__")
    if kind != "Spectrum2D":
        model = "; force constants are a model, force_constants in [model]" if kind == "ForceConstants" else ""
        raise InputError(f"{path.name} holds a {kind} of Euphonic; only a Spectrum2D of |Q| and energy is read{model}")
    values = _numbers(content, "z_data", path)
    shells, energy = _axis(content, "x", "1/angstrom", path), _axis(content, "y", "meV", path)
    if values.ndim != 2:
        raise InputError(f"{path.name} has z_data of shape {values.shape}; expected (|Q|, energy)")
    shell_edges, energy_edges = edges_of(shells, values.shape[0]), edges_of(energy, values.shape[1])
    if shell_edges is None or energy_edges is None:
        raise InputError(f"{path.name} has {len(shells)} |Q| and {len(energy)} energies for {values.shape} bins")
    points = QShells.from_edges(shell_edges)
    measurement = Measurement(points, torch.from_numpy(energy_edges), temperature=None)
    return Spectrum.from_arrays(torch.from_numpy(values), torch.zeros_like(torch.from_numpy(values)), measurement)


def _axis(content: dict[str, Any], name: str, expected: str, path: Path) -> Float64[np.ndarray, " any"]:
    """An axis in internal units; the unit says whether it is |Q| or energy."""
    unit = str(content.get(f"{name}_data_unit", ""))
    for word, symbol in PINT.items():
        unit = unit.replace(word, symbol)
    values = _numbers(content, f"{name}_data", path).ravel()
    if expected == "meV" and unit == "1/cm":
        return values * PER_CM
    try:
        return values * to_internal(1.0, unit, expected)
    except InputError:
        raise InputError(
            f"{path.name} has the unit '{unit}' along {name}; expected |Q| along x and energy along y, so a powder map"
        ) from None


def _numbers(content: dict[str, Any], name: str, path: Path) -> Float64[np.ndarray, "..."]:
    try:
        return np.array(content[name], dtype=np.float64)
    except KeyError:
        raise InputError(f"{path.name} has no '{name}', which a Spectrum2D has") from None
    except (TypeError, ValueError):
        raise InputError(f"'{name}' of {path.name} does not hold numbers") from None
