"""The verbs that learn from simulations: train a network on those of a config, check that intervals hold."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

from sqwirrel.config.build import Study, study
from sqwirrel.config.prior import of_the_data
from sqwirrel.config.sections import Config
from sqwirrel.config.toml import dumps
from sqwirrel.config.verbs.contending import train_rivals_into
from sqwirrel.config.verbs.studies import SIMULATIONS, learnt, simulated, to_simulate
from sqwirrel.config.verbs.translating.training import train_translator_into
from sqwirrel.errors import InputError
from sqwirrel.infer.calibration import Calibration, check
from sqwirrel.learn import checkpoint
from sqwirrel.learn.npe import NPE, Ensemble
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.proposal import Proposal
from sqwirrel.learn.train import Effort, History, train
from sqwirrel.record import Record
from sqwirrel.report import figures
from sqwirrel.whole import put_text

Progress = Callable[[str, int, int], None]
log = logging.getLogger("sqwirrel")


def train_into(folder: Path, config: Config, progress: Progress) -> list[History]:
    """Simulates, trains, and leaves simulations/, weights.safetensors, estimator.json, config.toml, record.json.

    What an interrupted run left is gone on with; what was left of anything else is refused before a file is written.
    With rivals the networks tell these apart; with [match] it is a translator that is trained.
    """
    if config.match is not None:
        return train_translator_into(folder, config, progress)
    if config.rivals:
        return train_rivals_into(folder, config, progress)
    work, section = study(config), config.train
    record = Record.start(seeds={"train": section.seed}, files=config.files)
    _prepare(folder, work, record)
    if read_off := of_the_data(config.prior, learnt(work)):
        log.warning(
            "the priors of %s are read off this measurement: any other will have other priors, and this network is not "
            "for them; write them out in [prior]",
            ", ".join(read_off),
        )
    pairs = simulated(work, folder / SIMULATIONS, progress)
    members, histories = [], []
    for k in range(section.members):
        stage = "training" if section.members == 1 else f"training {k + 1}"
        effort = Effort(section.steps, section.batch, max(1, section.steps // 40), seed=section.seed + k)
        members.append(NPE.sized_for(pairs, effort.seed))
        tell = _staged(progress, stage)
        histories.append(train(members[k], pairs, effort, folder / f"member-{k}", tell))
    if not checkpoint.is_finished(folder):
        seconds = sum(each.seconds for each in histories)
        estimator = members[0] if len(members) == 1 else Ensemble(members)
        checkpoint.save(folder, estimator, pairs, record.with_seconds(train=seconds))
    return histories


def _prepare(folder: Path, work: Study, record: Record) -> None:
    """Refuses what does not go with what is in a folder; says what is gone on with, or what is begun."""
    planned, settings = to_simulate(work), work.config.train.model_dump()
    goes_on = checkpoint.begun(folder, planned, settings)
    planned.simulations.check(folder / SIMULATIONS)
    if goes_on:
        done = "is trained already" if checkpoint.is_finished(folder) else "was interrupted: its training goes on"
        log.warning("the network in %s %s", folder, done)
        return
    if (folder / SIMULATIONS).exists():
        log.warning("%s holds simulations of the same already: they are used", folder)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.begin(folder, planned, settings)
    put_text(folder / "config.toml", dumps(work.config, folder))
    put_text(folder / "record.json", record.to_json())


def check_into(folder: Path, config: Config, progress: Progress) -> Calibration:
    """Infers simulated measurements like the one of a config; leaves calibration.json and calibration.png.

    Finished trials are kept in trials-SEED.jsonl and not run again.
    """
    work, section = study(config), config.check
    proposal = proposal_of(work)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "config.toml").exists():  # that of trials that are there may not be this one
        put_text(folder / "config.toml", dumps(work.config, folder))
    counts = work.experiment.instrument.counting.is_poisson
    found = check(
        work.experiment,
        work.prior,
        section.n,
        section.seed,
        config.infer.build(),
        proposal=proposal,
        like=None if counts else work.spectrum,
        folder=folder,
        progress=lambda done, total: progress("checking", done, total),
    )
    put_text(folder / "config.toml", dumps(work.config, folder))
    record = Record.start(seeds={"check": section.seed}, files=config.files)
    put_text(folder / "record.json", record.to_json())
    put_text(folder / "calibration.json", json.dumps(found.mapping(), indent=1) + "\n")
    figures.save(figures.calibration(found), folder / "calibration.png")
    return found


def proposal_of(work: Study) -> Proposal | None:
    """The network that [infer] names, for the measurement and the prior of a config. Nothing is written to it."""
    if work.config.infer.estimator is None:
        return None
    folder = Path(work.config.infer.estimator)
    if (folder / "committee.json").is_file():
        raise InputError(
            f"[infer] estimator = '{folder}' holds networks that tell rivals apart; for sqwirrel infer train one on a "
            "config without [rivals]"
        )
    if not (folder / "estimator.json").is_file():
        raise InputError(
            f"[infer] estimator = '{folder}' holds no estimator.json; make one with sqwirrel train (the path is "
            "relative to the folder of the config)"
        )
    planned, known = to_simulate(work), checkpoint.known(folder)
    known.check(planned, folder)
    where = folder / SIMULATIONS
    kept = simulations(learnt(work), work.prior, known.rows, known.seed, where, keep=False)
    pairs = Pairs(kept, planned.like)
    estimator = checkpoint.load(folder, pairs)
    if not isinstance(estimator, NPE | Ensemble):
        raise InputError(f"the estimator in '{folder}' gives no draws; train one with sqwirrel train")
    return Proposal.of(estimator, pairs)


def _staged(progress: Progress, stage: str) -> Callable[[int, int, float], None]:
    return lambda done, total, loss: progress(f"{stage}, loss {loss:.2f}" if done == total else stage, done, total)
