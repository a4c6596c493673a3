"""Places in reciprocal space: the bins of a crystal, or the wavevectors that the points of scans share."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.spectra import Measurement, QPoints, QShells

SAME = 2e-3
"""Points of scans are at one wavevector if they agree to this (rlu): a spectrometer sets it no better."""


class Places(NamedTuple):
    """Wavevectors `q` (rlu), the place `of` every point of the measurement, and the energies looked at there (meV)."""

    q: Float[Tensor, "place 3"]
    of: Int[Tensor, " point"]
    low: Float[Tensor, " place"]
    high: Float[Tensor, " place"]


def places(measurement: Measurement) -> Places:
    """Where the bins are: as many places as bins of a map, fewer for scans of energy."""
    points = measurement.points
    if isinstance(points, QShells):
        raise InputError("a resolution in (q, E) needs a crystal; for a powder use q_width and an energy width")
    if not isinstance(points, QPoints):
        low, high = (torch.full((len(points),), each, dtype=torch.float64) for each in measurement.range)
        return Places(points.q, torch.arange(len(points)), low, high)
    _, of = torch.unique((points.q / SAME).round(), dim=0, return_inverse=True)
    count = torch.bincount(of).to(torch.float64)
    q = torch.zeros(len(count), 3, dtype=torch.float64).index_add(0, of, points.q) / count[:, None]
    energy, whole = measurement.energy_centres[:, 0], torch.zeros_like(count)
    low, high = (whole.scatter_reduce(0, of, energy, reduce=how, include_self=False) for how in ("amin", "amax"))
    return Places(q, of, low, high)
