"""Refinement: Fisher scoring from many starts at once, and the basins they end in."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.infer.target import Slope, Target

STEPS = 30
SETTLED = 0.01
"""A start has converged when the next step promises less than this in log posterior."""
SAME_BASIN = 1.0
"""Two optima closer than this many standard deviations per parameter (root mean square) are one basin."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where one start ended: parameters, log posterior, Fisher information (without prior) and precision (with it)."""

    theta: Float[Tensor, " parameter"]
    log_posterior: float
    information: Float[Tensor, "parameter parameter"]
    precision: Float[Tensor, "parameter parameter"]
    starts: int = 1

    @property
    def covariance(self) -> Float[Tensor, "parameter parameter"]:
        """Inverse of the precision; directions that nothing determines are cut at 1e12 of the best determined one."""
        return _inverse(self.precision)


def refine(
    target: Target, starts: Float[Tensor, "start parameter"], *, steps: int = STEPS, progress: Callable[[int, int], None] | None = None
) -> list[Optimum]:
    """Levenberg-Marquardt on the log posterior with Fisher information for the curvature, inside the prior's bounds."""
    theta, damping = _inside(target, starts), torch.full((len(starts),), 1e-3, dtype=starts.dtype)
    slope = target.slope(theta)
    active = torch.ones(len(theta), dtype=torch.bool)
    for done in range(steps):
        if progress is not None:
            progress(done, steps)
        step, gain = _step(target, theta, slope, damping)
        active &= (gain > SETTLED) & (damping < 1e5)
        if not bool(active.any()):
            break
        theta, slope, damping = _advance(target, theta, slope, damping, step, active)
    return [_optimum(target, theta[k], slope, k) for k in range(len(theta))]


def basins(optima: list[Optimum]) -> list[Optimum]:
    """One optimum per basin, best first, each with the number of starts that ended there."""
    found: list[Optimum] = []
    for optimum in sorted(optima, key=lambda o: -o.log_posterior):
        home = next((k for k, known in enumerate(found) if _distance(known, optimum) < SAME_BASIN), None)
        if home is None:
            found.append(optimum)
        else:
            known = found[home]
            found[home] = Optimum(known.theta, known.log_posterior, known.information, known.precision, known.starts + optimum.starts)
    return found


def _advance(
    target: Target, theta: Tensor, slope: Slope, damping: Tensor, step: Tensor, active: Tensor
) -> tuple[Tensor, Slope, Tensor]:
    """Moves the active starts whose step improves; the others become more cautious."""
    index = active.nonzero()[:, 0]
    trial = _inside(target, theta[index] + step[index])
    new = target.slope(trial)
    better = new.log_posterior > slope.log_posterior[index]
    moved = index[better]
    theta, damping = theta.clone(), damping.clone()
    theta[moved] = trial[better]
    damping[index] = torch.where(better, (damping[index] / 5).clamp(min=1e-9), damping[index] * 8)
    merged = [_replaced(old, moved, value[better]) for old, value in zip(slope, new, strict=True)]
    return theta, Slope(*merged), damping


def _replaced(old: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    new = old.clone()
    new[index] = rows
    return new


def _step(target: Target, theta: Tensor, slope: Slope, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The damped step and the gain it promises; a parameter that pushes against its bound stays."""
    lo, hi = target.prior.bounds.T
    stuck = ((theta <= lo) & (slope.gradient < 0)) | ((theta >= hi) & (slope.gradient > 0))
    gradient = slope.gradient.masked_fill(stuck, 0.0)
    precision = slope.information + torch.diag_embed(slope.prior_information)
    precision = precision.masked_fill(stuck[:, :, None] | stuck[:, None, :], 0.0)
    scale = precision.diagonal(dim1=-2, dim2=-1).clamp(min=1e-300).sqrt()
    normal = precision / scale[:, :, None] / scale[:, None, :]
    eye = torch.eye(theta.shape[1], dtype=theta.dtype)
    normal = normal * (1 - eye) + eye * (1 + damping[:, None, None])
    step = torch.linalg.solve(normal, gradient / scale) / scale
    return step.masked_fill(stuck, 0.0), 0.5 * (gradient * step).sum(-1)


def _inside(target: Target, theta: Tensor) -> Tensor:
    lo, hi = target.prior.bounds.T
    return theta.clamp(lo, hi)


def _optimum(target: Target, theta: Tensor, slope: Slope, k: int) -> Optimum:
    """The end of start k; no direction is left wider than the prior."""
    information = slope.information[k]
    prior = torch.maximum(slope.prior_information[k], 1 / target.prior.sd**2)
    return Optimum(theta, float(slope.log_posterior[k]), information, information + torch.diag(prior))


def _inverse(precision: Tensor) -> Tensor:
    scale = precision.diagonal().clamp(min=1e-300).sqrt()
    value, axes = torch.linalg.eigh(precision / scale[:, None] / scale)
    return (axes / value.clamp(min=1e-12 * float(value[-1]))) @ axes.T / scale[:, None] / scale


def _distance(a: Optimum, b: Optimum) -> float:
    away = a.theta - b.theta
    return float((away @ a.precision @ away / len(away)).clamp(min=0).sqrt())
