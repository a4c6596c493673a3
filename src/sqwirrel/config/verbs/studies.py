"""What the config of a verb is turned into: each rival with the data, and what networks would learn from."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqwirrel.config.build import Study, model, study
from sqwirrel.config.prior import spelled
from sqwirrel.config.sections import Config, Discriminate, Rival
from sqwirrel.config.several import by_label, parts
from sqwirrel.errors import InputError
from sqwirrel.learn.kept.purpose import digest
from sqwirrel.learn.pairs import Pairs, Simulations, simulations
from sqwirrel.learn.parts import Learnt, Like, experiments_of, parts_of
from sqwirrel.observe import PeakExperiment
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.spectra import Peaks, Spectrum
from sqwirrel.spectra.bulk import Bulk

Progress = Callable[[str, int, int], None]
SIMULATIONS = "simulations"
ALONE: Mapping[str, Any] = {"rivals": {}, "discriminate": Discriminate()}
"""What a rival's own config does not have."""


def contenders(config: Config) -> dict[str, Study]:
    """Each model with the data: that of the config itself, under its name, then its rivals.

    What is suggested, or read off the data, for names of the first model that a rival has, too, holds for the rival.
    Files are read once, but those of peaks, whose lattice may be that of the model.
    """
    if not config.rivals:
        raise InputError('the config lacks rivals: give at least one, like [rivals.other] with model = "..."')
    if (name := model(config).name) in config.rivals:
        raise InputError(f"[rivals.{name}] has the name of the model of the config; choose another name")
    for label, rival in config.rivals.items():
        with named(label):
            model(config.model_copy(update={"model": rival.model}))  # what is wrong with it is said first
    first = study(config.model_copy(update=ALONE))
    own, found = {each for one in parts(first.simulator) for each in one.names}, {name: first}
    data = None if any(isinstance(each, Peaks) for each in by_label(first.data).values()) else first.data
    for label, rival in config.rivals.items():
        with named(label):
            found[label] = study(_rivalling(config, rival, first.config.prior, own), data)
            if checksum(found[label], data=True) != checksum(first, data=True):
                raise InputError("the data depend on the model (a lattice?); state what they need in the config")
    return found


def _rivalling(config: Config, rival: Rival, known: Mapping[str, Any], own: set[str]) -> Config:
    """The config of a rival: what `known` says of parameters that it has, too, and what it says itself."""
    plain = config.model_copy(update={**ALONE, "model": rival.model})
    mine = set(model(plain).names)
    shared = {name: law for name, law in known.items() if name not in own or name in mine}
    prior = shared | spelled(rival.prior, [*mine, *shared])
    free = {name: law for name, law in prior.items() if isinstance(law, Mapping)}
    guesses = tuple({name: value for name, value in each.items() if name in free} for each in config.infer.guess)
    infer = config.infer.model_copy(update={"guess": tuple(each for each in guesses if each), "estimator": None})
    return plain.model_copy(update={"prior": prior, "infer": infer})


def checksum(work: Study, *, data: bool = False) -> str:
    """Checksum of the numbers that a rival is inferred from; of the `data` alone."""
    numbers = [
        [each.intensity, *each.noise, each.valid, each.measurement.energy, each.measurement.temperature]
        if isinstance(each, Spectrum)
        else [each.value, each.error]
        if isinstance(each, Bulk)
        else [each.q, each.energy, each.error]
        for each in by_label(work.data).values()
    ]
    return digest(numbers if data else [numbers, [vars(each) for each in parts(work.simulator)]])


@contextmanager
def named(name: str) -> Iterator[None]:
    """What is wrong with a rival is said with its name."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def to_simulate(work: Study) -> Pairs:
    """Pairs of a config before any was simulated."""
    return Pairs(Simulations.none(learnt(work), work.prior, work.config.train.seed), _like(work))


def simulated(work: Study, folder: Path, progress: Progress) -> Pairs:
    """Simulations of a config, from a folder where they are there."""
    section = work.config.train

    def tell(done: int, total: int) -> None:
        progress("simulating", done, total)

    made = simulations(learnt(work), work.prior, section.simulations, section.seed, folder, tell)
    return Pairs(made, _like(work))


def learnt(work: Study) -> Learnt:
    """What simulations for networks are made by: experiments, all of them of spectra."""
    if isinstance(work.simulator, PeakExperiment | BulkExperiment):
        raise InputError("networks learn from spectra, and these data are none; infer without a network")
    experiments_of(work.simulator)
    return work.simulator


def _like(work: Study) -> Like | None:
    """The spectra that say which bins were measured, and how well; none for counts of all bins."""
    spectra = {label: each for label, each in by_label(work.data).items() if isinstance(each, Spectrum)}
    counts = [part.is_poisson for part in parts_of(learnt(work))]
    if all(counts) and all(bool(each.valid.all()) for each in spectra.values()):
        return None
    return work.data if isinstance(work.data, Spectrum) else spectra
