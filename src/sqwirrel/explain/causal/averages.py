"""Means over interventions, and how far other designs would have them.

How far interventions go is known before any simulation: |u - v| of two even numbers is 1/3 on average, its square 1/6.
Changes are regressed on both, so that a design that goes too far or not far enough is made up for (control variates).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.seeds import stream

KNOWN = 1 / 3, 1 / 6
"""Mean and mean square of the distance of two even numbers."""


class Average(NamedTuple):
    """A mean, at least 0, and what each intervention adds to it by chance."""

    mean: Float[Tensor, " cell"]
    rest: Float[Tensor, "pair cell"]

    def resampled(self, draws: int, seed: int) -> Float[Tensor, "draw cell"]:
        """Means of other designs: pairs with weights of a Dirichlet law (the Bayesian bootstrap, D. B. Rubin, Ann.
        Stat. 9, 130 (1981), doi:10.1214/aos/1176345338).
        """
        even = torch.rand(draws, len(self.rest), generator=stream(seed, "resampled"), dtype=self.rest.dtype)
        weight = -even.clamp(min=1e-7).log()
        return (self.mean + weight @ self.rest / weight.sum(1, keepdim=True)).clamp(min=0)


def averaged(
    values: Float[Tensor, "pair cell"], length: Float[Tensor, " pair"], good: Bool[Tensor, " pair"]
) -> Average:
    """Of the good pairs, which go `length` (0 to 1) along one cause."""
    values, length = (values, length) if bool(good.all()) else (values[good], length[good])
    known = [length**power - expected for power, expected in enumerate(KNOWN, 1)]
    design = torch.stack((torch.ones_like(length), *known), -1).to(values)
    found = torch.linalg.pinv(design) @ values
    lost = len(values) / (len(values) - design.shape[1])
    return Average(found[0].clamp(min=0), (values - design @ found) * lost**0.5)
