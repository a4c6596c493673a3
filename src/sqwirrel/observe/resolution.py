"""Resolution: how an instrument spreads a sharp line over energy transfer and |Q|.

Every kernel is Gaussian, given by its full width at half maximum, averaged over the bin, and conserves the integrated
intensity. A width is evaluated at the energy transfer of the line, not of the bin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.units import SIGMA

OFFSET = "energy_offset"


@runtime_checkable
class Resolution(Protocol):
    """A family of energy kernels; `names` are its nuisance parameters, `units` their units."""

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""

    def kernel(
        self, line: Float[Tensor, " line"], theta: Float[Tensor, "batch parameter"], edges: Float[Tensor, "*one edge"]
    ) -> Float[Tensor, "batch line bin"]:
        """Density (1/meV) of a unit line at each energy of the even grid `line`, averaged over each bin."""


@runtime_checkable
class Named(Protocol):
    """Anything with nuisance parameters."""

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""


@runtime_checkable
class Widths(Protocol):
    """A resolution that is Gaussian, with a width that depends on energy transfer."""

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""

    def fwhm(
        self, energy: Float[Tensor, " line"], theta: Float[Tensor, "batch parameter"]
    ) -> Float[Tensor, "batch line"]:
        """Full width at half maximum (meV) of a line at `energy` (meV)."""
        ...


@dataclass(frozen=True)
class GaussianResolution:
    """One width at all energies: the parameter `fwhm`, meV."""

    names = ("fwhm",)
    units: ClassVar[dict[str, str]] = {"fwhm": "meV"}

    def fwhm(self, energy: Float[Tensor, " line"], theta: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch line"]:
        """The parameter, at every energy."""
        return theta.expand(-1, len(energy))

    def kernel(self, line: Tensor, theta: Tensor, edges: Tensor) -> Float[Tensor, "batch line bin"]:
        """See `gaussian_kernel`."""
        return gaussian_kernel(line, self.fwhm(line, theta), edges)


@dataclass(frozen=True)
class PolynomialResolution:
    """fwhm(E) = sum_k fwhm_k (E / 1 meV)^k up to `order`: the parameters `fwhm_0`, `fwhm_1`, ..., meV."""

    order: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.order <= 4:
            raise InputError(f"a resolution polynomial of order {self.order} was asked for; use 0 to 4")

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""
        return tuple(self.units)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""
        return {f"fwhm_{k}": "meV" if k == 0 else f"meV^{1 - k}" if k > 1 else "" for k in range(self.order + 1)}

    def fwhm(
        self, energy: Float[Tensor, " line"], theta: Float[Tensor, "batch parameter"]
    ) -> Float[Tensor, "batch line"]:
        """The polynomial."""
        return theta @ torch.stack([energy**k for k in range(self.order + 1)])

    def kernel(self, line: Tensor, theta: Tensor, edges: Tensor) -> Float[Tensor, "batch line bin"]:
        """See `gaussian_kernel`."""
        return gaussian_kernel(line, self.fwhm(line, theta), edges)


@dataclass(frozen=True)
class TableResolution:
    """Widths tabulated against energy transfer (meV, meV), linear between entries, times the parameter `fwhm_scale`."""

    energies: Sequence[float]
    widths: Sequence[float]
    names = ("fwhm_scale",)
    units: ClassVar[dict[str, str]] = {"fwhm_scale": ""}

    def __post_init__(self) -> None:
        steps = torch.tensor(self.energies).diff()
        if (
            len(self.energies) != len(self.widths)
            or len(steps) < 1
            or not bool((steps > 0).all())
            or min(self.widths) <= 0
        ):
            raise InputError(
                "a resolution table needs as many energies as widths, at least two, energies ascending and widths > 0"
            )

    def fwhm(self, energy: Float[Tensor, " line"], theta: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch line"]:
        """The table times the parameter; its ends hold beyond it."""
        x, y = (torch.as_tensor(v, dtype=energy.dtype, device=energy.device) for v in (self.energies, self.widths))
        k = torch.searchsorted(x, energy.contiguous()).clamp(1, len(x) - 1)
        fraction = ((energy - x[k - 1]) / (x[k] - x[k - 1])).clamp(0, 1)
        return theta * torch.lerp(y[k - 1], y[k], fraction)

    def kernel(self, line: Tensor, theta: Tensor, edges: Tensor) -> Float[Tensor, "batch line bin"]:
        """See `gaussian_kernel`."""
        return gaussian_kernel(line, self.fwhm(line, theta), edges)


@dataclass(frozen=True)
class TailedResolution:
    """A Gaussian of width `core`, the share `tail` of it smeared to lower energy transfer by exp(-t / tail_length).

    Pulsed moderators and choppers leave such tails (S. Ikeda, J. M. Carpenter, Nucl. Instrum. Methods A 239, 536
    (1985), doi:10.1016/0168-9002(85)90033-6); elastic Bragg peaks of the same measurement show them. `tail_length` is
    in meV.
    """

    core: Widths

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""
        return (*self.core.names, "tail", "tail_length")

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""
        return {**self.core.units, "tail": "", "tail_length": "meV"}

    def kernel(self, line: Tensor, theta: Tensor, edges: Tensor) -> Float[Tensor, "batch line bin"]:
        """Integral of (1 - tail) Gaussian + tail (Gaussian * exponential) over each bin; the latter in closed form."""
        fraction, length = theta[:, -2, None, None], theta[:, -1].clamp(min=1e-3)[:, None, None]
        sigma = _sigma(line, self.core.fwhm(line, theta[:, :-2]))[..., None]
        y, a = (edges - line[:, None]) / sigma, sigma / length
        late = torch.exp(a * y + a**2 / 2 + torch.special.log_ndtr(-y - a))
        density: Tensor = (torch.special.ndtr(y) + fraction * late).diff(dim=-1) / edges.diff()
        return density


@dataclass(frozen=True)
class OffsetResolution:
    """A resolution whose lines are all seen `energy_offset` (meV) higher than they are.

    Times of flight and incident energies are known so well and no better; the elastic line, where it was measured,
    shows by how much. Edges of bins may be those of each row, (batch, 1, edge), for the resolution that is moved.
    """

    core: Resolution

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""
        return (*self.core.names, OFFSET)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""
        return {**self.core.units, OFFSET: "meV"}

    def kernel(self, line: Tensor, theta: Tensor, edges: Tensor) -> Float[Tensor, "batch line bin"]:
        """That of the resolution, on bins moved down."""
        return self.core.kernel(line, theta[:, :-1], edges - theta[:, -1:, None])


def sharpest(resolution: Named, line: Float[Tensor, " line"]) -> float:
    """No mode is seen narrower than this (FWHM, meV): than on the grid, or by a resolution without parameters."""
    width = float(line[1] - line[0]) / (2 * SIGMA)
    if not resolution.names and isinstance(resolution, Widths):
        width = max(width, float(resolution.fwhm(line, line.new_zeros(1, 0)).min()))
    return width


def widest(resolution: object, range: tuple[float, float]) -> tuple[float, bool]:
    """The largest width (FWHM, meV) in a range of energies where a table gives it, else 0; whether lines have tails, or
    are moved.
    """
    moved = isinstance(resolution, OffsetResolution)
    resolution = resolution.core if isinstance(resolution, OffsetResolution) else resolution
    tailed = moved or isinstance(resolution, TailedResolution)
    known = resolution.core if isinstance(resolution, TailedResolution) else resolution
    if not isinstance(known, TableResolution):
        return 0.0, tailed
    energy = torch.linspace(*range, 100, dtype=torch.float64)
    return float(known.fwhm(energy, energy.new_ones(1, 1)).max()), tailed


def gaussian_kernel(
    line: Float[Tensor, " line"], fwhm: Float[Tensor, "batch line"], edges: Float[Tensor, "*one edge"]
) -> Float[Tensor, "batch line bin"]:
    """Density (1/meV) of a Gaussian round each line, averaged over each bin."""
    below: Tensor = torch.special.ndtr((edges - line[:, None]) / _sigma(line, fwhm)[..., None])
    return below.diff(dim=-1) / edges.diff()


def _sigma(line: Float[Tensor, " line"], fwhm: Float[Tensor, "batch line"]) -> Float[Tensor, "batch line"]:
    """Standard deviation of a kernel on an even grid.

    Modes are shared between three lines of the grid by a quadratic B-spline, which adds step^2 / 4 to their variance;
    that is taken off here. A width below the grid's, or below zero, is that of the grid.
    """
    step = line[1] - line[0]
    return ((SIGMA * fwhm.clamp(min=0)) ** 2 - step**2 / 4).clamp(min=(step / 10) ** 2).sqrt()
