"""Sections that say where: energy bins, shells, paths and grids of a measurement."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import AfterValidator, Field, PositiveInt
from torch import Tensor

from sqwirrel.config.quantity import Energy, Wavenumber
from sqwirrel.config.table import Section
from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Goniometer, QGrid, QPath, QShells

Vector = tuple[float, float, float]


class EnergyBins(Section):
    """Equal energy bins from start to stop, meV."""

    start: Energy
    stop: Energy
    bins: PositiveInt

    def build(self) -> Float[Tensor, " edge"]:
        """Bin edges, meV."""
        return torch.linspace(self.start, self.stop, self.bins + 1, dtype=torch.float64)


class Shells(Section):
    """Equal shells of |Q| of a powder, 1/angstrom."""

    start: Wavenumber
    stop: Wavenumber
    bins: PositiveInt

    def build(self, lattice: Lattice) -> QShells:
        """The shells; a powder needs no lattice."""
        del lattice
        return QShells(torch.linspace(self.start, self.stop, self.bins + 1, dtype=torch.float64))


class Path(Section):
    """About `points` bins on straight lines through `corners` (rlu), each averaged over `width` (rlu along h, k, l)."""

    corners: list[Vector] = Field(min_length=2)
    points: PositiveInt = 60
    width: Vector = (0.0, 0.0, 0.0)

    def build(self, lattice: Lattice) -> QPath:
        """The path; every corner is the centre of a bin."""
        corner = torch.tensor(self.corners, dtype=torch.float64)
        length = lattice.to_cartesian(corner.diff(dim=0)).norm(dim=1)
        if not bool((length > 0).all()):
            raise InputError("[measurement.path] has the same corner twice in a row")
        steps = (length / length.sum() * (self.points - 1)).round().clamp(min=1).long().tolist()
        legs = [_leg(a, b, n) for a, b, n in zip(corner[:-1], corner[1:], steps, strict=True)]
        return QPath(
            lattice, torch.cat((*legs, corner[-1:])), torch.diag(torch.tensor(self.width, dtype=torch.float64))
        )


def _leg(start: Tensor, stop: Tensor, steps: int) -> Tensor:
    return start + (stop - start) * torch.arange(steps, dtype=torch.float64)[:, None] / steps


MOST_EDGES = 10**6
"""Of one axis; a grid has at most six million bins."""


def _stepped(numbers: tuple[float, ...]) -> tuple[float, ...]:
    """Edges from [lo, hi], [from, step, to] or the edges themselves."""
    if len(numbers) != 3:
        return numbers
    start, step, stop = numbers
    count = (stop - start) / step if step else 0.0
    if not 0.5 < count < MOST_EDGES or abs(count - round(count)) > 1e-6 * count:
        raise InputError(
            f"expected [lo, hi], [from, step, to] with a whole number of steps between the outer edges, or at least "
            f"four edges, got {list(numbers)}"
        )
    return tuple(torch.linspace(start, stop, round(count) + 1, dtype=torch.float64).tolist())


def _binned(numbers: Sequence[float]) -> Sequence[float]:
    """The numbers, if they are edges."""
    edges = _stepped(tuple(numbers))
    if len(edges) < 2 or not all(a < b for a, b in pairwise(edges)):
        raise InputError(f"expected [lo, hi], [from, step, to], or ascending edges, got {list(numbers)}")
    return numbers


Range = Annotated[float, Field(allow_inf_nan=False)]
Bins = Annotated[tuple[Range, ...], AfterValidator(_binned)]


class CrystalBins(Section):
    """Files of detector pixels (NXSPE, .spe) of a crystal, one for each psi, put on a grid in (h, k, l) and energy.

    `u` (rlu of `lattice`: angstrom, degrees) lies along k_i at psi = 0 and `v` in the horizontal plane; a positive psi
    turns the crystal anticlockwise seen from above. `dpsi`, `gl`, `gs` and `omega` (degrees) are corrections as in
    Horace; `psi`, one for each file, stands in place of those in the files. Bins along each of the three `axes`, from
    `origin` on, and of `energy` (meV) are [lo, hi], integrated over, or [from, step, to] or all edges.
    """

    lattice: tuple[float, float, float, float, float, float]
    u: Vector
    v: Vector
    psi: tuple[Range, ...] | None = None
    dpsi: Range = 0.0
    gl: Range = 0.0
    gs: Range = 0.0
    omega: Range = 0.0
    axes: tuple[Vector, Vector, Vector] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    origin: Vector = (0.0, 0.0, 0.0)
    bins: tuple[Bins, Bins, Bins]
    energy: Annotated[tuple[Energy, ...], AfterValidator(_binned)]

    def goniometer(self) -> Goniometer:
        """How the crystal is mounted."""
        return Goniometer(Lattice(*self.lattice), self.u, self.v, **self._arcs)

    @property
    def words(self) -> str:
        """The same, for people."""
        arcs = "".join(f", {name} = {angle:g}" for name, angle in self._arcs.items() if angle)
        return f"u = {_hkl(self.u)} along the beam at psi = 0, v = {_hkl(self.v)} in the plane{arcs}"

    @property
    def _arcs(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in ("dpsi", "gl", "gs", "omega")}

    def grid(self) -> QGrid:
        """The bins in (h, k, l)."""
        return QGrid(Lattice(*self.lattice), self.axes, [_stepped(each) for each in self.bins], self.origin)

    def edges(self) -> Float[Tensor, " edge"]:
        """Edges of the bins in energy, meV."""
        return torch.tensor(_stepped(self.energy), dtype=torch.float64)


def _hkl(vector: Vector) -> str:
    return f"({', '.join(f'{each:g}' for each in vector)})"
