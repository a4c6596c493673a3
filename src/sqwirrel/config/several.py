"""From the measurements of a config to data, the experiments that predict them, and files that keep them."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqwirrel.config.entries import BulkEntry, PeaksEntry
from sqwirrel.config.instrument import InstrumentSection
from sqwirrel.config.instruments.kinematics import check_kinematics, check_reach
from sqwirrel.config.sections import Config, Measurement, SpectrumEntry
from sqwirrel.errors import InputError, NothingCountedError
from sqwirrel.infer import Data, Simulator
from sqwirrel.infer.terms import Kept
from sqwirrel.lattice import Lattice
from sqwirrel.model.library import of_spins
from sqwirrel.observe import EllipsoidResolution, Experiment, Joint, PeakExperiment, TemplateBackground
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.observe.joint import Part
from sqwirrel.observe.views.view import Model
from sqwirrel.simulate.looks.amplitudes import Amplitudes
from sqwirrel.spectra import (
    Binned,
    Peaks,
    Spectrum,
    join,
    read,
    read_peaks,
    read_rotation,
    write,
    write_peaks,
)
from sqwirrel.spectra import Measurement as Where
from sqwirrel.spectra.bulk import Bulk
from sqwirrel.spectra.readers.beside import known

TAKEN = ("posterior", "spectrum")
"""Labels whose files would be others' in the folder of a result."""
OTHER = "a folder of results holds other data than its config says; run sqwirrel infer again"


def data_of(config: Config, model: Model) -> Data:
    """What was measured, prepared as the config says."""
    found = {label: _measured(config, part, model, label) for label, part in _parts(config).items()}
    return found if config.measurements else found[""]


def resolved(config: Config, data: Data) -> Config:
    """The config with what its instruments leave out as the data ask for it."""
    given = by_label(data)
    if config.measurement is not None:
        return config.model_copy(update={"instrument": _resolved(config.instrument, given[""])})
    entries = dict(config.measurements)
    for label, entry in config.measurements.items():
        if isinstance(entry, SpectrumEntry):
            with _named(label):
                own = _resolved(entry.instrument, given[label], config.instrument)
            entries[label] = entry.model_copy(update={"instrument": own})
    made = [entry.instrument for entry in entries.values() if isinstance(entry, SpectrumEntry)]
    for name in ("q_width", "q_response", "multiple_scattering"):
        if getattr(config.instrument, name) and not any(getattr(each, name) for each in made):
            raise InputError(f"[instrument] {name} does nothing to any of these measurements; leave it out")
    return config.model_copy(update={"measurements": entries})


@contextmanager
def _named(label: str) -> Iterator[None]:
    """What is wrong with one of several measurements is said with its name."""
    try:
        yield
    except InputError as error:
        if not label:
            raise
        own = {"[measurement]": f"[measurements.{label}]", "[instrument]": f"[measurements.{label}.instrument]"}
        words = str(error)
        for section, place in own.items():
            words = words.replace(section, place)
        raise InputError(words) from None


def _resolved(section: InstrumentSection, data: Kept, common: InstrumentSection | None = None) -> InstrumentSection:
    if not isinstance(data, Spectrum):
        raise InputError(OTHER)
    return section.of(data.measurement, is_counts=data.is_counts, common=common)


def simulator_of(config: Config, model: Model, data: Data) -> Simulator:
    """What predicts the data."""
    given, parts, shared = by_label(data), dict[str, Part](), None
    for label, section in config.parts.items():
        part = _experiment(config, section, model, given[label], shared)
        parts[label], shared = part, part.amplitudes if isinstance(part, Experiment) else shared
    return Joint(parts, shared=config.share.nuisances) if config.measurements else parts[""]


def by_label(data: Data) -> Mapping[str, Kept]:
    """The data by their labels; that of the only ones is empty."""
    return data if isinstance(data, Mapping) else {"": data}


def parts(simulator: Simulator) -> list[Model]:
    """The models of all measurements."""
    return [each.model for each in (simulator.experiments.values() if isinstance(simulator, Joint) else [simulator])]


def experiment(
    section: InstrumentSection,
    model: Model,
    measurement: Where,
    part: Measurement,
    *,
    seed: int = 0,
    shared: Amplitudes | None = None,
) -> Experiment:
    """The simulator of a measurement as its `part` of the config says, with the quadrature points of `seed`; it uses
    the `shared` modes of another one if it looks at the same.
    """
    section.check_model(model)
    instrument = section.build(lambda file: part.prepare(read(Path(file), measurement.incident_energy)), measurement)
    how: dict[str, Any] = {"samples": section.samples, "cell": section.cell, "seed": seed, "shared": shared}
    return Experiment(model, measurement, instrument, twins=part.rotations(measurement), **how)


def covered(data: Data, simulator: Simulator) -> Data:
    """The data where a measured background was measured, too, and no Bragg peak is seen."""
    if isinstance(data, Spectrum) and isinstance(simulator, Experiment):
        for part in (simulator.instrument.background, simulator.instrument.resolution):
            data = part.covered(data) if isinstance(part, TemplateBackground | EllipsoidResolution) else data
        return data
    if isinstance(data, Mapping) and isinstance(simulator, Joint):
        every = {label: covered(each, simulator.experiments[label]) for label, each in data.items()}
        return {label: each for label, each in every.items() if isinstance(each, Spectrum | Peaks | Bulk)}
    return data


