"""Variances of reduced data from those round each bin, and how they follow an expectation."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

WINDOW = 5
"""Bins of one of a measurement's `planes` (|Q| and energy, as a rule) over which `Gaussian` averages the variance."""
POORLY = 10.0
"""Bins with a variance this many times the median do not say what was subtracted in reduction."""


def neighbours(
    variance: Float[Tensor, "plane row column"], valid: Bool[Tensor, "plane row column"]
) -> Float[Tensor, "plane row column"]:
    """Mean over the valid neighbours of each bin, itself left out; its own value where it has none."""
    kernel = torch.ones(1, 1, WINDOW, WINDOW, dtype=variance.dtype)
    kernel[..., WINDOW // 2, WINDOW // 2] = 0
    pair = torch.stack((variance * valid, valid.to(variance.dtype)))
    total, count = torch.nn.functional.conv2d(pair.flatten(0, 1)[:, None], kernel, padding=WINDOW // 2).view_as(pair)
    return torch.where(count > 0, total / count.clamp(min=1), variance)


def contrast(
    expected: Float[Tensor, "plane row column"],
    claimed: Float[Tensor, "plane row column"],
    around: Float[Tensor, "plane row column"],
    valid: Bool[Tensor, "plane row column"],
) -> Float[Tensor, "plane row column"]:
    """(expected + level) / its mean over the neighbours.

    The level solves sum (expected - mean) (claimed (mean + level) - around (expected + level)) = 0 over the bins
    that are not much worse measured than most: no term knows the noise of its own bin twice, so that noise does not
    bias it. Infinite, and the ratio 1, if errors do not grow.
    """
    mean = neighbours(expected, valid)
    usual = valid & (around <= POORLY * around[valid].median())
    rise = torch.where(usual, expected - mean, 0.0)
    growth = float((rise * (claimed - around)).sum())
    level = float((rise * (around * expected - claimed * mean)).sum()) / growth if growth > 0 else torch.inf
    if level == torch.inf:
        return torch.ones_like(expected)
    level = max(0.0, level)
    return torch.where(mean + level > 0, (expected + level) / (mean + level).clamp(min=1e-300), 1.0)
