"""The unconstrained coordinate of an interval: linear inside, with soft ends that cannot be passed."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

INSIDE = 1e-6
"""How far inside an interval, as a share of it, its ends are taken in the unconstrained coordinate."""
SHARP = 50.0
"""The unconstrained coordinate of an interval is linear but for about 1 / `SHARP` of it at either end."""


def share(z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """u(z) in (0, 1): z in units of an even law's standard deviation, softened at both ends by a logistic law."""
    t = z / math.sqrt(12)
    softplus = torch.nn.functional.softplus
    return (softplus(SHARP * (t + 0.5)) - softplus(SHARP * (t - 0.5))) / SHARP


def coordinate(u: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The inverse of `share`."""
    u = u.clamp(INSIDE, 1 - INSIDE)
    t = (torch.log(torch.expm1(SHARP * u)) - torch.log(-torch.expm1(SHARP * (u - 1))) - SHARP / 2) / SHARP
    return math.sqrt(12) * t


def log_slope(z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log du / dz = log (s(a) - s(b)), with the logistic function s, written so that neither end underflows."""
    a, b = SHARP * (z / math.sqrt(12) + 0.5), SHARP * (z / math.sqrt(12) - 0.5)
    logsigmoid = torch.nn.functional.logsigmoid
    return logsigmoid(a) + logsigmoid(-b) + math.log(-math.expm1(-SHARP)) - 0.5 * math.log(12)
