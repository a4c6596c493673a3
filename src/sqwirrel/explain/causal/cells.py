"""Cells: what interventions are told by, of each kind of data, in standard deviations of its noise.

Bins of a spectrum touch their neighbours, and make regions. A peak and a bulk number touch nothing: each is a region of
its own, however small beside a spectrum.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from sqwirrel.infer.terms import BulkTerm, PeaksTerm, SpectrumTerm, Term
from sqwirrel.observe.views.derivatives import slopes
from sqwirrel.spectra import QPoints

Seen = tuple[Float[Tensor, "row cell"], Bool[Tensor, " row"]]


@runtime_checkable
class Cells(Protocol):
    """The cells of one measurement; rows of `theta` are its own parameters."""

    @property
    def term(self) -> Term:
        """The measurement."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each is, in words; none of the bins of a spectrum."""

    @property
    def neighbours(self) -> Int64[Tensor, "pair 2"]:
        """Cells that touch."""

    def see(self, theta: Float[Tensor, "row own"]) -> Seen:
        """Expectations where noise has unit variance; whether the order is stable."""

    def slope(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "own cell"]:
        """Exact derivatives over standard deviations."""

    def residual(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, " cell"]:
        """Of the data, in standard deviations of a normal law."""

    def spread(self, values: Float[Tensor, "*row cell"] | Int64[Tensor, "*row cell"]) -> Tensor:
        """Values where they were measured: on the bins of a spectrum NaN, or -1, where nothing was."""


def cells_of(term: Term, theta: Float[Tensor, "1 own"]) -> Cells:
    """Of a measurement; peaks are assigned to modes at `theta`."""
    match term:
        case SpectrumTerm():
            return Bins(term)
        case PeaksTerm():
            return PeakCells.of(term, theta)
        case BulkTerm():
            return Numbers(term)
    raise TypeError(f"nothing intervenes on a {type(term).__name__}")


@dataclass(frozen=True, eq=False)
class Bins:
    """The measured bins of a spectrum."""

    term: SpectrumTerm
    names = ()

    @property
    def neighbours(self) -> Int64[Tensor, "pair 2"]:
        """Bins next to each other along any axis, both of them measured."""
        valid, found = self.term.observed.valid, []
        number = torch.full((valid.numel(),), -1).masked_scatter(valid.flatten(), torch.arange(self.term.size))
        number = number.reshape(*self.term.experiment.measurement.sides, -1)
        for axis, side in enumerate(number.shape):
            pair = torch.stack((number.narrow(axis, 0, side - 1), number.narrow(axis, 1, side - 1)), -1)
            found.append(pair.flatten(0, -2))
        pairs = torch.cat(found)
        return pairs[(pairs >= 0).all(1) & self._together(pairs)]

    def _together(self, pairs: Int64[Tensor, "pair 2"]) -> Bool[Tensor, " pair"]:
        """Whether both ends are of one scan."""
        points = self.term.experiment.measurement.points
        if not isinstance(points, QPoints):
            return torch.ones(len(pairs), dtype=torch.bool)
        valid = self.term.observed.valid
        scan = points.scan[:, None].expand(valid.shape)[valid]
        return scan[pairs[:, 0]] == scan[pairs[:, 1]]

    def see(self, theta: Float[Tensor, "row own"]) -> Seen:
        """Of counts on the scale of Anscombe."""
        expected, stable = self.term.experiment.predict(theta)
        counting, valid = self.term.experiment.instrument.counting, self.term.observed.valid
        return counting.steady(expected[:, valid], self.term.observed), stable

    def slope(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "own cell"]:
        """Exact derivatives times the root of the Fisher information, whatever was measured."""
        linear, valid = self.term.experiment.linearise(theta), self.term.observed.valid
        counting, observed, mu = self.term.experiment.instrument.counting, self.term.observed, linear.expected[:, valid]
        weight = counting.weight(mu, observed) if counting.is_poisson else 1 / observed.variance
        weight = (counting.efficiency * weight).flatten()
        rows: Tensor = linear.slope[0][:, valid] * weight.sqrt()
        return rows

    @torch.no_grad()
    def residual(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, " cell"]:
        """Of the law of counting."""
        expected, counting = self.term.experiment.predict(theta).expected, self.term.experiment.instrument.counting
        seen = counting.residual(expected[0, self.term.observed.valid], self.term.observed)
        found: Tensor = counting.as_normal(seen)
        return found

    def spread(self, values: Float[Tensor, "*row cell"] | Int64[Tensor, "*row cell"]) -> Tensor:
        """On all bins."""
        valid, empty = self.term.observed.valid, torch.nan if values.is_floating_point() else -1
        found = torch.full((*values.shape[:-1], *valid.shape), empty, dtype=values.dtype)
        found[..., valid] = values
        return found


