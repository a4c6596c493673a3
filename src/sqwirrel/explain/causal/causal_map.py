"""causal_map(): do() on a simulator; regions, edges, regimes, and which region fixes which cause."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import networkx as nx
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.design import Changes, intervene, window
from sqwirrel.explain.causal.edges import Edges, edges_of, energies
from sqwirrel.explain.causal.inverse import Inverse, inverse
from sqwirrel.explain.causal.regimes import Regime, regimes
from sqwirrel.explain.causal.regions import LEAST, Regions, discretize
from sqwirrel.explain.causal.system import System
from sqwirrel.explain.causal.zoom import Coarse, coarse, linkage
from sqwirrel.model.prior import Prior

WIDTH = 0.3
"""Share of the prior that a local map varies each cause over."""
PAPERS = (
    "I. M. Sobol, Math. Comput. Simul. 55, 271 (2001), doi:10.1016/S0378-4754(00)00270-6",
    "K. Chalupka, F. Eberhardt and P. Perona, Behaviormetrika 44, 137 (2017), doi:10.1007/s41237-016-0008-2",
    "D. B. Rubin, Ann. Stat. 9, 130 (1981), doi:10.1214/aos/1176345338",
    "J. H. Ward, J. Am. Stat. Assoc. 58, 236 (1963), doi:10.1080/01621459.1963.10500845",
)
"""Pairs of interventions, regions, the bootstrap of edges, and the tree of regions."""


@dataclass(frozen=True, eq=False)
class CausalMap:
    """What interventions on the `names` showed; each was moved `between` two values, and the inverse map was made at
    `middle`. `lost` says how many interventions on each had an unstable order.
    """

    names: tuple[str, ...]
    regions: Regions
    edges: Edges
    inverse: Inverse
    regimes: dict[str, list[Regime]]
    changes: Changes
    middle: Float[Tensor, " cause"]
    between: Float[Tensor, "cause 2"]
    seconds: float

    @property
    def lost(self) -> dict[str, int]:
        """Interventions on each cause that were left out, as the order was unstable."""
        return dict(zip(self.names, (~self.changes.good).sum(0).tolist(), strict=True))

    @cached_property
    def linkage(self) -> Float[np.ndarray, "join 4"]:
        """The tree of the regions, as `scipy.cluster.hierarchy` has it (see `zoom.linkage`)."""
        return linkage(self.regions, self.edges.effect)

    def coarse(self, count: int) -> Coarse:
        """The map with at most so many regions."""
        return coarse(self.linkage, self.regions.sizes, self.edges.effect, count)

    @property
    def graph(self) -> nx.DiGraph:
        """Causes and regions as nodes; d', interval, probability and state on every edge but the absent ones."""
        graph = nx.DiGraph()
        graph.add_nodes_from(self.names, kind="cause")
        for region, size in enumerate(self.regions.sizes.tolist()):
            graph.add_node(f"R{region + 1}", kind="region", bins=size)
        edges, state = self.edges, self.edges.state
        for region, cause in (state >= 0).nonzero().tolist():
            low, high = edges.interval95[region, cause].tolist()
            graph.add_edge(
                self.names[cause],
                f"R{region + 1}",
                effect=float(edges.effect[region, cause]),
                low=low,
                high=high,
                probability=float(edges.probability[region, cause]),
                state="present" if state[region, cause] > 0 else "undecided",
            )
        return graph


def causal_map(
    system: System,
    pairs: int = 64,
    seed: int = 5,
    *,
    middle: Float[Tensor, " cause"] | None = None,
    width: float = WIDTH,
    between: Float[Tensor, "cause 2"] | None = None,
    least: float = LEAST,
    excess: float = 1.0,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CausalMap:
    """Randomised interventions on every cause, over `width` of its prior round `middle` (1: all of the prior), or, if
    given, `between` two values of each, as far as the prior has them.

    64 pairs for a look, 256 for publication; `pairs` a power of two, as Sobol sequences are even only then. Regions of
    less than the share `least` of all cells are absorbed. `excess` says how many times larger the errors of the data
    are than counting makes them (`Spectra.excess`, where the model misses something).
    """
    if pairs < 16 or pairs & (pairs - 1):
        raise InputError(
            f"{pairs} pairs of interventions; use a power of two, 16 or more: 64 for a look, 256 to publish"
        )
    if not 0 < width <= 1:
        raise InputError(f"the width of a causal map is {width:g}; it is a share of the prior, above 0 and at most 1")
    clock, prior = time.perf_counter(), system.prior
    if middle is None:
        middle = prior.quantile(torch.full((1, len(prior.names)), 0.5, dtype=torch.float64))[0]
    _check_middle(prior, middle)
    within = window(prior, middle, width) if between is None else prior.cumulative(between.T.clamp(*prior.bounds.T)).T
    changes = intervene(system, pairs, seed, within, folder=folder, progress=progress)
    found = discretize(changes, system.neighbours, least=least, seed=seed)
    count = len(found.parents)
    energy = energies(changes, found.of, count) / excess**2
    return CausalMap(
        prior.names,
        found,
        edges_of(changes, energy, seed),
        inverse(system, found.of, count, middle[None], excess=excess),
        regimes(prior, changes, energy, seed),
        changes,
        middle,
        prior.quantile(within.T.clamp(1e-9, 1 - 1e-9)).T,
        time.perf_counter() - clock,
    )


def _check_middle(prior: Prior, middle: Float[Tensor, " any"]) -> None:
    """Refuses what is none of the prior."""
    if len(middle) != len(prior.names):
        raise InputError(
            f"the middle of a causal map has {len(middle)} values; its causes are {', '.join(prior.names)}"
        )
    low, high = prior.bounds.T
    for name, value, inside in zip(prior.names, middle, (middle >= low) & (middle <= high), strict=True):
        if not inside:
            raise InputError(f"the middle of a causal map has {name} = {float(value):g}, which the prior excludes")
