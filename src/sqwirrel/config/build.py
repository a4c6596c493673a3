"""From the sections of a config to the objects that they stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from sqwirrel.config.instruments.kinematics import check_kinematics
from sqwirrel.config.places import EnergyBins
from sqwirrel.config.prior import complete, in_internal_units, suggested
from sqwirrel.config.quantity import quantity
from sqwirrel.config.sections import Config
from sqwirrel.config.several import covered, data_of, resolved, simulator_of, spectrum_of
from sqwirrel.errors import InputError, meant
from sqwirrel.infer import Data, Simulator
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.observe.views.view import Model
from sqwirrel.spectra import Measurement, Spectrum


@dataclass(frozen=True, eq=False)
class Study:
    """A config turned into objects: `config` is resolved, its prior complete."""

    config: Config
    data: Data
    simulator: Simulator
    prior: Prior

    @property
    def spectrum(self) -> Spectrum:
        """The only spectrum."""
        if not isinstance(self.data, Spectrum):
            raise InputError("this config has several measurements: look at their `data`")
        return self.data

    @property
    def experiment(self) -> Experiment:
        """The experiment of the only spectrum."""
        if not isinstance(self.simulator, Experiment):
            raise InputError("this config has several measurements: look at their `simulator`")
        return self.simulator


def study(config: Config, data: Data | None = None) -> Study:
    """What `infer` needs; `data` stand for the prepared files where those were kept."""
    made = model(config)
    found = data_of(config, made) if data is None else data
    config = resolved(config, found)
    simulator = simulator_of(config, made, found)
    found = covered(found, simulator)
    entries = complete(config.prior, simulator, found)
    return Study(config.model_copy(update={"prior": entries}), found, simulator, Prior.from_mapping(entries))


def model(config: Config) -> Model:
    """The model that a config names or holds."""
    return library.find(config.model)


def measured(config: Config) -> Spectrum:
    """The only spectrum of a config, prepared."""
    return spectrum_of(config.one, config.instrument)


def planned(config: Config, lattice: Lattice) -> Measurement:
    """The measurement that a config describes without a file; `lattice` is that of its model."""
    section = config.one
    where = [points for points in (section.shells, section.path) if points is not None]
    if len(where) != 1 or not isinstance(section.energy, EnergyBins):
        raise InputError(
            "[measurement] needs a file, or one of shells and path, with energy = { start = 0, stop = 8, bins = 80 }"
        )
    check_kinematics(section.incident_energy, section.energy)
    points = where[0].build(lattice)
    return Measurement(
        points, section.energy.build(), section.temperature, section.field or (0.0, 0.0, 0.0), section.incident_energy
    )


def parameters(config: Config, simulator: Experiment) -> torch.Tensor:
    """The parameters that [simulate] gives, or one draw from the prior."""
    section = config.simulate
    if not section.draw:
        return simulator.pack(**_values(section.parameters, simulator))
    if section.parameters:
        raise InputError("[simulate] has draw = true, so the parameters come from the prior; leave out 'parameters'")
    prior = Prior.from_mapping({**suggested(simulator), **in_internal_units(config.prior, simulator)})
    drawn = dict(zip(prior.names, prior.sample(1, section.seed)[0].tolist(), strict=True))
    return simulator.pack(**prior.fixed, **drawn)


def noiseless(simulator: Experiment, theta: torch.Tensor, like: Spectrum | None) -> Spectrum:
    """The expected spectrum, with the errors and the coverage of `like`, or those of counts, or none."""
    expected, stable = simulator.predict(theta)
    if not bool(stable.all()):
        raise InputError(simulator.why_unstable(theta))
    is_counts = simulator.instrument.counting.is_poisson
    error = like.error if like is not None else expected[0].clamp(min=0).sqrt() * is_counts
    valid, pixels = (None, None) if like is None else (like.valid, like.pixels)
    how: dict[str, Any] = {"valid": valid, "is_counts": is_counts, "pixels": pixels}
    return Spectrum.from_arrays(expected[0], error, simulator.measurement, **how)


def _values(given: Mapping[str, object], simulator: Experiment) -> dict[str, float]:
    units = simulator.units
    if unknown := [name for name in given if name not in units]:
        raise InputError(
            f"[simulate.parameters] names '{unknown[0]}', but the experiment has parameters "
            f"{', '.join(simulator.names)}{meant(unknown[0], simulator.names)}"
        )
    try:
        return {name: quantity(value, units[name] or "dimensionless") for name, value in given.items()}
    except InputError as error:
        raise InputError(f"[simulate.parameters]: {error}") from None
