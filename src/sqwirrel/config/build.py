"""From the sections of a config to the objects that they stand for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sqwirrel.config.prior import complete, in_internal_units, suggested
from sqwirrel.config.quantity import quantity
from sqwirrel.config.sections import Config, EnergyBins
from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.parse import parse
from sqwirrel.model.prior import Prior
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe import Experiment, TemplateBackground
from sqwirrel.spectra import Measurement, Spectrum, join, read


@dataclass(frozen=True, eq=False)
class Study:
    """A config turned into objects: `config` is resolved, its prior complete."""

    config: Config
    spectrum: Spectrum
    experiment: Experiment
    prior: Prior


def study(config: Config, spectrum: Spectrum | None = None) -> Study:
    """What `infer` needs; `spectrum` stands for the prepared file where that was kept."""
    found = measured(config) if spectrum is None else spectrum
    simulator = experiment(config, found.measurement)
    if isinstance(simulator.instrument.background, TemplateBackground):
        found = simulator.instrument.background.covered(found)
    entries = complete(config.prior, simulator, found)
    return Study(config.model_copy(update={"prior": entries}), found, simulator, Prior.from_mapping(entries))


def model(config: Config) -> SpinModel:
    """The model that a config names or holds."""
    return library.load(config.model) if isinstance(config.model, str) else parse(config.model)


def experiment(config: Config, measurement: Measurement, seed: int = 0) -> Experiment:
    """The simulator of a measurement, with the quadrature points of `seed`."""
    section = config.instrument
    how = section.build(lambda file: config.measurement.prepare(read(Path(file), measurement.incident_energy)))
    return Experiment(model(config), measurement, how, samples=section.samples, cell=section.cell, seed=seed)


def measured(config: Config) -> Spectrum:
    """The spectrum in the file (joined from the files) of a config: conditions as stated there, the part to use."""
    section = config.measurement
    if not section.named:
        raise InputError("[measurement] lacks the key 'file'; to simulate without one use the verb simulate")
    if section.shells or section.path:
        raise InputError("[measurement] has a file, so its bins are known; leave out shells and path")
    files, known = section.files, section.incident_energy
    spectrum = read(files[0], known) if len(files) == 1 else join(read(file, known) for file in files)
    told = {"temperature": section.temperature, "incident_energy": section.incident_energy}
    stated: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    if section.field is not None:
        stated["field"] = section.field
    spectrum = Spectrum(spectrum.data, replace(spectrum.measurement, **stated))
    check_kinematics(spectrum.measurement.incident_energy, section.energy)
    return section.prepare(spectrum)


def planned(config: Config) -> Measurement:
    """The measurement that a config describes without a file."""
    section = config.measurement
    where = [points for points in (section.shells, section.path) if points is not None]
    if len(where) != 1 or not isinstance(section.energy, EnergyBins):
        raise InputError(
            "[measurement] needs a file, or one of shells and path, with energy = { start = 0, stop = 8, bins = 80 }"
        )
    check_kinematics(section.incident_energy, section.energy)
    points = where[0].build(model(config).lattice)
    return Measurement(
        points, section.energy.build(), section.temperature, section.field or (0.0, 0.0, 0.0), section.incident_energy
    )


def check_kinematics(incident_energy: float | None, energy: tuple[float, float] | EnergyBins | None) -> None:
    """Refuses an energy transfer that no neutron of this incident energy can lose."""
    if incident_energy is None or energy is None:
        return
    highest = energy.stop if isinstance(energy, EnergyBins) else energy[1]
    if highest > incident_energy:
        raise InputError(
            f"[measurement] energy reaches {highest:g} meV, outside the kinematics: a neutron of "
            f"{incident_energy:g} meV cannot lose more than it has"
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
    valid = None if like is None else like.valid
    return Spectrum.from_arrays(expected[0], error, simulator.measurement, valid=valid, is_counts=is_counts)


def _values(given: Mapping[str, object], simulator: Experiment) -> dict[str, float]:
    units = simulator.units
    if unknown := [name for name in given if name not in units]:
        raise InputError(
            f"[simulate.parameters] names '{unknown[0]}', but the experiment has parameters {simulator.names}"
        )
    try:
        return {name: quantity(value, units[name] or "dimensionless") for name, value in given.items()}
    except InputError as error:
        raise InputError(f"[simulate.parameters]: {error}") from None
