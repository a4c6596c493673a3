"""The verb that decides: which of several models made the data of a config."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from torch import Tensor

from sqwirrel.config.build import Study
from sqwirrel.config.sections import Config
from sqwirrel.config.several import by_label
from sqwirrel.config.toml import dumps
from sqwirrel.config.verbs.answers import CONFIG, POSTERIOR, RECORD, infer_into
from sqwirrel.config.verbs.contending import jury_of
from sqwirrel.config.verbs.studies import checksum, contenders, named
from sqwirrel.errors import InputError
from sqwirrel.explain.networks import rank_correlation, spoken
from sqwirrel.infer import Posterior, store
from sqwirrel.infer.terms import spectra_of
from sqwirrel.infer.verdict import Hypothesis, Verdict, checked, judged
from sqwirrel.record import Record
from sqwirrel.report import figures
from sqwirrel.report.content import parameter_rows
from sqwirrel.report.figures import networks
from sqwirrel.spectra import Peaks, QPoints, Spectrum
from sqwirrel.whole import put_text

Progress = Callable[[str, int, int], None]


def discriminate_into(folder: Path, config: Config, progress: Progress) -> Verdict:
    """Infers every rival in a folder of its own, which an interrupted run is gone on with; leaves verdict.json and
    verdict.png (verdict-NAME.png of several spectra), with networks also networks.png.
    """
    works = contenders(config)
    odds = checked(list(works), {name: config.rivals[name].odds if name in config.rivals else 1.0 for name in works})
    jury, posteriors = jury_of(config, works), {}
    for name, work in works.items():
        with named(name):
            posteriors[name] = _inferred(
                folder / name, work, lambda *told, who=name: progress(f"{who}: {told[0]}", *told[1:])
            )
    progress("weighing the evidence", 0, 1)
    rivals = {name: Hypothesis(work.simulator, work.prior) for name, work in works.items()}
    verdict = judged(rivals, posteriors, next(iter(works.values())).data, odds, jury)
    put_text(folder / CONFIG, dumps(config, folder))
    seeds = {"infer": config.infer.seed}
    put_text(folder / RECORD, Record.start(seeds=seeds, files=config.files).to_json())
    one, other = verdict.ranked[:2]
    data = {label: each for label, each in by_label(works[one].data).items() if _has_map(each)}
    said = mapping(verdict)
    _draw(folder, verdict, data)
    if jury is not None and data:
        found = spoken(jury, spectra_of(works[one].data), one, other)
        said["networks"]["agreement"] = _agreement(verdict, {label: found[label] for label in data})
        _draw_networks(folder, found, data, (one, other))
    put_text(folder / "verdict.json", json.dumps(said, indent=1, allow_nan=False) + "\n")
    return verdict


def _agreement(verdict: Verdict, found: Mapping[str, Tensor]) -> dict[str, float]:
    """Rank correlation, window by window, of what networks point at with where the evidence is decided."""
    second = verdict.ranked[1]
    ratio, windows = verdict.ratio(second), verdict.evidence[second].windows
    return {label: rank_correlation(each, ratio[label], windows[label]) for label, each in found.items()}


def mapping(verdict: Verdict) -> dict[str, Any]:
    """The verdict as one object."""
    best = verdict.best
    return {
        "decided": None if verdict.undecided else best,
        "undecided": verdict.undecided,
        "best": best,
        "rivals": {name: _row(verdict, name) for name in verdict.ranked},
        **({} if verdict.opinion is None else {"networks": verdict.opinion.mapping()}),
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
        "failed_checks": [check.name for check in posterior.checks if not check.passed],
        "parameters": parameter_rows(posterior),
    }


def _against(verdict: Verdict, name: str) -> dict[str, Any]:
    value, error = verdict.log_bayes(name)
    apart = verdict.apart(name)
    known = apart if math.isfinite(apart) else None
    return {"log_bayes_factor_of_best": {"value": value, "error": error}, "errors_by_scatter_of_windows": known}


def _inferred(folder: Path, work: Study, progress: Progress) -> Posterior:
    """The posterior of a rival: the one that is there if it is finished, and of the same config, data and model."""
    told, inputs = dumps(work.config, folder), folder / "inputs.txt"
    if (folder / POSTERIOR).is_file():
        same = inputs.is_file() and inputs.read_text(encoding="utf-8") == checksum(work)
        if not same or (folder / CONFIG).read_text(encoding="utf-8") != told:
            raise InputError(
                f"{folder} holds the answer of another config, other data or another model; choose another folder with "
                "--out, or remove it"
            )
        if _is_complete(known := store.load(folder / POSTERIOR)):
            return known
    folder.mkdir(parents=True, exist_ok=True)
    put_text(inputs, checksum(work))
    posterior, draw = infer_into(folder, work.config, progress)
    if not _is_complete(posterior):
        raise KeyboardInterrupt
    draw()
    return posterior


def _is_complete(posterior: Posterior) -> bool:
    return all(check.passed for check in posterior.checks if check.name == "complete")


def _has_map(data: Spectrum | Peaks) -> TypeGuard[Spectrum]:
    return isinstance(data, Spectrum) and not isinstance(data.measurement.points, QPoints)


def _draw(folder: Path, verdict: Verdict, data: Mapping[str, Spectrum]) -> None:
    """Where the best is better than the next, on the bins of every spectrum that has a map."""
    second = verdict.ranked[1]
    title, factor = f"{verdict.best} − {second}", verdict.log_bayes(second)[0]
    for label, values in verdict.ratio(second).items():
        if label in data:
            figures.save(figures.ratio_map(data[label], values, title, factor), folder / _picture("verdict", label))


def _draw_networks(
    folder: Path, found: Mapping[str, Tensor], data: Mapping[str, Spectrum], rivals: tuple[str, str]
) -> None:
    """Where networks find what speaks for the best against the next."""
    for label, spectrum in data.items():
        picture = networks.attribution_map(spectrum, found[label], *rivals, "class activation")
        figures.save(picture, folder / _picture("networks", label))


def _picture(name: str, label: str) -> str:
    return f"{name}-{label}.png" if label else f"{name}.png"
