"""expected_ratio(): where two models would be told apart, before anything was measured.

The expected log likelihood ratio of a bin, if the first model is right, is the Kullback-Leibler divergence of its two
laws (S. Kullback, R. A. Leibler, Ann. Math. Stat. 22, 79 (1951), doi:10.1214/aoms/1177729694). It is what an
attribution of a network that tells the two apart is compared with.
"""

import torch
from jaxtyping import Float
from scipy.special import stdtrit
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.observe.counting import STRAY, Counting, Observed, Robust

LEVELS = 401
"""Quantiles of a law with tails that stand for it."""


def expected_ratio(
    counting: Counting,
    one: Float[Tensor, "point energy"],
    other: Float[Tensor, "point energy"],
    observed: Observed,
) -> Float[Tensor, "point energy"]:
    """E[log p(y | one) - log p(y | other)] with y as `one` expects, for every bin that is `observed`, 0 elsewhere."""
    if one.shape != other.shape or one.shape != observed.valid.shape:
        raise InputError(f"two expectations on the same bins are needed, got {tuple(one.shape)}, {tuple(other.shape)}")
    mu, nu = one[observed.valid], other[observed.valid]
    found = torch.zeros(one.shape, dtype=one.dtype)
    if counting.is_poisson:
        mu, nu = mu.clamp(min=STRAY), nu.clamp(min=STRAY)
        found[observed.valid] = torch.xlogy(mu, mu / nu) - mu + nu
    elif isinstance(counting, Robust):
        found[observed.valid] = _student((mu - nu) / observed.variance.sqrt(), counting.freedom)
    else:
        found[observed.valid] = (mu - nu) ** 2 / observed.variance / 2
    return found


def _student(away: Float[Tensor, " bin"], freedom: float) -> Float[Tensor, " bin"]:
    """The divergence of two t laws `away` standard deviations from each other, from quantiles of the first."""
    level = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    r = torch.from_numpy(stdtrit(freedom, level.numpy()))
    far = torch.log1p((r + away[:, None]) ** 2 / freedom) - torch.log1p(r**2 / freedom)
    return (freedom + 1) / 2 * far.mean(1)
