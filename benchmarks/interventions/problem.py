"""One task for all methods: which causes move which regions, and by how much, from the same number of simulations."""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.interventions.known import Known
from sqwirrel.explain.causal.causal_map import WIDTH
from sqwirrel.explain.causal.design import Changes, intervene, window

HELD_OUT = 128
"""Pairs of held-out interventions on each cause."""
AWAY = 500_000
"""Seeds of held-out interventions, after that of the design."""


@dataclass(frozen=True, eq=False)
class Claim:
    """Whether a cause moves a region, (region, cause); the `slope` of the mean of its cells times the root of their
    number, over the window of the cause, NaN where a method knows none; and the `size` of the change of all its cells.
    """

    edge: Tensor
    slope: Tensor
    size: Tensor


@dataclass(frozen=True, eq=False)
class Problem:
    """Regions `of` the cells of a system, and `pairs` times (causes + 1) simulations in a window round `middle`."""

    system: Known
    of: Tensor
    middle: Tensor
    pairs: int
    seed: int

    @property
    def regions(self) -> int:
        """How many."""
        return int(self.of.max()) + 1

    @property
    def window(self) -> Tensor:
        """Probabilities between which causes vary, (cause, 2)."""
        return window(self.system.prior, self.middle, WIDTH)

    def sums(self, cells: Tensor) -> Tensor:
        """Of rows of cells the sum over each region, in standard deviations of it."""
        whole = torch.zeros(len(cells), self.regions, dtype=torch.float64).index_add_(1, self.of, cells.double())
        return whole / torch.bincount(self.of).double().sqrt()

    def places(self, theta: Tensor) -> Tensor:
        """Rows of causes as shares of the window, -1/2 to 1/2 inside it."""
        return (self.system.prior.cumulative(theta) - self.window.mean(1)) / WIDTH

    def seen(self, places: Tensor) -> Tensor:
        """Sums over regions, without noise, of rows of causes that are given as shares of the window."""
        u = self.window.mean(1) + WIDTH * places
        theta = self.system.prior.quantile(u.clamp(1e-9, 1 - 1e-9))
        return torch.cat([self.sums(self.system.see(rows)[0]) for rows in theta.split(64)])

    def changed(self, changes: Changes) -> tuple[Tensor, Tensor, Tensor]:
        """How far interventions went in shares of the window, (cause, pair); what they did to the sum over each region,
        (cause, pair, region), and to all of its cells.
        """
        length = (self.places(changes.other) - self.places(changes.base)).T
        each = [torch.from_numpy(changes.change[:, k]).double() for k in range(len(length))]
        root = torch.bincount(self.of).double().sqrt()
        whole = torch.stack([(self.sums(one**2) * root).sqrt() for one in each])
        return length, torch.stack([self.sums(one) for one in each]), whole

    def held_out(self, within: Tensor | None) -> Changes:
        """Interventions that nobody has seen, in the window or anywhere in the prior (None)."""
        return intervene(self.system, HELD_OUT, self.seed + AWAY, within)


def errors(problem: Problem, claim: Claim, changes: Changes, causes: Tensor) -> tuple[float | None, float]:
    """Root mean square error of claimed changes over that of changes: of the signed sums, if signs are claimed, and of
    the sizes.
    """
    length, signed, size = (each[causes] for each in problem.changed(changes))
    slope, strength = claim.slope.T[causes], claim.size.T[causes]
    told = slope[:, None] * length[..., None]
    large = strength[:, None] * length[..., None].abs()
    return None if bool(told.isnan().any()) else _share(told - signed, signed), _share(large - size, size)


def _share(wrong: Tensor, right: Tensor) -> float:
    return float((wrong.square().mean() / right.square().mean()).sqrt())
