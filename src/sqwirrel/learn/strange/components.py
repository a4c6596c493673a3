"""Components: principal components of simulated images, the classical way to remove noise and to judge an image."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from sqwirrel.learn.embed import Image
from sqwirrel.learn.strange.pixels import Level, Planes, beyond_noise, measured

COMPONENTS = 32


@dataclass(frozen=True, eq=False)
class Components:
    """Mean and principal components of the intensities of some images; `planes` say which bins are neighbours, `valid`
    which are in the images that they were made from.
    """

    mean: Float32[Tensor, " pixel"]
    axes: Float32[Tensor, "pixel component"]
    valid: Bool[Tensor, " pixel"]
    planes: Planes = ()

    @classmethod
    def of(cls, x: Image, planes: Planes = ()) -> "Components":
        """Of some images with the same coverage."""
        pixels = x[:, 0].flatten(1)
        mean = pixels.mean(0)
        axes = torch.linalg.svd(pixels - mean, full_matrices=False).Vh[:COMPONENTS].T
        return cls(mean, axes, x[0, 2].flatten() > 0, planes)

    def denoised(self, x: Image) -> Level:
        """The sum of components that is nearest to an image over the bins that were measured."""
        away = torch.where(x[:, 2].flatten(1) > 0, x[:, 0].flatten(1) - self.mean, 0.0)
        return (self.mean + self._shares(x, away) @ self.axes.T).reshape(x[:, 0].shape)

    def rest(self, x: Image) -> Float[Tensor, " batch"]:
        """Mean square that the components leave of the measured bins, all alike: the noise that an image is stated to
        have is part of it.
        """
        valid = x[:, 2].flatten(1) > 0
        away = torch.where(valid, x[:, 0].flatten(1) - self.mean, 0.0)
        left = torch.where(valid, away - self._shares(x, away) @ self.axes.T, 0.0)
        return (left**2).sum(1).double() / valid.sum(1).clamp(min=1)

    def score(self, x: Image) -> Float[Tensor, " batch"]:
        """What the components leave, against what the noise explains."""
        x = measured(x)
        return beyond_noise(x, self.denoised(x), self.planes).double()

    def _shares(self, x: Image, away: Float32[Tensor, "batch pixel"]) -> Float32[Tensor, "batch component"]:
        """Of every component: a projection, or least squares where other bins were measured than usual."""
        share = away @ self.axes
        for mask, rows in _masks(x[:, 2].flatten(1) > 0):
            if not torch.equal(mask, self.valid):
                some = self.axes[mask]
                share[rows] = torch.linalg.lstsq(some, away[rows][:, mask].T).solution.T
        return share


def _masks(valid: Bool[Tensor, "batch pixel"]) -> list[tuple[Tensor, Tensor]]:
    """Different coverages, and the rows that have each."""
    if bool((valid == valid[:1]).all()):
        return [(valid[0], torch.arange(len(valid)))]
    found, kind = torch.unique(valid, dim=0, return_inverse=True)
    return [(mask, (kind == k).nonzero()[:, 0]) for k, mask in enumerate(found)]
