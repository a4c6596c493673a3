"""The verb that intervenes: which parameter moves which part of a spectrum, in the simulator."""

import json
import logging
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import torch
from jaxtyping import Int64
from torch import Tensor

from sqwirrel.config.build import Study, study
from sqwirrel.config.questions.causal import Causal
from sqwirrel.config.sections import Config
from sqwirrel.config.several import by_label, parts
from sqwirrel.config.toml import dumps, load
from sqwirrel.config.verbs.answers import simulation
from sqwirrel.config.verbs.folders import CONFIG, POSTERIOR, reopened
from sqwirrel.config.verbs.intervening.asked import asked_of, check_action, names_of
from sqwirrel.errors import InputError
from sqwirrel.explain.causal.causal_map import PAPERS, CausalMap, causal_map
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer import Posterior
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.record import Record
from sqwirrel.report import figures
from sqwirrel.report.causal.acted import acted_map
from sqwirrel.report.causal.graph import graph
from sqwirrel.report.causal.inverse import inverse_maps, inverse_matrix
from sqwirrel.report.causal.more import More
from sqwirrel.report.causal.regions import region_map
from sqwirrel.report.causal.routes import route_matrix
from sqwirrel.report.causal.told import Told
from sqwirrel.report.causal.zoom import zoom_map
from sqwirrel.report.content import in_check_words
from sqwirrel.report.pages import causal as page
from sqwirrel.spectra import Spectrum, write
from sqwirrel.whole import put, put_text

INTERVENTIONS = "interventions"
"""Simulations, which an interrupted map goes on with; they are large, and go when the map is done."""
EARLIER = ("regions*", "zoom*", "inverse*.png", "do*.h5", "do*.png", "paths.png", "graph.png", "causal.*")
"""What an earlier map may have left in the folder."""
MUCH = 1.02
"""Factors of errors below this are not told."""
UNTESTED = "No measured spectrum was fitted, so none of these tests was made."


def causal_into(
    folder: Path, source: Path, changes: Iterable[str], progress: Callable[[str, int, int], None]
) -> tuple[Told, Callable[[], None]]:
    """The causal map of a config, or of a folder that `infer` left.

    Leaves causal.json, causal.graphml, regions.h5 (the number of the region of every bin; regions-NAME.h5 of several
    spectra), zoom.h5 (the same with fewer regions) if a zoom was asked for, and do.h5 if an action was: the spectrum
    that would have been measured. Returned with the map is what draws its figures and its page, causal.html.
    """
    if folder.resolve() == source.resolve():
        raise InputError(f"--out '{folder}' is the folder of the answer itself; choose another, like '{folder}/causes'")
    work, posterior = _opened(source, tuple(changes))
    files = work.config.files if posterior is None else (source / POSTERIOR,)  # others may be gone from an answer
    record = Record.start(seeds={"causal": work.config.causal.seed}, files=files)
    progress("averaging", 0, 1)
    system = _system(work, posterior)
    if posterior is not None:
        check_action(work, posterior)
    folder.mkdir(parents=True, exist_ok=True)
    found = _mapped(work, posterior, system, folder / INTERVENTIONS, progress)
    more = asked_of(work, posterior, found, system, progress)
    told = _told(work, posterior, system, found, record, more)
    if (folder / "causal.json").exists():
        logging.getLogger("sqwirrel").warning("the map that '%s' held is replaced", folder)
    for path in (path for pattern in EARLIER for path in folder.glob(pattern)):
        path.unlink()
    put_text(folder / CONFIG, dumps(work.config, folder))
    put_text(folder / "causal.json", json.dumps(told.mapping(), indent=1, allow_nan=False) + "\n")
    put(folder / "causal.graphml", lambda part: nx.write_graphml(told.graph, part))
    for label, spectrum in told.spectra.items():
        _write_numbers(folder / f"{_stem('regions', label)}.h5", told.of[label], spectrum)
        if work.config.causal.zoom is not None:
            _write_numbers(folder / f"{_stem('zoom', label)}.h5", told.coarse(label, work.config.causal.zoom), spectrum)
    for label, spectrum in (more.acted.spectra if more.acted else {}).items():
        write(folder / f"{_stem('do', label)}.h5", spectrum)
    shutil.rmtree(folder / INTERVENTIONS)

    def draw() -> None:
        progress("drawing", 0, 1)
        _draw(folder, told)
        page.write(folder, told)

    return told, draw


def _write_numbers(path: Path, of: Int64[Tensor, "*bin"], spectrum: Spectrum) -> None:
    """Regions of bins, counted from 1."""
    number = (of + 1).double()
    write(path, Spectrum.from_arrays(number, 0 * number, spectrum.measurement, valid=spectrum.valid))


def _opened(source: Path, changes: tuple[str, ...]) -> tuple[Study, Posterior | None]:
    """What a map is of; its config has [causal] as the changes make it."""
    if not source.is_dir():
        config = load(source, changes)
        if config.causal.do:
            raise InputError(
                f"[causal] do needs an answer to a measured spectrum, and '{source}' is a config: run sqwirrel infer, "
                "and give the folder that it leaves"
            )
        if config.causal.times is not None:
            raise InputError(
                f"[causal] times counts standard deviations of an answer, and '{source}' is a config: run sqwirrel "
                "infer, and give the folder that it leaves; or say width, a share of the prior"
            )
        if config.causal.about == "posterior":
            raise InputError(
                f"[causal] about = 'posterior' needs an answer, and '{source}' is a config: run sqwirrel infer, and "
                "give the folder that it leaves"
            )
        return (study(config) if _is_measured(config) else _simulated(config)), None
    if not (source / POSTERIOR).is_file():
        raise InputError(f"'{source}' holds no {POSTERIOR}; give a folder that sqwirrel infer has left, or a config")
    if other := [change for change in changes if not change.strip().startswith("causal.")]:
        raise InputError(
            f"--set {other[0]}: of an answer only keys of [causal] can be set, like --set causal.pairs=256; for "
            "another answer run sqwirrel infer again"
        )
    asked, (work, posterior) = load(source / CONFIG, changes).causal, reopened(source)
    if asked.about == "prior" and asked.times is not None:
        raise InputError("[causal] times is about an answer, and about = 'prior' is not; leave one of them out")
    if posterior.abstains:
        logging.getLogger("sqwirrel").warning("'%s' is no answer: %s", source, posterior.abstains)
    return Study(work.config.model_copy(update={"causal": asked}), work.data, work.simulator, work.prior), posterior


