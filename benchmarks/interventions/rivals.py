"""What other methods say of the same regions: correlations, PC, GES, Sobol indices, saliency.

Correlations, PC and GES have observational draws, in which one cause draws all others along (Gaussian ranks that
correlate by `TOGETHER`), counted with noise; that cause is hidden from them, or recorded. causal-learn and SALib are
needed for PC and GES, and for Sobol indices.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from benchmarks.interventions.problem import Claim, Problem
from sqwirrel.explain.causal.causal_map import CausalMap
from sqwirrel.explain.causal.collected import ges_edges, pc_edges
from sqwirrel.explain.causal.edges import PRESENT, TOLD
from sqwirrel.seeds import stream

TOGETHER, LEVEL = 0.7, 0.01
"""Correlation of each cause with the confounder, and the level of all tests of independence."""
Rival = Callable[[Problem], Claim]


def of_map(found: CausalMap, problem: Problem) -> Claim:
    """Edges that are present, d', and slopes of the same interventions."""
    length, signed, _ = problem.changed(found.changes)
    slope = (length[..., None] * signed).sum(1) / (length**2).sum(1)[:, None]
    return Claim(found.edges.state == PRESENT, slope.T, found.edges.effect * 12**0.5)


def marginal(problem: Problem, *, hidden: bool) -> Claim:
    """Correlation of each cause with each region."""
    places, seen, columns = observed(problem, hidden=hidden)
    each = [regression(places[:, [k]], seen) for k in range(len(columns))]
    slope, chance = (torch.cat(parts, -1) for parts in zip(*each, strict=True))
    return _spread(problem, columns, chance < LEVEL, slope)


def partial_correlation(problem: Problem, *, hidden: bool) -> Claim:
    """Regression on all causes that are recorded."""
    places, seen, columns = observed(problem, hidden=hidden)
    slope, chance = regression(places, seen)
    return _spread(problem, columns, chance < LEVEL, slope)


def pc(problem: Problem, *, hidden: bool) -> Claim:
    """Neighbours of each region by the PC algorithm, causes before regions; slopes by regression on them."""
    return _by_graph(problem, partial(pc_edges, level=LEVEL), hidden=hidden)


def ges(problem: Problem, *, hidden: bool) -> Claim:
    """Neighbours of each region by greedy equivalence search with BIC; causes are before regions, so are parents."""
    return _by_graph(problem, ges_edges, hidden=hidden)


def sobol(problem: Problem) -> Claim:
    """Total indices of the sum over each region, which have no sign; an edge is one that is surely above 0.

    Designs of SALib have one row a base point more.
    """
    from SALib.analyze.sobol import analyze
    from SALib.sample.sobol import sample

    p = len(problem.system.prior.names)
    box = {"num_vars": p, "names": [f"x{k}" for k in range(p)], "bounds": [[-0.5, 0.5]] * p}
    rows = torch.from_numpy(sample(box, problem.pairs, calc_second_order=False, seed=problem.seed))
    edge, size = [], []
    for seen in problem.seen(rows).T.numpy():
        if seen.std() < 1e-9:
            edge.append(torch.zeros(p, dtype=torch.bool))
            size.append(torch.zeros(p, dtype=torch.float64))
            continue
        found = analyze(box, seen, calc_second_order=False, num_resamples=100, seed=problem.seed)
        total, wide = torch.from_numpy(found["ST"]), torch.from_numpy(found["ST_conf"])
        edge.append(total - wide > 0)
        size.append((12 * total.clamp(min=0) * seen.var()).sqrt())
    strength = torch.stack(size)
    return Claim(torch.stack(edge), torch.full_like(strength, torch.nan), strength)


def saliency(problem: Problem) -> Claim:
    """Derivatives at the middle; an edge is one whose d' they expect above `TOLD`."""
    slope = problem.system.slope(problem.middle[None]).double() * _wide(problem)[:, None]
    root = torch.bincount(problem.of).double().sqrt()
    size = (problem.sums(slope**2) * root).sqrt().T
    return Claim(size / 12**0.5 > TOLD, problem.sums(slope).T, size)


