"""Where in reciprocal space the bins of a spectrum lie: shells of |Q|, bins along a path, points of scans.

Points of a crystal (`grid.QGrid`, too) share an interface: `q` (bin centres, rlu of `lattice`), `box` (full edge
vectors of the bins, rlu, one for all or one each), and `at(energy)`: where a bin is at an energy transfer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice

STRAIGHT = 1 - 1e-4
"""Cosine between two steps of a path above which there is no corner."""
Numbers = Tensor | np.ndarray | Sequence[Any]
"""What a constructor takes for an array: it becomes a float64 tensor there."""


@dataclass(frozen=True, eq=False)
class QShells:
    """Shells of |Q|, as measured on a powder; `edges` are ascending bin edges, 1/angstrom."""

    edges: Float64[Tensor, " edge"]

    dim = "Q"

    def __init__(self, edges: Numbers) -> None:
        object.__setattr__(self, "edges", as_tensor(edges))
        check_ascending(self.edges, "|Q| bin edges", "1/angstrom")
        if self.edges[0] < 0:
            raise InputError(f"|Q| bin edges start at {float(self.edges[0])} 1/angstrom; a modulus is not negative")

    @classmethod
    def from_edges(cls, edges: Numbers) -> "QShells":
        """Shells between edges that were made of centres, and may begin below 0: that one is 0."""
        return cls(as_tensor(edges).clamp(min=0.0))

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
    there; the rows of `box` are its full edge vectors (reciprocal lattice units), zero where it has no extent: one box
    for all bins, or one each where the path has corners or its steps differ (`along`).
    """

    lattice: Lattice
    q: Float64[Tensor, "point 3"]
    box: Float64[Tensor, "*point 3 3"]

    dim = "point"

    def __init__(self, lattice: Lattice, q: Numbers, box: Numbers) -> None:
        object.__setattr__(self, "lattice", lattice)
        object.__setattr__(self, "q", checked_q(q))
        object.__setattr__(self, "box", as_tensor(box))
        if self.box.shape not in ((3, 3), (len(self.q), 3, 3)) or not self.box.isfinite().all():
            raise InputError(
                "box must hold three finite edge vectors (h, k, l), for all bins or for each, got shape "
                f"{tuple(self.box.shape)}"
            )

    @classmethod
    def along(cls, lattice: Lattice, q: Numbers, *, across: float = 0.0, normal: Numbers = (0.0, 0.0, 1.0)) -> "QPath":
        """Bins that touch along the straight legs of a path, `across` (1/angstrom) wide at right angles to the leg and
        to `normal` (rlu), and flat along `normal`.

        A bin is as long as its point is from the next on the leg, on average over both sides; a corner belongs to the
        leg before it, or to both where it is listed twice.
        """
        centres, up = checked_q(q), lattice.to_cartesian(as_tensor(normal))
        step = lattice.to_cartesian(_steps(centres))
        side = torch.linalg.cross(up.expand_as(step), step)
        length = side.norm(dim=1, keepdim=True)
        if not across >= 0 or not bool((length > 0).all()):
            raise InputError(
                f"a path is at least 0 1/angstrom wide (got {across:g}), and no leg of it runs along its normal "
                f"{as_tensor(normal).tolist()} or has only one point"
            )
        box = torch.stack((step, across * side / length, torch.zeros_like(step)), dim=1)
        return cls(lattice, centres, lattice.to_rlu(box))

    def __len__(self) -> int:
        return len(self.q)

    def at(self, energy: Float64[Tensor, " energy"]) -> Float64[Tensor, "point one 3"]:  # noqa: ARG002 (q stands still)
        """Bin centres, the same at every energy."""
        return self.q[:, None]

    def describe(self, start: int, stop: int) -> str:
        """Points `start` to `stop` in words."""
        return described(self.q, start, stop)

    def merge(self, factor: int) -> "QPath":
        """Every `factor` adjacent bins as one; only bins that touch, on a straight line, can be merged."""
        if factor == 1:
            return self
        steps, box = self.q.diff(dim=0), self.box.reshape(-1, 3, 3)
        along = ((box[0].abs() - steps[0].abs()).abs() < 1e-6).all(dim=1)
        even = all(torch.allclose(each, each[:1].expand_as(each), atol=1e-6) for each in (steps, box))
        if not even or int(along.sum()) != 1:
            raise InputError(
                "the bins of this path do not touch along one straight line, so they cannot be merged; merge energies "
                "alone, or cut the data into legs"
            )
        if len(self) % factor:
            raise InputError(f"{len(self)} points of a path cannot be merged by {factor}; use a divisor of {len(self)}")
        box = torch.where(along[:, None], box[0] * factor, box[0])
        return QPath(self.lattice, self.q.reshape(-1, factor, 3).mean(dim=1), box)


