"""Momentum resolution of a powder map: how far each |Q| cell spreads over the |Q| bins."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.spectra import Measurement
from sqwirrel.units import E_PER_K2, SIGMA

NODES = 8
"""Energies at which an angular width is evaluated; linear between them."""


@runtime_checkable
class QWidth(Protocol):
    """Full widths at half maximum in |Q|; `names` are its nuisance parameters, `units` their units."""

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""

    def nodes(self, measurement: Measurement) -> Float[Tensor, " node"]:
        """Energies (meV) between which the widths are linear."""

    def fwhm(
        self,
        Q: Float[Tensor, " cell"],
        energy: Float[Tensor, " node"],
        measurement: Measurement,
        theta: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, "batch node cell"]:
        """Width (1/angstrom) at |Q| (1/angstrom) and energy transfer (meV)."""


@dataclass(frozen=True)
class ConstantQWidth:
    """One width for the whole map: the parameter `fwhm_q`, 1/angstrom."""

    names = ("fwhm_q",)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""
        return {"fwhm_q": "1/angstrom"}

    def nodes(self, measurement: Measurement) -> Float[Tensor, " node"]:
        """The middle of the energy range: nothing varies."""
        return measurement.energy_centres.mean()[None]

    def fwhm(
        self,
        Q: Float[Tensor, " cell"],
        energy: Float[Tensor, " node"],
        measurement: Measurement,  # noqa: ARG002 (one width for all)
        theta: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, "batch node cell"]:
        """The parameter, everywhere."""
        return theta[:, :, None].expand(-1, len(energy), len(Q))


@dataclass(frozen=True)
class AngularQWidth:
    """The scattering angle is blurred by `fwhm_angle` degrees: dQ = k_i k_f sin(2 theta) / Q times that.

    For direct geometry, from Q^2 = k_i^2 + k_f^2 - 2 k_i k_f cos(2 theta); small at small angles, where a powder map is
    sharpest. The measurement must know its incident energy.
    """

    names = ("fwhm_angle",)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""
        return {"fwhm_angle": "deg"}

    def nodes(self, measurement: Measurement) -> Float[Tensor, " node"]:
        """Energies spread over the measured range."""
        return torch.linspace(*measurement.range, NODES, dtype=torch.float64)

    def fwhm(
        self,
        Q: Float[Tensor, " cell"],
        energy: Float[Tensor, " node"],
        measurement: Measurement,
        theta: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, "batch node cell"]:
        """The formula above, at the nearest angle where none reaches (Q, energy), and a lever of at least k_i / 20."""
        if measurement.incident_energy is None:
            raise InputError(
                "an angular |Q| width needs the incident energy; give it in meV, [measurement] incident_energy = 20"
            )
        ki2 = measurement.incident_energy / E_PER_K2
        kf2 = (ki2 - energy / E_PER_K2).clamp(min=1e-3 * ki2)[:, None]
        cosine = (ki2 + kf2 - Q**2) / (2 * (ki2 * kf2).sqrt())
        sine = (1 - cosine.clamp(-1, 1) ** 2).sqrt()
        lever = ((ki2 * kf2).sqrt() * sine / Q.clamp(min=1e-3)).clamp(min=0.1 * ki2**0.5 * SMALL_ANGLE)
        return theta[:, :, None] * math.pi / 180 * lever


SMALL_ANGLE = 0.5
"""Levers (1/angstrom per radian) are at least k_i / 20, so that a width never vanishes at the kinematic limit."""


def smear_momentum(
    blurred: Float[Tensor, "batch cell bin"],
    kernels: Float[Tensor, "#batch node shell cell"],
    nodes: Float[Tensor, " node"],
    energy: Tensor,
) -> Float[Tensor, "batch shell bin"]:
    """Each energy bin smeared along |Q| by the kernels of the two nodes round it."""
    if kernels.shape[1] == 1:
        return kernels[:, 0] @ blurred
    place = ((energy - nodes[0]) / (nodes[1] - nodes[0])).clamp(0, len(nodes) - 1)
    away = place - torch.arange(len(nodes), dtype=energy.dtype, device=energy.device)[:, None]
    share = (1 - away.abs()).clamp(min=0)
    smeared: Tensor = torch.einsum("bnsc,bce,ne->bse", kernels, blurred, share)
    return smeared


def shell_kernels(
    cells: Float[Tensor, " cell_edge"], edges: Float[Tensor, " edge"], fwhm: Float[Tensor, "batch node cell"]
) -> Float[Tensor, "batch node shell cell"]:
    """Share of each |Q| cell in the mean over a |Q| bin after Gaussian smearing; cell and bin are averaged over."""
    sigma = (SIGMA * fwhm).clamp(min=1e-6)[:, :, None, :]

    def twice(edge: Tensor) -> Tensor:
        """Second integral of the Gaussian from each bin edge to `edge`."""
        x = (edges[:, None] - edge) / sigma
        ramp: Tensor = sigma * (x * torch.special.ndtr(x) + torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi))
        return ramp

    return (twice(cells[:-1]) - twice(cells[1:])).diff(dim=-2) / edges.diff()[:, None]
