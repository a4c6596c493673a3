"""Networks that tell the rivals of a config apart: trained into a folder, and asked from there."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from sqwirrel.config.build import Study
from sqwirrel.config.prior import of_the_data
from sqwirrel.config.sections import Config
from sqwirrel.config.toml import dumps, load
from sqwirrel.config.verbs.studies import contenders, learnt, to_simulate
from sqwirrel.errors import InputError
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.rivals import Classifier, Committee, Contest, kept, save_committee
from sqwirrel.learn.strange import Jury
from sqwirrel.learn.train import Effort, History, held_rows, train
from sqwirrel.record import Record
from sqwirrel.seeds import stream
from sqwirrel.whole import put_text

Progress = Callable[[str, int, int], None]
CONFIG = "config.toml"
log = logging.getLogger("sqwirrel")


def train_rivals_into(folder: Path, config: Config, progress: Progress) -> list[History]:
    """Simulates every rival, trains a committee, and leaves simulations/NAME/, weights.safetensors, committee.json,
    config.toml, record.json. What an interrupted run left is gone on with; what was left of others is refused.
    """
    section, works = config.train, contenders(config)
    record = Record.start(seeds={"train": section.seed}, files=config.files)
    rivals, settings = {name: to_simulate(work) for name, work in works.items()}, section.model_dump()
    if kept.begun(folder, rivals, settings):
        done = "are trained already" if kept.is_finished(folder) else "were interrupted: their training goes on"
        log.warning("the networks in %s %s", folder, done)
    else:
        kept.begin(folder, rivals, settings)
        whole = config.model_copy(update={"prior": next(iter(works.values())).config.prior})
        put_text(folder / CONFIG, dumps(whole, folder))
        put_text(folder / "record.json", record.to_json())
    for name, work in works.items():
        if read_off := of_the_data({**config.prior, **_own(config, name)}, learnt(work)):
            log.warning(
                "%s: the priors of %s are read off this measurement: any other will have other priors, and these "
                "networks are not for them; write them out in [prior]",
                name,
                ", ".join(read_off),
            )
    contest = Contest.of({name: _simulated(folder, name, work, progress) for name, work in works.items()})
    members, histories = [], []
    for k in range(section.members):
        effort = Effort(section.steps, section.batch, max(1, section.steps // 40), seed=section.seed + k)
        member = Classifier.sized_for(contest, effort.seed)
        histories.append(train(member, contest, effort, folder / f"member-{k}", _staged(progress, k)))
        member.fit_temperature(contest, effort.seed)
        members.append(member)
    committee = Committee(members)
    if not kept.is_finished(folder):
        seconds = sum(each.seconds for each in histories)
        save_committee(folder, committee, contest, record.with_seconds(train=seconds))
    _say_how_right(committee, contest, section.seed)
    return histories


def _own(config: Config, name: str) -> Mapping[str, object]:
    return config.rivals[name].prior if name in config.rivals else {}


def _say_how_right(committee: Committee, contest: Contest, seed: int) -> None:
    """Of simulations that the networks did not learn from."""
    batch = contest.split(held_rows(contest))[1].every(stream(seed, "how right"))
    right = (committee.probability(batch.x).argmax(1) == batch.rival).double().mean()
    log.warning(
        "the networks are right in %.0f %% of %d simulations that they did not learn from, guesses in %.0f %%",
        100 * float(right),
        len(batch.rival),
        100 / len(contest.names),
    )


def jury_of(config: Config, works: Mapping[str, Study]) -> Jury | None:
    """The networks that [discriminate] names, for the data and the rivals of a config. Nothing is written to them."""
    if config.discriminate.estimator is None:
        return None
    return Jury.load(Path(config.discriminate.estimator), {name: to_simulate(work) for name, work in works.items()})


def jury_in(folder: Path | str) -> Jury:
    """The networks that sqwirrel train of a config with rivals left in a folder, for that config and its data."""
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise InputError(f"'{folder}' holds no {CONFIG}; give a folder that sqwirrel train of rivals has left")
    works = contenders(load(folder / CONFIG))
    return Jury.load(folder, {name: to_simulate(work) for name, work in works.items()})


def _simulated(folder: Path, name: str, work: Study, progress: Progress) -> Pairs:
    section, where = work.config.train, folder / "simulations" / name

    def tell(done: int, total: int) -> None:
        progress(f"simulating {name}", done, total)

    try:
        made = simulations(learnt(work), work.prior, section.simulations, section.seed, where, tell)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return Pairs(made, to_simulate(work).like)


def _staged(progress: Progress, k: int) -> Callable[[int, int, float], None]:
    stage = f"training {k + 1}"
    return lambda done, total, loss: progress(f"{stage}, loss {loss:.2f}" if done == total else stage, done, total)
