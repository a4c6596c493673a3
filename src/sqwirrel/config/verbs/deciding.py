"""The verb that decides: which of several models made the data of a config."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqwirrel.config.build import Study, model, study
from sqwirrel.config.sections import Config
from sqwirrel.config.several import by_label
from sqwirrel.config.toml import dumps
from sqwirrel.config.verbs.answers import CONFIG, POSTERIOR, RECORD, infer_into
from sqwirrel.errors import InputError
from sqwirrel.infer import Posterior, store
from sqwirrel.infer.verdict import Hypothesis, Verdict, judged
from sqwirrel.record import Record
from sqwirrel.report import figures
from sqwirrel.report.content import parameter_rows
from sqwirrel.spectra import QPoints, Spectrum
from sqwirrel.whole import put_text

Progress = Callable[[str, int, int], None]


def discriminate_into(folder: Path, config: Config, progress: Progress) -> Verdict:
    """Infers every rival in a folder of its own, which an interrupted run is gone on with; leaves verdict.json and
    verdict.png (verdict-NAME.png of several spectra).
    """
    configs = contenders(config)
    works, posteriors = {}, {}
    for name, each in configs.items():
        works[name] = study(each)
        posteriors[name] = _inferred(folder / name, each, works[name], _named(name, progress))
    progress("weighing the evidence", 0, 1)
    rivals = {name: Hypothesis(work.simulator, work.prior) for name, work in works.items()}
    odds = {name: config.rivals[name].odds if name in config.rivals else 1.0 for name in configs}
    verdict = judged(rivals, posteriors, works[next(iter(works))].data, odds)
    put_text(folder / CONFIG, dumps(config, folder))
    seeds = {"infer": config.infer.seed}
    put_text(folder / RECORD, Record.start(seeds=seeds, files=config.files).to_json())
    put_text(folder / "verdict.json", json.dumps(mapping(verdict), indent=1) + "\n")
    _draw(folder, verdict, works[verdict.best])
    return verdict


def contenders(config: Config) -> dict[str, Config]:
    """A config for each model: that of the config itself, under its name, then its rivals."""
    if not config.rivals:
        raise InputError('the config lacks rivals: give at least one, like [rivals.other] with model = "..."')
    first = model(config)
    if first.name in config.rivals:
        raise InputError(f"[rivals.{first.name}] has the name of the model of the config; choose another name")
    found = {first.name: config.model_copy(update={"rivals": {}})}
    for name, rival in config.rivals.items():
        plain = config.model_copy(update={"rivals": {}, "model": rival.model})
        kept = set(model(plain).names)
        prior = {key: law for key, law in config.prior.items() if key not in first.names or key in kept}
        found[name] = plain.model_copy(update={"prior": {**prior, **rival.prior}})
    return found


def mapping(verdict: Verdict) -> dict[str, Any]:
    """The verdict as one object."""
    best = verdict.best
    return {
        "decided": None if verdict.undecided else best,
        "undecided": verdict.undecided,
        "best": best,
        "rivals": {name: _row(verdict, name) for name in verdict.ranked},
    }


def _row(verdict: Verdict, name: str) -> dict[str, Any]:
    evidence, posterior = verdict.evidence[name], verdict.posteriors[name]
    against = {} if name == verdict.best else _against(verdict, name)
    return {
        "probability": verdict.probability[name],
        "log_evidence": {"value": evidence.log, "error": evidence.error},
        **against,
        "odds": verdict.odds[name],
        "stable_share_of_prior": evidence.stable,
        "deviance_per_bin": posterior.deviance_per_bin,
        "abstains": posterior.abstains,
        "parameters": parameter_rows(posterior),
    }


def _against(verdict: Verdict, name: str) -> dict[str, Any]:
    value, error = verdict.log_bayes(name)
    apart = verdict.apart(name)
    known = None if apart != apart else apart
    return {"log_bayes_factor_of_best": {"value": value, "error": error}, "errors_by_scatter_of_windows": known}


def _inferred(folder: Path, config: Config, work: Study, progress: Progress) -> Posterior:
    """The posterior of a rival: the one that is there if it is of the same config."""
    if (folder / POSTERIOR).is_file() and (folder / CONFIG).is_file():
        if (folder / CONFIG).read_text(encoding="utf-8") == dumps(work.config, folder):
            return store.load(folder / POSTERIOR)
        raise InputError(f"{folder} holds the answer of another config; choose another folder with --out, or remove it")
    posterior, draw = infer_into(folder, config, progress)
    draw()
    return posterior


def _named(name: str, progress: Progress) -> Progress:
    return lambda stage, done, total: progress(f"{name}: {stage}", done, total)


def _draw(folder: Path, verdict: Verdict, work: Study) -> None:
    """Where the best is better than the next, on the bins of every spectrum that has a map."""
    second = verdict.ranked[1]
    ratio, data = verdict.ratio(second), by_label(work.data)
    title = f"log likelihood, {verdict.best} − {second}"
    for label, values in ratio.items():
        spectrum = data[label]
        if isinstance(spectrum, Spectrum) and not isinstance(spectrum.measurement.points, QPoints):
            name = f"verdict-{label}.png" if label else "verdict.png"
            figures.save(figures.ratio_map(spectrum, values, title), folder / name)


def pictures(folder: Path) -> list[Path]:
    """What was drawn in a folder."""
    return sorted(folder.glob("verdict*.png"))