def _is_measured(config: Config) -> bool:
    return config.measurement is None or bool(config.one.named)


def _simulated(config: Config) -> Study:
    """Of a config without a file: with the spectrum that it would simulate."""
    made = simulation(config)
    return study(made.config, made.spectrum)


def _system(work: Study, posterior: Posterior | None) -> Spectra:
    if posterior is None:
        return Spectra.of(work.simulator, work.prior, work.data)
    return Spectra.answered(Hypothesis(work.simulator, work.prior), posterior, work.data)


def _centre(section: Causal, posterior: Posterior | None) -> Posterior | None:
    """The answer that a map is about; none where it is about the prior."""
    return None if section.about == "prior" else posterior


def _mapped(
    work: Study,
    posterior: Posterior | None,
    system: Spectra,
    folder: Path,
    progress: Callable[[str, int, int], None],
) -> CausalMap:
    section = work.config.causal
    centre, how = _centre(section, posterior), dict[str, Any](width=section.width)
    if centre is not None:
        middle = centre.basins[0].theta
        how |= {"middle": middle, "excess": system.excess(middle[None])}
        if section.times is not None:
            reach = section.times * centre.covariance.diagonal().sqrt()
            how["between"] = torch.stack((middle - reach, middle + reach), dim=1)
    return causal_map(
        system,
        section.pairs,
        section.seed,
        least=section.least,
        folder=folder,
        progress=lambda done, total: progress("intervening", done, total),
        **how,
    )


def _told(
    work: Study, posterior: Posterior | None, system: Spectra, found: CausalMap, record: Record, more: More
) -> Told:
    section, models = work.config.causal, parts(work.simulator)
    centre, many = _centre(section, posterior), f"{section.pairs} interventions on each parameter"
    settings: dict[str, Any] = {"pairs": section.pairs, "seed": section.seed, "least": section.least}
    if centre is None:
        settings = {"about": "prior", "width": section.width, **settings}
        about = f"{many}, about the middle of the prior, over {100 * section.width:g} % of it."
    else:
        settings = {"about": "posterior", **_width(section), "excess": system.excess(found.middle[None]), **settings}
        far = (
            f"{100 * section.width:g} % of the prior"
            if section.times is None
            else f"{section.times:g} standard deviations of the posterior to both sides, inside the prior"
        )
        larger = settings["excess"]
        wider = f"; errors taken {larger:.3g} times as large as counting makes them" if larger > MUCH else ""
        about = f"{many}, about the best fit, over {far}{wider}."
    failed = _failed(posterior, more)
    left = " Not all could be made (see below)." if more.objections is not None and more.objections.untested else ""
    said = f"Failed: {'; '.join(failed)}." if failed else "All of them passed." if not left else "Those made passed."
    tests = UNTESTED if posterior is None else said + left
    papers = [paper for model in models for paper in model.papers]
    return Told(
        title=models[0].title,
        found=found,
        spectra={label: each for label, each in by_label(work.data).items() if isinstance(each, Spectrum)},
        of=system.maps(found.regions.of),
        models=names_of(work),
        singles=system.singles,
        units=work.simulator.units,
        about=about,
        settings=settings,
        tests=tests,
        passed=posterior is not None and not failed and not left,
        record=record.with_papers(*papers, *PAPERS).with_seconds(causal=found.seconds),
        more=more,
        zooms=() if section.zoom is None else (section.zoom,),
    )


def _width(section: Causal) -> dict[str, float]:
    return {"width": section.width} if section.times is None else {"times": section.times}


def _failed(posterior: Posterior | None, more: More) -> list[str]:
    """What speaks against a map, in words."""
    checks = [in_check_words(each.name) for each in posterior.checks if not each.passed] if posterior else []
    said = [", ".join(checks)] if checks else []
    if more.objections is not None and more.objections.broken:
        said.append(f"parameters are others in part of the data ({', '.join(more.objections.broken)})")
    if more.objections is not None and more.objections.asked:
        said.append(f"the residual asks for {', '.join(more.objections.asked)}")
    return said


def _draw(folder: Path, told: Told) -> None:
    """Every figure of the page as a file."""
    drawn = {"graph": graph(told), "inverse": inverse_matrix(told), "paths": route_matrix(told)}
    for label in told.spectra:
        drawn[_stem("regions", label)] = region_map(told, label)
        drawn[_stem("zoom", label)] = zoom_map(told, label)
        drawn[_stem("inverse-maps", label)] = inverse_maps(told, label)
    if told.more.acted is not None:
        for label in told.more.acted.spectra:
            drawn[_stem("do", label)] = acted_map(told.spectra[label], told.more.acted, label)
    for name, figure in drawn.items():
        if figure is not None:
            put(folder / f"{name}.png", partial(figures.save, figure))


def _stem(name: str, label: str) -> str:
    return "-".join(filter(None, (name, label)))
