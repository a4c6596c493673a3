"""What a law of a bulk number gives."""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SMALL = 1e-6
"""Below this share of k T a mode has its classical heat to twelve digits."""


class Found(NamedTuple):
    """Numbers of each row of parameters, how far a mesh of half as many points along each direction has them, and
    whether the order is a minimum wherever it was looked at.
    """

    value: Float[Tensor, "batch number"]
    rough: Float[Tensor, "batch number"]
    stable: Bool[Tensor, " batch"]


@runtime_checkable
class Law(Protocol):
    """Bulk numbers of one kind from rows of parameters, those of a model in its order."""

    def __call__(self, theta: Float[Tensor, "batch parameter"]) -> Found:
        """The numbers."""


def einstein(energy: Float[Tensor, "*shape"], warmth: Float[Tensor, " number"]) -> Float[Tensor, "*shape number"]:
    """Heat capacity of a mode in units of k: x^2 e^x / (e^x - 1)^2 with x = E / k T (`warmth` is k T, meV)."""
    x = (energy.abs()[..., None] / warmth).clamp(min=SMALL)
    return x**2 * torch.exp(-x) / torch.expm1(-x) ** 2
