"""Quadrature points of powder shells that share modes: points of the zone, each with all Bragg points within reach.

Lines of acoustic phonons next to Bragg points are as strong as they are few: with E = c |q| their intensity goes as
1 / E^2 at temperatures above E, their number as E^2. Half of the points lie round Bragg points as 1 / |q|^2, so that as
many are at any low energy, and weigh accordingly less.
"""

import math
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.observe.views.sampling import Folding, Sampling, cell_edges, shells, sphere
from sqwirrel.seeds import spread, stream
from sqwirrel.spectra import QShells

ZONE, MOST = 4, 16
"""So many times more points are in the zone than another powder has in a cell; in a cell at most so many times more."""
CLOSE = 0.5
"""Share of them that lie round Bragg points."""


def folded(
    points: QShells, lattice: Lattice, primitive: Float[Tensor, "3 3"], *, samples: int, width: float, seed: int
) -> Sampling:
    """About `samples` points or more for each |Q| cell, most of which share modes with others.

    `ZONE` x `samples` points of the zone, each with all reciprocal lattice vectors of the cell that repeats (rows of
    `primitive`, in vectors of `lattice`). In a powder each stands for its star. Cells near the origin, where too few of
    these lie, have points of their own; of more than `MOST` x `samples`, some are left out at random.
    """
    if samples < 1:
        raise InputError(f"samples = {samples}; at least one quadrature point per cell is needed")
    edges, reciprocal = cell_edges(points.edges, width), torch.linalg.inv(primitive).T
    zone, worth = _zone(lattice.to_cartesian(reciprocal), ZONE * samples, seed)
    shift = _shifts(lattice.to_cartesian(reciprocal), float(edges[-1])) @ reciprocal
    zone = zone @ reciprocal
    parts = (each.numpy() for each in (lattice.to_cartesian(zone), lattice.to_cartesian(shift), edges**2))
    place, number, cell = (torch.from_numpy(each) for each in _pairs(*parts))
    count = torch.bincount(cell, minlength=len(edges) - 1)
    few, part = count < samples, (MOST * samples / count.clamp(min=1)).clamp(max=1)
    chosen = torch.rand(len(cell), generator=stream(seed, "folded"), dtype=torch.float64) < part[cell]
    chosen &= ~few[cell]
    own = shells(points, lattice, samples, width, seed)
    mine = few[own.cell]
    every = torch.cat((own.cell[mine], cell[chosen]))
    order = every.argsort(stable=True)
    start = torch.arange(int(mine.sum()))
    folding = Folding(
        torch.cat((own.q[mine], zone)),
        torch.cat((torch.zeros(1, 3, dtype=torch.float64), shift)),
        torch.cat((start, len(start) + place[chosen]))[order],
        torch.cat((torch.zeros_like(start), 1 + number[chosen]))[order],
    )
    cell, weight = every[order], torch.cat((own.weight[mine], worth[place[chosen]]))[order]
    weight = weight / torch.bincount(cell, weight, minlength=len(few))[cell]
    return Sampling(folding.zone[folding.place] + folding.shift[folding.number], cell, weight, edges, folding)


def _shifts(reciprocal: Float[Tensor, "3 3"], far: float) -> Float[Tensor, "shift 3"]:
    """Whole numbers of the vectors of the reciprocal cell, of all that take a point of the zone to within `far`."""
    zone = float((_cube([1, 1, 1]) / 2 @ reciprocal).norm(dim=1).max())
    across = torch.linalg.inv(reciprocal).norm(dim=0)
    every = _cube(((far + zone) * across).ceil().long().tolist())
    return every[(every @ reciprocal).norm(dim=1) < far + zone]


@njit(nogil=True, cache=True)
@no_type_check
def _pairs(zone, shift, squares):
    """Points of the zone, shifts, and cells of all sums whose squared length is between the first and last of
    `squares`, edges of the cells.
    """
    most, count = len(zone) * len(shift), 0
    place, number, cell = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    for i in range(len(zone)):
        for j in range(len(shift)):
            x, y, z = zone[i, 0] + shift[j, 0], zone[i, 1] + shift[j, 1], zone[i, 2] + shift[j, 2]
            found = np.searchsorted(squares, x * x + y * y + z * z, side="right")
            if 0 < found < len(squares):
                place[count], number[count], cell[count] = i, j, found - 1
                count += 1
    return place[:count], number[:count], cell[:count]


def _zone(
    reciprocal: Float[Tensor, "3 3"], count: int, seed: int
) -> tuple[Float[Tensor, "zone 3"], Float[Tensor, " zone"]]:
    """Points of the zone, in the vectors of the reciprocal cell (1/angstrom), and what each is worth: 1 if all were
    even.
    """
    near = _cube([2, 2, 2])
    radius = (near @ reciprocal).norm(dim=1).sort().values[1] / 2
    close = round(CLOSE * count)
    even, u = (spread(n, 3, 1, seed, name)[0] for n, name in ((count - close, "sampling"), (close, "close")))
    ball = (radius * u[:, :1]) * sphere(u[:, 1], u[:, 2]) @ torch.linalg.inv(reciprocal)
    zone = torch.cat((even - even.round(), ball))
    square = torch.stack([(((zone - each) @ reciprocal) ** 2).sum(1) for each in near]).amin(0)
    crowd = torch.linalg.det(reciprocal).abs() / (4 * math.pi * radius * square.clamp(min=1e-300))
    return zone, count / (count - close + close * torch.where(square < radius**2, crowd, 0.0))


def _cube(n: list[int]) -> Float[Tensor, "corner 3"]:
    """All whole numbers from -n to n along each axis."""
    axes = [torch.arange(-k, k + 1, dtype=torch.float64) for k in n]
    return torch.cartesian_prod(*axes)
