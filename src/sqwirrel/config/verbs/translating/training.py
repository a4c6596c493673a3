"""A translator between maps as they are simulated and as they are measured, trained on those of a config."""

import logging
from collections.abc import Callable
from pathlib import Path

from sqwirrel.config.build import Study, study
from sqwirrel.config.prior import of_the_data
from sqwirrel.config.questions.match import Match
from sqwirrel.config.sections import Config
from sqwirrel.config.several import spectrum_of
from sqwirrel.config.toml import dumps
from sqwirrel.config.verbs.studies import SIMULATIONS, learnt, simulated, to_simulate
from sqwirrel.errors import InputError
from sqwirrel.learn import checkpoint
from sqwirrel.learn.pairs import Pairs
from sqwirrel.learn.train import Effort, History, train
from sqwirrel.learn.translate.domain import Domain, Unpaired
from sqwirrel.learn.translate.few import Augment
from sqwirrel.learn.translate.inside import Matcher
from sqwirrel.learn.translate.kept import KNOWN, save_matcher
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.record import Record
from sqwirrel.whole import put_text

BATCH = 4
"""Maps of a step where the config does not say: adversaries get better by steps, not by larger ones."""
LOOKS = 40
LEARNT = {"clean", "frames", "thin", "mirrors"}
"""Keys of [match] that decide what is learnt."""
log = logging.getLogger("sqwirrel")


def train_translator_into(folder: Path, config: Config, progress: Callable[[str, int, int], None]) -> list[History]:
    """Simulates, trains, and leaves simulations/, weights.safetensors, inside.safetensors, translator.json,
    config.toml, record.json. What an interrupted run left is gone on with; what was left of others is refused.
    """
    work, wanted = _study(config), config.match or Match()
    section, planned = work.config.train, to_simulate(work)
    domains_of(work, planned, wanted)  # what makes no domain is refused before anything is simulated
    record = Record.start(seeds={"train": section.seed}, files=[*config.files, *map(Path, wanted.frames)])
    settings = {**section.model_dump(), **wanted.model_dump(mode="json", include=LEARNT)}
    if checkpoint.begun(folder, planned, settings):
        done = "is trained already" if (folder / KNOWN).is_file() else "was interrupted: its training goes on"
        log.warning("the translator in %s %s", folder, done)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint.begin(folder, planned, settings)
        put_text(folder / "config.toml", dumps(work.config, folder))
        put_text(folder / "record.json", record.to_json())
    if read_off := of_the_data(config.prior, learnt(work)):
        log.warning(
            "the priors of %s are read off this measurement and wide: the translator learns from maps of any such "
            "size; write them out in [prior], as wide as maps differ",
            ", ".join(read_off),
        )
    domains = domains_of(work, simulated(work, folder / SIMULATIONS, progress), wanted)
    one = Translator.sized_for(domains, kind="instrument" if wanted.clean == "expected" else "cycle", seed=section.seed)
    every = max(1, section.steps // LOOKS)
    effort = Effort(section.steps, section.batch, every, patience=section.steps, seed=section.seed)
    history = train(one, domains, effort, folder / "member-0", lambda done, n, _: progress("training", done, n))
    if not (folder / KNOWN).is_file():
        seconds = record.with_seconds(train=history.seconds)
        save_matcher(folder, Matcher.of(one, domains, section.seed), seconds)
    for doubt in one.doubts:
        log.warning("%s", doubt)
    return [history]


def domains_of(work: Study, pairs: Pairs, wanted: Match) -> Unpaired:
    """Simulated maps, and measured ones or what takes their place."""
    clean = Domain.expected(pairs) if wanted.clean == "expected" else Domain.signals(pairs.simulations)
    if not wanted.frames:
        return Unpaired(clean, Domain.noisy(pairs))
    if len(wanted.frames) == 1 and wanted.thin == 1 and not wanted.mirrors:
        raise InputError(
            "all copies of one measured frame are the same, and nothing can be learnt from them; give [match] more "
            "frames, thin below 1, or mirrors"
        )
    section, copies = work.config.one, max(1, len(pairs) // len(wanted.frames))
    frames = [spectrum_of(section.model_copy(update={"file": each}), work.config.instrument) for each in wanted.frames]
    return Unpaired(clean, Domain.measured(frames, Augment(wanted.thin, wanted.mirrors), copies=copies))


def _study(config: Config) -> Study:
    """The study of a config, with the batch of translators where it has none."""
    if config.rivals:
        raise InputError("[match] trains a translator and [rivals] networks that tell these apart; leave one out")
    if config.train.members > 1:
        raise InputError("[train] members are of networks that answer together; a translator is one, leave them out")
    if "batch" not in config.train.model_fields_set:
        config = config.model_copy(update={"train": config.train.model_copy(update={"batch": BATCH})})
    return study(config)
