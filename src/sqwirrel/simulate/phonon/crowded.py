"""Points of the Brillouin zone, crowded where acoustic phonons are.

Next to Bragg points, lines of phonons are as strong as they are few: with E = c |q| the intensity goes as 1 / E^2 at
temperatures above E, their number as E^2. Half of the points lie there as 1 / |q|^2, so that as many are at any low
energy, and each is worth accordingly less.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.seeds import sphere, spread

CLOSE = 0.5
"""Share of the points that lie as 1 / |q|^2, unless asked otherwise."""


def crowded(
    reciprocal: Float[Tensor, "3 3"], count: int, seed: int, close: float = CLOSE
) -> tuple[Float[Tensor, "zone 3"], Float[Tensor, " zone"]]:
    """Points in the vectors of a reciprocal cell (1/angstrom), and what each is worth: 1 if all were even.

    `close` is the share of them in the largest sphere round a Bragg point that is part of its zone.
    """
    near = cube([2, 2, 2])
    radius = (near @ reciprocal).norm(dim=1).sort().values[1] / 2
    some = round(close * count)
    even, u = (spread(n, 3, 1, seed, name)[0] for n, name in ((count - some, "zone"), (some, "close")))
    ball = (radius * u[:, :1]) * sphere(u[:, 1], u[:, 2]) @ torch.linalg.inv(reciprocal)
    zone = torch.cat((even - even.round(), ball))
    square = torch.stack([(((zone - each) @ reciprocal) ** 2).sum(1) for each in near]).amin(0)
    crowd = torch.linalg.det(reciprocal).abs() / (4 * math.pi * radius * square.clamp(min=1e-300))
    return zone, count / (count - some + some * torch.where(square < radius**2, crowd, 0.0))


def cube(n: list[int]) -> Float[Tensor, "corner 3"]:
    """All whole numbers from -n to n along each axis."""
    axes = [torch.arange(-k, k + 1, dtype=torch.float64) for k in n]
    return torch.cartesian_prod(*axes)
