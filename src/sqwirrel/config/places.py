"""Sections that say where: energy bins, shells, paths and grids of a measurement, and candidates for the next one."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from sqwirrel.config.quantity import Energy, Wavenumber
from sqwirrel.config.table import Section
from sqwirrel.errors import InputError
from sqwirrel.infer.advise import Speeds
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


class Plane(Section):
    """Wavevectors on a parallelogram: `counts` of them along both `sides` from an `origin` (rlu), ends included."""

    origin: Vector = (0.0, 0.0, 0.0)
    sides: tuple[Vector, Vector]
    counts: tuple[PositiveInt, PositiveInt]

    def build(self) -> Float[Tensor, "point 3"]:
        """The wavevectors, the second side running faster."""
        origin, sides = (torch.tensor(each, dtype=torch.float64) for each in (self.origin, self.sides))
        one, two = (
            torch.linspace(0, 1, n, dtype=torch.float64) if n > 1 else torch.zeros(1).double() for n in self.counts
        )
        return origin + torch.cartesian_prod(one, two) @ sides


class Motion(Section):
    """How fast the instrument moves: q (1/angstrom) and energy (meV) per minute, both at once; minutes to settle after
    a move; where it stands (h, k, l, meV), if that matters.
    """

    q: Annotated[Wavenumber, Field(gt=0)]
    energy: Annotated[Energy, Field(gt=0)]
    settle: NonNegativeFloat = 0.0
    start: tuple[float, float, float, float] | None = None

    def build(self, lattice: Lattice) -> Speeds:
        """The minutes of a move."""
        return Speeds(lattice, self.q, self.energy, self.settle, self.start)


class Advise(Section):
    """Where to measure next. Candidates are all `energy` at each wavevector: of a `path`, of `points`, or of a `plane`.

    `result` is the folder that `sqwirrel infer` left for what was measured so far. Then the errors of the `wanted`
    parameters (of the model, if left out) shall shrink. With `rivals`, folders of other models' answers to the same
    data by their names, the models shall be told apart. A candidate is counted for `minutes`; what the instrument would
    count then is the intensity of the data times `factor`: the ratio of the counting times, or for reduced data the
    counts per unit of intensity.
    """

    result: str
    rivals: dict[str, str] = Field(default={})
    path: Path | None = None
    points: tuple[Vector, ...] = ()
    plane: Plane | None = None
    energy: EnergyBins
    wanted: tuple[str, ...] = ()
    minutes: PositiveFloat = 1.0
    factor: PositiveFloat = 1.0
    motion: Motion | None = None
    pick: PositiveInt = 8
    draws: Annotated[int, Field(ge=16)] = 64
    seed: int = 1

    @model_validator(mode="after")
    def _one_place(self) -> "Advise":
        if sum((self.path is not None, bool(self.points), self.plane is not None)) != 1:
            raise InputError("[advise] needs one of path, points and plane: the wavevectors of the candidates")
        if self.rivals and self.wanted:
            raise InputError("[advise] has rivals, to tell models apart, and wanted parameters; give one of them")
        return self

    def moving(self, lattice: Lattice) -> Speeds | None:
        """Minutes of a move; None if moving is free."""
        return None if self.motion is None else self.motion.build(lattice)

    def q(self, lattice: Lattice) -> Float[Tensor, "point 3"]:
        """The wavevectors, rlu."""
        if self.path is not None:
            return self.path.build(lattice).q
        return self.plane.build() if self.plane is not None else torch.tensor(self.points, dtype=torch.float64)


class Match(Section):
    """A translator between maps as they are simulated and as they are measured, and what to do with the map of this
    config.

    `sqwirrel train` makes the translator. Simulated maps are expected ones without noise, or, with `clean = "signals"`,
    of unit scale and without background, too. Measured ones are simulated with noise in the bins and with the errors of
    this measurement; or those in the files `frames`, if there are any, with as little as the share `thin` of their
    counts, and mirrored along the axes `mirrors` (numbers from 0). `sqwirrel match` takes the map `to` the other kind
    with the translator in the folder `estimator`; `fwhm`, that of the energy resolution, says how far modes may move.
    """

    estimator: str | None = None
    to: Literal["simulated", "measured"] = "simulated"
    fwhm: Energy | None = None
    clean: Literal["expected", "signals"] = "expected"
    frames: tuple[str, ...] = ()
    thin: float = 1.0
    mirrors: tuple[int, ...] = ()


class Causal(Section):
    """A causal map: interventions on every free parameter, `pairs` of simulations each, a power of two (64 for a look,
    256 to publish).

    They go about the middle of the prior, over the share `width` of it; or about the best fit of the folder that
    `sqwirrel infer` left, over `times` standard deviations of the posterior to both sides, inside the prior. `about`
    is that for a folder and the prior for a config. Regions of less than the share `least` of all bins are absorbed.
    """

    about: Literal["prior", "posterior"] | None = None
    pairs: PositiveInt = 64
    width: Annotated[float, Field(gt=0, le=1)] = 0.3
    times: PositiveFloat = 10.0
    least: Annotated[float, Field(gt=0, lt=1)] = 0.005
    seed: int = 5
