"""Measurement: where in Q and energy the bins of a spectrum lie, and the conditions they were measured under."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice

Numbers = Tensor | np.ndarray | Sequence[Any]
"""What a constructor takes for an array: it becomes a float64 tensor there."""


@dataclass(frozen=True, eq=False)
class QShells:
    """Shells of |Q|, as measured on a powder; `edges` are ascending bin edges, 1/angstrom."""

    edges: Float64[Tensor, " edge"]

    dim = "Q"

    def __init__(self, edges: Numbers) -> None:
        object.__setattr__(self, "edges", _as_tensor(edges))
        _check_ascending(self.edges, "|Q| bin edges", "1/angstrom")
        if self.edges[0] < 0:
            raise InputError(f"|Q| bin edges start at {float(self.edges[0])} 1/angstrom; a modulus is not negative")

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def centres(self) -> Float64[Tensor, " shell"]:
        """Middle of each shell, 1/angstrom."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    def describe(self, start: int, stop: int) -> str:
        """Shells `start` to `stop` in words."""
        return f"|Q| {float(self.edges[start]):.2f} to {float(self.edges[stop]):.2f} 1/angstrom"

    def merge(self, factor: int) -> "QShells":
        """Every `factor` adjacent shells as one; the last one may be made of fewer."""
        return QShells(merge_edges(self.edges, factor))


@dataclass(frozen=True, eq=False)
class QPath:
    """Points of reciprocal space, as cut from a single crystal.

    `q` are the bin centres (reciprocal lattice units of `lattice`). Each bin averages over a parallelepiped centred
    there; the rows of `box` are its full edge vectors (reciprocal lattice units), zero where it has no extent.
    """

    lattice: Lattice
    q: Float64[Tensor, "point 3"]
    box: Float64[Tensor, "3 3"]

    dim = "point"

    def __init__(self, lattice: Lattice, q: Numbers, box: Numbers) -> None:
        object.__setattr__(self, "lattice", lattice)
        object.__setattr__(self, "q", _as_tensor(q))
        object.__setattr__(self, "box", _as_tensor(box))
        if self.q.ndim != 2 or self.q.shape[-1] != 3 or not len(self.q) or not self.q.isfinite().all():
            raise InputError(f"q must hold one finite (h, k, l) a row, got an array of shape {tuple(self.q.shape)}")
        if self.box.shape != (3, 3) or not self.box.isfinite().all():
            raise InputError(f"box must hold three finite edge vectors (h, k, l), got shape {tuple(self.box.shape)}")

    def __len__(self) -> int:
        return len(self.q)

    def describe(self, start: int, stop: int) -> str:
        """Points `start` to `stop` in words."""
        first, last = (", ".join(f"{x:.2f}" for x in self.q[k].tolist()) for k in (start, stop - 1))
        return f"q ({first}) to ({last}) rlu"

    def merge(self, factor: int) -> "QPath":
        """Every `factor` adjacent bins as one; only bins that touch, on a straight line, can be merged."""
        if factor == 1:
            return self
        if len(self) % factor:
            raise InputError(f"{len(self)} points of a path cannot be merged by {factor}; use a divisor of {len(self)}")
        steps = self.q.diff(dim=0)
        along = ((self.box.abs() - steps[0].abs()).abs() < 1e-6).all(dim=1)
        if not torch.allclose(steps, steps[:1].expand_as(steps), atol=1e-6) or int(along.sum()) != 1:
            raise InputError("the bins of this path do not touch along one straight line, so they cannot be merged")
        box = torch.where(along[:, None], self.box * factor, self.box)
        return QPath(self.lattice, self.q.reshape(-1, factor, 3).mean(dim=1), box)


@dataclass(frozen=True, eq=False)
class Measurement:
    """Bins and conditions: `energy` are ascending bin edges (meV, E_i - E_f), `temperature` in K (None where the
    file did not say; a simulation needs it), `field` in T (Cartesian), `incident_energy` in meV (None if unknown).
    """

    points: QShells | QPath
    energy: Float64[Tensor, " edge"]
    temperature: float | None
    field: Float64[Tensor, "3"]
    incident_energy: float | None

    def __init__(
        self,
        points: QShells | QPath,
        energy: Numbers,
        temperature: float | None,
        field: Numbers = (0.0, 0.0, 0.0),
        incident_energy: float | None = None,
    ) -> None:
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "energy", _as_tensor(energy))
        object.__setattr__(self, "temperature", temperature)
        object.__setattr__(self, "field", _as_tensor(field))
        object.__setattr__(self, "incident_energy", incident_energy)
        _check_ascending(self.energy, "energy bin edges", "meV")
        if self.temperature is not None and not self.temperature >= 0:
            raise InputError(f"the temperature is {self.temperature} K; it must not be negative")
        if self.field.shape != (3,):
            raise InputError(f"the field must be a vector of 3 components in T, got shape {tuple(self.field.shape)}")
        if self.incident_energy is not None and not self.incident_energy > 0:
            raise InputError(f"the incident energy is {self.incident_energy} meV; it must be positive")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of (shells or points, energy bins)."""
        return len(self.points), len(self.energy) - 1

    @property
    def energy_centres(self) -> Float64[Tensor, " energy"]:
        """Middle of each energy bin, meV."""
        return (self.energy[1:] + self.energy[:-1]) / 2


def merge_edges(edges: Float64[Tensor, " edge"], factor: int) -> Float64[Tensor, " merged"]:
    """Every `factor`-th of ascending bin edges, and always the last one."""
    last = len(edges) - 1
    return edges[[*range(0, last, factor), last]]


def _as_tensor(values: Numbers) -> Tensor:
    """Values as a float64 tensor, without a copy where they are one already."""
    return torch.as_tensor(values, dtype=torch.float64)


def _check_ascending(edges: Tensor, name: str, unit: str) -> None:
    if edges.ndim != 1 or len(edges) < 2:
        raise InputError(f"{name} must be a list of at least two numbers ({unit}), got shape {tuple(edges.shape)}")
    if not edges.isfinite().all() or not (edges.diff() > 0).all():
        raise InputError(f"{name} must be finite and ascending ({unit})")
