"""Quadrature points of powder shells that share modes: points of the zone, each with all Bragg points within reach."""

from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.observe.views.sampling import Folding, Sampling, cell_edges, shells
from sqwirrel.seeds import stream
from sqwirrel.simulate.phonon.crowded import crowded, cube
from sqwirrel.spectra import QShells

ZONE, MOST = 4, 16
"""So many times more points are in the zone than another powder has in a cell; in a cell at most so many times more."""

FINER = 8
"""Entries of a table of first guesses, an edge."""


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
    zone, worth = crowded(lattice.to_cartesian(reciprocal), ZONE * samples, seed)
    shift = _shifts(lattice.to_cartesian(reciprocal), float(edges[-1])) @ reciprocal
    zone = zone @ reciprocal
    parts = (each.numpy() for each in (lattice.to_cartesian(zone), lattice.to_cartesian(shift), edges**2))
    cells = _cells(*parts)
    count = torch.from_numpy(np.bincount(cells.ravel(), minlength=len(edges) + 1)[: len(edges) - 1])
    few, part = count < samples, (MOST * samples / count.clamp(min=1)).clamp(max=1)
    chance = torch.rand(int(count.sum()), generator=stream(seed, "folded"), dtype=torch.float64)
    place, number, count = (torch.from_numpy(x) for x in _chosen(cells, (part * ~few).numpy(), chance.numpy()))
    own = shells(points, lattice, samples, width, seed)
    mine = few[own.cell]
    every = torch.cat((own.cell[mine], torch.arange(len(count)).repeat_interleave(count)))
    cell, order = every.sort(stable=True)
    start = torch.arange(int(mine.sum()))
    folding = Folding(
        torch.cat((own.q[mine], zone)),
        torch.cat((torch.zeros(1, 3, dtype=torch.float64), shift)),
        torch.cat((start, len(start) + place))[order],
        torch.cat((torch.zeros_like(start), 1 + number))[order],
    )
    weight = torch.cat((own.weight[mine], worth))[folding.place]
    weight = weight / torch.bincount(cell, weight, minlength=len(few))[cell]
    return Sampling(folding.zone[folding.place] + folding.shift[folding.number], cell, weight, edges, folding)


def _shifts(reciprocal: Float[Tensor, "3 3"], far: float) -> Float[Tensor, "shift 3"]:
    """Whole numbers of the vectors of the reciprocal cell, of all that take a point of the zone to within `far`."""
    zone = float((cube([1, 1, 1]) / 2 @ reciprocal).norm(dim=1).max())
    across = torch.linalg.inv(reciprocal).norm(dim=0)
    every = cube(((far + zone) * across).ceil().long().tolist())
    return every[(every @ reciprocal).norm(dim=1) < far + zone]


@njit(nogil=True, cache=True)
@no_type_check
def _cells(zone, shift, squares):
    """The cell that every point of the zone is in when moved by every shift; `squares` are those of the edges of cells,
    of which there are as many as edges where it is in none.
    """
    cells, last = np.empty((len(zone), len(shift)), np.int32), len(squares) - 1
    steps = FINER * last / squares[last]
    guess = np.searchsorted(squares, np.arange(FINER * last + 1) / steps, side="right")
    for i in range(len(zone)):
        for j in range(len(shift)):
            x, y, z = zone[i, 0] + shift[j, 0], zone[i, 1] + shift[j, 1], zone[i, 2] + shift[j, 2]
            square = x * x + y * y + z * z
            if not squares[0] <= square < squares[last]:
                cells[i, j] = last + 1
                continue
            cell = max(guess[int(square * steps)], 1)
            while squares[cell] <= square:
                cell += 1
            while squares[cell - 1] > square:
                cell -= 1
            cells[i, j] = cell - 1
    return cells


@njit(nogil=True, cache=True)
@no_type_check
def _chosen(cells, part, chance):
    """Points and shifts, cell by cell, and how many each cell has, if only a `part` of those of each is taken."""
    count, seen = np.zeros(len(part), np.int64), 0
    for cell in cells.flat:
        if cell < len(part):
            count[cell] += chance[seen] < part[cell]
            seen += 1
    place, number = np.empty(count.sum(), np.int64), np.empty(count.sum(), np.int64)
    at, seen = np.cumsum(count) - count, 0
    for i in range(cells.shape[0]):
        for j in range(cells.shape[1]):
            cell = cells[i, j]
            if cell < len(part):
                if chance[seen] < part[cell]:
                    place[at[cell]], number[at[cell]] = i, j
                    at[cell] += 1
                seen += 1
    return place, number, count
