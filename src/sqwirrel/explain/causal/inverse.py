"""The inverse map: which region fixes which cause, all others free.

From the Fisher information of the cells, region by region. It differs from the forward map: a region that a cause moves
says nothing of it where another cause moves it alike.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.explain.causal.system import System
from sqwirrel.infer.refine import Optimum


@dataclass(frozen=True, eq=False)
class Inverse:
    """Standard deviations that the data leave each cause: of all regions; of each region `alone`; `without` it; and
    with every other cause `known`. The prior's spread is weak information in all of them.
    """

    sigma: Float[Tensor, " cause"]
    known: Float[Tensor, " cause"]
    alone: Float[Tensor, "region cause"]
    without: Float[Tensor, "region cause"]

    @property
    def inflation(self) -> Float[Tensor, "region cause"]:
        """How many times larger the error of a cause is without a region."""
        return self.without / self.sigma


def inverse(
    system: System, of: Int64[Tensor, " cell"], regions: int, theta: Float[Tensor, "1 cause"], *, excess: float = 1.0
) -> Inverse:
    """Of the regions of a map, at `theta`."""
    slope = system.slope(theta) / excess
    each = torch.stack([slope[:, of == k] @ slope[:, of == k].T for k in range(regions)])
    weak = torch.diag(system.prior.sd**-2)
    every = each.sum(0) + weak
    return Inverse(
        _sigma(every),
        every.diagonal() ** -0.5,
        torch.stack([_sigma(one + weak) for one in each]),
        torch.stack([_sigma(every - one) for one in each]),
    )


def _sigma(precision: Float[Tensor, "cause cause"]) -> Float[Tensor, " cause"]:
    return Optimum(precision[0], 0.0, precision, precision).covariance.diagonal().clamp(min=0).sqrt()
