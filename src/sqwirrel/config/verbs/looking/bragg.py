"""Bragg lines of aluminium in the elastic line of a powder map: of a can or a cryostat, if the sample has none."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.spectra import QShells, Spectrum

CELL = 4.05
"""Edge of the cubic cell of aluminium at room temperature, angstrom; 0.4 per cent less at 5 K."""
INDICES = ((1, 1, 1), (2, 2, 0))
"""Lines that stand apart from others; both must be there."""
NEAR, ROUND = 0.02, 0.12
"""A line is looked for in this share of its |Q| either way, and compared with the median in that one."""
CLEAR = 3.0
"""A line is so many times higher than that."""


def of_aluminium(spectrum: Spectrum, fwhm: float) -> tuple[float, ...]:
    """Where the elastic line, `fwhm` meV wide, of a powder map has its lines, 1/angstrom; none if one is missing."""
    points = spectrum.measurement.points
    if not isinstance(points, QShells):
        return ()
    near = spectrum.valid & (spectrum.measurement.energy_centres.abs() < fwhm / 2)
    seen = near.any(1)
    height = (torch.where(near, spectrum.intensity, 0.0).sum(1) / near.sum(1).clamp(min=1))[seen]
    q = points.centres[seen]
    known = [2 * math.pi * math.hypot(*each) / CELL for each in INDICES]
    found = [_peak(q, height, line) for line in known]
    return tuple(each for each in found if each is not None) if None not in found else ()


def _peak(q: Float[Tensor, " shell"], height: Float[Tensor, " shell"], line: float) -> float | None:
    """Where the highest point near a line is, if it is higher than what is around, and no flank of something else."""
    away = (q / line - 1).abs()
    inside, about = away < NEAR, away < ROUND
    if not bool(inside.any()):
        return None
    top = int(torch.where(inside, height, -torch.inf).argmax())
    beside = height[max(0, top - 1) : top + 2]
    is_peak = bool(height[top] >= beside.max()) and bool(height[top] > CLEAR * height[about].median())
    return float(q[top]) if is_peak else None
