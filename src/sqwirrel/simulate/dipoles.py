"""Lattice sums of the dipole-dipole interaction at any wavevector, by Ewald's method.

    A_ij^ab(q) = sum_R T^ab(d) exp(2 pi i q.d),   T^ab(d) = delta_ab / d^3 - 3 d_a d_b / d^5,   d = R + r_j - r_i

with 1/d split into erfc(eta d)/d, summed over d, and erf(eta d)/d, summed over K = 2 pi (q + G): there T^ab becomes
(4 pi / V) K_a K_b / K^2 exp(-K^2 / 4 eta^2) exp(-2 pi i G.(r_j - r_i)) (P. P. Ewald, Ann. Phys. 369, 253 (1921)). The
term K = 0 is left out (a conductor round the sample; no demagnetising field), so that A jumps at every q = -G.
"""

import math
from itertools import product

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

REACH = 6.0
"""Both sums end where their terms have fallen to exp(-REACH^2), 2e-16."""
CHUNK = 128
"""Wavevectors worked on at once."""
COMPONENTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


class DipoleSums(nn.Module):
    """A_ij^ab (1/angstrom^3) of the pairs i <= j and the `COMPONENTS` ab of a cell, pair by pair.

    The cell has the rows of `vectors` (angstrom) and `positions` in it. The rest follows from
    A_ij^ab = A_ij^ba = conj(A_ji^ab). `splitting` is eta times the cube root of the cell's volume V; it moves work
    between the sums and changes nothing else.
    """

    step: Tensor
    cells: Tensor
    near: Tensor
    waves: Tensor
    shift: Tensor
    reciprocal: Tensor

    def __init__(
        self, vectors: Float[Tensor, "3 3"], positions: Float[Tensor, "site 3"], splitting: float = math.sqrt(math.pi)
    ) -> None:
        super().__init__()
        n = len(positions)
        self.volume = float(torch.linalg.det(vectors).abs())
        self.eta = splitting / self.volume ** (1 / 3)
        i, j = torch.triu_indices(n, n)
        step, reciprocal = positions[j] - positions[i], 2 * math.pi * torch.linalg.inv(vectors).T
        cells = _within(vectors, REACH / self.eta + float((step @ vectors).norm(dim=-1).max()))
        waves = _within(reciprocal, 2 * self.eta * REACH + float(reciprocal.norm(dim=-1).sum()) / 2)
        near = _near((cells[:, None] + step) @ vectors, self.eta)
        near[(cells == 0).all(-1), i == j] = _itself(self.eta)
        parts = {"cells": cells, "near": near.flatten(1), "waves": waves, "shift": _turn(-waves @ step.T)}
        for name, part in {**parts, "step": step, "reciprocal": reciprocal}.items():
            self.register_buffer(name, part)

    def forward(self, q: Float[Tensor, "q 3"]) -> Complex[Tensor, "q sum"]:
        """The sums at wavevectors in units of the reciprocal vectors of the cell."""
        return torch.cat([self._part(part) for part in torch.split(q, CHUNK)])

    def _part(self, q: Float[Tensor, "q 3"]) -> Complex[Tensor, "q sum"]:
        """At some wavevectors: those of the first zone, moved."""
        zone = q.round()
        q = q - zone
        angle = 2 * math.pi * (q @ self.cells.T)
        near = torch.complex(angle.cos() @ self.near, angle.sin() @ self.near)
        near = near.reshape(len(q), -1, 6) * _turn(q @ self.step.T)[..., None]
        K = (q[:, None] + self.waves) @ self.reciprocal
        square = (K**2).sum(-1)
        is_zero = square < 1e-18 * self.volume ** (-2 / 3)
        weight = torch.where(is_zero, 0.0, torch.exp(-square / (2 * self.eta) ** 2) / torch.where(is_zero, 1.0, square))
        weight = weight * (4 * math.pi / self.volume)
        products = torch.stack([K[..., a] * K[..., b] * weight for a, b in COMPONENTS], dim=1)
        far = torch.complex(products @ self.shift.real, products @ self.shift.imag)
        found: Tensor = (near + far.mT) * _turn(zone @ self.step.T)[..., None]
        return found.flatten(1)


def directed(
    n: int,
) -> tuple[Int[Tensor, " bond"], Int[Tensor, " bond"], Float[Tensor, "bond 3 3"], Int[Tensor, " bond"]]:
    """Bonds from site to site of n, one for each ordered pair and component: both ends, matrix, and its sum.

    The sum is its place among the `DipoleSums`, or ~place where it is the conjugate.
    """
    unit = torch.zeros(6, 3, 3, dtype=torch.float64)
    for k, (a, b) in enumerate(COMPONENTS):
        unit[k, a, b] = unit[k, b, a] = 1
    pairs = [(i, j, 6 * p) for p, (i, j) in enumerate((i, j) for i in range(n) for j in range(i, n))]
    bonds = [(i, j, place + k) for i, j, place in pairs for k in range(6)]
    bonds += [(j, i, ~place) for i, j, place in bonds if i != j]
    i, j, place = torch.tensor(bonds).T
    return i, j, unit[torch.where(place < 0, ~place, place) % 6], place


def blocks(sums: Complex[Tensor, "q sum"], n: int) -> Complex[Tensor, "q site site 3 3"]:
    """A_ij^ab of all pairs of n sites, from the sums of the pairs i <= j."""
    i, j = torch.triu_indices(n, n)
    place = torch.tensor([[0, 3, 4], [3, 1, 5], [4, 5, 2]])
    A = sums.reshape(len(sums), -1, 6)[..., place]
    found = sums.new_zeros(len(sums), n, n, 3, 3)
    found[:, j, i] = A.conj()
    found[:, i, j] = A
    return found


def _turn(angle: Tensor) -> Tensor:
    """exp(2 pi i angle)."""
    return torch.polar(torch.ones_like(angle), 2 * math.pi * angle)


def _within(vectors: Float[Tensor, "3 3"], radius: float) -> Float[Tensor, "translation 3"]:
    """Whole multiples of the rows of `vectors` that are no longer than `radius`."""
    most = (radius * torch.linalg.inv(vectors).norm(dim=0)).floor().int().tolist()
    cells = torch.tensor(list(product(*(range(-k, k + 1) for k in most))), dtype=torch.float64)
    return cells[(cells @ vectors).norm(dim=-1) <= radius]


def _near(d: Float[Tensor, "cell pair 3"], eta: float) -> Float[Tensor, "cell pair 6"]:
    """-(d/da)(d/db) erfc(eta d) / d."""
    size = d.norm(dim=-1)
    gauss = 2 * eta / math.sqrt(math.pi) * torch.exp(-((eta * size) ** 2))
    even = torch.erfc(eta * size) / size**3 + gauss / size**2
    odd = 3 * even / size**2 + 2 * eta**2 * gauss / size**2
    return torch.stack([(a == b) * even - d[..., a] * d[..., b] * odd for a, b in COMPONENTS], dim=-1)


def _itself(eta: float) -> Float[Tensor, "6"]:
    """What the sum over K has too much of: the field of the smooth part of a dipole at its own place."""
    return -4 * eta**3 / (3 * math.sqrt(math.pi)) * torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
