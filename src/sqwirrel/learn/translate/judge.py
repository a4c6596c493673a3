"""How alike two sets of images are, and whether one of them is all the same: what translators are judged by.

Critics' losses say nothing of progress. Features are those of a fixed random convolutional network, which nobody
trained, so that nobody can have learnt to please it, with mean levels beside (the kernels of random networks are
universal enough to tell domains apart: A. Rahimi, B. Recht, Random Features (2007)).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from sqwirrel.learn.npe import initialise
from sqwirrel.learn.translate.networks import CONV, Seen
from sqwirrel.seeds import stream

WIDTHS = (16, 32, 32)
PIECES = 4
"""Parts of each axis whose mean levels are features."""
CHUNK = 64
"""Images that are looked at at once."""
TOGETHER = 500
"""Permutations that are judged at once."""
SPREAD = 0.5
"""Translated images that scatter by less than this, over those of the domain, have collapsed."""

Features = Float[Tensor, "row feature"]
Others = Float[Tensor, "other feature"]


class Look(nn.Module):
    """Features of images of so many axes, as networks see them (`networks.seen`); standardised with those of `fit`.

    Of every channel of every layer the mean and the standard deviation over what was measured; of the levels those of
    the whole image and the means of its parts along each axis.
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, axes: int, seed: int = 0) -> None:
        super().__init__()
        conv, self.axes = CONV[axes], axes
        inputs = (2, *WIDTHS[:-1])
        self.layers = nn.ModuleList(
            conv(n, wide, 3, stride=1 + (k > 0), padding=1)
            for k, (n, wide) in enumerate(zip(inputs, WIDTHS, strict=True))
        )
        size = 2 * sum(WIDTHS) + 2 + PIECES * axes
        self.register_buffer("middle", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(size, dtype=torch.float64))
        initialise(self, seed)
        self.requires_grad_(requires_grad=False)

    def fit(self, x: Seen) -> None:
        """Takes the moments of the features of some images."""
        found = self._raw(x)
        self.middle.copy_(found.mean(0))
        spread = found.std(0)
        self.spread.copy_(torch.where(spread > 1e-6, spread, 1.0))

    def forward(self, x: Seen) -> Features:
        """Features of each image."""
        return (self._raw(x) - self.middle) / self.spread

    def _raw(self, x: Seen) -> Features:
        return torch.cat([self._of(part) for part in torch.split(x, CHUNK)]).double()

    def _of(self, x: Seen) -> Float32[Tensor, "row feature"]:
        level, valid = x[:, :1], x[:, 2:]
        found = [*_moments(level, valid), *self._parts(level, valid)]
        seen = torch.cat((level, valid), dim=1)
        for layer in self.layers:
            seen = nn.functional.leaky_relu(layer(seen), 0.2)
            cover = _coarser(valid, seen.shape[2:])
            found += _moments(seen, cover)
        return torch.cat(found, dim=1)

    def _parts(self, level: Tensor, valid: Tensor) -> list[Tensor]:
        found = []
        for axis in range(2, 2 + self.axes):
            pieces = zip(level.tensor_split(PIECES, axis), valid.tensor_split(PIECES, axis), strict=True)
            found += [_moments(one, there)[0] for one, there in pieces]
        return found


class Distance(NamedTuple):
    """The energy distance of two sets of features, and how often it is as large when rows are given to the sets by
    chance.
    """

    value: float
    p: float


def energy_distance(one: Features, other: Others) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'|, over all pairs of rows, each row with itself included (G. Szekely, M. Rizzo,
    J. Stat. Plan. Inference 143, 1249 (2013), doi:10.1016/j.jspi.2013.03.018): 0 for the same rows.
    """
    return float(_distances(one, other, _signs(len(one), len(other))[None])[0])


def distance(one: Features, other: Others, permutations: int = 999, seed: int = 0) -> Distance:
    """With the share of `permutations` of the rows that are as far apart, the one that was seen counted too."""
    signs, n = _signs(len(one), len(other)), len(one) + len(other)
    order = torch.rand(permutations, n, generator=stream(seed, "permutations")).argsort(1)
    found = _distances(one, other, torch.cat((signs[None], signs[order])))
    return Distance(float(found[0]), float((found >= found[0] - 1e-12).double().mean()))


def diversity(images: Features, domain: Others) -> float:
    """Mean distance of pairs of images over that of pairs of the domain: far below 1, images have collapsed."""
    return float(_mean_distance(images) / _mean_distance(domain).clamp(min=1e-12))


def _signs(n: int, m: int) -> Float[Tensor, " both"]:
    return torch.cat((torch.full((n,), 1.0 / n), torch.full((m,), -1.0 / m))).double()


def _distances(one: Features, other: Others, signs: Float[Tensor, "case both"]) -> Float[Tensor, " case"]:
    """- s' D s, for the signs of each case, with all distances D."""
    every = torch.cat((one, other)).double()
    far = torch.cdist(every, every, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.cat([-((part @ far) * part).sum(1) for part in torch.split(signs, TOGETHER)])


def _mean_distance(rows: Features) -> Float[Tensor, ""]:
    n = len(rows)
    far = torch.cdist(rows.double(), rows.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return far.sum() / max(n * (n - 1), 1)


def _moments(x: Tensor, weight: Tensor) -> list[Tensor]:
    """Mean and standard deviation of each channel, with weights."""
    axes = tuple(range(2, x.ndim))
    total = weight.sum(axes).clamp(min=1e-6)
    mean = (x * weight).sum(axes) / total
    away = (x - mean.reshape(*mean.shape, *[1] * len(axes))) ** 2
    return [mean, ((away * weight).sum(axes) / total).sqrt()]


def _coarser(valid: Tensor, sides: torch.Size) -> Tensor:
    """Shares of the coarser bins that were measured."""
    return nn.functional.interpolate(valid, size=list(sides), mode="area")
