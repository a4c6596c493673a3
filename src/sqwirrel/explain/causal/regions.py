"""Causal discretization: contiguous regions of cells that the same causes move.

Causal feature learning (K. Chalupka, F. Eberhardt, P. Perona, Behaviormetrika 44, 137 (2017),
doi:10.1007/s41237-016-0008-2) with known interventions: cells with the same parents are one, if they touch.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.design import Changes
from sqwirrel.explain.causal.edges import TOLD

SEEN = (0.3, 1.2)
"""A cause is a parent of a cell that it moves by so many standard deviations (root of half the mean square): between
these, where fewest cells are in doubt.
"""
LEVELS, DOUBT = 41, 0.1
"""Thresholds that are tried between these, and how far from one, in its logarithm, cells are in doubt."""
LEAST = 0.005
"""Regions of less than this share of all cells go to a neighbour that has all parents which they tell by themselves."""
RESAMPLED = 100


@dataclass(frozen=True, eq=False)
class Regions:
    """`of` is the region of each cell; `parents` says which causes move each of its own cells by more than `seen`
    standard deviations (cells of small regions that it took in may have others); `border` is how probable it is, of
    each of the `neighbours`, that they have different parents (over designs like this one).
    """

    of: Int64[Tensor, " cell"]
    parents: Bool[Tensor, "region cause"]
    neighbours: Int64[Tensor, "pair 2"]
    border: Float[Tensor, " pair"]
    seen: Float[Tensor, " cause"]

    @property
    def sizes(self) -> Int64[Tensor, " region"]:
        """Cells of each region."""
        return torch.bincount(self.of, minlength=len(self.parents))

    @property
    def sure(self) -> Float[Tensor, " region"]:
        """How probable the border of each region is, on average along it; NaN of one that touches no other."""
        ends = self.of[self.neighbours]
        apart = ends[:, 0] != ends[:, 1]
        of, border = ends[apart].T.flatten(), self.border[apart].double().repeat(2)
        return torch.bincount(of, border, len(self.parents)) / torch.bincount(of, minlength=len(self.parents))


def discretize(
    changes: Changes, neighbours: Int64[Tensor, "pair 2"], *, least: float = LEAST, seed: int = 1
) -> Regions:
    """Regions of cells that touch and have the same parents, the largest first; small ones are absorbed."""
    causes = range(changes.good.shape[1])
    if len(causes) > 62:
        raise InputError(f"{len(causes)} causes are too many for one map, at most 62; fix some in the prior")
    cells = changes.change.shape[2]
    moved = torch.zeros(len(causes), cells, dtype=torch.float64)
    drawn = torch.zeros(RESAMPLED, cells, dtype=torch.long)
    seen = torch.zeros(len(causes), dtype=torch.float64)
    for k in causes:
        average = changes.average(k, changes.energy(k))
        moved[k], seen[k] = average.mean, _threshold(average.mean)
        drawn += (average.resampled(RESAMPLED, seed) > seen[k] ** 2) * 2**k
    of, parents = _absorbed(moved > seen[:, None] ** 2, moved, neighbours, max(1, round(least * cells)))
    order = torch.bincount(of).argsort(descending=True, stable=True)
    border = sum((each[neighbours[:, 0]] != each[neighbours[:, 1]]).double() for each in drawn) / RESAMPLED
    assert isinstance(border, Tensor)
    return Regions(order.argsort()[of], parents[order], neighbours, border, seen)


def _threshold(energy: Float[Tensor, " cell"]) -> Float[Tensor, ""]:
    """Where fewest cells are near, by a kernel in the logarithm of what moves them."""
    low, high = (math.log(end) for end in SEEN)
    level = torch.linspace(low, high, LEVELS, dtype=energy.dtype)
    size = energy.clamp(min=1e-12).log() / 2
    near = torch.stack([torch.exp(-(((size - each) / DOUBT) ** 2) / 2).sum() for each in level])
    return level[near.argmin()].exp()


def _components(code: Int64[Tensor, " cell"], neighbours: Int64[Tensor, "pair 2"]) -> Int64[Tensor, " cell"]:
    a, b = neighbours[code[neighbours[:, 0]] == code[neighbours[:, 1]]].T.numpy()
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(len(code), len(code)))
    return torch.from_numpy(connected_components(graph, directed=False)[1].astype(np.int64))


def _absorbed(
    sees: Bool[Tensor, "cause cell"],
    moved: Float[Tensor, "cause cell"],
    neighbours: Int64[Tensor, "pair 2"],
    least: int,
) -> tuple[Int64[Tensor, " cell"], Bool[Tensor, "region cause"]]:
    """Components of equal parents, and these: each small one is given to the neighbour it has the longest border with,
    of those that have all parents that it tells by itself (d' above `TOLD`). If there is none, it stays.
    """
    of, parents = torch.arange(sees.shape[1]), sees.T
    while True:
        of, parents = _joined(of, parents, neighbours)
        size = torch.bincount(of)
        told = parents & (torch.stack([torch.bincount(of, weights=each) for each in moved], -1) > TOLD**2)
        ends = torch.cat((of[neighbours], of[neighbours].flip(1)))
        ends = ends[(ends[:, 0] != ends[:, 1]) & (size[ends[:, 0]] < least) & (size[ends[:, 0]] <= size[ends[:, 1]])]
        ends = ends[~(told[ends[:, 0]] & ~parents[ends[:, 1]]).any(1)]
        if not len(ends):
            return of, parents
        left, of = torch.unique(_longest(ends, size)[of], return_inverse=True)
        parents = parents[left]


def _joined(
    of: Int64[Tensor, " cell"], parents: Bool[Tensor, "region cause"], neighbours: Int64[Tensor, "pair 2"]
) -> tuple[Int64[Tensor, " cell"], Bool[Tensor, "joined cause"]]:
    """Regions of equal parents that touch as one."""
    code = (parents * 2 ** torch.arange(parents.shape[1])).sum(1)
    joined = _components(code[of], neighbours)
    found = torch.zeros(int(joined.max()) + 1, parents.shape[1], dtype=torch.bool)
    found[joined] = parents[of]
    return joined, found


def _longest(ends: Int64[Tensor, "pair 2"], size: Int64[Tensor, " region"]) -> Int64[Tensor, " region"]:
    """Where each region goes: itself, or, of the smallest regions with a border, the neighbour with the longest."""
    pair, length = torch.unique(ends, dim=0, return_counts=True)
    smallest = size[pair[:, 0]].min()
    pair, length = pair[size[pair[:, 0]] == smallest], length[size[pair[:, 0]] == smallest]
    order = (length * (int(size.max()) + 1) + size[pair[:, 1]]).argsort(stable=True)
    goes = torch.arange(len(size))
    for one, other in pair[order].tolist():
        goes[one] = other
    for one in pair[:, 0].unique().tolist():  # of the same size, one after the other
        if goes[goes[one]] != goes[one]:
            goes[one] = one
    return goes
