"""What remains of an image beside a guess of it, weighed by the noise that it ought to have."""

from collections.abc import Sequence

import torch
from jaxtyping import Float32, Int
from torch import Tensor

from sqwirrel.learn.embed import Image

TOLERANCE = 1.5
"""A variance of the noise up to this factor from the stated one is not held against an image."""
QUIET = 0.25
"""Nor is a smaller one, down to this share of it: roots of few counts scatter less than those of many."""

Level = Float32[Tensor, "batch point energy"]
Planes = Sequence[Int[Tensor, "_ _ _"]]


def measured(x: Image) -> Image:
    """With 0 in all channels of the bins that were not measured, whatever was there."""
    return torch.where(x[:, 2:3] > 0, x, 0.0)


def brightness(x: Image) -> Float32[Tensor, " batch"]:
    """Root mean square intensity over the measured bins, in units of the usual error."""
    valid = x[:, 2]
    return ((x[:, 0] ** 2 * valid).sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)).sqrt().clamp(min=1e-3)


def noisier(x: Image, generator: torch.Generator) -> Image:
    """With more noise, of a size of its own in every image: up to `TOLERANCE` times the variance that is stated."""
    share = (TOLERANCE - 1) * torch.rand(len(x), 1, 1, generator=generator)
    more = share.sqrt() * torch.exp(x[:, 1]) * torch.randn(x[:, 0].shape, generator=generator)
    return measured(torch.stack((x[:, 0] + more, x[:, 1], x[:, 2]), dim=1))


def squares(x: Image, guess: Level) -> Float32[Tensor, " batch"]:
    """Mean squared difference over the measured bins, each in units of its error."""
    valid = x[:, 2]
    return (_away(x, guess) ** 2).sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)


def beyond_noise(x: Image, guess: Level, planes: Planes) -> Float32[Tensor, " batch"]:
    """`squares` over the variance of the noise, as the image itself tells it: half the mean square by which the
    difference changes from one bin of a plane to the next (J. von Neumann, Ann. Math. Stat. 12, 367 (1941),
    doi:10.1214/aoms/1177731677).

    It is about 1 where nothing but noise is left. Noise that is somewhat other than stated changes nothing, up to
    `TOLERANCE`; beyond it counts.
    """
    away, valid = _away(x, guess).flatten(1), x[:, 2].flatten(1)
    total, pairs = away.new_zeros(len(x)), away.new_zeros(len(x))
    for order in planes:
        values, there = away[:, order], valid[:, order]
        for axis in (2, 3):
            last = values.shape[axis] - 1
            both = there.narrow(axis, 1, last) * there.narrow(axis, 0, last)
            step = values.narrow(axis, 1, last) - values.narrow(axis, 0, last)
            total, pairs = total + (step**2 * both).sum((1, 2, 3)), pairs + both.sum((1, 2, 3))
    own = torch.where(pairs > 0, 0.5 * total / pairs.clamp(min=1), 1.0)
    return squares(x, guess) / own.clamp(QUIET, TOLERANCE)


def _away(x: Image, guess: Level) -> Level:
    """Difference in units of the error, 0 where nothing was measured."""
    return torch.where(x[:, 2] > 0, (x[:, 0] - guess) * torch.exp(-x[:, 1]), 0.0)
