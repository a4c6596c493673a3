"""The verbs that learn from simulations: train a network on those of a config, check that intervals hold."""

import json
from collections.abc import Callable
from pathlib import Path

from sqwirrel.config.build import Study, study
from sqwirrel.config.sections import Config
from sqwirrel.config.toml import dumps
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


def train_into(folder: Path, config: Config, progress: Progress) -> list[History]:
    """Simulates, trains, and leaves simulations/, weights.safetensors, estimator.json, config.toml, record.json.

    What an interrupted run left is gone on with.
    """
    work, section = study(config), config.train
    folder.mkdir(parents=True, exist_ok=True)
    record = Record.start(seeds={"train": section.seed}, files=config.files)
    put_text(folder / "config.toml", dumps(work.config, folder))
    put_text(folder / "record.json", record.to_json())
    pairs = _pairs(work, folder, progress)
    members, histories = [], []
    for k in range(section.members):
        stage = "training" if section.members == 1 else f"training {k + 1}"
        effort = Effort(section.steps, section.batch, max(1, section.steps // 40), seed=section.seed + k)
        members.append(NPE.sized_for(pairs, effort.seed))
        tell = _staged(progress, stage)
        histories.append(train(members[k], pairs, effort, folder / f"member-{k}", tell))
    seconds = sum(each.seconds for each in histories)
    estimator = members[0] if len(members) == 1 else Ensemble(members)
    checkpoint.save(folder, estimator, pairs, record.with_seconds(train=seconds))
    return histories


def check_into(folder: Path, config: Config, progress: Progress) -> Calibration:
    """Infers simulated measurements like the one of a config; leaves calibration.json and calibration.png.

    Finished trials are kept in trials-SEED.jsonl and not run again.
    """
    work, section = study(config), config.check
    folder.mkdir(parents=True, exist_ok=True)
    put_text(folder / "config.toml", dumps(work.config, folder))
    counts = work.experiment.instrument.counting.is_poisson
    found = check(
        work.experiment,
        work.prior,
        section.n,
        section.seed,
        config.infer.build(),
        proposal=proposal_of(work),
        like=None if counts else work.spectrum,
        folder=folder,
        progress=lambda done, total: progress("checking", done, total),
    )
    record = Record.start(seeds={"check": section.seed}, files=config.files)
    put_text(folder / "record.json", record.to_json())
    put_text(folder / "calibration.json", json.dumps(found.mapping(), indent=1) + "\n")
    figures.save(figures.calibration(found), folder / "calibration.png")
    return found


def proposal_of(work: Study) -> Proposal | None:
    """The network that [infer] names, for the measurement and the prior of a config."""
    if work.config.infer.estimator is None:
        return None
    folder = Path(work.config.infer.estimator)
    if not (folder / "estimator.json").is_file():
        raise InputError(f"[infer] estimator = '{folder}' holds no estimator.json; make one with sqwirrel train")
    pairs = _pairs(work, folder, lambda *_: None)
    estimator = checkpoint.load(folder, pairs)
    if not isinstance(estimator, NPE | Ensemble):
        raise InputError(f"the estimator in '{folder}' gives no draws; train one with sqwirrel train")
    return Proposal.of(estimator, pairs)


def _pairs(work: Study, folder: Path, progress: Progress) -> Pairs:
    """Simulations of a config, from a folder where they are there."""
    section = work.config.train
    where, tell = folder / "simulations", lambda done, total: progress("simulating", done, total)
    kept = simulations(work.experiment, work.prior, section.simulations, section.seed, where, tell)
    return Pairs(kept, None if work.experiment.instrument.counting.is_poisson else work.spectrum)


def _staged(progress: Progress, stage: str) -> Callable[[int, int, float], None]:
    return lambda done, total, loss: progress(f"{stage}, loss {loss:.2f}" if done == total else stage, done, total)
