"""The verb that decides: which of several models made the data of a config."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sqwirrel.config.build import Study, model
from sqwirrel.config.sections import Config
from sqwirrel.config.several import by_label
from sqwirrel.config.toml import dumps, load
from sqwirrel.config.verbs.answers import RECORD, infer_into, report_into, results_of
from sqwirrel.config.verbs.contending import jury_of
from sqwirrel.config.verbs.folders import CONFIG, POSTERIOR, reopened
from sqwirrel.config.verbs.studies import checksum, contenders, named
from sqwirrel.errors import InputError
from sqwirrel.explain.networks import Heard, heard
from sqwirrel.infer import Posterior, store
from sqwirrel.infer.terms import spectra_of
from sqwirrel.infer.verdict import Hypothesis, Verdict, checked, judged
from sqwirrel.learn.strange import Jury
from sqwirrel.record import Record
from sqwirrel.report import figures
from sqwirrel.report.decision import Decision, mapping
from sqwirrel.report.figures.rivals import is_map, rival_fits
from sqwirrel.report.pages.verdict import heard_map, write
from sqwirrel.spectra import Spectrum
from sqwirrel.whole import put_text

Progress = Callable[[str, int, int], None]
VERDICT = "verdict.json"


def discriminate_into(folder: Path, config: Config, progress: Progress) -> tuple[Verdict, Callable[[], Path]]:
    """Infers every rival in a folder of its own, which an interrupted run is gone on with; leaves verdict.json.

    Returned with the verdict is what draws its report, report.html, and its pictures: verdict.png (verdict-NAME.png of
    several spectra), fits.png, with networks also networks.png.
    """
    works = contenders(config)
    odds = checked(list(works), _odds(config, works))
    jury, posteriors = jury_of(config, works), {}
    for name, work in works.items():
        with named(name):
            posteriors[name] = _inferred(
                folder / name, work, lambda *told, who=name: progress(f"{who}: {told[0]}", *told[1:])
            )
    progress("weighing the evidence", 0, 1)
    record = Record.start(seeds={"infer": config.infer.seed}, files=config.files)
    decision = _decision(works, posteriors, odds, jury, record)
    put_text(folder / CONFIG, dumps(config, folder))
    put_text(folder / RECORD, record.to_json())
    said = mapping(decision.verdict, decision.heard)
    put_text(folder / VERDICT, json.dumps(said, indent=1, allow_nan=False) + "\n")
    return decision.verdict, lambda: _drawn(folder, decision)


def report_again(folder: Path) -> Path:
    """Writes the report of a folder that `infer` or `discriminate` left, again, from what is there."""
    if not (folder / VERDICT).is_file():
        return report_into(folder)
    if not all((folder / name).is_file() for name in (CONFIG, RECORD)):
        raise InputError(f"'{folder}' lacks {CONFIG} or {RECORD}; run sqwirrel discriminate again")
    config, works, posteriors = load(folder / CONFIG), {}, {}
    for name in (model(config).name, *config.rivals):
        inner = folder / name
        if not all((inner / each).is_file() for each in (CONFIG, POSTERIOR)):
            raise InputError(f"'{folder}' holds no answer of {name}; run sqwirrel discriminate again")
        works[name], posteriors[name] = reopened(inner)
    record = Record.from_json((folder / RECORD).read_text(encoding="utf-8"))
    return _drawn(folder, _decision(works, posteriors, _odds(config, works), jury_of(config, works), record))


def _odds(config: Config, works: Iterable[str]) -> dict[str, float]:
    return {name: config.rivals[name].odds if name in config.rivals else 1.0 for name in works}


def _decision(
    works: Mapping[str, Study],
    posteriors: Mapping[str, Posterior],
    odds: Mapping[str, float],
    jury: Jury | None,
    record: Record,
) -> Decision:
    """The verdict on rivals that were inferred, and what its page shows."""
    rivals = {name: Hypothesis(work.simulator, work.prior) for name, work in works.items()}
    verdict = judged(rivals, posteriors, next(iter(works.values())).data, odds, jury)
    results = {name: tuple(results_of(work, posteriors[name])) for name, work in works.items()}
    return Decision(verdict, results, record, _heard(jury, verdict, works))


def _heard(jury: Jury | None, verdict: Verdict, works: Mapping[str, Study]) -> Heard | None:
    """What networks find for the best rival against the next, where one of the spectra is a map."""
    one, other = verdict.ranked[:2]
    data = works[one].data
    spectra = [each for each in by_label(data).values() if isinstance(each, Spectrum)]
    if jury is None or not any(is_map(each.measurement) for each in spectra):
        return None
    return heard(jury, spectra_of(data), (one, other), verdict.ratio(other), verdict.evidence[other].windows)


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
    posterior, draw = infer_into(folder, work.config, progress, work.data)
    if not _is_complete(posterior):
        raise KeyboardInterrupt
    draw()
    return posterior


def _is_complete(posterior: Posterior) -> bool:
    return all(check.passed for check in posterior.checks if check.name == "complete")


def _drawn(folder: Path, decision: Decision) -> Path:
    """The page, and its pictures of every spectrum that is a map."""
    verdict, found = decision.verdict, decision.heard
    second = verdict.ranked[1]
    title, factor = f"{verdict.best} − {second}", verdict.log_bayes(second)[0]
    for label, values in verdict.ratio(second).items():
        results = decision.spectra[label]
        spectrum = results[second].spectrum
        if not is_map(spectrum.measurement):
            continue
        figures.save(figures.ratio_map(spectrum, values, title, factor), folder / _picture("verdict", label))
        figures.save(rival_fits(results), folder / _picture("fits", label))
        if found is not None:
            figures.save(heard_map(spectrum, found, label), folder / _picture("networks", label))
    return write(folder, decision)


def _picture(name: str, label: str) -> str:
    return f"{name}-{label}.png" if label else f"{name}.png"
