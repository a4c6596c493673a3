"""What the verbs leave in a folder: every file whole or absent, with the resolved config and the record beside it."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from sqwirrel.config.build import Study, measured, model, noiseless, parameters, planned, study
from sqwirrel.config.instruments.kinematics import out_of_reach
from sqwirrel.config.quantity import quantity
from sqwirrel.config.sections import Config
from sqwirrel.config.several import by_label, experiment, keep
from sqwirrel.config.toml import dumps, load
from sqwirrel.config.verbs.folders import CONFIG, POSTERIOR, reopened
from sqwirrel.config.verbs.learning import proposal_of
from sqwirrel.errors import InputError
from sqwirrel.infer import Data, Posterior, infer, store
from sqwirrel.infer.terms import Kept
from sqwirrel.limits import is_file, settings
from sqwirrel.model import library
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe import Experiment, Joint, PeakExperiment
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.observe.instrument import SCALE, check_noise
from sqwirrel.observe.views.build import TRUER, average_error
from sqwirrel.record import Record, short_names
from sqwirrel.report.bonds import Bonds
from sqwirrel.report.bonds import look as list_bonds
from sqwirrel.report.order import Orders, look
from sqwirrel.report.pages import answer as page
from sqwirrel.report.phonons import springs
from sqwirrel.report.phonons.springs import SpringBonds
from sqwirrel.report.result import AnyResult, BulkResult, PeakResult, Result
from sqwirrel.spectra import Peaks, Spectrum, write
from sqwirrel.spectra.bulk import Bulk
from sqwirrel.whole import put_text

Truth = Mapping[str, float]
LONGEST = 6.0
"""Length of bonds of spins, A, that are listed unless another is asked for."""
POINTS = 1000
"""Seed of the quadrature points of a simulation: none of them serves an inference of it, too."""
SPECTRUM, TRUTH, RECORD = "spectrum.h5", "truth.json", "record.json"


class Simulation(NamedTuple):
    """A simulated spectrum, the config with what its instrument is, the parameters behind it, the relative error of the
    average, and papers.
    """

    spectrum: Spectrum
    config: Config
    theta: dict[str, float]
    error: float
    papers: tuple[str, ...]


def simulation(config: Config) -> Simulation:
    """The spectrum that a config describes."""
    like, made = measured(config) if config.one.named else None, model(config)
    where = planned(config, made.lattice) if like is None else like.measurement
    instrument = config.instrument.of(where, is_counts=like is not None and like.is_counts)
    config = config.model_copy(update={"instrument": instrument})
    if config.simulate.noise:
        check_noise(instrument.build_counting(), like)
    simulator = experiment(config.instrument, made, where, config.one, seed=POINTS)
    theta, section = parameters(config, simulator), config.simulate
    dense = simulator.anchored(theta, more=TRUER)
    if len(dense.unstable):
        raise InputError(simulator.why_unstable(theta, dense.unstable))
    simulator = dense.experiment
    with torch.no_grad():
        signal = float(theta[0, simulator.names.index(SCALE)]) * simulator.signal(theta).expected[0]
    spectrum = simulator.sample(theta, section.seed, like) if section.noise else noiseless(simulator, theta, like)
    values, error = dict(zip(simulator.names, theta[0].tolist(), strict=True)), average_error(dense.scatter, signal)
    return Simulation(spectrum.without(out_of_reach(where)), config, values, error, simulator.model.papers)


def simulate_into(folder: Path, config: Config) -> Spectrum:
    """Simulates a spectrum and leaves spectrum.h5, and truth.json with the parameters behind it."""
    made = simulation(config)
    record = _record(config, {"simulate": config.simulate.seed}, ())
    make(folder)
    write(folder / SPECTRUM, made.spectrum)
    put_text(folder / TRUTH, _sealed(made.theta))
    put_text(folder / CONFIG, dumps(made.config, folder))
    put_text(folder / RECORD, record.with_papers(*made.papers).with_errors(average=made.error).to_json())
    return made.spectrum


def infer_into(
    folder: Path, config: Config, progress: Callable[[str, int, int], None], data: Data | None = None
) -> tuple[Posterior, Callable[[], Path]]:
    """Infers and leaves spectrum.h5 (NAME.h5 of several) before the work begins, and posterior.h5 after it.

    Returned with the answer is what draws its report, report.html and report.json. `data` stand for the prepared files
    where those were read already.
    """
    work = study(config, data)
    truth, proposal = _truth(config), proposal_of(work)
    make(folder)
    keep(folder, work.data)
    put_text(folder / CONFIG, dumps(work.config, folder))
    record = _record(config, {"infer": config.infer.seed}, ())
    put_text(folder / RECORD, record.to_json())
    posterior = infer(
        work.simulator,
        work.prior,
        work.data,
        config.infer.build(),
        proposal=proposal,
        record=record,
        progress=progress,
    )
    store.save(folder / POSTERIOR, posterior)
    put_text(folder / RECORD, posterior.record.to_json())
    return posterior, lambda: page.write(folder, *_results(work, posterior, truth))


def report_into(folder: Path) -> Path:
    """Writes the report of a folder that `infer` left, again."""
    if not (folder / CONFIG).is_file():
        raise InputError(f"'{folder}' holds no {CONFIG}; give a folder that sqwirrel infer has left")
    return page.write(folder, *results_of(*reopened(folder)))


def find_order(name: str, changes: Iterable[str] = ()) -> Orders:
    """The order of a model, named as in a config or by one, with parameters changed by words like "J1=0.6"."""
    values = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise InputError(f"--set {change} is not of the form name=value, like --set J1=0.6")
        values[key.strip()] = quantity(text if " " in text.strip() else _number(text), "meV")
    model = library.of_spins(library.find(_model_in(name)))
    return look(model, model.pack(**values))


def find_bonds(name: str, longest: float | None = None, sites: Iterable[str] = ()) -> Bonds | SpringBonds:
    """Bonds of a model, named or in a config, or of a structure file, between all sites or some: by label, or "Mn" for
    Mn1, Mn2, ...; up to `longest` (A), by default all that have springs, or of spins up to `LONGEST`.
    """
    model, chosen = _model_in(name), tuple(sites)
    if library.has_springs(model) and isinstance(found := library.find(model), PhononModel):
        if chosen:
            raise InputError(f"model '{found.name}' has springs, and --sites chooses magnetic sites; leave it out")
        return springs.look(found, math.inf if longest is None else longest)
    crystal = library.crystal(model)
    kinds = [kind for site in chosen for kind in crystal.kinds if site in {kind, kind.rstrip("0123456789")}]
    return list_bonds(crystal.only(kinds or chosen) if chosen else crystal, LONGEST if longest is None else longest)


def _model_in(name: str) -> library.Name:
    """A model by its name, or the one that a config names or holds."""
    file = Path(name)
    return load(file).model if name.endswith(".toml") and is_file(file) and "model" in settings(file) else name


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def results_of(work: Study, posterior: Posterior) -> list[AnyResult]:
    """What the report shows of each measurement."""
    return _results(work, posterior, _truth(work.config))


def _results(work: Study, posterior: Posterior, truth: Truth) -> list[AnyResult]:
    return [_result(work, posterior, truth, label, data) for label, data in by_label(work.data).items()]


def _result(work: Study, posterior: Posterior, truth: Truth, label: str, data: Kept) -> AnyResult:
    section, named = work.config.parts[label], short_names(work.config.files)
    files = [named[path] for path in section.files]
    name = "".join(files[:1]) + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    left_out = {"file", "kind", "instrument"}
    used = section.model_dump(exclude_none=True, exclude_defaults=True, exclude=left_out)
    seen = work.config.instrument_of(label).model_dump(exclude_none=True, exclude_defaults=True)
    joint = work.simulator if isinstance(work.simulator, Joint) else None
    part = work.simulator.experiments[label] if isinstance(work.simulator, Joint) else work.simulator
    match part, data:
        case Experiment(), Spectrum():
            return Result(posterior, data, part, work.prior, name, used, truth, label, joint, seen)
        case PeakExperiment(), Peaks():
            return PeakResult(posterior, data, part, work.prior, name, used, truth, label, joint)
        case BulkExperiment(), Bulk():
            return BulkResult(posterior, data, part, work.prior, truth, label, joint)
    raise TypeError(f"nothing reports a {type(data).__name__}")


def _truth(config: Config) -> Truth:
    """The sealed parameters of a simulation, for the report alone."""
    if config.truth is None:
        return {}
    try:
        content = json.loads(Path(config.truth.file).read_text(encoding="utf-8"))
        values = {str(name): float(value) for name, value in content["parameters"].items()}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"[truth] file '{config.truth.file}' is not a truth.json of sqwirrel simulate: {error}"
        ) from None
    if _seal(values) != content.get("sha256"):
        raise InputError(
            f"[truth] file '{config.truth.file}' was changed after it was sealed: its sha256 does not match"
        )
    return values


def _sealed(values: Mapping[str, float]) -> str:
    return json.dumps({"parameters": values, "sha256": _seal(values)}, indent=2) + "\n"


def _seal(values: Mapping[str, float]) -> str:
    return hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()


def _record(config: Config, seeds: Mapping[str, int], papers: tuple[str, ...]) -> Record:
    return Record.start(seeds=seeds, files=config.files, papers=papers)


def make(folder: Path) -> None:
    """The folder of results, if it can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder '{folder}': {error.strerror}; choose another with --out") from None