def observed(problem: Problem, *, hidden: bool) -> tuple[Tensor, Tensor, list[int]]:
    """Places of causes where nobody intervened, sums over regions with noise, and which causes are recorded."""
    names = problem.system.prior.names
    first = names.index(problem.system.confounder)
    places, seen = _drawn(problem, first)
    columns = [k for k in range(len(names)) if not (hidden and k == first)]
    return places[:, columns], seen, columns


@lru_cache(maxsize=1)
def _drawn(problem: Problem, first: int) -> tuple[Tensor, Tensor]:
    names = problem.system.prior.names
    generator, n = stream(problem.seed, "observed"), problem.pairs * (len(names) + 1)
    normal = torch.randn(n, len(names), generator=generator, dtype=torch.float64)
    drawn = TOGETHER * normal[:, [first]] + math.sqrt(1 - TOGETHER**2) * normal
    drawn[:, first] = normal[:, first]
    places = torch.special.ndtr(drawn) - 0.5
    seen = problem.seen(places)
    return places, seen + torch.randn(seen.shape, generator=generator, dtype=torch.float64)


def regression(places: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes, (region, cause), and how probable it is that ones as large come by chance."""
    design = torch.cat((torch.ones_like(places[:, :1]), places), 1)
    inverse = torch.linalg.inv(design.T @ design)
    found = inverse @ design.T @ seen
    free = len(seen) - design.shape[1]
    spread = (seen - design @ found).square().sum(0) / free
    error = (inverse.diagonal()[1:, None] * spread).sqrt()
    chance = 2 * student.sf((found[1:] / error).abs().numpy(), free)
    return found[1:].T, torch.from_numpy(chance).T


def _by_graph(problem: Problem, search: Callable[[np.ndarray, list[int]], np.ndarray], *, hidden: bool) -> Claim:
    places, seen, columns = observed(problem, hidden=hidden)
    edge = torch.zeros(seen.shape[1], len(columns), dtype=torch.bool)
    slope = torch.zeros(edge.shape, dtype=torch.float64)
    for region, one in enumerate(seen.T):
        tier = [0] * len(columns) + [1]
        parents = torch.from_numpy(search(torch.cat((places, one[:, None]), 1).numpy(), tier)[:-1, -1])
        edge[region] = parents
        if bool(parents.any()):
            slope[region, parents] = regression(places[:, parents], one[:, None])[0][0]
    return _spread(problem, columns, edge, slope)


def _spread(problem: Problem, columns: list[int], edge: Tensor, slope: Tensor) -> Claim:
    """On all causes; of those that are not recorded nothing is claimed."""
    shape = len(edge), len(problem.system.prior.names)
    whole, steep = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.float64)
    whole[:, columns], steep[:, columns] = edge, slope
    return Claim(whole, steep, steep.abs())


def _wide(problem: Problem) -> Tensor:
    """How much a cause changes along its window at the middle, (cause,)."""
    step = 1e-4 * torch.ones_like(problem.middle)
    u = problem.system.prior.cumulative(problem.middle[None])[0]
    ends = problem.system.prior.quantile(torch.stack((u - step, u + step)))
    width: Tensor = (ends[1] - ends[0]) / 2e-4 * (problem.window[:, 1] - problem.window[:, 0])
    return width


OBSERVERS = {"marginal correlation": marginal, "partial correlation": partial_correlation, "PC": pc, "GES": ges}
NEEDS = {"PC": "causallearn", "GES": "causallearn", "Sobol": "SALib"}
"""Packages of the bench extra."""


def rivals() -> tuple[dict[str, Rival], dict[str, str]]:
    """Methods that can run here, and why others cannot."""
    every: dict[str, Rival] = {
        f"{name}, confounder {what}": partial(method, hidden=what == "hidden")
        for what in ("hidden", "recorded")
        for name, method in OBSERVERS.items()
    }
    every |= {"Sobol": sobol, "saliency": saliency}
    needs = {name: NEEDS.get(name.split(",")[0], "") for name in every}
    missing = {name: f"{need} is not installed" for name, need in needs.items() if need and find_spec(need) is None}
    return {name: method for name, method in every.items() if name not in missing}, missing
