"""Lattice: a crystal's cell, its reciprocal cell, and wavevectors in either set of coordinates."""

from dataclasses import dataclass, field
from math import cos, radians, sin, sqrt, tau

import torch
from jaxtyping import Float64
from torch import Tensor

from sqwirrel.errors import InputError


@dataclass(frozen=True, eq=False)
class Lattice:
    """A cell with edges `a, b, c` (angstrom) and angles `alpha, beta, gamma` (degrees).

    `vectors` holds the edges as rows (angstrom), with a along x and b in the xy plane; `reciprocal` holds the
    reciprocal vectors as rows (1/angstrom, 2 pi included), so that vectors @ reciprocal.T = 2 pi.
    """

    a: float
    b: float
    c: float
    alpha: float = 90.0
    beta: float = 90.0
    gamma: float = 90.0
    vectors: Float64[Tensor, "3 3"] = field(init=False, repr=False)
    reciprocal: Float64[Tensor, "3 3"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._orient(_standard_vectors(self.a, self.b, self.c, self.alpha, self.beta, self.gamma))

    @classmethod
    def from_vectors(cls, vectors: Float64[Tensor, "3 3"]) -> "Lattice":
        """The lattice with these edges (rows, angstrom), kept in the orientation they were given in."""
        a, b, c = (float(edge.norm()) for edge in vectors)
        if not min(a, b, c) > 0:
            raise InputError(f"a lattice vector has the length 0: {vectors.tolist()}")
        angles = (_angle(vectors[1], vectors[2]), _angle(vectors[0], vectors[2]), _angle(vectors[0], vectors[1]))
        lattice = cls(a, b, c, *angles)
        lattice._orient(vectors.clone())
        return lattice

    @property
    def volume(self) -> float:
        """Volume of the cell, angstrom^3."""
        return float(torch.linalg.det(self.vectors).abs())

    def to_cartesian(self, q: Float64[Tensor, "*shape 3"]) -> Float64[Tensor, "*shape 3"]:
        """Wavevectors in 1/angstrom from reciprocal lattice units."""
        return q @ self.reciprocal

    def to_rlu(self, wavevector: Float64[Tensor, "*shape 3"]) -> Float64[Tensor, "*shape 3"]:
        """Wavevectors in reciprocal lattice units from Cartesian ones in 1/angstrom."""
        return wavevector @ self.vectors.T / tau

    def _orient(self, vectors: Tensor) -> None:
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "reciprocal", tau * torch.linalg.inv(vectors).T.contiguous())


def _standard_vectors(a: float, b: float, c: float, alpha: float, beta: float, gamma: float) -> Tensor:
    """Rows a, b, c with a || x and b in xy; refuses a cell that cannot exist."""
    if not min(a, b, c) > 0:
        raise InputError(f"the cell edges a, b, c = {a}, {b}, {c} angstrom must be positive")
    if not all(0 < angle < 180 for angle in (alpha, beta, gamma)):
        raise InputError(f"the cell angles {alpha}, {beta}, {gamma} must lie between 0 and 180 degrees")
    ca, cb, cg = (_cosine(angle) for angle in (alpha, beta, gamma))
    sg = sin(radians(gamma))
    height2 = 1 - ca**2 - cb**2 - cg**2 + 2 * ca * cb * cg  # (volume / abc)^2
    if height2 <= 1e-12:
        raise InputError(
            f"no cell has the angles {alpha}, {beta}, {gamma} degrees: each must be smaller than the sum of the "
            "other two, and together they must stay below 360"
        )
    rows = [[a, 0, 0], [b * cg, b * sg, 0], [c * cb, c * (ca - cb * cg) / sg, c * sqrt(height2) / sg]]
    return torch.tensor(rows, dtype=torch.float64)


def _cosine(angle: float) -> float:
    """Cosine of an angle in degrees, exactly 0 at 90, so that orthogonal cells stay orthogonal."""
    return 0.0 if angle == 90 else cos(radians(angle))


def _angle(u: Tensor, v: Tensor) -> float:
    """Angle between two vectors, degrees."""
    return float(torch.rad2deg(torch.atan2(torch.linalg.cross(u, v).norm(), u @ v)))
