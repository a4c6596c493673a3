"""Screening: starting points from the prior, many at a time, with the linear nuisances solved for."""

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.target import Target

RIDGE = 1e-9


def screen(target: Target, *, draws: int, keep: int, seed: int) -> Float[Tensor, "start parameter"]:
    """The `keep` best of `draws` prior draws, by log posterior, after `profile`.

    Raises InputError when the assumed order is stable for none of them.
    """
    theta = target.prior.sample(draws, seed)
    profiled, value = profile(target, theta)
    stable = value.isfinite()
    if not bool(stable.any()):
        raise InputError(_never_stable(target, theta))
    best = value.argsort(descending=True)[: min(keep, int(stable.sum()))]
    return profiled[best]


def profile(
    target: Target, theta: Float[Tensor, "batch parameter"]
) -> tuple[Float[Tensor, "batch parameter"], Float[Tensor, " batch"]]:
    """`theta` with free linear nuisances (scale, background) at their weighted least squares, and its log posterior.

    The solution is clipped to the prior's bounds. The log posterior is -inf where the order is unstable.
    """
    experiment, observed = target.experiment, target.observed
    full = target.full(theta)
    with torch.no_grad():
        signal, stable = experiment.signal(full)
    valid = observed.valid
    shapes = torch.cat((signal[:, None], experiment.templates.expand(len(theta), -1, -1, -1)), dim=1)[..., valid]
    free = [k for k, name in enumerate(experiment.linear) if name in target.names]
    columns = [experiment.names.index(name) for name in experiment.linear]
    amplitude = full[:, columns]
    if free:
        amplitude[:, free] = _least_squares(shapes, amplitude, free, observed.intensity, 1 / observed.variance)
        lo, hi = target.prior.bounds.T
        for k in free:
            p = target.names.index(experiment.linear[k])
            amplitude[:, k] = amplitude[:, k].clamp(lo[p], hi[p])
            theta = theta.clone()
            theta[:, p] = amplitude[:, k]
    expected = torch.einsum("bk,bkn->bn", amplitude, shapes)
    deviance = experiment.instrument.counting.deviance(expected, observed)
    value = target.prior.log_prob(theta) - 0.5 * deviance
    return theta, torch.where(stable, value, -torch.inf)


def _least_squares(shapes: Tensor, amplitude: Tensor, free: list[int], y: Tensor, weight: Tensor) -> Tensor:
    """Amplitudes of the free shapes, the others held."""
    held = [k for k in range(shapes.shape[1]) if k not in free]
    rest = y - torch.einsum("bk,bkn->bn", amplitude[:, held], shapes[:, held])
    A = shapes[:, free]
    normal = (A * weight) @ A.mT
    size = normal.diagonal(dim1=-2, dim2=-1)
    normal = normal + torch.diag_embed(RIDGE * size + torch.finfo(y.dtype).tiny)
    solved: Tensor = torch.linalg.solve(normal, torch.einsum("bkn,bn->bk", A * weight, rest))
    return solved


def _never_stable(target: Target, theta: Tensor) -> str:
    reason = target.experiment.why_unstable(target.full(theta[:1]))
    return f"the prior never gives a stable order in {len(theta)} draws; for the first of them {reason}"
