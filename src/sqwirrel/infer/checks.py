"""Checks that every posterior carries: fit, sampling, quadrature, identifiability."""

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.infer.importance import Weighted
from sqwirrel.infer.posterior import LEVELS, Basin, Check, weighted_quantile
from sqwirrel.infer.refine import Optimum
from sqwirrel.infer.target import Target

DEVIANCE = 1.25
"""Deviance per bin above which the model does not describe the data."""
EFFECTIVE = 100
PARETO = 0.7
QUADRATURE = 0.5
"""Largest shift of a parameter by the powder average, in units of its own standard deviation."""
EDGE = 0.05
"""A 95 % interval this close to a bound, in units of its width, is made by the prior: it cuts off 6 % or more."""
WIDE = 0.9
"""A posterior this wide, in units of the prior's standard deviation, has learnt nothing."""
BLOCK = (6, 8)
"""Bins along |Q| and energy that are averaged in the search for misfit."""
MISFIT = 5.0
"""Standard deviations at which the mean residual of a block counts as structure."""


def fit_checks(target: Target, theta: Float[Tensor, " parameter"]) -> tuple[float, list[Check]]:
    """Deviance per bin at `theta`, whether it is acceptable, and where the largest misfit sits."""
    with torch.no_grad():
        expected, _ = target.experiment.predict(target.full(theta[None]))
    observed = target.observed
    per_bin = float(target.deviance(theta[None])) / int(observed.valid.sum())
    largest, where = _misfit(target, expected[0])
    return per_bin, [
        Check(
            "deviance_per_bin",
            per_bin <= DEVIANCE,
            per_bin,
            f"residual deviance per bin, at most {DEVIANCE} for a model that describes the data",
        ),
        Check(
            "residual_structure",
            abs(largest) <= MISFIT,
            largest,
            f"largest mean residual of a block of bins in standard deviations, at {where}",
        ),
    ]


def complete_check(weighted: Weighted, draws: int) -> Check:
    """Whether sampling ran to its end."""
    n = len(weighted.log_weight)
    return Check("complete", n >= draws, n, f"draws made of the {draws} asked for; fewer after an interruption")


def sampling_checks(weighted: Weighted) -> list[Check]:
    """Whether the importance weights can be trusted."""
    k, ess = weighted.pareto_k, weighted.effective
    return [
        Check("pareto_k", k < PARETO, k, f"tail of the importance weights, below {PARETO} for a trustworthy posterior"),
        Check("effective_draws", ess >= EFFECTIVE, ess, f"effective sample size, at least {EFFECTIVE}"),
    ]


def quadrature_check(target: Target, other: Target, optimum: Optimum) -> Check:
    """Shift of the optimum when every quadrature point moves, along what it moves most, in standard deviations."""
    a, b = target.slope(optimum.z[None]), other.slope(optimum.z[None])
    covariance = optimum.covariance
    shift = covariance @ (b.gradient - a.gradient)[0] / covariance.diagonal().sqrt() / 2**0.5
    k = int(shift.abs().argmax())
    meaning = (
        f"error of the average over |Q| and direction, in standard deviations of '{target.names[k]}', "
        "which it moves most"
    )
    return Check("quadrature", float(shift.abs()[k]) <= QUADRATURE, float(shift.abs()[k]), meaning)


def parameter_checks(
    target: Target, draws: Float[Tensor, "draw parameter"], weight: Float[Tensor, " draw"]
) -> list[Check]:
    """Parameters that the prior decides: cut off at a bound that is not zero, or as wide as the prior."""
    lo, hi = target.prior.bounds.T
    low, high = (weighted_quantile(draws, weight, level) for level in LEVELS["interval95"])
    width = (high - low).clamp(min=1e-300)
    below, above = (low - lo.where(lo != 0, -torch.inf)) / width, (hi.where(hi != 0, torch.inf) - high) / width
    close = torch.minimum(below, above)
    sd = (weight @ (draws - weight @ draws) ** 2).sqrt() / target.prior.sd
    cut, wide = _named(target, close < EDGE), _named(target, sd > WIDE)
    return [
        Check(
            "inside_prior",
            not cut,
            float(close.min()),
            f"distance of the 95 % intervals from the prior's bounds, in widths; cut off: {cut or 'none'}",
        ),
        Check(
            "identified",
            not wide,
            float(sd.max()),
            f"largest posterior over prior standard deviation; not determined by the data: {wide or 'none'}",
        ),
    ]


def basin_check(basins: tuple[Basin, ...]) -> Check:
    """Whether one basin holds the probability."""
    first = max(basin.probability for basin in basins)
    return Check(
        "one_basin", first >= 0.95, first, f"probability of the best of {len(basins)} basins found; all are reported"
    )


def _named(target: Target, flag: Tensor) -> str:
    return ", ".join(name for name, bad in zip(target.names, flag.tolist(), strict=True) if bad)


def _misfit(target: Target, expected: Float[Tensor, "point energy"]) -> tuple[float, str]:
    """The block with the largest mean residual, in standard deviations of that mean, and where it lies."""
    valid = target.observed.valid
    z = torch.zeros_like(expected)
    weight = target.experiment.instrument.counting.weight(expected[valid][None], target.observed)[0]
    z[valid] = (target.observed.intensity - expected[valid]) * weight.sqrt()
    size = (min(BLOCK[0], z.shape[0]), min(BLOCK[1], z.shape[1]))
    rest = (0, -z.shape[1] % size[1], 0, -z.shape[0] % size[0])  # a block that the map fills in part is one too
    padded = (torch.nn.functional.pad(x, rest) for x in (z, valid.to(z.dtype)))
    total, count = (x.unfold(0, size[0], size[0]).unfold(1, size[1], size[1]).sum((-1, -2)) for x in padded)
    score = torch.where(count > 0, total / count.clamp(min=1).sqrt(), 0.0)
    k = int(score.abs().argmax())
    i, j = k // score.shape[1] * size[0], k % score.shape[1] * size[1]
    measurement = target.experiment.measurement
    stop = min(i + size[0], z.shape[0])
    energy = measurement.energy[[j, min(j + size[1], z.shape[1])]].tolist()
    where = f"{measurement.points.describe(i, stop)}, {energy[0]:.2f} to {energy[1]:.2f} meV"
    return float(score.flatten()[k]), where