@dataclass(frozen=True, eq=False)
class QPoints:
    """Single points, as of triple-axis scans: `q` (rlu), the number of the `scan` each belongs to, and the scattering
    `plane`: two (h, k, l) in it, None where the file did not say. Each point has an energy of its own (`Measurement`).
    """

    lattice: Lattice
    q: Float64[Tensor, "point 3"]
    scan: Int64[Tensor, " point"]
    plane: Float64[Tensor, "2 3"] | None

    dim = "point"

    def __init__(self, lattice: Lattice, q: Numbers, scan: Numbers | None = None, plane: Numbers | None = None) -> None:
        object.__setattr__(self, "lattice", lattice)
        object.__setattr__(self, "q", checked_q(q))
        numbers = torch.zeros(len(self.q), dtype=torch.int64) if scan is None else torch.as_tensor(scan)
        object.__setattr__(self, "scan", numbers.to(torch.int64))
        object.__setattr__(self, "plane", None if plane is None else as_tensor(plane))
        if self.scan.shape != (len(self.q),):
            raise InputError(f"there are {len(self.q)} points and scan numbers of shape {tuple(self.scan.shape)}")
        if self.plane is not None:
            flat = lattice.to_cartesian(self.plane) if self.plane.shape == (2, 3) else torch.zeros(2, 3).double()
            if not float(torch.linalg.cross(flat[0], flat[1]).norm()) > 1e-9:
                raise InputError(
                    f"a scattering plane needs two (h, k, l) that are not parallel, got {self.plane.tolist()}"
                )

    def __len__(self) -> int:
        return len(self.q)

    @property
    def box(self) -> Float64[Tensor, "3 3"]:
        """No extent: the resolution is all there is."""
        return torch.zeros(3, 3, dtype=torch.float64)

    def at(self, energy: Float64[Tensor, "..."]) -> Float64[Tensor, "point one 3"]:  # noqa: ARG002 (q stands still)
        """The points."""
        return self.q[:, None]

    def describe(self, start: int, stop: int) -> str:
        """Points `start` to `stop` in words."""
        return described(self.q, start, stop)

    def merge(self, factor: int) -> "QPoints":
        """Points of scans stay as they are."""
        if factor != 1:
            raise InputError("the points of scans are not merged; leave out rebin")
        return self


def _steps(q: Float64[Tensor, "point 3"]) -> Float64[Tensor, "point 3"]:
    """How long the bin of each point is along its leg of the path, in the units of `q`."""
    step, none = q.diff(dim=0), torch.zeros(1, 3, dtype=q.dtype)
    before, after = torch.cat((none, step)), torch.cat((step, none))
    cosine = torch.nn.functional.cosine_similarity(before, after, dim=1)
    straight = (cosine > STRAIGHT)[:, None]
    ends = torch.where(before.any(dim=1, keepdim=True), before, after)
    return torch.where(straight, (before + after) / 2, ends)


def merge_edges(edges: Float64[Tensor, " edge"], factor: int) -> Float64[Tensor, " merged"]:
    """Every `factor`-th of ascending bin edges, and always the last one."""
    last = len(edges) - 1
    return edges[[*range(0, last, factor), last]]


def as_tensor(values: Numbers) -> Tensor:
    """Values as a float64 tensor, without a copy where they are one already."""
    return torch.as_tensor(values, dtype=torch.float64)


def checked_q(q: Numbers) -> Float64[Tensor, "point 3"]:
    """Wavevectors, one a row."""
    rows = as_tensor(q)
    if rows.ndim != 2 or rows.shape[-1] != 3 or not len(rows) or not rows.isfinite().all():
        raise InputError(f"q must hold one finite (h, k, l) a row, got an array of shape {tuple(rows.shape)}")
    return rows


def check_ascending(edges: Tensor, name: str, unit: str) -> None:
    """Refuses edges that are not a list of ascending numbers."""
    if edges.ndim != 1 or len(edges) < 2:
        raise InputError(f"{name} must be a list of at least two numbers ({unit}), got shape {tuple(edges.shape)}")
    if not edges.isfinite().all() or not (edges.diff() > 0).all():
        raise InputError(f"{name} must be finite and ascending ({unit})")


def described(q: Float64[Tensor, "point 3"], start: int, stop: int) -> str:
    """Points `start` to `stop` in words."""
    first, last = (", ".join(f"{round(x, 2) + 0.0:.2f}" for x in q[k].tolist()) for k in (start, stop - 1))
    return f"q ({first}) to ({last}) rlu"
