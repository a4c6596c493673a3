"""Edges: how surely a cause moves a region.

d' is what a matched filter tells an intervention on the cause by, from the region alone: the root of half the mean
squared change of all its cells together, in standard deviations: both spectra are counted, so that a change of a known
spectrum is told by the root of two times more. The sum over a region tells less: lobes of opposite sign cancel. Edges
have three states (arXiv:2404.18232).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.sparse import coo_array
from torch import Tensor

from sqwirrel.explain.causal.design import Changes

TOLD, SURE = 3.0, 0.975
"""An edge is there where d' is above `TOLD` with at least this probability, and is not where it is below."""
RESAMPLED = 1000
ABSENT, UNDECIDED, PRESENT = -1, 0, 1


@dataclass(frozen=True, eq=False)
class Edges:
    """d' of each region and cause, its 95 % interval, and the probability that it is above `TOLD`."""

    effect: Float[Tensor, "region cause"]
    interval95: Float[Tensor, "region cause 2"]
    probability: Float[Tensor, "region cause"]

    @property
    def state(self) -> Int64[Tensor, "region cause"]:
        """`PRESENT`, `ABSENT` or `UNDECIDED`."""
        return (self.probability >= SURE).long() - (self.probability <= 1 - SURE).long()

    @property
    def score(self) -> float:
        """1 - 2 mean min(P, 1 - P): 1 if every edge is decided, 0 if none says anything."""
        return float(1 - 2 * torch.minimum(self.probability, 1 - self.probability).mean())

    @property
    def relevance(self) -> float:
        """Causal relevance index: 1 - mean p over all possible edges, p of an edge the largest that any tested set of
        conditions gives. Interventions need no conditions, so there is one: that d' is not above `TOLD`, 1 - P.

        It grows with how many edges there are: compare it between maps of the same causes alone.
        """
        return float(self.probability.mean())


def energies(changes: Changes, of: Int64[Tensor, " cell"], regions: int) -> Float[Tensor, "cause pair region"]:
    """Half the squared change of every region by every intervention."""
    cells = len(of)
    into = coo_array((np.ones(cells, dtype=np.float32), (np.arange(cells), of.numpy())), shape=(cells, regions)).tocsr()
    return torch.stack([torch.from_numpy(changes.energy(k).numpy() @ into) for k in range(changes.good.shape[1])])


def edges_of(changes: Changes, energy: Float[Tensor, "cause pair region"], seed: int = 1) -> Edges:
    """Edges with their uncertainty over designs, by resampling interventions."""
    average = [changes.average(k, each.double()) for k, each in enumerate(energy)]
    drawn = torch.stack([each.resampled(RESAMPLED, seed) for each in average], -1).sqrt()
    interval = drawn.quantile(torch.tensor([0.025, 0.975], dtype=drawn.dtype), dim=0).movedim(0, -1)
    effect = torch.stack([each.mean for each in average], -1).sqrt()
    return Edges(effect, interval, (drawn > TOLD).double().mean(0))
