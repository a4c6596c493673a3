"""The elastic line of a spectrum: where it is, and how wide."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.spectra import QPoints, Spectrum

AROUND, BESIDE = 1.5, 0.3
"""The elastic line is taken so many of its full widths either way, and what is beside it is found in this share of that
beyond.
"""
BINS, CLEAR = 4, 5
"""Bins that an elastic line has at least above its half height, and how many times it is higher than what is beside."""


class ElasticLine(NamedTuple):
    """Where its centre of gravity is, and its full width at half maximum; meV."""

    centre: float
    fwhm: float

    def __str__(self) -> str:
        """In words."""
        return f"at {self.centre:.2g} meV (centre of gravity), full width {self.fwhm:.2g} meV"


def elastic_line(spectrum: Spectrum, within: float | None = None) -> ElasticLine | None:
    """That of the mean over all wavevectors, above the lower one of what is beside it on its two sides.

    Within so many meV of zero; by default, `AROUND` of its full widths. None of scans, where it is not covered, is no
    peak at zero, or has too few bins to be one.
    """
    if isinstance(spectrum.measurement.points, QPoints):
        return None
    energy, mean, width = _mean(spectrum)
    fwhm = _width(energy, mean, 0.0)
    if fwhm is None:
        return None
    reach = within or AROUND * fwhm
    sides = _beside(energy, mean, reach)
    fwhm = None if sides is None else _width(energy, mean, sides)
    if fwhm is None or sides is None or float(mean[energy.abs() < reach].max()) < CLEAR * sides:
        return None
    near = energy.abs() < reach
    line = (mean[near] - sides) * width[near]
    return ElasticLine(float((line * energy[near]).sum() / line.sum()), fwhm)


def _mean(spectrum: Spectrum) -> tuple[Float[Tensor, " energy"], Float[Tensor, " energy"], Float[Tensor, " energy"]]:
    """Energies that were measured anywhere, the mean over wavevectors there, and widths of the bins."""
    count = spectrum.valid.double().sum(0)
    mean = torch.where(spectrum.valid, spectrum.intensity, 0.0).sum(0) / count.clamp(min=1)
    where = spectrum.measurement
    return where.energy_centres[count > 0], mean[count > 0], where.energy.diff()[count > 0]


def _beside(energy: Float[Tensor, " energy"], mean: Float[Tensor, " energy"], reach: float) -> float | None:
    """The lower one of the two sides; none where either was not measured."""
    away = energy.abs() - reach
    sides = [mean[(away > 0) & (away < BESIDE * reach) & (energy * sign > 0)] for sign in (-1, 1)]
    return min(float(side.mean()) for side in sides) if all(len(side) for side in sides) else None


def _width(energy: Float[Tensor, " energy"], mean: Float[Tensor, " energy"], floor: float) -> float | None:
    """The full width at half maximum above a floor of the peak at zero: the highest point that is at most half as far
    from there as was measured on both sides, and nearer than that width.
    """
    centre = energy.abs() <= min(-float(energy[0]), float(energy[-1])) / 2
    if int(centre.sum()) <= BINS:
        return None
    top = int(torch.where(centre, mean, -torch.inf).argmax())
    half = (float(mean[top]) + floor) / 2
    below = (mean < half).nonzero()[:, 0]
    left, right = below[below < top], below[below > top]
    if not len(left) or not len(right) or right[0] - left[-1] <= BINS:
        return None
    first, last = int(left[-1]), int(right[0])
    fwhm = _crossing(energy, mean, last - 1, half) - _crossing(energy, mean, first, half)
    return fwhm if float(energy[top].abs()) < fwhm else None


def _crossing(energy: Tensor, mean: Tensor, a: int, half: float) -> float:
    """Where the line from a bin to the next has this height."""
    share = (half - float(mean[a])) / (float(mean[a + 1]) - float(mean[a]))
    return float(torch.lerp(energy[a], energy[a + 1], share))
