"""What `sqwirrel causal` asks beside the map."""

import logging
from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from sqwirrel.config.build import Study
from sqwirrel.config.several import parts
from sqwirrel.errors import InputError, meant
from sqwirrel.explain.causal.causal_map import CausalMap
from sqwirrel.explain.causal.measured import Objections, counterfactual, objections
from sqwirrel.explain.causal.paths import (
    ReadingEdge,
    ReadingValue,
    Shares,
    edges_between,
    mediated,
    moves,
    reading_values,
)
from sqwirrel.explain.causal.paths.readings import CENTRE, Vector
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer import Posterior, Simulator
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.model import library
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.prior import Prior
from sqwirrel.observe.joint import Joint
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
    moved = moves(system, found.regions.of, found.middle, names_of(work))
    edges, values = _readings(work, posterior, found, refused)
    return More(against, routes, moved, edges, values, acted, tuple(refused))


def check_action(work: Study, posterior: Posterior) -> None:
    """Refuses an action that cannot be, before anything is simulated."""
    do = work.config.causal.do
    known = [*work.prior.names, *work.prior.fixed]
    for name, value in do.items():
        if name not in known:
            raise InputError(f"[causal] do: '{name}' is none of {', '.join(known)}{meant(name, known)}")
        if name not in names_of(work) and name in work.prior.names:
            if not _inside(work.prior, name, value):
                low, high = work.prior.bounds[work.prior.names.index(name)].tolist()
                raise InputError(
                    f"[causal] do.{name} = {value:g} is outside of the prior of this nuisance, {low:g} to {high:g}; "
                    "set it inside"
                )
        elif name in work.prior.names and not _inside(work.prior, name, value):
            logging.getLogger("sqwirrel").warning("[causal] do.%s = %g is outside of its prior", name, value)
    if do:
        counterfactual(Hypothesis(work.simulator, work.prior), posterior, work.data, do, draws=1)


def _inside(prior: Prior, name: str, value: float) -> bool:
    low, high = prior.bounds[prior.names.index(name)].tolist()
    return bool(low <= value <= high)


def _objections(
    work: Study, posterior: Posterior, rival: Hypothesis, system: Spectra, refused: list[str]
) -> Objections:
    crystal, why = _crystal(work)
    told = objections(rival, posterior, work.data, system, names_of(work), crystal)
    told = replace(told, untested=(*why, *told.untested))
    refused += [f"Not tested: {each}." for each in told.untested]
    return told


def _crystal(work: Study) -> tuple[Crystal | None, tuple[str, ...]]:
    """The sites of the model, None where it says nothing of them, and why."""
    try:
        return library.crystal(work.config.model), ()
    except InputError as error:
        return None, (f"terms that the model lacks: {error}",)


def names_of(work: Study) -> tuple[str, ...]:
    """Free parameters of the models."""
    models = {name for model in parts(work.simulator) for name in model.names}
    return tuple(name for name in work.prior.names if name in models)


def _routes(work: Study, found: CausalMap, refused: list[str], progress: Progress) -> dict[str, Shares]:
    """Shares of paths by parameter of the model; modes are those of the experiment without better averages."""
    plain, names = Spectra.of(work.simulator, work.prior, work.data), names_of(work)
    routes = {}
    try:
        for k, name in enumerate(names):
            progress("paths", k, len(names))
            routes[name] = mediated(plain, found.changes, name, found.regions.of)
    except InputError as error:
        refused.append(f"What parameters act through: {error}.")
    return routes


def _readings(
    work: Study, posterior: Posterior | None, found: CausalMap, refused: list[str]
) -> tuple[tuple[ReadingEdge, ...], tuple[ReadingValue, ...]]:
    """Edges to readings of each model in each field, of the interventions of the map; and what they are at its
    middle, of an answer with errors.
    """
    edges: dict[tuple[str, str], ReadingEdge] = {}
    values: dict[str, ReadingValue] = {}
    for model, field in _seen(work.simulator):
        causes = [name for name in found.names if name in model.names]
        try:
            sides = found.changes.base, found.changes.other
            base, other = (_of_model(model, found.names, rows, work.prior) for rows in sides)
            asked = work.config.causal.asked(model)
            every = edges_between(model, asked, base, other, causes, work.config.causal.seed, field=field)
            edges |= {(edge.reading, edge.cause): edge for edge in every}
            columns = [found.names.index(name) for name in causes]
            known = None if posterior is None else posterior.covariance[columns][:, columns]
            (middle,) = _of_model(model, found.names, found.middle[None], work.prior)
            values |= {each.reading: each for each in reading_values(model, asked, middle, causes, known, field=field)}
        except InputError as error:
            refused.append(f"Readings of the dispersion of {model.name}: {error}.")
    return tuple(edges.values()), tuple(values.values())


def _seen(simulator: Simulator) -> list[tuple[Model, Vector]]:
    """Every model in the fields (T) that it was measured in."""
    parts = simulator.experiments.values() if isinstance(simulator, Joint) else [simulator]
    found: dict[tuple[str, Vector], Model] = {}
    for each in parts:
        where = getattr(each, "measurement", getattr(each, "peaks", None))
        field = getattr(where, "field", None)
        found[each.model.name, CENTRE if field is None else tuple(field.tolist())] = each.model
    return [(model, field) for (_, field), model in found.items()]


def _of_model(
    model: Model, names: tuple[str, ...], rows: Float[Tensor, "pair cause"], prior: Prior
) -> Float[Tensor, "pair parameter"]:
    """Rows of the parameters of a model; those that are no causes have the value that the prior holds."""
    held = {name: value for name, value in prior.fixed.items() if name in model.names}
    moved = [name for name in names if name in model.names]
    every = model.pack(**held, **{name: float(rows[0, names.index(name)]) for name in moved}).repeat(len(rows), 1)
    for name in moved:
        every[:, model.names.index(name)] = rows[:, names.index(name)]
    return every
