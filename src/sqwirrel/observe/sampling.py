"""Where in reciprocal space a bin looks: quadrature points for powder shells and for single-crystal boxes.

Points come from an additive recurrence (an R-sequence: powers of the generalised golden ratio), shifted at random from cell to
cell, so that they are spread evenly within a cell and independently between cells. For a powder only one wedge of the sphere is
sampled: the directions that no symmetry operation of the model brings closer to a reference axis.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QPath, QShells

REFERENCE = (0.613, 0.257, 0.747)
"""Axis that marks the wedge; in no special position of any crystal system."""
PAD = 2.0
"""Powder cells reach this many times the cell width beyond the measured range, so that smearing has something to bring in."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """Quadrature points `q` (rlu) with their cell and weight (sums to one in each cell); `edges` are |Q| cell edges for a powder."""

    q: Float[Tensor, "sample 3"]
    cell: Int[Tensor, " sample"]
    weight: Float[Tensor, " sample"]
    edges: Float[Tensor, " edge"] | None


def sampling(
    measurement: Measurement, lattice: Lattice, laue: Float[Tensor, "operation 3 3"], *, samples: int, width: float, seed: int
) -> Sampling:
    """About `samples` points for each |Q| cell of at least `width` (1/angstrom), or exactly `samples` for each point of a path."""
    if samples < 1:
        raise InputError(f"samples = {samples}; at least one quadrature point per cell is needed")
    if isinstance(measurement.points, QPath):
        return _boxes(measurement.points, samples, seed)
    return _shells(measurement.points, lattice, laue, samples, width, seed)


def _boxes(points: QPath, samples: int, seed: int) -> Sampling:
    """Points spread over the box of each bin."""
    u = _recurrence(samples, 3, len(points), seed) - 0.5
    q = points.q[:, None] + u @ points.box
    return Sampling(q.flatten(0, 1), *_equal(len(points), samples), None)


def _shells(points: QShells, lattice: Lattice, laue: Tensor, samples: int, width: float, seed: int) -> Sampling:
    """Points of one wedge in shells that cover the bins and a margin."""
    edges = _cells(points.edges, width)
    u = _recurrence(samples * len(laue), 3, len(edges) - 1, seed)
    radius = edges[:-1, None] + edges.diff()[:, None] * u[..., 0]
    direction = _sphere(u[..., 1], u[..., 2])
    axis = direction.new_tensor(REFERENCE)
    kept = direction @ axis >= torch.einsum("csa,oab,b->cso", direction, laue, axis).amax(-1) - 1e-12
    cell = torch.arange(len(kept))[:, None].expand_as(kept)[kept]
    weight = 1 / kept.sum(1).clamp(min=1).to(torch.float64)
    q = lattice.to_rlu((radius[..., None] * direction)[kept])
    return Sampling(q, cell, weight[cell], edges)


def _cells(edges: Tensor, width: float) -> Tensor:
    """Cell edges: the bins merged to at least `width`, and a margin on both sides."""
    merge = max(1, round(width / float(edges.diff().median())))
    inner = torch.cat((edges[:-1:merge], edges[-1:]))
    margin = PAD * width
    below = torch.linspace(max(float(edges[0]) - margin, 0.0), float(edges[0]), 3, dtype=edges.dtype)[:-1]
    above = torch.linspace(float(edges[-1]), float(edges[-1]) + margin, 3, dtype=edges.dtype)[1:]
    return torch.cat((below[below < edges[0]].unique(), inner, above))


def _recurrence(n: int, dimension: int, copies: int, seed: int) -> Float[Tensor, "copy n dimension"]:
    """n points of the unit cube for each of `copies` cells, each with a random shift."""
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (dimension + 1))
    step = ratio ** -torch.arange(1, dimension + 1, dtype=torch.float64)
    shift = torch.rand(copies, 1, dimension, generator=stream(seed, "sampling"), dtype=torch.float64)
    return (shift + torch.arange(n, dtype=torch.float64)[:, None] * step) % 1


def _sphere(height: Tensor, turn: Tensor) -> Tensor:
    """Unit vectors, uniform on the sphere for uniform arguments in [0, 1)."""
    z, phi = 2 * height - 1, 2 * math.pi * turn
    rho = (1 - z**2).sqrt()
    return torch.stack((rho * phi.cos(), rho * phi.sin(), z), dim=-1)


def _equal(cells: int, samples: int) -> tuple[Tensor, Tensor]:
    cell = torch.arange(cells).repeat_interleave(samples)
    return cell, torch.full((cells * samples,), 1 / samples, dtype=torch.float64)