def keep(folder: Path, data: Data) -> None:
    """Writes the prepared data: spectrum.h5, or NAME.h5 and, of peaks, NAME.csv; bulk numbers are in the config."""
    for label, each in by_label(data).items():
        if isinstance(each, Peaks):
            write_peaks(folder / f"{label}.csv", each)
        elif isinstance(each, Spectrum):
            write(folder / f"{label or 'spectrum'}.h5", each)


def kept(folder: Path, config: Config) -> Data:
    """The data that `keep` wrote."""
    found: dict[str, Kept] = {}
    for label, part in config.parts.items():
        match part:
            case PeaksEntry():
                found[label] = _stated_peaks(part, read_peaks(folder / f"{label}.csv"))
            case BulkEntry():
                found[label] = part.build()
            case _:
                found[label] = read(folder / f"{label or 'spectrum'}.h5")
    return found if config.measurements else found[""]


def spectrum_of(section: Measurement, instrument: InstrumentSection) -> Spectrum:
    """The spectrum in the file (joined from the files) of a section: conditions as stated there, the part to use.

    Files that say what `flux_factor` of the `instrument` denies are refused.
    """
    if not section.named:
        raise InputError("[measurement] lacks the key 'file'; to simulate without one use the verb simulate")
    if section.shells or section.path:
        raise InputError("[measurement] has a file, so its bins are known; leave out shells and path")
    return prepared(section, _whole(section, instrument))


def _whole(section: Measurement, instrument: InstrumentSection) -> Spectrum:
    """All that the files hold."""
    if section.crystal is not None:
        binned = binned_of(section)
        instrument.check_flux(is_scaled=binned.is_scaled)
        return binned.spectrum
    return read(section.files[0], section.incident_energy) if len(section.files) == 1 else join(_scans(section))


def binned_of(section: Measurement) -> Binned:
    """The pixels in the files of a rotation scan, on the grid of a section."""
    crystal = section.crystal
    if crystal is None or not section.named:
        raise InputError("[measurement] needs a file and a table crystal; together they make a grid of a rotation scan")
    told = {name: getattr(section, name) for name in ("temperature", "incident_energy")}
    told["psi"] = crystal.psi
    return read_rotation(section.files, crystal.goniometer(), crystal.grid(), crystal.edges(), **told)


def prepared(section: Measurement, spectrum: Spectrum) -> Spectrum:
    """A spectrum under the conditions that a section states, and the part of it to use."""
    told = {"temperature": section.temperature, "incident_energy": section.incident_energy, "field": section.field}
    stated: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    spectrum = Spectrum(spectrum.data, replace(spectrum.measurement, **stated))
    check_kinematics(spectrum.measurement.incident_energy, section.energy)
    part = section.prepare(spectrum)
    check_reach(part)
    return part


def _scans(section: Measurement) -> list[Spectrum]:
    """The scans in the files; those that only a pattern names are left out, with a note, if nothing was counted."""
    found, empty = [], None
    for path in section.files:
        try:
            found.append(read(path, section.incident_energy))
        except NothingCountedError as error:
            if str(path) in section.named:
                raise
            empty = error
            logging.getLogger("sqwirrel").warning("%s: left out", error)
    if empty is not None and not found:
        raise empty
    return found


def _parts(config: Config) -> Mapping[str, Measurement | PeaksEntry | BulkEntry]:
    if taken := [label for label in config.parts if label in TAKEN]:
        raise InputError(f"[measurements.{taken[0]}] would be kept as another file of the result; choose another name")
    return config.parts


def _measured(config: Config, section: Measurement | PeaksEntry | BulkEntry, model: Model, label: str) -> Kept:
    """The data of a section."""
    with _named(label):
        if isinstance(section, PeaksEntry):
            return _peaks(section, model)
        if isinstance(section, BulkEntry):
            return section.build()
        return spectrum_of(section, _instrument(config, section))


def _instrument(config: Config, section: Measurement) -> InstrumentSection:
    """What stands before the detectors of a section."""
    return section.instrument if isinstance(section, SpectrumEntry) else config.instrument


def _peaks(section: PeaksEntry, model: Model) -> Peaks:
    path = Path(section.file)
    lattice = Lattice(*section.lattice) if section.lattice else known(path).lattice or model.lattice
    return _stated_peaks(section, read_peaks(path, lattice, columns=section.columns, lines=section.lines))


def _stated_peaks(section: PeaksEntry, peaks: Peaks) -> Peaks:
    """Under the conditions that the config states."""
    told = {"temperature": section.temperature, "field": section.field}
    stated: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    return replace(peaks, **stated)


def _experiment(
    config: Config, part: Measurement | PeaksEntry | BulkEntry, model: Model, data: Kept, shared: Amplitudes | None
) -> Part:
    match part, data:
        case PeaksEntry(), Peaks():
            return PeakExperiment(of_spins(model), data, extra=part.extra_width, q_error=part.q_error)
        case BulkEntry(), Bulk():
            return BulkExperiment(model, data)
        case Measurement(), Spectrum():
            return experiment(_instrument(config, part), model, data.measurement, part, shared=shared)
    raise InputError(OTHER)
