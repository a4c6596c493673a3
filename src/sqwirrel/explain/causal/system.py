"""System: what interventions are made on, and the data that experiments make of it."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.cells import Cells, cells_of
from sqwirrel.infer import Posterior
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import Data, Simulator, Term
from sqwirrel.infer.verdict import Hypothesis, fitted
from sqwirrel.model.prior import Prior

TRIED = 64
"""Draws of a prior whose middle is unstable, of which one has to be stable."""


@runtime_checkable
class System(Protocol):
    """Causes and the cells that they may move, in standard deviations of the noise of each cell."""

    @property
    def prior(self) -> Prior:
        """Which values each cause may take; causes are its free parameters."""

    @property
    def neighbours(self) -> Int64[Tensor, "pair 2"]:
        """Cells that touch."""

    def see(self, theta: Float[Tensor, "row cause"]) -> tuple[Float[Tensor, "row cell"], Bool[Tensor, " row"]]:
        """The expectation in every cell, where noise has unit variance; whether there is one."""

    def slope(self, theta: Float[Tensor, "1 cause"]) -> Float[Tensor, "cause cell"]:
        """Its derivatives with respect to the causes; of few counts with the exact Fisher information, 1 / mu, where
        the scale of `see` has 1 / (mu + 3/8).
        """


@dataclass(frozen=True, eq=False)
class Spectra:
    """What was measured as the cells of a system, one measurement after the other: the bins of spectra, peaks, and bulk
    numbers.
    """

    target: Target
    prior: Prior
    cells: tuple[Cells, ...]

    @classmethod
    def of(cls, simulator: Simulator, prior: Prior, data: Data) -> "Spectra":
        """Of an experiment, or a joint one, on the bins and with the noise of `data`, about the middle of the prior."""
        target = Target.of(simulator, prior, data)
        middle = prior.quantile(torch.full((1, len(prior.names)), 0.5, dtype=torch.float64))
        stable = bool(target.deviance(middle).isfinite())
        if stable:
            target = target.reweighed(prior.unconstrain(middle)[0])
        return cls._about(target, middle if stable else _stable(target))

    @classmethod
    def answered(cls, rival: Hypothesis, posterior: Posterior, data: Data) -> "Spectra":
        """Of the data that a posterior came from, with the averages and the variances that it had."""
        return cls._about(fitted(rival, posterior, data), posterior.basins[0].theta[None])

    @classmethod
    def _about(cls, target: Target, theta: Float[Tensor, "1 cause"]) -> "Spectra":
        full = target.full(theta)
        return cls(target, target.prior, tuple(cells_of(term, target.own(term, full)) for term in target.terms))

    @property
    def terms(self) -> tuple[Term, ...]:
        """The measurements."""
        return tuple(each.term for each in self.cells)

    @property
    def neighbours(self) -> Int64[Tensor, "pair 2"]:
        """Bins of one spectrum next to each other along any axis, both of them measured."""
        before = [sum(each.term.size for each in self.cells[:k]) for k in range(len(self.cells))]
        return torch.cat([each.neighbours + first for each, first in zip(self.cells, before, strict=True)])

    def see(self, theta: Float[Tensor, "row cause"]) -> tuple[Float[Tensor, "row cell"], Bool[Tensor, " row"]]:
        """Expectations over standard deviations, of counts on the scale of Anscombe; whether the order is stable."""
        pieces = [self._see(rows) for rows in torch.split(self.target.full(theta), self.target.together(1))]
        cells, good = zip(*pieces, strict=True)
        return torch.cat(cells), torch.cat(good)

    @torch.no_grad()
    def _see(self, full: Float[Tensor, "row full"]) -> tuple[Float[Tensor, "row cell"], Bool[Tensor, " row"]]:
        cells, good = zip(*(each.see(self.target.own(each.term, full)) for each in self.cells), strict=True)
        return torch.cat(cells, 1), torch.stack(good).all(0)

    def slope(self, theta: Float[Tensor, "1 cause"]) -> Float[Tensor, "cause cell"]:
        """Exact derivatives over standard deviations."""
        full, found = self.target.full(theta), []
        for each in self.cells:
            here, there = self.target.columns(each.term)
            rows = torch.zeros(len(self.prior.names), each.term.size, dtype=full.dtype)
            rows[there] = each.slope(self.target.own(each.term, full))[here].to(rows)
            found.append(rows)
        return torch.cat(found, 1)

    def excess(self, theta: Float[Tensor, "1 cause"]) -> float:
        """How many times larger errors are than counting makes them: the root of the mean squared residual at `theta`,
        as in a normal law, where that is above 1.
        """
        full = self.target.full(theta)
        residual = torch.cat([each.residual(self.target.own(each.term, full)) for each in self.cells])
        return max(1.0, float((residual**2).mean().sqrt()))

    def maps(self, cells: Float[Tensor, "*row cell"] | Int64[Tensor, "*row cell"]) -> dict[str, Tensor]:
        """Values of cells by the label of each measurement: on the bins of a spectrum NaN, or -1, where nothing was
        measured; of peaks and of bulk numbers as they are.
        """
        parts = torch.split(cells, [each.term.size for each in self.cells], -1)
        return {each.term.label: each.spread(part) for each, part in zip(self.cells, parts, strict=True)}

    @property
    def singles(self) -> dict[str, tuple[str, ...]]:
        """Peaks and bulk numbers in words, by the label of their measurement."""
        return {each.term.label: each.names for each in self.cells if each.names}


def _stable(target: Target) -> Float[Tensor, "1 cause"]:
    """The first stable draw of the prior."""
    drawn = target.prior.sample(TRIED, 0)
    stable = target.deviance(drawn).isfinite()
    if not bool(stable.any()):
        raise InputError(f"the prior never gives a stable order: {target.why_unstable(target.full(drawn[:1]))}")
    return drawn[stable][:1]
