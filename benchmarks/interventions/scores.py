"""What is true of a system, from a large design and by construction, and how a causal map compares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from benchmarks.interventions.known import DUMMY, Known
from sqwirrel.explain.causal.causal_map import WIDTH, CausalMap
from sqwirrel.explain.causal.design import Changes, intervene, window
from sqwirrel.explain.causal.edges import ABSENT, PRESENT, TOLD, energies

SEEN = 0.6
"""A cell is in the foreground if a cause moves it by this many standard deviations."""
ROUNDING = 1e-4
"""Changes below are 0: they are kept in single precision."""


@dataclass(frozen=True, eq=False)
class Truth:
    """A large design round the `middle`; which cells each cause can reach by construction; which are foreground."""

    changes: Changes
    middle: Tensor
    reach: Tensor
    foreground: Tensor

    @classmethod
    def of(cls, system: Known, pairs: int, seed: int) -> "Truth":
        """From interventions in the window of a causal map; no cell out of reach may have changed."""
        names = system.prior.names
        middle = system.prior.quantile(torch.full((1, len(names)), 0.5, dtype=torch.float64))[0]
        changes = intervene(system, pairs, seed, window(system.prior, middle, WIDTH))
        cells = changes.change.shape[2]
        everywhere = torch.ones(cells, dtype=torch.bool)
        reach = torch.stack([system.reach.get(name, everywhere).flatten() for name in names])
        largest = torch.from_numpy(abs(changes.change).max(0))
        if float(largest[~reach].max()) > ROUNDING:
            raise AssertionError("a cell out of the reach of a cause changed: the system is not what it says")
        signature = torch.stack([changes.average(k, changes.energy(k)).mean for k in range(len(names))])
        return cls(changes, middle, reach, (signature > SEEN**2).any(0))

    def effect(self, of: Tensor, regions: int) -> tuple[Tensor, Tensor]:
        """d' of regions, (region, cause), and its standard error."""
        energy = energies(self.changes, of, regions).double()
        average = [self.changes.average(k, each) for k, each in enumerate(energy)]
        mean = torch.stack([each.mean for each in average], -1)
        error = torch.stack([each.rest.std(0) / len(each.rest) ** 0.5 for each in average], -1)
        return mean.sqrt(), error / (2 * mean.sqrt()).clamp(min=1e-9)

    def impossible(self, of: Tensor, regions: int) -> Tensor:
        """Whether a cause reaches no cell of a region, (region, cause)."""
        inside = torch.nn.functional.one_hot(of, regions).double().T
        return inside @ self.reach.double().T == 0


def judged(found: CausalMap, truth: Truth) -> dict[str, Any]:
    """Counts over the edges of a map; an edge is right if it is present where the true d' is above `TOLD`."""
    regions, state, edges = len(found.regions.sizes), found.edges.state, found.edges
    effect, error = truth.effect(found.regions.of, regions)
    impossible = truth.impossible(found.regions.of, regions)
    low, high = edges.interval95.unbind(-1)
    held, moved, told = (low <= effect) & (effect <= high), effect > ROUNDING, effect > TOLD
    dummy = torch.tensor([name == DUMMY for name in found.names]).expand_as(state)
    wrong = ((state == PRESENT) & ~told) | ((state == ABSENT) & told)
    return {
        "regions": regions,
        "edges": state.numel(),
        "dummies": int(dummy.sum()),
        "impossible": int((impossible & ~dummy).sum()),
        "dummy_edges": int((dummy & (state != ABSENT)).sum()),
        "impossible_edges": int((impossible & ~dummy & (state != ABSENT)).sum()),
        "undecided": int((state == 0).sum()),
        "near": int((((effect / TOLD) < 1.1) & ((effect / TOLD) > 1 / 1.1)).sum()),
        "shd": int(wrong.sum()),
        "wrong": [[float(effect[k, i]), float(edges.effect[k, i])] for k, i in wrong.nonzero().tolist()],
        "moved": int(moved.sum()),
        "held": int((held & moved).sum()),
        "told": int(told.sum()),
        "held_told": int((held & told).sum()),
        "below": int(((effect < low) & moved).sum()),
        "error_of_truth": float((error / (high - low).clamp(min=1e-9) * 4)[moved].square().mean().sqrt()),
        "score": edges.score,
        "seconds": found.seconds,
    }


def alike(maps: Sequence[CausalMap], foreground: Tensor) -> dict[str, list[float]]:
    """Adjusted Rand index of regions of each pair of maps, of all cells and of the foreground."""
    pairs = [(a.regions.of, b.regions.of) for k, a in enumerate(maps) for b in maps[:k]]
    every = [adjusted_rand_score(a.numpy(), b.numpy()) for a, b in pairs]
    if not bool(foreground.any()):
        return {"all": every, "foreground": []}
    return {
        "all": every,
        "foreground": [adjusted_rand_score(a[foreground].numpy(), b[foreground].numpy()) for a, b in pairs],
    }
