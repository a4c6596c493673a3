"""invariance(): whether a parameter is the same, whichever part of the data it is asked of.

A cause keeps its strength in every environment, a parameter that stands in for something the model lacks does not (J.
Peters, P. Bühlmann, N. Meinshausen, J. R. Stat. Soc. B 78, 947 (2016), arXiv:1501.01332). Each part of the data and the
rest of them estimate all parameters by one Gauss-Newton step from the best fit to everything, g being the gradient of
log L there, F the Fisher information and R the ridge of a normal law round the best fit that is as wide as the prior:

    part = best + (F_k + R)^-1 g_k,   rest = best - (F - F_k + R)^-1 g_k

as the gradients of all parts sum up to that of the prior, which is counted to the rest. Where the model is right the
covariance of g_k is F_k - F_k C F_k with the covariance C of the fit, so that chi square of the difference has its law
whatever the ridge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.errors import InputError, meant
from sqwirrel.explain.causal.measured.significance import chi2_tail, holm
from sqwirrel.infer import Data, Posterior, Simulator
from sqwirrel.infer.refine import Optimum
from sqwirrel.infer.target import Target, diagonal
from sqwirrel.infer.terms import SpectrumTerm, Term
from sqwirrel.infer.verdict import Hypothesis, fitted
from sqwirrel.observe.joint import Joint

Part = Mapping[str, Bool[Tensor, "point energy"] | None]
"""Bins by the label of the spectrum ("" where there is one), None for all data of that label."""
TOLD = 0.5
"""A part, or the rest, tells of a parameter if its error is at most this share of the prior's."""
CUT = 1e-10
"""Directions of the difference with less than this share of the largest variance are none."""
ALARM = 0.01


@dataclass(frozen=True, eq=False)
class Deviation:
    """What one part of the data says of `names` beside what the rest says, in their units.

    `score` is the difference in its standard deviations, NaN where either has not `told` of the parameter; `chi2` has
    as many degrees of `freedom` as parameters that both told of, `p` is its p-value and `corrected` that for the number
    of parts (Holm).
    """

    part: str
    names: tuple[str, ...]
    value: Float[Tensor, " parameter"]
    error: Float[Tensor, " parameter"]
    rest: Float[Tensor, " parameter"]
    rest_error: Float[Tensor, " parameter"]
    score: Float[Tensor, " parameter"]
    told: Bool[Tensor, " parameter"]
    chi2: float
    freedom: int
    p: float
    corrected: float

    def __str__(self) -> str:
        rows = [f"{self.part}: chi2 = {self.chi2:.1f} of {self.freedom}, p = {self.corrected:.2g} for all parts"]
        columns = (self.value, self.error, self.rest, self.rest_error, self.score)
        for name, told, *each in zip(self.names, self.told.tolist(), *(c.tolist() for c in columns), strict=True):
            here, error, rest, rest_error, score = each
            said = f"{score:+.1f} standard deviations" if told else "not told"
            rows.append(f"  {name}: {here:.4g} ± {error:.2g}, the rest {rest:.4g} ± {rest_error:.2g}; {said}")
        return "\n".join(rows)


