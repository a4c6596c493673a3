"""Independent random streams from one seed and a label.

There is no global random state: every consumer of randomness asks for its own stream by name, so that adding
one consumer changes no other's numbers.
"""

import hashlib
import math

import torch
from jaxtyping import Float
from torch import Tensor


def stream(seed: int, label: str) -> torch.Generator:
    """A CPU generator determined by `seed` and `label` together (their SHA-256, 63 bits of it)."""
    digest = hashlib.sha256(f"{seed}/{label}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def spread(n: int, dimension: int, copies: int, seed: int, label: str) -> Float[Tensor, "copy n dimension"]:
    """n points spread evenly over the unit cube, for each of `copies` with a random shift.

    An additive recurrence (an R-sequence: powers of the generalised golden ratio).
    """
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (dimension + 1))
    step = ratio ** -torch.arange(1, dimension + 1, dtype=torch.float64)
    shift = torch.rand(copies, 1, dimension, generator=stream(seed, label), dtype=torch.float64)
    return (shift + torch.arange(n, dtype=torch.float64)[:, None] * step) % 1


def sphere(height: Float[Tensor, "*point"], turn: Float[Tensor, "*point"]) -> Float[Tensor, "*point 3"]:
    """Unit vectors, uniform on the sphere for uniform arguments in [0, 1)."""
    z, phi = 2 * height - 1, 2 * math.pi * turn
    rho = (1 - z**2).sqrt()
    return torch.stack((rho * phi.cos(), rho * phi.sin(), z), dim=-1)
