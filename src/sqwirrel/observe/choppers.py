"""Energy resolution of chopper spectrometers from the optional package resins (GPL-3): the models of PyChop."""

import importlib
from types import ModuleType
from typing import Any

import numpy as np

from sqwirrel.errors import InputError
from sqwirrel.observe.resolution import TableResolution
from sqwirrel.units import SIGMA

NODES = 60
"""Energies at which the model is tabulated; linear between them."""
LOWEST = -1.0
"""Energy transfers are tabulated from this many incident energies, where the neutron gains."""


def chopper_resolution(
    instrument: str, incident_energy: float, *, frequency: int | None = None, package: str | None = None
) -> TableResolution:
    """Widths in energy of a spectrometer (MARI, MAPS, MERLIN, LET, SEQUOIA, ARCS, ...) at an incident energy (meV).

    `frequency` of the chopper in Hz, `package` its slits (S, A, B, ...); those of the model if left out. The width is
    the table times the parameter `fwhm_scale`.
    """
    resins = _resins()
    known = resins.Instrument.available_instruments()
    if instrument not in known:
        raise InputError(f"resins knows no instrument '{instrument}'; it has {', '.join(known)}")
    settings: dict[str, Any] = {"e_init": incident_energy, "chopper_frequency": frequency, "chopper_package": package}
    told = {key: value for key, value in settings.items() if value is not None}
    energy = np.linspace(LOWEST * incident_energy, 0.98 * incident_energy, NODES)
    try:
        model = resins.Instrument.from_default(instrument).get_resolution_function(**told)
        sigma = model.get_characteristics(energy[:, None])["sigma"]
    except Exception as error:  # the package has errors of many kinds
        said = " ".join(str(error).split())
        raise InputError(f"resins has no resolution for {instrument} with {told}: {said}") from error
    fine = np.isfinite(sigma) & (sigma > 0)
    if fine.sum() < 2:
        raise InputError(f"resins gives no width for {instrument} with {told}; check incident energy and frequency")
    return TableResolution(energy[fine].tolist(), (sigma[fine] / SIGMA).tolist())


def _resins() -> ModuleType:
    try:
        return importlib.import_module("resins")
    except ImportError:
        raise InputError(
            "the resolution of an instrument by its name needs the package resins (GPL-3); pip install resins, or give "
            "a table: resolution = { kind = 'table', ... }"
        ) from None
