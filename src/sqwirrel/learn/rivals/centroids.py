"""Centroids: how certain it is that the features of an image are those of each rival; of none, if they are elsewhere.

J. van Amersfoort et al., Uncertainty Estimation Using a Single Deep Deterministic Neural Network
(2020), arXiv:2003.02037. The features here are those that a classifier has learnt, and they are not moved: what it
ignores cannot make an image uncertain.
"""

import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn

from sqwirrel.learn.embed import Features

PLACES = 16
"""Coordinates that the features are projected on, for every rival anew."""
LENGTH = 0.5
"""Of the kernel: root mean square distance in a coordinate at which certainty has fallen to exp(-1/2)."""
MEMORY = 0.99
"""What a step of training leaves of the centroids and of the moments before it; the first steps leave less."""


class Centroids(nn.Module):
    """Projections of standardised features, and the place where those of each rival usually are."""

    steps: Tensor
    count: Tensor
    total: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, rivals: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rivals, features, PLACES))
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("count", torch.ones(rivals))
        self.register_buffer("total", torch.zeros(rivals, PLACES))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Projections that keep the size of what they project."""
        nn.init.normal_(self.weight, std=self.weight.shape[1] ** -0.5)

    @property
    def places(self) -> Float32[Tensor, "rival place"]:
        """The centroids."""
        return self.total / self.count.clamp(min=1e-3)[:, None]

    def distance(self, features: Features) -> Float32[Tensor, "batch rival"]:
        """Mean squared distance from every centroid, in units of twice the square of the kernel's length."""
        away = self._projected(features) - self.places
        return (away**2).mean(2) / (2 * LENGTH**2)

    def forward(self, features: Features) -> Float32[Tensor, "batch rival"]:
        """How certain it is that features are a rival's: the kernel exp(-d^2 / 2 l^2)."""
        return torch.exp(-self.distance(features))

    def loss(self, features: Features, rival: Int[Tensor, " batch"]) -> Float32[Tensor, ""]:
        """Binary cross-entropy of every rival. Where a gradient is asked for, that is, in training and not in judging
        it, the centroids then follow the features.
        """
        features = features.detach()
        distance = self.distance(features)
        mine = nn.functional.one_hot(rival, len(self.count)).to(distance)
        others = torch.log(-torch.expm1(-distance.clamp(min=1e-4)))
        loss = (mine * distance - (1 - mine) * others).mean()
        if torch.is_grad_enabled():
            self.follow(features, mine)
        return loss

    @torch.no_grad()
    def follow(self, features: Features, mine: Float32[Tensor, "batch rival"]) -> None:
        """Moves the moments, and the centroids towards the means of the features of their own rivals."""
        fresh = max(1 - MEMORY, 1 / (1 + float(self.steps)))
        self.steps += 1
        self.mean.lerp_(features.mean(0), fresh)
        self.spread.lerp_(features.std(0).clamp(min=1e-3), fresh)
        found = torch.einsum("br,brp->rp", mine, self._projected(features))
        self.count.lerp_(mine.sum(0), fresh)
        self.total.lerp_(found, fresh)

    def _projected(self, features: Features) -> Float32[Tensor, "batch rival place"]:
        return torch.einsum("bf,rfp->brp", (features - self.mean) / self.spread, self.weight)
