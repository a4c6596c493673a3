"""missing(): whether the residual asks for a cause that the model has not.

The score test (C. R. Rao, Proc. Camb. Philos. Soc. 44, 50 (1948), doi:10.1017/S0305004100023987) of every candidate a,
at the best fit and with all free parameters f following it (J. Neyman's C(alpha), in U. Grenander (ed.), Probability
and Statistics, Almqvist & Wiksell 1959):

    s = g_a - F_af C g_f,   V = F_aa - F_af C F_fa,   score = s / sqrt V,   estimate = s / V +- 1 / sqrt V

with the gradient g of the log posterior, the Fisher information F, and C = (F_ff + prior)^-1. Nothing is fitted again.
Candidates are parameters that the prior holds fixed, terms of the Hamiltonian at 0 (`additions`), and what the
instrument might have instead (`apparatus`). Derivatives come from the average of the experiment itself and not from the
dense one of the fit: that costs power, not the level of the test. An estimate is one Gauss-Newton step, good where it
is small.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.measured.additions import Addition, additions
from sqwirrel.explain.causal.measured.larger import Larger, larger
from sqwirrel.explain.causal.measured.significance import holm, two_sided
from sqwirrel.infer import Data, Posterior
from sqwirrel.infer.refine import Optimum
from sqwirrel.infer.target import Target, diagonal
from sqwirrel.infer.terms import Term
from sqwirrel.infer.verdict import Hypothesis, fitted
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe import Experiment, PeakExperiment
from sqwirrel.observe.joint import Part

NEW, FLAT = 1e-6, 1e-6
"""Least share of a candidate's information that free parameters do not span; and least size of its derivative, as a
share of the largest derivative with respect to a parameter of the same unit.
"""
RIDGE = 1e-9
"""Information that a free parameter has at least, in unconstrained coordinates, for what free ones span."""
ASKED, ALIKE = 0.01, 0.9
"""A corrected p-value that asks; and the correlation of what two candidates do that makes them alike."""
HELD, HAMILTONIAN, INSTRUMENT = "held", "hamiltonian", "instrument"


@dataclass(frozen=True)
class Finding:
    """A candidate: of which kind, what it is, its unit; `score` in standard deviations, `value` that the data want with
    its `error`, p-value and the one `corrected` for the number of candidates that were tested (Holm). If it was
    not, all of them are NaN and `untested` says why. Data hardly tell it from those that are
    `alike`: what they do to the data is correlated by more than `ALIKE`.
    """

    name: str
    kind: str
    meaning: str
    unit: str
    score: float = torch.nan
    value: float = torch.nan
    error: float = torch.nan
    p: float = torch.nan
    corrected: float = torch.nan
    untested: str = ""
    alike: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.untested:
            return f"{self.name} ({self.meaning}): not tested, {self.untested}"
        pull = f"{self.score:+.1f} standard deviations, p = {self.corrected:.2g}"
        said = f"{self.name} ({self.meaning}): {pull}; {self.value:.4g} ± {self.error:.2g} {self.unit}".rstrip()
        return said + (f"; or {', '.join(self.alike)}" if self.alike else "")


@dataclass(frozen=True)
class Missing:
    """All candidates, the one that the data pull at hardest first."""

    findings: tuple[Finding, ...]

    @property
    def asked(self) -> tuple[Finding, ...]:
        """What the data ask for, at a corrected p-value below `ASKED`: each of them on its own, the first explains the
        most. A term of the Hamiltonian that is asked for beside one of the instrument is no discovery.
        """
        return tuple(each for each in self.findings if each.corrected < ASKED)

    def __getitem__(self, name: str) -> Finding:
        known = {each.name: each for each in self.findings}
        if name not in known:
            raise InputError(f"there is no candidate '{name}'; there are {', '.join(known)}")
        return known[name]

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


def missing(
    rival: Hypothesis,
    posterior: Posterior,
    data: Data,
    crystal: Crystal | None = None,
    *,
    max_distance: float | None = None,
) -> Missing:
    """Which candidates the data ask for at the best fit of a model.

    With the `crystal` of the model (`library.crystal`), further terms of its Hamiltonian up to `max_distance` (A; 1.5
    times its longest bond by default) are candidates; without it, held parameters and the instrument alone.
    """
    target, best = fitted(rival, posterior, data), posterior.basins[0].theta[None]
    return scored(target, best, crystal, max_distance)


def scored(
    target: Target, best: Float[Tensor, "1 parameter"], crystal: Crystal | None, max_distance: float | None
) -> Missing:
    """The same, of a target at its best fit."""
    values = dict(zip(target.every, target.full(best)[0].tolist(), strict=True))
    lacks = {} if crystal is None else _additions(target, crystal, values, max_distance)
    every = {each.name: each for lacking in lacks.values() for each in lacking}.values()
    found = [_hamiltonian(each) for each in every if each.refused]
    for tilts in (False, True):
        able = {label: [x for x in each if x.tilts == tilts and not x.refused] for label, each in lacks.items()}
        if not tilts or any(able.values()):
            more = _scored(target, best, values, able)
            found += [each for each in more if not tilts or each.kind == HAMILTONIAN]
    corrected = iter(holm([each.p for each in found if not each.untested]))
    found = [each if each.untested else replace(each, corrected=next(corrected)) for each in found]
    return Missing(tuple(sorted(found, key=lambda each: (each.untested, 0.0 if each.untested else -abs(each.score)))))


def _additions(
    target: Target, crystal: Crystal, values: Mapping[str, float], max_distance: float | None
) -> dict[str, list[Addition]]:
    """What each measurement's model lacks; asked once of one model in one field."""
    known: dict[tuple[SpinModel | PhononModel, tuple[float, ...]], list[Addition]] = {}
    asked = {term.label: (term.experiment.model, _field(term.experiment)) for term in target.terms}
    for model, field in asked.values():
        if (model, field) not in known:
            where = torch.tensor(field, dtype=torch.float64)
            known[model, field] = additions(model, crystal, values, where, max_distance)
    return {label: known[each] for label, each in asked.items()}


