"""System: what interventions are made on, and the spectra that an experiment makes of it."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer import Posterior
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import Data, Simulator, SpectrumTerm
from sqwirrel.infer.verdict import Hypothesis, fitted
from sqwirrel.model.prior import Prior


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
        """Its derivatives with respect to the causes."""


@dataclass(frozen=True, eq=False)
class Spectra:
    """The measured bins of one spectrum or several as the cells of a system, one spectrum after the other."""

    target: Target
    prior: Prior
    terms: tuple[SpectrumTerm, ...]

    @classmethod
    def of(cls, simulator: Simulator, prior: Prior, data: Data) -> "Spectra":
        """Of an experiment, or a joint one, on the bins and with the noise of `data`."""
        target = Target.of(simulator, prior, data)
        middle = prior.quantile(torch.full((1, len(prior.names)), 0.5, dtype=torch.float64))
        terms = _spectra(target)
        if all(bool(each.experiment.predict(target.own(each, target.full(middle))).stable) for each in terms):
            target = target.reweighed(prior.unconstrain(middle)[0])
        return cls(target, prior, _spectra(target))

    @classmethod
    def answered(cls, rival: Hypothesis, posterior: Posterior, data: Data) -> "Spectra":
        """Of the data that a posterior came from, with the averages and the variances that it had."""
        target = fitted(rival, posterior, data)
        return cls(target, rival.prior, _spectra(target))

    @property
    def neighbours(self) -> Int64[Tensor, "pair 2"]:
        """Bins next to each other along any axis, both of them measured."""
        found, before = [], 0
        for term in self.terms:
            valid = term.observed.valid
            number = torch.full((valid.numel(),), -1).masked_scatter(valid.flatten(), torch.arange(term.size) + before)
            number = number.reshape(*term.experiment.measurement.sides, -1)
            for axis, side in enumerate(number.shape):
                pair = torch.stack((number.narrow(axis, 0, side - 1), number.narrow(axis, 1, side - 1)), -1)
                found.append(pair.flatten(0, -2))
            before += term.size
        pairs = torch.cat(found)
        return pairs[(pairs >= 0).all(1)]

    def see(self, theta: Float[Tensor, "row cause"]) -> tuple[Float[Tensor, "row cell"], Bool[Tensor, " row"]]:
        """Expectations over standard deviations, of counts on the scale of Anscombe; whether the order is stable."""
        pieces = [self._see(rows) for rows in torch.split(self.target.full(theta), self.target.together(1))]
        cells, good = zip(*pieces, strict=True)
        return torch.cat(cells), torch.cat(good)

    @torch.no_grad()
    def _see(self, full: Float[Tensor, "row full"]) -> tuple[Float[Tensor, "row cell"], Bool[Tensor, " row"]]:
        cells, good = [], torch.ones(len(full), dtype=torch.bool)
        for term in self.terms:
            expected, stable = term.experiment.predict(self.target.own(term, full))
            counting = term.experiment.instrument.counting
            cells.append(counting.steady(expected[:, term.observed.valid], term.observed))
            good &= stable
        return torch.cat(cells, 1), good

    def slope(self, theta: Float[Tensor, "1 cause"]) -> Float[Tensor, "cause cell"]:
        """Exact derivatives over standard deviations."""
        full, found = self.target.full(theta), []
        for term in self.terms:
            here, there = self.target.columns(term)
            linear, valid = term.experiment.linearise(self.target.own(term, full)), term.observed.valid
            counting = term.experiment.instrument.counting
            weight = counting.efficiency * counting.weight(linear.expected[:, valid], term.observed)[0]
            rows = torch.zeros(len(self.prior.names), term.size, dtype=full.dtype)
            rows[there] = linear.slope[0][here][:, valid] * weight.sqrt()
            found.append(rows)
        return torch.cat(found, 1)

    def maps(self, cells: Float[Tensor, "*row cell"] | Int64[Tensor, "*row cell"]) -> dict[str, Tensor]:
        """Values of cells on the bins of each spectrum, by its label: NaN, or -1, where nothing was measured."""
        found, parts = {}, torch.split(cells, [term.size for term in self.terms], -1)
        for term, part in zip(self.terms, parts, strict=True):
            empty = torch.nan if cells.is_floating_point() else -1
            spread = torch.full((*cells.shape[:-1], *term.observed.valid.shape), empty, dtype=cells.dtype)
            spread[..., term.observed.valid] = part
            found[term.label] = spread
        return found


def _spectra(target: Target) -> tuple[SpectrumTerm, ...]:
    terms = tuple(each for each in target.terms if isinstance(each, SpectrumTerm))
    if len(terms) < len(target.terms):
        raise InputError("a causal map is of spectra alone; leave tables of peaks out")
    return terms
