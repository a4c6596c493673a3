"""A table of peaks as a term of a posterior."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.terms.term import Exact, TermSlope
from sqwirrel.observe.peaks import PeakExperiment
from sqwirrel.observe.peaks.mixture import Lines
from sqwirrel.spectra.peaks import Peaks

BLUR = 0.05
"""A search adds this share of the highest energy of a table to its errors."""


class Explained(NamedTuple):
    """Peaks against the lines they belong to: energies of the lines (meV) and squares of the residuals in standard
    deviations, averaged with the probability to belong to each, and the probability that a peak belongs to none.
    """

    energy: Float[Tensor, " peak"]
    square: Float[Tensor, " peak"]
    stray: Float[Tensor, " peak"]


@dataclass(frozen=True, eq=False)
class PeaksTerm(Exact):
    """The energies of a table of peaks. `names` are its parameters among those of all terms."""

    experiment: PeakExperiment
    peaks: Peaks
    names: tuple[str, ...]
    label: str = ""

    @classmethod
    def of(cls, experiment: PeakExperiment, peaks: Peaks, names: tuple[str, ...], label: str = "") -> "PeaksTerm":
        """The term of `peaks`, which must lie at the wavevectors of `experiment`."""
        there, here = (each.lattice.to_cartesian(each.q) for each in (experiment.peaks, peaks))
        if there.shape != here.shape or not torch.allclose(there, here, rtol=0, atol=1e-6):
            raise InputError(
                f"the table of peaks{f' {label!r}' if label else ''} has other wavevectors than the experiment; make "
                "the experiment on this table"
            )
        return cls(experiment, peaks, names, label)

    @property
    def assumed(self) -> tuple[str, ...]:
        """The probability of outliers."""
        return (self.names[len(self.experiment.model.names)],)

    @property
    def size(self) -> int:
        """Number of peaks."""
        return len(self.peaks)

    @property
    def log_normalisation(self) -> float:
        """log L of a model that meets every peak with the one line it can belong to."""
        return -0.5 * float(torch.log(2 * math.pi * (self.peaks.error**2 + self.experiment.blur**2)).sum())

    def deviance(self, theta: Float[Tensor, "batch own"]) -> Float[Tensor, " batch"]:
        """-2 log L, counted from that of a model that meets every peak; inf where unstable."""
        with torch.no_grad():
            value, stable = self.experiment.log_likelihood(theta, self.peaks)
        return torch.where(stable, -2 * (value - self.log_normalisation), torch.inf)

    def slope(self, theta: Float[Tensor, "batch own"]) -> TermSlope:
        """Deviance, gradient and the information of the complete data."""
        value, gradient, information, stable = self.experiment.slope(theta, self.peaks)
        deviance = torch.where(stable, -2 * (value - self.log_normalisation), torch.inf)
        return TermSlope(deviance, gradient, information)

    def blurred(self) -> "PeaksTerm":
        """The same with larger errors, for a search."""
        return replace(self, experiment=self.experiment.blurred(BLUR * float(self.peaks.energy.max())))

    def explained(self, theta: Float[Tensor, "1 own"]) -> Explained:
        """Which lines the peaks belong to, and how far from them they lie."""
        known = self.experiment.explained(theta, self.peaks)[0].sum(1)
        share, lines, variance = self.assigned(theta)
        square = (self.peaks.energy[:, None] - lines.energy[0]) ** 2 / variance
        energy, square = ((share * part).sum(1) for part in (lines.energy[0], square))
        return Explained(energy, square, 1 - known)

    def assigned(
        self, theta: Float[Tensor, "1 own"]
    ) -> tuple[Float[Tensor, "peak line"], Lines, Float[Tensor, "peak line"]]:
        """The probability of each line, if the peak belongs to one (where it surely belongs to none, it is that of the
        nearest), the lines, and the variances (meV^2).
        """
        share, lines, variance = self.experiment.explained(theta, self.peaks)
        square = (self.peaks.energy[:, None] - lines.energy[0]) ** 2 / variance
        known = share.sum(1)
        lowest = square.where(lines.weight[0] > 0, torch.inf).argmin(1)
        nearest = torch.nn.functional.one_hot(lowest, square.shape[1]).to(share)
        return torch.where(known[:, None] > 1e-9, share / known.clamp(min=1e-9)[:, None], nearest), lines, variance