@dataclass(frozen=True)
class Invariance:
    """Every part beside its rest."""

    parts: tuple[Deviation, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """Parts whose parameters are others, at a corrected p-value below `ALARM`: the model is wrong somewhere."""
        return tuple(each.part for each in self.parts if each.corrected < ALARM)

    @property
    def passed(self) -> bool:
        """Whether parameters are the same everywhere, as far as the parts tell."""
        return not self.broken

    def __str__(self) -> str:
        return "\n".join(map(str, self.parts))


class _Told(NamedTuple):
    """Gradient of log L and Fisher information in the prior's unconstrained coordinates."""

    gradient: Float[Tensor, " parameter"]
    information: Float[Tensor, "parameter parameter"]


def invariance(
    rival: Hypothesis,
    posterior: Posterior,
    data: Data,
    parts: Mapping[str, Part] | None = None,
    *,
    names: Sequence[str] = (),
) -> Invariance:
    """Whether `names` (by default all free parameters of the models) are the same in each of the `parts` and in the
    rest of the data; parts are the measurements of a Joint if none are given.

    One linearisation at the best fit; nuisances are free in every part. Raises InputError for unknown parameters or
    labels, for masks of the wrong shape, and for parts without data.
    """
    target = fitted(rival, posterior, data)
    parts = {term.label: {term.label: None} for term in target.terms} if parts is None else parts
    return compared(target, posterior.basins[0].theta[None], parts, names)


def compared(
    target: Target, best: Float[Tensor, "1 parameter"], parts: Mapping[str, Part], names: Sequence[str] = ()
) -> Invariance:
    """The same, of a target at its best fit."""
    _check(target, parts)
    z, chosen = target.prior.unconstrain(best), _columns(target, names)
    prior, stretch = target.slope(z).prior_information[0], target.stretch(z)[0]
    whole, *told = _told(target, best, [dict.fromkeys(term.label for term in target.terms), *parts.values()], stretch)
    left = whole.gradient + diagonal(target.prior.log_density)(z)[0]  # what the fit has left to go
    steps = [_step(each, whole, prior, left) for each in told]
    p = [_chi2(step, chosen)[2] for step in steps]
    one_test = len(told) == 2 and torch.allclose(told[0].information + told[1].information, whole.information)
    corrected = p if one_test else holm(p)  # of two halves either says what the other does
    rows = zip(parts, steps, corrected, strict=True)
    return Invariance(tuple(_deviation(target, name, step, chosen, best, stretch, each) for name, step, each in rows))


def parts_by(simulator: Simulator, condition: str) -> dict[str, Part]:
    """Parts of a Joint whose measurements share a `condition`, like "temperature" or "incident_energy"."""
    if not isinstance(simulator, Joint):
        raise InputError("one measurement has one temperature; give masks of its bins as parts")
    found: dict[str, dict[str, None]] = {}
    for label, experiment in simulator.experiments.items():
        where = getattr(experiment, "measurement", getattr(experiment, "peaks", None))
        if where is None:  # bulk numbers, each with conditions of its own
            continue
        value = getattr(where, condition, None)
        found.setdefault(f"{condition} = {value}", {})[label] = None
    return dict(found)


class _Step(NamedTuple):
    """Steps of a part and of the rest with their errors, and the covariance of the difference; where both tell."""

    part: Float[Tensor, " parameter"]
    error: Float[Tensor, " parameter"]
    rest: Float[Tensor, " parameter"]
    rest_error: Float[Tensor, " parameter"]
    covariance: Float[Tensor, "parameter parameter"]
    told: Bool[Tensor, " parameter"]


def _check(target: Target, parts: Mapping[str, Part]) -> None:
    """Refuses parts that are none, and masks that do not fit."""
    terms = {term.label: term for term in target.terms}
    if len(parts) < 1 or (len(terms) == 1 and all(mask is None for part in parts.values() for mask in part.values())):
        raise InputError("one measurement has no parts of its own; give masks of its bins, {name: {label: mask}}")
    for name, part in parts.items():
        for label, mask in part.items():
            if label not in terms:
                raise InputError(f"part '{name}' names '{label}'; the data are {', '.join(map(repr, terms))}")
            _check_mask(name, terms[label], mask)


def _check_mask(name: str, term: Term, mask: Bool[Tensor, "point energy"] | None) -> None:
    if mask is None:
        return
    if not isinstance(term, SpectrumTerm):
        raise InputError(f"part '{name}' has a mask for peaks, which have no bins; give None for all of them")
    if mask.shape != term.observed.valid.shape:
        wanted = tuple(term.observed.valid.shape)
        raise InputError(f"part '{name}' has a mask of shape {tuple(mask.shape)}; the spectrum has {wanted}")
    if not bool((mask & term.observed.valid).any()):
        raise InputError(f"part '{name}' has no measured bin; give a region that was measured")


def _columns(target: Target, names: Sequence[str]) -> list[int]:
    """Of the parameters that are compared."""
    chosen = names or _of_models(target)
    if unknown := [name for name in chosen if name not in target.names]:
        raise InputError(
            f"'{unknown[0]}' is not free; free are {', '.join(target.names)}{meant(unknown[0], target.names)}"
        )
    return [target.names.index(name) for name in chosen]


def _of_models(target: Target) -> list[str]:
    models = {name for term in target.terms for name in term.names[: len(term.experiment.model.names)]}
    return [name for name in target.names if name in models]


def _told(
    target: Target, best: Float[Tensor, "1 parameter"], parts: Sequence[Part], stretch: Float[Tensor, " parameter"]
) -> list[_Told]:
    """What each part tells at the best fit."""
    n, full = len(target.names), target.full(best)
    found = [_Told(best.new_zeros(n), best.new_zeros(n, n)) for _ in parts]
    for term in target.terms:
        here, there = target.columns(term)
        mine = [k for k, part in enumerate(parts) if term.label in part]
        slopes = _slopes(term, target.own(term, full), [parts[k][term.label] for k in mine])
        for k, (gradient, information) in zip(mine, slopes, strict=True):
            found[k].gradient[there] += gradient[here]
            found[k].information[there[:, None], there] += information[here[:, None], here]
    return [_Told(g * stretch, F * stretch * stretch[:, None]) for g, F in found]


def _slopes(
    term: Term, theta: Float[Tensor, "1 own"], masks: Sequence[Bool[Tensor, "point energy"] | None]
) -> list[_Told]:
    """Gradient and information of the bins under each mask, in own parameters, from one linearisation."""
    if not isinstance(term, SpectrumTerm):
        slope = term.slope(theta)
        return [_Told(slope.gradient[0], slope.information[0]) for _ in masks]
    linear, observed, counting = term.experiment.linearise(theta), term.observed, term.experiment.instrument.counting
    mu, J = linear.expected[0, observed.valid], linear.slope[0][:, observed.valid]
    weighted = term.weight * J * counting.weight(mu[None], observed)[0]
    push, found = weighted * (observed.intensity - mu), []
    for mask in masks:
        kept = slice(None) if mask is None else mask[observed.valid]
        found.append(_Told(push[:, kept].sum(1), counting.efficiency * weighted[:, kept] @ J[:, kept].T))
    return found


def _step(told: _Told, whole: _Told, prior: Float[Tensor, " parameter"], left: Float[Tensor, " parameter"]) -> _Step:
    """One step with the part alone, one with the rest; `prior` is its information, `left` the gradient of the log
    posterior at the best fit.
    """
    ridge = torch.eye(len(prior), dtype=prior.dtype)  # priors have unit variance in these coordinates
    here, rest = _inverse(told.information + ridge), _inverse(whole.information - told.information + ridge)
    every = _inverse(whole.information + torch.diag(prior))
    noise = told.information - told.information @ every @ told.information
    gradient = told.gradient - told.information @ every @ left
    errors = [each.diagonal().sqrt() for each in (here, rest)]
    is_told = torch.maximum(*errors) < TOLD
    covariance = (here + rest) @ noise @ (here + rest)
    return _Step(here @ gradient, errors[0], -rest @ gradient, errors[1], covariance, is_told)


def _chi2(step: _Step, chosen: Sequence[int]) -> tuple[float, int, float]:
    """Chi square of the difference, its degrees of freedom, and its p-value."""
    kept = [k for k in chosen if step.told[k]]
    if not kept:
        return 0.0, 0, 1.0
    away, covariance = (step.part - step.rest)[kept], step.covariance[kept][:, kept]
    scale = covariance.diagonal().clamp(min=1e-300).sqrt()
    size, axes = torch.linalg.eigh(covariance / scale / scale[:, None])
    real = size > CUT * size[-1]
    value = float((((away / scale) @ axes)[real] ** 2 / size[real]).sum())
    return value, int(real.sum()), chi2_tail(value, int(real.sum()))


def _deviation(
    target: Target,
    name: str,
    step: _Step,
    chosen: Sequence[int],
    best: Float[Tensor, "1 parameter"],
    stretch: Float[Tensor, " parameter"],
    corrected: float,
) -> Deviation:
    score = (step.part - step.rest) / step.covariance.diagonal().clamp(min=1e-300).sqrt()
    score = torch.where(step.told, score, torch.nan)
    columns = (best[0] + stretch * step.part, stretch * step.error, best[0] + stretch * step.rest)
    value, error, rest, rest_error = (each[chosen] for each in (*columns, stretch * step.rest_error))
    named = tuple(target.names[k] for k in chosen)
    told, (chi2, freedom, p) = step.told[chosen], _chi2(step, chosen)
    return Deviation(name, named, value, error, rest, rest_error, score[chosen], told, chi2, freedom, p, corrected)


def _inverse(precision: Float[Tensor, "parameter parameter"]) -> Float[Tensor, "parameter parameter"]:
    return Optimum(precision[0], 0.0, precision, precision).covariance