def _field(part: Part) -> tuple[float, ...]:
    """The field of a measurement, T."""
    match part:
        case Experiment():
            return tuple(part.measurement.field.tolist())
        case PeakExperiment():
            return tuple(part.peaks.field.tolist())
    return tuple(part.field)


def _hamiltonian(each: Addition) -> Finding:
    return Finding(each.name, HAMILTONIAN, each.meaning, each.unit, untested=each.refused)


def _scored(
    target: Target,
    best: Float[Tensor, "1 parameter"],
    values: Mapping[str, float],
    lacks: Mapping[str, list[Addition]],
) -> list[Finding]:
    """The tests of additions, of instruments and of held parameters."""
    parts = [larger(term, lacks.get(term.label, []), values) for term in target.terms]
    units = {name: unit for term in target.terms for name, unit in _units(term)}
    candidates = {each.name: _hamiltonian(each) for lacking in lacks.values() for each in lacking}
    held = target.prior.fixed
    candidates |= {name: Finding(name, HELD, f"held at {x:.4g}", units[name]) for name, x in held.items()}
    nuisances = [each for part in parts for each in part.nuisances]
    candidates |= {each.name: Finding(each.name, INSTRUMENT, each.meaning, each.unit) for each in nuisances}
    units |= {name: each.unit for name, each in candidates.items()}
    score = _Score.of(target, best, parts, tuple(units))
    largest = {unit: max(score.size(name) for name in units if units[name] == unit) for unit in units.values()}
    found = [score.test(each, held.get(each.name, 0.0), largest[each.unit]) for each in candidates.values()]
    return score.alike(found)


def _units(term: Term) -> Iterable[tuple[str, str]]:
    return zip(term.names, (term.experiment.units[name] for name in term.experiment.names), strict=True)


class _Score(NamedTuple):
    """Of all data at the best fit: gradient of log L and information of every parameter; of the `free` ones the
    gradient of the log posterior, their covariance, and the inverse of their information alone.
    """

    names: tuple[str, ...]
    gradient: Float[Tensor, " parameter"]
    information: Float[Tensor, "parameter parameter"]
    free: list[int]
    posterior: Float[Tensor, " free"]
    covariance: Float[Tensor, "free free"]
    inverse: Float[Tensor, "free free"]

    @classmethod
    def of(
        cls, target: Target, best: Float[Tensor, "1 parameter"], parts: Sequence[Larger], names: tuple[str, ...]
    ) -> "_Score":
        """From what each measurement tells."""
        z = target.prior.unconstrain(best)
        stretch, rise = target.stretch(z)[0], diagonal(target.prior.log_density)(z)[0]
        prior = target.slope(z).prior_information[0] / stretch**2
        free, n = [names.index(name) for name in target.names], len(names)
        gradient, information = best.new_zeros(n), best.new_zeros(n, n)
        for part in parts:
            at = torch.tensor([names.index(name) for name in part.names])
            gradient[at] += part.gradient
            information[at[:, None], at] += part.information
        alone = information[free][:, free]
        inverses = (_inverse(alone + torch.diag(each)) for each in (prior, RIDGE / stretch**2))
        return cls(names, gradient, information, free, gradient[free] + rise / stretch, *inverses)

    def size(self, name: str) -> float:
        """Information of one parameter, all others known."""
        k = self.names.index(name)
        return float(self.information[k, k])

    def test(self, each: Finding, at: float, largest: float) -> Finding:
        """One candidate that is `at` some value; `largest` is the information of what has the same unit."""
        k = self.names.index(each.name)
        cross, whole = self.information[k, self.free], self.information[k, k]
        if float(whole) <= FLAT**2 * largest:
            return replace(each, untested="no first order: the spectrum changes with its square, or not at all")
        if float(whole - cross @ self.inverse @ cross) <= NEW * float(whole):
            return replace(each, untested="not told: free parameters do all that it does to first order")
        left = whole - cross @ self.covariance @ cross
        push = self.gradient[k] - cross @ self.covariance @ self.posterior
        score, value = push / left.sqrt(), at + push / left
        p = float(two_sided(score))
        return replace(each, score=float(score), value=float(value), error=float(left.rsqrt()), p=p)

    def alike(self, found: Sequence[Finding]) -> list[Finding]:
        """With the names of those that do the same to the data, free parameters following."""
        tested = [self.names.index(each.name) for each in found if not each.untested]
        names = [self.names[k] for k in tested]
        cross = self.information[tested][:, self.free]
        left = self.information[tested][:, tested] - cross @ self.covariance @ cross.T
        scale = left.diagonal().rsqrt()
        close = (left * scale * scale[:, None]).abs() > ALIKE
        others = {
            name: tuple(other for other, near in zip(names, row, strict=True) if near and other != name)
            for name, row in zip(names, close.tolist(), strict=True)
        }
        return [replace(each, alike=others.get(each.name, ())) for each in found]


def _inverse(precision: Float[Tensor, "free free"]) -> Float[Tensor, "free free"]:
    return Optimum(precision[0], 0.0, precision, precision).covariance
