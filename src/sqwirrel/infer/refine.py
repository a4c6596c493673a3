"""Refinement: Fisher scoring from many starts at once, and the basins they end in."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.infer.target import Slope, Target

STEPS = 100
SETTLED = 0.01
"""A start has converged when the next step promises less than this in log posterior."""
LONGEST = 1.0
"""Longest step in an unconstrained coordinate, in which every prior has unit standard deviation."""
AT_MOST = 10.0
"""A coordinate at an end of its prior feels little and asks for long steps: it shortens those of others so many times
at most.
"""
WARY = 0.01
"""Least damping after a step that made things worse: below, it would hardly change the next one."""
SAME_BASIN = 1.0
"""Two optima closer than this many standard deviations per parameter (root mean square) are one basin."""
NEAR, CLOSE, PROMISE = 0.5, 0.05, 0.5
"""A start goes no further once it is this near, by the same measure, and this close in every coordinate, to a better
one, and both promise less than this beyond what lies between them: it ends where that one does.
"""


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where one start ended (z), its log posterior, Fisher information, and precision, which has the prior included."""

    z: Float[Tensor, " parameter"]
    log_posterior: float
    information: Float[Tensor, "parameter parameter"]
    precision: Float[Tensor, "parameter parameter"]
    starts: int = 1

    @property
    def covariance(self) -> Float[Tensor, "parameter parameter"]:
        """Inverse of the precision; directions that nothing determines are cut at 1e12 of the best determined one."""
        return _inverse(self.precision)

    def distance(self, other: "Optimum") -> float:
        """Root mean square distance per parameter, in standard deviations."""
        away = self.z - other.z
        return float((away @ self.precision @ away / len(away)).clamp(min=0).sqrt())


def refine(
    target: Target,
    starts: Float[Tensor, "start parameter"],
    *,
    steps: int = STEPS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Optimum]:
    """Levenberg-Marquardt on the log posterior from rows of theta, with Fisher information for the curvature."""
    z, damping = target.prior.unconstrain(starts), torch.full((len(starts),), 1e-3, dtype=starts.dtype)
    slope = target.slope(z)
    active, leader = torch.ones(len(z), dtype=torch.bool), torch.arange(len(z))
    for done in range(steps):
        if progress is not None:
            progress(done, steps)
        step, gain = _step(slope, damping)
        leader = _joined(z, slope, torch.where(damping < 1, gain, torch.inf), leader)
        active &= (gain > SETTLED) & (damping < 1e5) & (leader == torch.arange(len(z)))
        if not bool(active.any()):
            break
        z, slope, damping = _advance(target, z, slope, damping, step, active)
    return [_optimum(z[k], slope, k) for k in leader.tolist()]


def basins(optima: list[Optimum]) -> list[Optimum]:
    """One optimum per basin, best first, each with the number of starts that ended there."""
    found: list[Optimum] = []
    for optimum in sorted(optima, key=lambda o: -o.log_posterior):
        home = next((k for k, known in enumerate(found) if known.distance(optimum) < SAME_BASIN), None)
        if home is None:
            found.append(optimum)
        else:
            found[home] = replace(found[home], starts=found[home].starts + optimum.starts)
    return found


def _advance(
    target: Target, z: Tensor, slope: Slope, damping: Tensor, step: Tensor, active: Tensor
) -> tuple[Tensor, Slope, Tensor]:
    """Moves the active starts whose step improves; the others become more cautious."""
    index = active.nonzero()[:, 0]
    trial = z[index] + step[index]
    new = target.slope(trial)
    better = new.log_posterior > slope.log_posterior[index]
    moved = index[better]
    bolder, warier = (damping[index] / 5).clamp(min=1e-9), (damping[index] * 8).clamp(min=WARY)
    damping = _replaced(damping, index, torch.where(better, bolder, warier))
    merged = [_replaced(old, moved, value[better]) for old, value in zip(slope, new, strict=True)]
    return _replaced(z, moved, trial[better]), Slope(*merged), damping


def _joined(z: Tensor, slope: Slope, promise: Tensor, leader: Tensor) -> Tensor:
    """The start that each follows: itself, or a better one that is near by both of their metrics, almost at its end."""
    away, precision = z - z[:, None], slope.information + torch.diag_embed(slope.prior_information)
    size2 = torch.einsum("ijp,jpq,ijq->ij", away, precision, away) / z.shape[1]
    behind = slope.log_posterior - slope.log_posterior[:, None]
    near = (torch.maximum(size2, size2.mT) < NEAR**2) & (away.abs().amax(-1) < CLOSE)
    near &= (behind > 0) & (promise < PROMISE) & (promise[:, None] < behind + PROMISE)
    own = torch.arange(len(z))
    near &= (leader == own) & (leader == own)[:, None]
    joined = torch.where(near.any(1), torch.where(near, behind, -1.0).argmax(1), leader)
    while not torch.equal(joined, joined[joined]):  # a better one each time, so that there is an end
        joined = joined[joined]
    return joined


def _replaced(old: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    new = old.clone()
    new[index] = rows
    return new


def _step(slope: Slope, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The damped step, at most `LONGEST` in any coordinate, and the gain it promises."""
    precision = slope.information + torch.diag_embed(slope.prior_information)
    damped = precision + torch.diag_embed(damping[:, None] * precision.diagonal(dim1=-2, dim2=-1))
    step = torch.linalg.solve(damped, slope.gradient).clamp(-AT_MOST * LONGEST, AT_MOST * LONGEST)
    step = step * (LONGEST / step.abs().amax(-1, keepdim=True).clamp(min=LONGEST))
    return step, 0.5 * (slope.gradient * step).sum(-1)


def _optimum(z: Tensor, slope: Slope, k: int) -> Optimum:
    information = slope.information[k]
    return Optimum(z, float(slope.log_posterior[k]), information, information + torch.diag(slope.prior_information[k]))


def _inverse(precision: Tensor) -> Tensor:
    scale = precision.diagonal().clamp(min=1e-300).sqrt()
    value, axes = torch.linalg.eigh(precision / scale[:, None] / scale)
    inverse: Tensor = (axes / value.clamp(min=1e-12 * float(value[-1]))) @ axes.T / scale[:, None] / scale
    return inverse
