"""Target: the unnormalised posterior of the free parameters of some experiments, with its exact derivatives.

log p(z | data) = log p(z) + sum over terms of log L + const. Everything here is in the prior's unconstrained
coordinates z (`Prior.constrain` gives theta), in which no search and no draw can leave the prior, and a posterior that
leans on a bound is still smooth.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError, meant
from sqwirrel.infer.terms import Data, Simulator, SpectrumTerm, Term, terms_of
from sqwirrel.model.prior import Prior

FEW, FEWER, EVERY = 8, 2, 1_000_000
"""Rows that go through all terms together where these look at the same modes, for values and for derivatives; and where
they do not.
"""


class Slope(NamedTuple):
    """Log posterior with its gradient, and the information of likelihood (Fisher) and prior, all in z.

    That of the prior has what an end of it adds that the likelihood pushes towards: the second derivative of theta(z).
    """

    log_posterior: Float[Tensor, " batch"]
    gradient: Float[Tensor, "batch parameter"]
    information: Float[Tensor, "batch parameter parameter"]
    prior_information: Float[Tensor, "batch parameter"]


@dataclass(frozen=True, eq=False)
class Target:
    """log p(z | data) + const for rows of the prior's free parameters; -inf where the order is unstable in any term.

    `every` are the parameters of all terms, free or fixed.
    """

    prior: Prior
    terms: tuple[Term, ...]
    every: tuple[str, ...]

    @classmethod
    def of(cls, experiment: Simulator, prior: Prior, data: Data) -> "Target":
        """The posterior of `data`, which must lie where `experiment` simulates."""
        known = set(prior.names) | set(prior.fixed)
        if missing := [name for name in experiment.names if name not in known]:
            raise InputError(
                f"the prior says nothing about '{missing[0]}'; the experiment has parameters {experiment.names}"
            )
        if unknown := sorted(known - set(experiment.names)):
            raise InputError(
                f"the prior names '{unknown[0]}', but the experiment has parameters {', '.join(experiment.names)}"
                f"{meant(unknown[0], experiment.names)}"
            )
        if not prior.names:
            raise InputError("every parameter of the prior is fixed; leave at least one free")
        return cls(prior, terms_of(experiment, data), experiment.names)

    def with_terms(self, terms: Iterable[Term]) -> "Target":
        """The same with other terms."""
        return replace(self, terms=tuple(terms))

    def reweighed(self, z: Float[Tensor, " parameter"]) -> "Target":
        """The same posterior with the variances that its data have if `z` is right."""
        full = self.full(self.prior.constrain(z[None]))
        return self.with_terms(term.reweighed(self.own(term, full)) for term in self.terms)

    @property
    def names(self) -> tuple[str, ...]:
        """The free parameters."""
        return self.prior.names

    @property
    def assumed(self) -> set[str]:
        """Parameters that the prior is expected to decide."""
        return {name for term in self.terms for name in term.assumed}

    def full(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch full"]:
        """Every parameter of all terms, the fixed ones filled in."""
        column = {name: theta[:, k] for k, name in enumerate(self.names)}
        fixed = {name: theta.new_full((len(theta),), value) for name, value in self.prior.fixed.items()}
        return torch.stack([column[name] if name in column else fixed[name] for name in self.every], dim=1)

    def own(self, term: Term, full: Float[Tensor, "*batch full"]) -> Float[Tensor, "*batch own"]:
        """The parameters of a term, in its own order."""
        return full if term.names == self.every else full[..., [self.every.index(name) for name in term.names]]

    @property
    def free(self) -> list[int]:
        """Columns of all parameters that are free, in the prior's order."""
        return [self.every.index(name) for name in self.names]

    def log_posterior(self, z: Float[Tensor, "batch parameter"]) -> Float[Tensor, " batch"]:
        """Log likelihood and log density of the prior."""
        return self.prior.log_density(z) + self._log_likelihood(self.deviance(self.prior.constrain(z)))

    def log_standard(self, y: Float[Tensor, "batch parameter"]) -> Float[Tensor, " batch"]:
        """The same in the prior's standard coordinates."""
        return self.prior.log_standard(y) + self._log_likelihood(self.deviance(self.prior.from_standard(y)))

    def deviance(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, " batch"]:
        """-2 log likelihood ratio of `theta` to a model that meets all data; inf where unstable."""
        pieces = [self.full(rows) for rows in torch.split(theta, self.together(FEW))]
        every = [torch.stack([term.deviance(self.own(term, full)) for term in self.terms]).sum(0) for full in pieces]
        return torch.cat(every)

    def slope(self, z: Float[Tensor, "batch parameter"]) -> Slope:
        """Log posterior, gradient and information."""
        pieces = [self._slope(rows) for rows in torch.split(z, self.together(FEWER))]
        return pieces[0] if len(pieces) == 1 else Slope(*(torch.cat(part) for part in zip(*pieces, strict=True)))

    def together(self, few: int) -> int:
        """How many rows go through all terms before the next: a few where these look at the same modes."""
        parts = [term.experiment for term in self.terms if isinstance(term, SpectrumTerm)]
        looks = [getattr(part, "amplitudes", None) for part in parts]
        shared = [id(each) for each in looks if each is not None]
        return few if len({*shared}) < len(shared) else EVERY

    def _slope(self, z: Float[Tensor, "batch parameter"]) -> Slope:
        full, stretch, n = self.full(self.prior.constrain(z)), self.stretch(z), len(self.names)
        deviance, gradient, information = z.new_zeros(len(z)), torch.zeros_like(z), z.new_zeros(len(z), n, n)
        for term in self.terms:
            value, rise, fisher = term.slope(self.own(term, full))
            here, there = self.columns(term)
            deviance = deviance + value
            gradient[:, there] += rise[:, here]
            information[:, there[:, None], there] += fisher[:, here[:, None], here]
        log_posterior = self.prior.log_density(z) + self._log_likelihood(deviance)
        score = diagonal(self.prior.log_density)
        information = information * stretch[:, :, None] * stretch[:, None]
        bend = (-gradient * diagonal(self.stretch)(z)).clamp(min=0)
        return Slope(log_posterior, gradient * stretch + score(z), information, bend - diagonal(score)(z))

    def push(self, z: Float[Tensor, " parameter"], term: Term) -> Float[Tensor, "repeat parameter"]:
        """How the gradient at `z` moves in repetitions of the average of a term and of its derivatives."""
        moved = term.push(self.own(term, self.full(self.prior.constrain(z[None]))))
        here, there = self.columns(term)
        pushed = z.new_zeros(len(moved), len(z))
        pushed[:, there] = moved[:, here]
        return pushed * self.stretch(z[None])

    def spread(
        self, z: Float[Tensor, " parameter"], covariance: Float[Tensor, "parameter parameter"]
    ) -> Float[Tensor, " full"]:
        """Standard deviations of all parameters of the terms (to the wider side), 1 for those that are fixed."""
        sd, full = covariance.diagonal().sqrt(), torch.ones(len(self.every), dtype=z.dtype)
        low, middle, high = self.prior.constrain(torch.stack((z - sd, z, z + sd)))
        full[self.free] = torch.maximum(middle - low, high - middle)
        return full

    def stretch(self, z: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch parameter"]:
        """d theta / d z, parameter by parameter."""
        return diagonal(self.prior.constrain)(z)

    def why_unstable(self, full: Float[Tensor, "1 full"]) -> str:
        """One sentence: where the assumed order of the first term that is unstable fails."""
        unstable = (term for term in self.terms if not bool(term.deviance(self.own(term, full)).isfinite()))
        term = next(unstable, self.terms[0])
        reason = term.experiment.why_unstable(self.own(term, full))
        return f"{term.label}: {reason}" if term.label else reason

    def columns(self, term: Term) -> tuple[Tensor, Tensor]:
        """The free parameters of a term: their columns there, and here."""
        here = [k for k, name in enumerate(term.names) if name in self.names]
        there = [self.names.index(term.names[k]) for k in here]
        return torch.tensor(here, dtype=torch.long), torch.tensor(there, dtype=torch.long)

    def _log_likelihood(self, deviance: Tensor) -> Tensor:
        return sum(term.log_normalisation for term in self.terms) - 0.5 * deviance


def diagonal(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Derivative of a function that treats rows and parameters separately (summed over what it returns)."""
    return torch.func.grad(lambda x: function(x).sum())
