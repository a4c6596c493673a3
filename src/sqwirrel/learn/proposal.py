"""What a trained estimator says of one measured spectrum: where to look, and how unlike the simulations it is."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.learn.npe import NPE, Ensemble
from sqwirrel.learn.pairs import Pairs
from sqwirrel.learn.parts import Like
from sqwirrel.learn.strange.components import Components
from sqwirrel.learn.strange.familiar import Familiar, Mahalanobis
from sqwirrel.seeds import stream

REFERENCE = 1024
"""Simulated spectra whose features a measured one is compared with, and as many that say how far is usual."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """Draws of parameters for a spectrum on the bins that an estimator was trained for, and how strange it is.

    Two scores say that: the distance of the estimator's features, and the plain square that components leave.
    """

    estimator: NPE | Ensemble
    pairs: Pairs
    familiar: Familiar

    @classmethod
    def of(cls, estimator: NPE | Ensemble, pairs: Pairs, seed: int = 0) -> "Proposal":
        """With fresh noise on the simulations of some pairs."""
        rows = torch.randint(len(pairs.simulations), (2 * REFERENCE,), generator=stream(seed, "reference"))
        x = pairs.noisy(rows, stream(seed, "reference noise")).x
        known = Mahalanobis.of(estimator.features(x[:REFERENCE]).double())
        scores = {
            "features": lambda each: known(estimator.features(each).double()),
            "components": Components.of(x[:REFERENCE]).rest,
        }
        return cls(estimator, pairs, Familiar.of(scores, x[REFERENCE:]))

    def draws(self, data: Like, n: int, seed: int) -> Float[Tensor, "draw parameter"]:
        """Parameters that the estimator holds likely."""
        z = self.estimator.sample(self.pairs.image(data), n, seed)[0].double()
        return self.pairs.prior.constrain(z[z.isfinite().all(1)])

    def likelier(self, data: Like) -> float:
        """Probability that a simulated spectrum is at least as strange as this one, by the worse of both distances."""
        return float(self.familiar.likelier(self.pairs.image(data)))
