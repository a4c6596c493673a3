"""Backgrounds of a shape that is known: constant, sloped, planar, smooth, the tail of the elastic line."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.spectra import Measurement, QPath, QShells


@runtime_checkable
class Background(Protocol):
    """A sum of templates; `names` are their amplitudes, in units of the spectrum."""

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """The shape that each parameter multiplies."""

    def rebinned(self, q: int, energy: int) -> "Background":
        """The background of a spectrum with every `q` points and `energy` energies merged into one (their mean)."""


@dataclass(frozen=True)
class ConstantBackground:
    """The parameter `background` in every bin."""

    names = ("background",)
    units: ClassVar[dict[str, str]] = {"background": ""}

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """One everywhere."""
        return torch.ones(1, *measurement.shape, dtype=torch.float64)

    def rebinned(self, q: int, energy: int) -> "ConstantBackground":  # noqa: ARG002 (a shape has no bins)
        """The same, whatever the bins."""
        return self


@dataclass(frozen=True)
class SlopedBackground:
    """`background` in the middle of the energy range, plus `background_slope` per meV away from it."""

    names = ("background", "background_slope")
    units: ClassVar[dict[str, str]] = {"background": "", "background_slope": "1/meV"}

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """One, and the distance from the middle of the energy range, meV."""
        away = (measurement.energy_centres - sum(measurement.range) / 2).expand(measurement.shape)
        return torch.stack((torch.ones_like(away), away))

    def rebinned(self, q: int, energy: int) -> "SlopedBackground":  # noqa: ARG002 (a shape has no bins)
        """The same, whatever the bins."""
        return self


@dataclass(frozen=True)
class PlanarBackground:
    """A plane over a powder map: `background` in its middle, `background_slope` per meV and `background_slope_q` per
    1/angstrom away from it.
    """

    names = ("background", "background_slope", "background_slope_q")
    units: ClassVar[dict[str, str]] = {"background": "", "background_slope": "1/meV", "background_slope_q": "angstrom"}

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """Those of `SlopedBackground`, and the distance from the middle of the |Q| range, 1/angstrom."""
        if not isinstance(measurement.points, QShells):
            raise InputError(
                "a planar background needs a powder map; use background kind = 'constant' or 'sloped' for a path"
            )
        edges = measurement.points.edges
        away = (measurement.points.centres - (edges[0] + edges[-1]) / 2)[:, None].expand(measurement.shape)
        return torch.cat((SlopedBackground().templates(measurement), away[None]))

    def rebinned(self, q: int, energy: int) -> "PlanarBackground":  # noqa: ARG002 (a shape has no bins)
        """The same, whatever the bins."""
        return self


@dataclass(frozen=True)
class SmoothBackground:
    """Products of Legendre polynomials up to `order_q` along |Q|, or along the length of a path, and `order_energy`.

    The parameter `background_ij` multiplies P_i(x) P_j(y); x and y go from -1 to 1 over the measured range, so that
    `background_00` is the mean level and each further term changes it by at most its own size.
    """

    order_q: int = 0
    order_energy: int = 2

    def __post_init__(self) -> None:
        if not (0 <= self.order_q <= HIGHEST and 0 <= self.order_energy <= HIGHEST):
            raise InputError(
                f"a smooth background has two orders from 0 to {HIGHEST}, got order_q = {self.order_q}, "
                f"order_energy = {self.order_energy}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""
        return tuple(f"background_{i}{j}" for i in range(self.order_q + 1) for j in range(self.order_energy + 1))

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter: that of the spectrum."""
        return dict.fromkeys(self.names, "")

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """The products, at the middle of each bin."""
        if measurement.is_scan:
            raise InputError("a smooth background needs a map; use background kind = 'constant' or 'sloped' for scans")
        low, high = measurement.range
        y = legendre((2 * measurement.energy_centres - low - high) / (high - low), self.order_energy)
        return torch.einsum("in,je->ijne", legendre(along(measurement), self.order_q), y).flatten(0, 1)

    def rebinned(self, q: int, energy: int) -> "SmoothBackground":  # noqa: ARG002 (a shape has no bins)
        """The same, whatever the bins."""
        return self


HIGHEST = 9
"""Highest order of a smooth background: names have one digit for each order."""


@dataclass(frozen=True)
class ElasticBackground:
    """The tail of the elastic line, a Lorentzian round zero energy transfer, and what `beside` adds.

    The parameter `background_elastic` is its value there; `width` is its full width at half maximum, meV. Far from the
    line only background_elastic * width^2 is known, so that the width is a choice and no parameter.
    """

    width: float
    beside: Background = field(default_factory=ConstantBackground)

    def __post_init__(self) -> None:
        if not 0 < self.width < math.inf:
            raise InputError(f"the elastic line is {self.width} meV wide; its full width must be positive")

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""
        return (*self.beside.names, ELASTIC)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter; the value at zero energy transfer has that of the spectrum."""
        return {**self.beside.units, ELASTIC: ""}

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """Those of `beside`, then 1 / (1 + (2 E / width)^2) at the middle of each bin."""
        tail = 1 / (1 + (2 * measurement.energy_centres / self.width) ** 2)
        return torch.cat((self.beside.templates(measurement), tail.expand(1, *measurement.shape)))

    def rebinned(self, q: int, energy: int) -> "ElasticBackground":
        """The same on any bins, if what stands beside is."""
        return ElasticBackground(self.width, self.beside.rebinned(q, energy))


ELASTIC = "background_elastic"


def legendre(x: Float[Tensor, " place"], order: int) -> Float[Tensor, "degree place"]:
    """P_0 to P_order by their recurrence."""
    known = [torch.ones_like(x), x]
    for n in range(1, order):
        known.append(((2 * n + 1) * x * known[n] - n * known[n - 1]) / (n + 1))
    return torch.stack(known[: order + 1])


def along(measurement: Measurement) -> Float[Tensor, " point"]:
    """Place of each point between the ends of the map, -1 to 1."""
    match measurement.points:
        case QShells() as shells:
            place, ends = shells.centres, shells.edges[[0, -1]]
        case QPath(lattice, q):
            steps = lattice.to_cartesian(q.diff(dim=0)).norm(dim=1)
            place = torch.cat((steps.new_zeros(1), steps.cumsum(0)))
            ends = place[[0, -1]]
        case _:
            raise InputError("a smooth background needs a powder map or a path; use background kind = 'sloped'")
    return (2 * place - ends.sum()) / (ends[1] - ends[0]).clamp(min=1e-300)
