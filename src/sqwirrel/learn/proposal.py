"""What a trained estimator says of one measured spectrum: where to look, and how unlike the simulations it is."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.npe import NPE, Ensemble
from sqwirrel.learn.pairs import Pairs
from sqwirrel.seeds import stream
from sqwirrel.spectra import Spectrum

REFERENCE = 1024
"""Simulated spectra whose features a measured one is compared with."""
RIDGE = 1e-3
"""Share of the mean variance of the features that is added to each."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """Draws of parameters for a spectrum on the bins that an estimator was trained for, and its distance.

    Distances are those of Mahalanobis in the features of the network (K. Lee et al., arXiv:1807.03888), judged by those
    of simulated spectra that the mean and the covariance were not taken from.
    """

    estimator: NPE | Ensemble
    pairs: Pairs
    mean: Float[Tensor, " feature"]
    precision: Float[Tensor, "feature feature"]
    usual: Float[Tensor, " reference"]

    @classmethod
    def of(cls, estimator: NPE | Ensemble, pairs: Pairs, seed: int = 0) -> "Proposal":
        """With fresh noise on the simulations of some pairs."""
        rows = torch.randint(len(pairs.simulations), (2 * REFERENCE,), generator=stream(seed, "reference"))
        features = estimator.features(pairs.noisy(rows, stream(seed, "reference noise")).x).double()
        first, other = features[:REFERENCE], features[REFERENCE:]
        covariance = torch.cov(first.T)
        covariance = covariance + RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance)).to(covariance)
        precision = torch.linalg.inv(covariance)
        return cls(estimator, pairs, first.mean(0), precision, _distance(other, first.mean(0), precision))

    def draws(self, spectrum: Spectrum, n: int, seed: int) -> Float[Tensor, "draw parameter"]:
        """Parameters that the estimator holds likely."""
        z = self.estimator.sample(self._image(spectrum), n, seed)[0].double()
        return self.pairs.prior.constrain(z[z.isfinite().all(1)])

    def likelier(self, spectrum: Spectrum) -> float:
        """Share of simulated spectra at least as far from the others as this one: small if it is unlike all."""
        far = _distance(self.estimator.features(self._image(spectrum)).double(), self.mean, self.precision)
        return (1 + float((self.usual >= far).sum())) / (1 + len(self.usual))

    def _image(self, spectrum: Spectrum) -> Tensor:
        mine = self.pairs.simulations.experiment.measurement
        if spectrum.measurement.shape != mine.shape:
            raise InputError(
                f"the estimator was trained for {mine.shape} bins (points, energies), the spectrum has "
                f"{spectrum.measurement.shape}; train one for these bins"
            )
        return self.pairs.see(torch.where(spectrum.valid, spectrum.intensity, 0.0)[None])


def _distance(features: Tensor, mean: Tensor, precision: Tensor) -> Float[Tensor, " row"]:
    away = features - mean
    return torch.einsum("ra,ab,rb->r", away, precision, away)
