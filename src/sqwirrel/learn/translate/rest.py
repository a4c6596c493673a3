"""What the principal components of a domain leave of an image: structure that nothing in the domain has.

The components that an image is nearest to are found as far as noise lets them be told (`LinearGuess`). What is left, in
units of the noise and of what they usually leave in that bin, is smoothed, so that neighbours that are off together
weigh more than noise does, and squared (E. J. Jackson, G. Mudholkar, Control Procedures for Residuals Associated With
Principal Component Analysis (1979), doi:10.1080/00401706.1979.10489779, but for the smoothing).
"""

import math

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from sqwirrel.learn.strange.linear import LinearGuess
from sqwirrel.learn.translate.networks import Seen, gaussian

COMPONENTS = 64
SMOOTH = 2.0
"""Standard deviation of what smooths the rest, bins."""
SLIGHT = 1e-4
"""Variances below this, in units of the mean square of an image, are none."""
UNKNOWN = 1e6
"""Variance of bins that no image of the domain has: they tell nothing."""
TOGETHER = 64
"""Images that are looked at at once."""
Flat = Float32[Tensor, "row bin"]


class Rest(nn.Module):
    """Made for images of a shape; `fit` takes components from some, which are in units of their root mean square."""

    left: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.guess = LinearGuess(math.prod(shape), COMPONENTS)
        self.register_buffer("left", torch.zeros(math.prod(shape)))

    def fit(self, x: Seen) -> None:
        """Components, and the mean square that they leave beside the noise."""
        level, noise, valid = _flat(x)
        seen = valid.sum(0)
        cover = seen.clamp(min=1)
        self.guess.fit(torch.where(valid > 0, level, level.sum(0) / cover))
        parts = [self._away(*each) ** 2 - each[1] for each in _parts(level, noise, valid)]
        left = (torch.cat(parts) * valid).sum(0).clamp(min=0) / cover
        self.left.copy_(torch.where(seen > 0, left, UNKNOWN))

    def forward(self, x: Seen) -> Float[Tensor, " row"]:
        """Mean square of what is left of each image."""
        return torch.cat([self._of(*each) for each in _parts(*_flat(x))]).double()

    def _of(self, level: Flat, noise: Flat, valid: Flat) -> Float32[Tensor, " row"]:
        away = self._away(level, noise, valid) * valid / (noise + self.left + SLIGHT).sqrt()
        planes = away.reshape(-1, *self.shape)
        for axis in range(len(self.shape)):
            planes = gaussian(planes, 1 + axis, SMOOTH)
        return (planes.flatten(1) ** 2).sum(1) / valid.sum(1).clamp(min=1)

    def _away(self, level: Flat, noise: Flat, valid: Flat) -> Flat:
        found: Flat = level - self.guess.made(self.guess(level, valid / (noise + self.left + SLIGHT)))
        return found


def _flat(x: Seen) -> tuple[Flat, Flat, Flat]:
    """Levels, variances and validity of images of levels, variances and validity."""
    level, noise, valid = x.flatten(2).unbind(1)
    return level, noise, valid


def _parts(*each: Tensor) -> list[tuple[Tensor, ...]]:
    return list(zip(*(torch.split(one, TOGETHER) for one in each), strict=True))
