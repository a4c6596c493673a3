"""What `sqwirrel causal` asks beside the map."""

from collections.abc import Callable

from sqwirrel.config.build import Study
from sqwirrel.config.several import parts
from sqwirrel.errors import InputError
from sqwirrel.explain.causal.causal_map import CausalMap
from sqwirrel.explain.causal.measured import Objections, counterfactual, objections
from sqwirrel.explain.causal.paths import ReadingEdge, Shares, mediated, reading_edges
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer import Posterior
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.model import library
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.prior import Prior
from sqwirrel.observe.views.view import Model
from sqwirrel.report.causal.more import More

Progress = Callable[[str, int, int], None]


def asked_of(work: Study, posterior: Posterior | None, found: CausalMap, system: Spectra, progress: Progress) -> More:
    """Objections and counterfactuals of an answer, paths and readings of any map."""
    refused: list[str] = []
    section, rival = work.config.causal, Hypothesis(work.simulator, work.prior)
    against, acted = None, None
    if posterior is not None:
        progress("testing", 0, 1)
        against = _objections(work, posterior, rival, system, refused)
        acted = counterfactual(rival, posterior, work.data, section.do) if section.do else None
    routes = _routes(work, found, refused, progress) if section.paths else {}
    return More(against, routes, _readings(work, found, refused), acted, tuple(refused))


def _objections(
    work: Study, posterior: Posterior, rival: Hypothesis, system: Spectra, refused: list[str]
) -> Objections:
    crystal = _crystal(work, refused)
    told = objections(rival, posterior, work.data, system, _names(work), crystal)
    refused += [f"Not tested: {each}." for each in told.untested]
    return told


def _crystal(work: Study, refused: list[str]) -> Crystal | None:
    """The sites of the model, None where it says nothing of them."""
    try:
        return library.crystal(work.config.model)
    except InputError as error:
        refused.append(f"Terms that the model lacks were not looked for: {error}.")
        return None


def _names(work: Study) -> tuple[str, ...]:
    """Free parameters of the models."""
    models = {name for model in parts(work.simulator) for name in model.names}
    return tuple(name for name in work.prior.names if name in models)


def _routes(work: Study, found: CausalMap, refused: list[str], progress: Progress) -> dict[str, Shares]:
    """Shares of paths by parameter of the model; modes are those of the experiment without better averages."""
    plain, names = Spectra.of(work.simulator, work.prior, work.data), _names(work)
    routes = {}
    try:
        for k, name in enumerate(names):
            progress("paths", k, len(names))
            routes[name] = mediated(plain, found.changes, name, found.regions.of)
    except InputError as error:
        refused.append(f"What parameters act through: {error}.")
    return routes


def _readings(work: Study, found: CausalMap, refused: list[str]) -> tuple[ReadingEdge, ...]:
    """Edges to readings of each model, over the values that the map has moved its parameters between."""
    edges: dict[tuple[str, str], ReadingEdge] = {}
    for model in {each.name: each for each in parts(work.simulator)}.values():
        try:
            prior, readings = _moved(model, found, work.prior), work.config.causal.asked(model)
            every = reading_edges(model, prior, readings, len(found.changes.base), work.config.causal.seed)
            edges |= {(edge.reading, edge.cause): edge for edge in every}
        except InputError as error:
            refused.append(f"Readings of the dispersion of {model.name}: {error}.")
    return tuple(edges.values())


def _moved(model: Model, found: CausalMap, prior: Prior) -> Prior:
    """What the parameters of a model were moved between."""
    between = dict(zip(found.names, found.between.tolist(), strict=True))
    free = {name: {"uniform": ends} for name, ends in between.items() if name in model.names}
    return Prior.from_mapping(free | {name: value for name, value in prior.fixed.items() if name in model.names})
