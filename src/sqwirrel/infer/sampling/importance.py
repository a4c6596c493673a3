"""Importance sampling round every basin with a mixture of Student-t laws.

Draws of several rounds share one weight, posterior / mean proposal of all rounds (Cornuet et al., Scand. J. Stat. 39,
798 (2012), doi:10.1111/j.1467-9469.2011.00756.x); the largest weights are smoothed by a generalised Pareto law whose
shape k says whether to trust them: below 0.7 (Vehtari et al., J. Mach. Learn. Res. 25, 72 (2024), arXiv:1507.02646).

Proposals are in the prior's standard coordinates y, cut off where the prior ends: a valley that is straight there and
leans on an end is bent in the coordinates z without ends, which the search needs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from scipy.stats import genpareto
from torch import Tensor

from sqwirrel.infer.refine import Optimum
from sqwirrel.infer.sampling.mixture import StudentMixture
from sqwirrel.infer.target import Target, diagonal
from sqwirrel.model.prior import Prior
from sqwirrel.seeds import stream

PARETO, FINITE = 0.7, 0.5
"""Tail of the weights from which on they are not trusted, and below which their variance is finite."""
MORE, FEW = 3, 0.25
"""So many more rounds follow at most, and as long as this share of the draws or less is effective."""
KERNELS, WIDTH = 64, 0.7
"""Proposals of the rounds that follow a heavy tail: so many components of this width, in posterior widths."""
LEAST = 1e-12
"""A component is kept as it is if its draws have less of the weight."""
POWERS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12, 0.08, 0.0)
KNOWN = 3
"""Weights of draws that a component is moved by are taken to a power that leaves so many effective a parameter. (22
parameters whose covariance is wrong by factors of 2.7 in variance, 6 rounds of 500: 460 to 1080 effective draws of 4500
in place of 23 to 114.)
"""
EQUAL = 0.01
"""Largest weights that differ by less than this share have no tail that could matter."""
WIDER = 2.0
"""Some draws of a posterior of peaks are spread this many times as wide as the information says."""
FEWEST = 50
"""Draws that an interrupted run must have to be worth keeping."""
BLOCK = 16
"""Draws evaluated together; progress is told, and an interruption felt, between blocks."""


@dataclass(frozen=True, eq=False)
class Weighted:
    """Draws (unconstrained coordinates) with normalised log weights, the log evidence with its error, and how far to
    trust them.
    """

    z: Float[Tensor, "draw parameter"]
    log_weight: Float[Tensor, " draw"]
    log_evidence: float
    pareto_k: float
    log_evidence_error: float = 0.0
    remembered: float | None = None
    """If the draws were moved: their correlation with where they began."""

    @property
    def effective(self) -> float:
        """Effective sample size, 1 / sum w^2."""
        return float(torch.exp(-torch.logsumexp(2 * self.log_weight, dim=0)))


def importance(
    target: Target,
    basins: list[Optimum],
    *,
    draws: int,
    rounds: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Weighted:
    """Weighted draws from the posterior; from the second round on, proposals have the moments of all draws so far.

    Up to `MORE` rounds follow while weights have no finite variance or few draws are effective, with kernels round the
    draws for proposals as soon as enough of these carry weight.
    """
    generator, prior = stream(seed, "importance"), target.prior
    straight = [_straight(prior, basin) for basin in basins]
    guide = _laplace([*straight, *_freed(target, straight), *_widened(target, straight)], prior.box)
    mixtures = [guide]
    y, value = torch.empty(0, len(target.names), dtype=torch.float64), torch.empty(0, dtype=torch.float64)
    sizes = [draws // rounds] * (rounds - 1) + [draws - draws // rounds * (rounds - 1)]
    sizes += sizes[-1:] * MORE
    for k, size in enumerate(sizes):
        new = mixtures[-1].sample(size, generator)
        value, stopped = _evaluate(target, new, value, max(draws, sum(sizes[: k + 1])), progress)
        y = torch.cat((y, new[: len(value) - len(y)]))
        weighted = _weigh(y, value, mixtures, [*sizes[:k], len(value) - sum(sizes[:k])])
        good = weighted.pareto_k < FINITE and weighted.effective > FEW * len(y)
        if stopped or (k + 1 >= rounds and (good or k + 1 == len(sizes))):
            break
        coarse = k + 1 < rounds or weighted.effective < KNOWN * y.shape[1]
        guide = _adapted(guide, weighted)
        mixtures.append(guide if coarse else _kernels(guide, weighted, generator))
    return replace(weighted, z=prior.unconstrain(prior.from_standard(weighted.z)))


def _evaluate(
    target: Target, new: Tensor, value: Tensor, draws: int, progress: Callable[[int, int], None] | None
) -> tuple[Tensor, bool]:
    """`value` with that of `new` appended, block by block; True if interrupted after enough draws to go on with."""
    for part in torch.split(new, BLOCK):
        try:
            value = torch.cat((value, target.log_standard(part)))
            if progress is not None:
                progress(len(value), draws)
        except KeyboardInterrupt:
            if len(value) < FEWEST:
                raise
            return value, True
    return value, False


def _straight(prior: Prior, basin: Optimum) -> Optimum:
    """A basin in standard coordinates: curvature of the likelihood and of the ends that it leans on, and unit variance.

    What the soft ends of z add to the curvature in z, and is none of theirs in y, is taken off.
    """
    z = basin.z[None]
    score = diagonal(prior.log_density)
    slope = diagonal(lambda z: prior.standard(prior.constrain(z)))(z)[0].clamp(min=1e-100)
    y = prior.standard(prior.constrain(z))
    sharp = basin.precision + torch.diag(diagonal(score)(z)[0])
    precision = sharp / slope / slope[:, None] + torch.eye(len(slope), dtype=slope.dtype)
    value = basin.log_posterior + float(prior.log_standard(y) - prior.log_density(z))
    return Optimum(y[0], value, precision, precision, basin.starts)


def _laplace(basins: list[Optimum], box: Tensor) -> StudentMixture:
    """One component a basin, with the covariance of its curvature, shared by its approximate evidence."""
    root = torch.stack([_root(basin.covariance) for basin in basins])
    mass = torch.tensor([b.log_posterior for b in basins], dtype=torch.float64) + root.diagonal(
        dim1=-2, dim2=-1
    ).log().sum(-1)
    share = (torch.softmax(mass, dim=0) + 0.05).clamp(min=1e-3)
    return StudentMixture(share / share.sum(), torch.stack([b.z for b in basins]), root, box)


def _freed(target: Target, basins: list[Optimum]) -> list[Optimum]:
    """The basins with the parameters that the prior decides as it has them: a mode at one of its ends is no guide."""
    columns = [k for k, name in enumerate(target.names) if name in target.assumed]
    freed = []
    for basin in basins if columns else ():
        z, precision = basin.z.clone(), basin.precision.clone()
        z[columns], precision[columns], precision[:, columns] = 0.0, 0.0, 0.0
        precision[columns, columns] = 1.0
        freed.append(replace(basin, z=z, precision=precision))
    return freed


def _widened(target: Target, basins: list[Optimum]) -> list[Optimum]:
    """With peaks, the basins as wide again: their information takes it as known which line each peak belongs to."""
    return [replace(basin, precision=basin.precision / WIDER**2) for basin in basins if target.assumed]


def _adapted(mixture: StudentMixture, weighted: Weighted) -> StudentMixture:
    """Components moved to the weighted moments of the draws nearest to each; kept where too few draws carry weight."""
    away = (weighted.z - mixture.centre[:, None]).mT
    nearest = (torch.linalg.solve_triangular(mixture.root, away, upper=False) ** 2).sum(1).argmin(0)
    weight = weighted.log_weight.exp()
    moved = [_moments(mixture, k, weighted.z[nearest == k], weight[nearest == k]) for k in range(len(mixture.share))]
    share, centre, root = (torch.stack(part) for part in zip(*moved, strict=True))
    return StudentMixture(share / share.sum(), centre, root, mixture.box)


def _kernels(adapted: StudentMixture, weighted: Weighted, generator: torch.Generator) -> StudentMixture:
    """Narrow components round draws by their weight, which follow any shape (West, J. R. Stat. Soc. B 55, 409 (1993)).

    Each is shrunk towards the centre of its component, so that the mixture is as wide as the draws.
    """
    pick = torch.multinomial(weighted.log_weight.exp(), KERNELS, replacement=True, generator=generator)
    away = (weighted.z[pick] - adapted.centre[:, None]).mT
    near = (torch.linalg.solve_triangular(adapted.root, away, upper=False) ** 2).sum(1).argmin(0)
    centre = torch.lerp(adapted.centre[near], weighted.z[pick], math.sqrt(1 - WIDTH**2))
    return StudentMixture(
        torch.full((KERNELS,), 1 / KERNELS).to(centre), centre, WIDTH * adapted.root[near], adapted.box
    )


def _moments(mixture: StudentMixture, k: int, z: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    total, p = weight.sum(), z.shape[1]
    enough = KNOWN * (p + 1)
    if float(total) <= LEAST or len(z) < enough:
        return total + 0.02, mixture.centre[k], mixture.root[k]
    weight, known = _tempered(weight, enough)
    centre = weight @ z
    away = z - centre
    wider = (known + 1) / (known - p - 2)  # what so few draws do not know of their own mean and spread
    return total + 0.02, centre, _root(wider * (away * weight[:, None]).T @ away)


def _tempered(weight: Tensor, enough: float) -> tuple[Tensor, float]:
    """The highest power of weights that leaves enough draws effective, normalised, and how many are.

    Moments under it are between those of the proposal and of the posterior (E. Koblents, J. Miguez, Stat. Comput. 25,
    407 (2015), doi:10.1007/s11222-013-9440-2).
    """
    for power in POWERS:
        even = torch.softmax(power * weight.clamp(min=torch.finfo(weight.dtype).tiny).log(), dim=0)
        known = 1 / float((even**2).sum())
        if known >= enough:
            break
    return even, known


def _root(covariance: Tensor) -> Tensor:
    """Cholesky factor, with a little added to a covariance that is singular to rounding."""
    scale = covariance.diagonal().clamp(min=1e-300).sqrt()
    normal = covariance / scale[:, None] / scale + 1e-9 * torch.eye(len(scale), dtype=scale.dtype)
    root: Tensor = torch.linalg.cholesky(normal)
    return scale[:, None] * root


def _weigh(z: Tensor, value: Tensor, mixtures: list[StudentMixture], sizes: list[int]) -> Weighted:
    share = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    proposal = torch.logsumexp(torch.stack([m.log_prob(z) for m in mixtures]) + share.log()[:, None], dim=0)
    raw = value - proposal
    smoothed, k = pareto_smooth(raw)
    evidence, error = _evidence(z, value, mixtures, sizes)
    return Weighted(z, smoothed - torch.logsumexp(smoothed, dim=0), evidence, k, error)


def _evidence(z: Tensor, value: Tensor, mixtures: list[StudentMixture], sizes: list[int]) -> tuple[float, float]:
    """Log evidence and its error, from the last round that was not cut short, under its own law.

    The draws of a round have taught later ones where they lie, so that the weights of all, whose moments are right,
    have too small a mean: by .3 to .9 with 22 parameters and five rounds of 300 draws (the last, by less than .1).
    """
    last = len(sizes) - 1 - (len(sizes) > 1 and sizes[-1] < min(FEWEST, sizes[0]))
    begin = sum(sizes[:last])
    mine = slice(begin, begin + sizes[last])
    log_weight, _ = pareto_smooth(value[mine] - mixtures[last].log_prob(z[mine]))
    total, m = torch.logsumexp(log_weight, dim=0), sizes[last]
    share = float(torch.exp(2 * (log_weight - total)).sum())
    return float(total) - math.log(m), math.sqrt(max(0.0, share - 1 / m) + mixtures[last].inside_error ** 2)


def pareto_smooth(log_weight: Float[Tensor, " draw"]) -> tuple[Float[Tensor, " draw"], float]:
    """Log weights, the tail replaced by quantiles of a generalised Pareto law, and its shape k (inf without a tail)."""
    n = int(log_weight.isfinite().sum())
    tail = min(n // 5, math.ceil(3 * math.sqrt(n)))
    if tail < 5:
        return log_weight, math.inf
    top = log_weight.argsort(descending=True)[: tail + 1].flip(0)
    excess = torch.exp(log_weight[top] - log_weight[top[-1]])
    if float(excess[-1] - excess[0]) < EQUAL:
        return log_weight, 0.0
    k, _, scale = genpareto.fit((excess[1:] - excess[0]).numpy(), floc=0)
    quantile = genpareto.ppf((torch.arange(tail) + 0.5).numpy() / tail, k, scale=scale)
    smoothed = log_weight.clone()
    smoothed[top[1:]] = (excess[0] + torch.as_tensor(quantile)).log().clamp(max=0) + log_weight[top[-1]]
    return smoothed, float(k)
