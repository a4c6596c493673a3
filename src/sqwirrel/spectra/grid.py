"""Grids of bins in reciprocal space, and the third component of Q where only two of them were chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.points import Numbers, as_tensor, check_ascending, described, merge_edges
from sqwirrel.units import E_PER_K2


@dataclass(frozen=True, eq=False)
class Beam:
    """A crystal that stands still in a beam of fixed incident energy: `direction` of k_i (rlu), `incident_energy` meV.

    A detector that is chosen by two components of Q then sees the third one change with the energy transfer.
    """

    direction: Float64[Tensor, "3"]
    incident_energy: float

    def __init__(self, direction: Numbers, incident_energy: float) -> None:
        object.__setattr__(self, "direction", as_tensor(direction))
        object.__setattr__(self, "incident_energy", float(incident_energy))
        if self.direction.shape != (3,) or not self.direction.isfinite().all() or not self.direction.any():
            raise InputError(f"the direction of the beam must be one (h, k, l), not zero, got {direction}")
        if not 0 < self.incident_energy < float("inf"):
            raise InputError(f"the incident energy is {self.incident_energy} meV; it must be positive")


@dataclass(frozen=True, eq=False)
class QGrid:
    """Bins of a grid in reciprocal space, the last axis fastest; an axis of one bin is integrated over.

    Bin centres are origin + sum of coordinates times `axes` (rows, rlu; at any angle), coordinates between the three
    `edges`. With a `beam` the third coordinate was not measured but follows from the energy transfer, and its edges
    only say what was asked for.
    """

    lattice: Lattice
    axes: Float64[Tensor, "3 3"]
    edges: tuple[Tensor, Tensor, Tensor]
    origin: Float64[Tensor, "3"]
    beam: Beam | None

    dim = "point"

    def __init__(
        self,
        lattice: Lattice,
        axes: Numbers,
        edges: Sequence[Numbers],
        origin: Numbers = (0.0, 0.0, 0.0),
        beam: Beam | None = None,
    ) -> None:
        object.__setattr__(self, "lattice", lattice)
        object.__setattr__(self, "axes", as_tensor(axes))
        object.__setattr__(self, "edges", tuple(as_tensor(each) for each in edges))
        object.__setattr__(self, "origin", as_tensor(origin))
        object.__setattr__(self, "beam", beam)
        if self.axes.shape != (3, 3) or not abs(float(torch.linalg.det(self.axes))) > 1e-9:
            raise InputError(f"the axes of a grid must be three independent (h, k, l), got {self.axes.tolist()}")
        if len(self.edges) != 3 or self.origin.shape != (3,):
            raise InputError(f"a grid needs bin edges along three axes and one origin, got {len(self.edges)} axes")
        for k, each in enumerate(self.edges):
            check_ascending(each, f"bin edges along axis {k + 1}", "units of the axis")

    def __len__(self) -> int:
        first, second, third = self.shape
        return first * second * third

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of bins along each axis."""
        first, second, third = (len(each) - 1 for each in self.edges)
        return first, second, third

    @property
    def coordinates(self) -> Float64[Tensor, "point 3"]:
        """Bin centres along the axes."""
        return self._product([(each[1:] + each[:-1]) / 2 for each in self.edges])

    @property
    def q(self) -> Float64[Tensor, "point 3"]:
        """Bin centres, rlu; with a beam those at no energy transfer that can be reached."""
        if self.beam is None:
            return self.origin + self.coordinates @ self.axes
        centre = self.at(torch.zeros(1, dtype=torch.float64))[:, 0]
        return torch.where(centre.isfinite(), centre, self.origin + self.coordinates @ self.axes)

    @property
    def box(self) -> Float64[Tensor, "point 3 3"]:
        """Full edge vectors of each bin, rlu; none along the third axis of a beam."""
        width = self._product([each.diff() for each in self.edges])
        if self.beam is not None:
            width = width * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
        return width[..., None] * self.axes

    def at(self, energy: Float64[Tensor, " energy"]) -> Float64[Tensor, "point #energy 3"]:
        """Bin centres at energy transfers (meV), rlu; NaN where the beam cannot reach."""
        if self.beam is None:
            return self.q[:, None]
        flat = self.origin + self.coordinates[:, :2] @ self.axes[:2]
        return along_beam(self.lattice, self.beam, flat[:, None], self.axes[2], energy)

    def describe(self, start: int, stop: int) -> str:
        """Bins `start` to `stop` in words."""
        return described(self.q, start, stop)

    def merge(self, factor: int) -> "QGrid":
        """Every `factor` adjacent bins along the last axis that has several."""
        if factor == 1:
            return self
        k = max(k for k, n in enumerate(self.shape) if n > 1 or k == 0)
        if self.shape[k] % factor:
            raise InputError(f"{self.shape[k]} bins of a grid cannot be merged by {factor}; use a divisor of it")
        edges = [merge_edges(each, factor) if k == m else each for m, each in enumerate(self.edges)]
        return QGrid(self.lattice, self.axes, edges, self.origin, self.beam)

    @staticmethod
    def _product(columns: list[Tensor]) -> Float64[Tensor, "point 3"]:
        return torch.cartesian_prod(*columns).reshape(-1, 3)


def along_beam(
    lattice: Lattice,
    beam: Beam,
    flat: Float64[Tensor, "*#shape 3"],
    axis: Float64[Tensor, "3"],
    energy: Float64[Tensor, "*#shape"],
) -> Float64[Tensor, "*shape 3"]:
    """flat + z axis (rlu) with the z, nearest to forward scattering, at which |k_i - Q| = k_f; NaN where there is none.

    Q = k_i - k_f is what the crystal gains; k_f^2 = (E_i - E) 2 m_n / hbar^2.
    """
    direction = torch.nn.functional.normalize(lattice.to_cartesian(beam.direction), dim=-1)
    w = torch.nn.functional.normalize(lattice.to_cartesian(axis), dim=-1)
    size = lattice.to_cartesian(axis).norm()
    away = (beam.incident_energy / E_PER_K2) ** 0.5 * direction - lattice.to_cartesian(flat)
    along = away @ w
    root = (along**2 - (away**2).sum(-1) + (beam.incident_energy - energy) / E_PER_K2).sqrt()
    forward = torch.where(along > 0, along - root, along + root)
    found: Tensor = flat + (forward / size)[..., None] * axis
    return found
