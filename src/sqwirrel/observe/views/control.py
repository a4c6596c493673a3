"""What an average over many points adds to one over few: a control variate, exact where it was found."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.observe.views.derivatives import slopes


class Control(NamedTuple):
    """What better points add to the deposit: `value`, and `slope` times the way from `at`.

    The latter is right within a few tenths of `reach` and fades out, as a Gaussian, by three times that.
    """

    at: Float[Tensor, " parameter"]
    reach: Float[Tensor, " parameter"]
    value: Float[Tensor, "cell line"]
    slope: Float[Tensor, "parameter cell line"]

    def add(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch cell line"]:
        """To be added to the deposit at `theta`."""
        away = theta - self.at
        fade = torch.exp(-((away / self.reach) ** 2).sum(1, keepdim=True) / 2)
        return self.value + torch.einsum("bp,pcl->bcl", away * fade, self.slope)

    def added(self, theta: Tensor, value: Tensor, rise: Tensor, stable: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Onto a deposit and its derivatives (parameter first)."""
        more, steeper, _ = slopes(lambda x: (self.add(x), x), theta)
        return value + more, rise + steeper, stable
