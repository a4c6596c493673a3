"""reading_edges(): what each parameter does to readings of the dispersion, by randomised interventions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.paths.readings import CENTRE, Dispersion, Found, Model, Reading, Vector
from sqwirrel.explain.causal.paths.resample import Estimate, means
from sqwirrel.model.prior import Prior
from sqwirrel.observe.views.derivatives import slopes

SAME = 1e-8
"""A change this small, relative to the highest energy of all rows (of readings over lengths, in angstrom), is
rounding.
"""
BYTES = 2**27
"""Matrices of this many bytes are worked on at once, derivatives included."""


@dataclass(frozen=True, eq=False)
class ReadingEdge:
    """What `cause` does to `reading`, over the prior, each with a bootstrap interval.

    `effect` is (mean change^2 / 2)^1/2 in `unit` of the reading, of pairs of rows that differ by an independent draw of
    the cause. `slope` is the mean derivative (`unit` per unit of the cause), `log_slope` that of the logarithms, over
    rows in which neither is 0, NaN if there are none or the cause changes its sign. `is_zero` says that no pair changed
    the reading by more than rounding. `kept` pairs were used; `left_out` had no stable order at one end or the other.
    """

    cause: str
    reading: str
    unit: str
    effect: Estimate
    slope: Estimate
    log_slope: Estimate
    is_zero: bool
    kept: int
    left_out: int


@dataclass(frozen=True)
class ReadingValue:
    """A reading in `unit` at one set of parameters, its `error` (NaN where no covariance is known), and its derivatives
    there by the name of the parameter (`unit` per unit of that).
    """

    reading: str
    unit: str
    value: float
    error: float
    slopes: Mapping[str, float]


def reading_values(
    model: Model,
    readings: Sequence[Reading],
    theta: Float[Tensor, " parameter"],
    causes: Sequence[str],
    covariance: Float[Tensor, "cause cause"] | None = None,
    *,
    field: Vector = CENTRE,
) -> tuple[ReadingValue, ...]:
    """Readings at the parameters `theta` of the model, with errors to first order from the `covariance` of the causes.

    Raises InputError where the order is unstable.
    """
    dispersion = Dispersion(model, readings, field=field)
    found, rise = _read(dispersion, theta[None]), _slopes(dispersion, theta[None])[:, 0]
    if not bool(found.stable.all()):
        raise InputError("the order is unstable at the middle of the map")
    slopes = rise[[model.names.index(cause) for cause in causes]].T
    errors = [math.nan if covariance is None else float((each @ covariance @ each).sqrt()) for each in slopes]
    return tuple(
        ReadingValue(each.name, each.unit, float(value), error, dict(zip(causes, row.tolist(), strict=True)))
        for each, value, error, row in zip(readings, found.values[0], errors, slopes, strict=True)
    )


def reading_edges(
    model: Model,
    prior: Prior,
    readings: Sequence[Reading],
    pairs: int,
    seed: int,
    *,
    field: Vector = CENTRE,
) -> tuple[ReadingEdge, ...]:
    """Edges from every free parameter of the model to every reading, cause by cause.

    Pairs are a row drawn from the prior, and the same with one parameter drawn again ("pick-freeze": I. M. Sobol,
    Math. Comput. Simul. 55, 271 (2001), doi:10.1016/S0378-4754(00)00270-6). Parameters that the prior does not name
    keep their published value; of those that it names, nuisances of an instrument move no dispersion and are passed
    over. `field` is in T, Cartesian.
    """
    causes = [name for name in prior.names if name in model.names]
    return edges_between(model, readings, *_rows(model, prior, pairs, seed), causes, seed, field=field)


def edges_between(
    model: Model,
    readings: Sequence[Reading],
    base: Float[Tensor, "pair parameter"],
    other: Float[Tensor, "pair parameter"],
    causes: Sequence[str],
    seed: int = 0,
    *,
    field: Vector = CENTRE,
) -> tuple[ReadingEdge, ...]:
    """The same from pairs of rows of the parameters of the model: in `base` one cause at a time becomes that of
    `other`.
    """
    dispersion, pairs = Dispersion(model, readings, field=field), len(base)
    start, rise, edges = _read(dispersion, base), _slopes(dispersion, base), []
    for cause in causes:
        k, changed = model.names.index(cause), base.clone()
        changed[:, k] = other[:, k]
        end = _read(dispersion, changed)
        kept = start.stable & end.stable
        if (count := int(kept.sum())) < 2:
            raise InputError(
                f"{count} of {pairs} pairs for '{cause}' have a stable order; narrow the prior, ask for more pairs, or "
                "choose another order"
            )
        change = (end.values - start.values)[kept]
        zero = (change.abs().amax(0) <= SAME * start.top[kept].max()).tolist()
        for r, each in enumerate(readings):
            found = _estimates(change[:, r], base[kept, k], start.values[kept, r], rise[k, kept, r], seed)
            edges.append(ReadingEdge(cause, each.name, each.unit, *found, zero[r], count, pairs - count))
    return tuple(edges)


def _estimates(
    change: Tensor, theta: Tensor, value: Tensor, rise: Tensor, seed: int
) -> tuple[Estimate, Estimate, Estimate]:
    """Effect, slope, and slope of the logarithms, of the pairs that were kept."""
    defined = (value != 0) & (theta != 0) & bool((theta >= 0).all() | (theta <= 0).all())
    log = torch.where(defined, theta * rise / torch.where(defined, value, 1.0), 0.0)
    square, slope, log, part = means(torch.stack((change**2, rise, log, defined.to(rise)), dim=1), seed).T
    log = torch.where(part > 0, log / part, torch.nan)
    return Estimate.of((square / 2).sqrt()), Estimate.of(slope), Estimate.of(log)


def _rows(model: Model, prior: Prior, pairs: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two independent sets of rows of the parameters of the model."""
    if pairs < 2:
        raise InputError(f"{pairs} pairs of rows; interventions need 2 at least, and 64 for intervals worth having")
    known = {name: value for name, value in prior.fixed.items() if name in model.names}
    drawn = dict(zip(prior.names, prior.sample(2 * pairs, seed).T, strict=True))
    drawn = {name: column for name, column in drawn.items() if name in model.names}
    if not drawn:
        raise InputError(
            f"the prior leaves no parameter of model '{model.name}' free; the model has {', '.join(model.names)}"
        )
    rows = model.pack(**known, **{name: float(column[0]) for name, column in drawn.items()}).repeat(2 * pairs, 1)
    for name, column in drawn.items():
        rows[:, model.names.index(name)] = column
    return rows[:pairs], rows[pairs:]


def _read(dispersion: Dispersion, theta: Float[Tensor, "row parameter"]) -> Found:
    with torch.no_grad():
        parts = [dispersion(rows) for rows in torch.split(theta, _size(dispersion))]
    return Found(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _slopes(dispersion: Dispersion, theta: Float[Tensor, "row parameter"]) -> Float[Tensor, "parameter row reading"]:
    """Derivatives of the readings, forward mode."""

    def values(rows: Tensor) -> tuple[Tensor, Tensor]:
        found = dispersion(rows)
        return found.values, found.stable

    size = max(1, _size(dispersion) // (4 * theta.shape[1]))
    return torch.cat([slopes(values, rows)[1] for rows in torch.split(theta, size)], dim=1)


def _size(dispersion: Dispersion) -> int:
    """Rows whose matrices hold `BYTES`."""
    return max(1, BYTES // (16 * sum(dispersion.size) * int(dispersion.solver.modes) ** 2))
