"""The tree of regions: the two that touch and differ least become one, until one is left.

What causes do to a region is s = d' / sqrt(cells), the root mean square change of its cells in standard deviations; d'
squared adds up, so that s of joined regions is exact. To take it for s_a and s_b loses
n_a |s_a - s|^2 + n_b |s_b - s|^2, n counting cells (J. H. Ward, J. Am. Stat. Assoc. 58, 236 (1963),
doi:10.1080/01621459.1963.10500845, with root mean squares for means).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from sqwirrel.explain.causal.edges import TOLD
from sqwirrel.explain.causal.regions import Regions

Linkage = Float[np.ndarray, "join 4"]


@dataclass(frozen=True, eq=False)
class Coarse:
    """`of` is the coarse region of each region of the map, those of most cells first; `effect` is d' of each."""

    of: Int64[Tensor, " region"]
    effect: Float[Tensor, "coarse cause"]

    @property
    def parents(self) -> Bool[Tensor, "coarse cause"]:
        """Causes that are told from a coarse region alone, all its cells together: those with d' above `TOLD`."""
        return self.effect > TOLD


def linkage(regions: Regions, effect: Float[Tensor, "region cause"]) -> Linkage:
    """The joins in the format of `scipy.cluster.hierarchy`: two numbers of what is joined, the root of what that loses
    (standard deviations), and how many regions it has.

    Of regions that touch the pair that loses least is joined; when none touch, of all that are left, so that peaks,
    bulk numbers and pieces of different spectra come last. A join that loses less than an earlier one, which can be as
    only some may be joined, has the height of that one: heights never fall.
    """
    size, energy = regions.sizes.double().numpy(), effect.square().double().numpy()
    count = len(size)
    touch = np.zeros((count, count), dtype=bool)
    touch[tuple(regions.of[regions.neighbours].numpy().T)] = True
    touch = (touch | touch.T) & ~np.eye(count, dtype=bool)
    loss = np.stack([_loss(size, energy, k) for k in range(count)])
    np.fill_diagonal(loss, np.inf)
    number, leaves, rows = np.arange(count), np.ones(count), np.zeros((count - 1, 4))
    for k in range(count - 1):
        allowed = np.where(touch, loss, np.inf) if touch.any() else loss
        a, b = divmod(int(allowed.argmin()), count)
        for each in (size, energy, leaves):
            each[a] += each[b]
        rows[k] = *sorted((number[a], number[b])), np.sqrt(allowed[a, b]), leaves[a]
        number[a] = count + k
        _replace(touch, a, b, touch[a] | touch[b], gone=False)
        _replace(loss, a, b, np.where(np.isinf(loss[a]), np.inf, _loss(size, energy, a)), gone=np.inf)
    rows[:, 2] = np.maximum.accumulate(rows[:, 2])
    return rows


def pieces(regions: Regions) -> int:
    """How many there are of regions that touch, directly or by others; no fewer coarse regions are contiguous."""
    count = len(regions.parents)
    a, b = regions.of[regions.neighbours].numpy().T
    return int(connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(count, count)), directed=False)[0])


def _loss(
    size: Float[np.ndarray, " region"], energy: Float[np.ndarray, "region cause"], one: int
) -> Float[np.ndarray, " region"]:
    """What is lost where `one` is joined to each."""
    alone, joint = np.sqrt(energy / size[:, None]), np.sqrt((energy + energy[one]) / (size + size[one])[:, None])
    own, other = (((each - joint) ** 2).sum(1) for each in (alone, alone[one]))
    lost: Float[np.ndarray, " region"] = size * own + size[one] * other
    return lost


def _replace(pairs: np.ndarray, one: int, other: int, row: np.ndarray, *, gone: float) -> None:
    """Puts a row in place of `one`, in a symmetric table, and takes the `other` out."""
    pairs[one], pairs[:, one] = row, row
    pairs[other], pairs[:, other], pairs[one, one] = gone, gone, gone


def coarse(
    joins: Linkage, sizes: Int64[Tensor, " region"], effect: Float[Tensor, "region cause"], count: int
) -> Coarse:
    """What all but the last `count` - 1 joins leave: `count` regions, all of the map if it has no more.

    Each is contiguous, unless `count` is below that of `pieces`.
    """
    number = torch.arange(len(sizes))
    for k, (a, b) in enumerate(joins[: max(len(sizes) - count, 0), :2].astype(int).tolist()):
        number[(number == a) | (number == b)] = len(sizes) + k
    of = torch.unique(number, return_inverse=True)[1]
    order = torch.bincount(of, weights=sizes.double()).argsort(descending=True, stable=True)
    of = order.argsort()[of]
    energy = torch.zeros(len(order), effect.shape[1], dtype=effect.dtype).index_add(0, of, effect.square())
    return Coarse(of, energy.sqrt())