class Alone:
    """Cells that touch nothing."""

    @property
    def neighbours(self) -> Int64[Tensor, "pair 2"]:
        """None."""
        return torch.zeros(0, 2, dtype=torch.long)

    def spread(self, values: Float[Tensor, "*row cell"] | Int64[Tensor, "*row cell"]) -> Tensor:
        """As they are."""
        return values


@dataclass(frozen=True, eq=False)
class PeakCells(Alone):
    """Energies of the modes that the peaks of a table belong to, over their errors; `share` is how probable each mode
    is where peaks were assigned. Intensities and widths are not used, as in `infer`.
    """

    term: PeaksTerm
    share: Float[Tensor, "peak mode"]
    error: Float[Tensor, " peak"]

    @classmethod
    def of(cls, term: PeaksTerm, theta: Float[Tensor, "1 own"]) -> "PeakCells":
        """With the assignment at `theta`; a peak that no mode explains belongs to the nearest."""
        share, lines, variance = term.assigned(theta)
        with torch.no_grad():
            mode = term.experiment.modes(theta)[0][0]
        away = (mode[..., None] - lines.energy[0][:, None]).abs()
        line = one_hot(away.where(lines.weight[0][:, None] > 0, torch.inf).argmin(-1), share.shape[1]).to(share)
        each = line / line.sum(1, keepdim=True).clamp(min=1)
        return cls(term, torch.einsum("pl,pml->pm", share, each), (share * variance).sum(1).sqrt())

    @torch.no_grad()
    def residual(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, " cell"]:
        """Over the errors of peaks."""
        found: Tensor = self.term.peaks.energy / self.error - self.see(theta)[0][0]
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Energy and wavevector of each."""
        peaks = self.term.peaks
        return tuple(
            f"peak at {energy:.4g} meV, q = ({', '.join(f'{round(x, 3) + 0.0:g}' for x in q)})"
            for energy, q in zip(peaks.energy.tolist(), peaks.q.tolist(), strict=True)
        )

    def see(self, theta: Float[Tensor, "row own"]) -> Seen:
        """Energies over errors."""
        energy, stable = self.term.experiment.modes(theta)
        return (energy * self.share).sum(-1) / self.error, stable

    def slope(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "own cell"]:
        """Those of nuisances are 0: they move no mode."""
        n = len(self.term.experiment.model.names)
        _, rise, _ = slopes(self.see, theta[:, :n])
        return torch.cat((rise[:, 0], rise.new_zeros(len(self.term.names) - n, self.term.size)))


@dataclass(frozen=True, eq=False)
class Numbers(Alone):
    """Bulk numbers over their errors."""

    term: BulkTerm

    @torch.no_grad()
    def residual(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, " cell"]:
        """Over the errors of numbers."""
        found: Tensor = self.term.bulk.value / self.term.bulk.error - self.see(theta)[0][0]
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """What each is."""
        return tuple(each.name for each in self.term.bulk.numbers)

    def see(self, theta: Float[Tensor, "row own"]) -> Seen:
        """Numbers over errors."""
        found = self.term.experiment.predict(theta)
        return found.value / self.term.bulk.error, found.stable

    def slope(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "own cell"]:
        """Exact derivatives over errors."""
        return self.term.experiment.linearise(theta).slope[0] / self.term.bulk.error
