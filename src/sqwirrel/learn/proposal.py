"""What a trained estimator says of one measured spectrum: where to look, and how unlike the simulations it is."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from sqwirrel.learn.npe import NPE, Ensemble
from sqwirrel.learn.pairs import Pairs
from sqwirrel.learn.parts import Like
from sqwirrel.seeds import stream

REFERENCE = 1024
"""Simulated spectra whose features a measured one is compared with, and as many that say how far is usual."""
RIDGE = 1e-3
"""Share of the mean variance of the features that is added to each."""
COMPONENTS = 32


class Familiar(NamedTuple):
    """What simulated spectra look like: mean and precision of their features, mean and principal components of the
    images themselves.
    """

    mean: Float[Tensor, " feature"]
    precision: Float[Tensor, "feature feature"]
    image: Float32[Tensor, " pixel"]
    components: Float32[Tensor, "pixel component"]

    @classmethod
    def of(cls, features: Float[Tensor, "row feature"], pixels: Float32[Tensor, "row pixel"]) -> "Familiar":
        """From some of them."""
        covariance = torch.cov(features.T)
        covariance = covariance + RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance)).to(covariance)
        image = pixels.mean(0)
        components = torch.linalg.svd(pixels - image, full_matrices=False).Vh[:COMPONENTS].T
        return cls(features.mean(0), torch.linalg.inv(covariance), image, components)

    def distances(
        self, features: Float[Tensor, "row feature"], pixels: Float32[Tensor, "row pixel"]
    ) -> Float[Tensor, "row 2"]:
        """Of Mahalanobis in the features (K. Lee et al., arXiv:1807.03888), and what components leave of the image."""
        away, rest = features - self.mean, pixels - self.image
        rest = rest - (rest @ self.components) @ self.components.T
        return torch.stack((torch.einsum("ra,ab,rb->r", away, self.precision, away), (rest**2).sum(1).double()), dim=1)


@dataclass(frozen=True, eq=False)
class Proposal:
    """Draws of parameters for a spectrum on the bins that an estimator was trained for, and how strange it is.

    `usual` are the distances of simulated spectra that `familiar` was not made from.
    """

    estimator: NPE | Ensemble
    pairs: Pairs
    familiar: Familiar
    usual: Float[Tensor, "reference 2"]

    @classmethod
    def of(cls, estimator: NPE | Ensemble, pairs: Pairs, seed: int = 0) -> "Proposal":
        """With fresh noise on the simulations of some pairs."""
        rows = torch.randint(len(pairs.simulations), (2 * REFERENCE,), generator=stream(seed, "reference"))
        x = pairs.noisy(rows, stream(seed, "reference noise")).x
        features, pixels = estimator.features(x).double(), x[:, 0].flatten(1)
        familiar = Familiar.of(features[:REFERENCE], pixels[:REFERENCE])
        return cls(estimator, pairs, familiar, familiar.distances(features[REFERENCE:], pixels[REFERENCE:]))

    def draws(self, data: Like, n: int, seed: int) -> Float[Tensor, "draw parameter"]:
        """Parameters that the estimator holds likely."""
        z = self.estimator.sample(self.pairs.image(data), n, seed)[0].double()
        return self.pairs.prior.constrain(z[z.isfinite().all(1)])

    def likelier(self, data: Like) -> float:
        """Probability that a simulated spectrum is at least as strange as this one, by the worse of both distances."""
        x = self.pairs.image(data)
        far = self.familiar.distances(self.estimator.features(x).double(), x[:, 0].flatten(1))
        share = (1 + (self.usual >= far).sum(0)) / (1 + len(self.usual))
        return min(1.0, 2 * float(share.min()))
