"""Hamiltonian Monte Carlo from importance draws whose weights fail, many chains at once.

S. Duane et al., Phys. Lett. B 195, 216 (1987), doi:10.1016/0370-2693(87)91197-X; R. Neal (2011), arXiv:1206.1901.
Every basin keeps the share that the weights gave it, and its chains start wider than the posterior if few draws carry
weight there; a metric from its Fisher information makes one trajectory nearly independent of the last. The chains are
used once they have forgotten where they began.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqwirrel.infer.refine import Optimum
from sqwirrel.infer.sampling.importance import Weighted
from sqwirrel.infer.target import Target
from sqwirrel.seeds import stream

CHAINS = 64
LEAPS, LENGTH = 4, 1.6
"""Steps of a trajectory, and its first length: a quarter of a turn in a normal law."""
LEAST = 5
"""Moves that are made even if correlations are small: a quarter of a turn makes them zero in a normal law."""
WANTED = 0.8
"""Share of the trajectories that should be accepted; their length follows it."""
FORGOTTEN = 0.2
"""Correlation with the starts below which chains have forgotten them; chance alone gives 0.12 with 64 chains."""
TEMPERS = (1.0, 0.5, 0.25, 0.1, 0.0)
"""Powers of the weights that starts are drawn with: the first that leaves a fifth of the draws effective."""


def moved(
    target: Target,
    weighted: Weighted,
    basins: list[Optimum],
    *,
    draws: int,
    moves: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Weighted:
    """At least `draws` equally weighted draws after at most `moves` moves of forgetting; `forgotten` says how well."""
    generator, chains = stream(seed, "moving"), min(CHAINS, draws)
    start, home = _starts(weighted, basins, chains, generator)
    root = torch.stack([_root(basin) for basin in basins])[home]
    z, length, correlation = start, LENGTH, 1.0
    keep = -(-draws // chains)
    for done in range(moves):
        z, length = _move(target, z, root, length, generator)
        correlation = max(_correlation(start, z, home), _correlation(start**2, z**2, home))
        if progress is not None:
            progress(done + 1, moves + keep)
        if correlation < FORGOTTEN and done + 1 >= LEAST:
            break
    kept = []
    for done in range(keep):
        z, _ = _move(target, z, root, length, generator)
        kept.append(z)
        if progress is not None:
            progress(moves + done + 1, moves + keep)
    every = torch.cat(kept)
    even = torch.full((len(every),), -float(torch.tensor(len(every)).log()), dtype=every.dtype)
    return replace(weighted, z=every, log_weight=even, remembered=max(0.0, correlation))


def _starts(
    weighted: Weighted, basins: list[Optimum], chains: int, generator: torch.Generator
) -> tuple[Float[Tensor, "chain parameter"], Int[Tensor, " chain"]]:
    """Draws of every basin in proportion to its weight, and whose they are."""
    away = weighted.z - torch.stack([basin.z for basin in basins])[:, None]
    near = torch.einsum("kna,kab,knb->kn", away, torch.stack([b.precision for b in basins]), away).argmin(0)
    share = torch.stack([weighted.log_weight.exp()[near == k].sum() for k in range(len(basins))])
    home = torch.multinomial(share, chains, replacement=True, generator=generator).sort().values
    count = torch.bincount(home, minlength=len(basins)).tolist()
    picks = [_tempered(weighted, near == k, n, generator) for k, n in enumerate(count) if n]
    return weighted.z[torch.cat(picks)], home


def _tempered(weighted: Weighted, mine: Tensor, n: int, generator: torch.Generator) -> Int[Tensor, " n"]:
    """`n` of the draws of a basin, by a power of their weights that leaves enough of them effective."""
    which = mine.nonzero()[:, 0]
    finite = which[weighted.log_weight[which].isfinite()]
    for power in TEMPERS:
        share = torch.softmax(power * weighted.log_weight[finite], dim=0)
        if 1 / float((share**2).sum()) >= 0.2 * len(finite):
            break
    return finite[torch.multinomial(share, n, replacement=True, generator=generator)]


def _move(
    target: Target, z: Tensor, root: Float[Tensor, "chain p p"], length: float, generator: torch.Generator
) -> tuple[Float[Tensor, "chain parameter"], float]:
    """One trajectory of every chain, of a random length, and the length to go on with."""
    momentum = torch.randn(z.shape, generator=generator, dtype=z.dtype)
    step = length / LEAPS * (0.8 + 0.4 * torch.rand(len(z), 1, generator=generator, dtype=z.dtype))
    value, force = _pull(target, z, root)
    p, new, first = momentum, z, value
    for _ in range(LEAPS):
        p = p + step / 2 * force
        new = new + torch.einsum("cab,cb->ca", root, step * p)
        value, force = _pull(target, new, root)
        p = p + step / 2 * force
    gain = value - first + 0.5 * (momentum**2 - p**2).sum(1)
    chance = gain.nan_to_num(nan=-torch.inf).clamp(max=0).exp()
    accepted = torch.rand(len(z), generator=generator, dtype=z.dtype) < chance
    length = min(LENGTH, length * float(torch.exp(chance.mean() - WANTED)))
    return torch.where(accepted[:, None], new, z), length


def _pull(target: Target, z: Tensor, root: Tensor) -> tuple[Float[Tensor, " chain"], Float[Tensor, "chain parameter"]]:
    """Log posterior, and its gradient in the metric's coordinates; none where the order is unstable."""
    slope = target.slope(z)
    force = torch.einsum("cab,ca->cb", root, slope.gradient)
    stable = slope.log_posterior.isfinite() & force.isfinite().all(1)
    return torch.where(stable, slope.log_posterior, -torch.inf), torch.where(stable[:, None], force, 0.0)


def _correlation(start: Tensor, now: Tensor, home: Tensor) -> float:
    """Largest over the parameters, both relative to the mean of their basin."""
    count = torch.zeros(int(home.max()) + 1, dtype=start.dtype).index_add(0, home, torch.ones_like(start[:, 0]))
    pair = torch.stack((start, now))
    mean = torch.zeros(2, len(count), start.shape[1], dtype=start.dtype).index_add(1, home, pair)
    a, b = pair - (mean / count.clamp(min=1)[:, None])[:, home]
    size = ((a**2).sum(0) * (b**2).sum(0)).sqrt()
    return float(((a * b).sum(0) / size.clamp(min=1e-300)).where(size > 0, 1.0).max())


def _root(basin: Optimum) -> Float[Tensor, "p p"]:
    """Factor of the covariance; directions that nothing determines are cut as there."""
    value, axes = torch.linalg.eigh(basin.covariance)
    root: Tensor = axes * value.clamp(min=1e-12 * float(value[-1])).sqrt()
    return root
