"""Densities of states: at which energies an atom moves, from the modes of points spread over the zone.

    g_i(E) = 1/3N sum_qj |e_i|^2 delta(E - E_qj),    neutrons see  sum_i sigma_i / m_i g_i / sum_i sigma_i / m_i

with N wavevectors, so that each integrates to one (G. L. Squires, Introduction to the Theory of Thermal Neutron
Scattering (2012), section 3.9).
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.simulate.phonon.crowded import crowded
from sqwirrel.simulate.phonon.dynamical import STILL, basis, blocks, dynamical, solve
from sqwirrel.units import SIGMA

MODES = 2**12
"""Modes that a density is made of, about, unless asked otherwise."""
FINE = 28
"""Bins of a histogram across a full width at half maximum, before it is made smooth."""


class Lines:
    """Gaussians of a width `fwhm` (meV), of any energies that are not negative, summed at those of `energy` (meV).

    The sum goes by way of a fine histogram, in which each is shared by two bins.
    """

    def __init__(self, energy: Float[Tensor, " line"], fwhm: float) -> None:
        self.energy, self.fwhm = energy, fwhm
        count = math.ceil(FINE * (float(energy.max()) / fwhm + 3)) + 1
        self.bins = fwhm / FINE * torch.arange(count, dtype=energy.dtype)
        sigma = SIGMA * fwhm
        away = (energy[:, None] - self.bins) / sigma
        self.shape = torch.exp(-(away**2) / 2) / (sigma * math.sqrt(2 * math.pi))

    def __call__(
        self, at: Float[Tensor, "batch mode"], share: Float[Tensor, "batch mode atom"]
    ) -> Float[Tensor, "batch atom line"]:
        """Sums of `share`, 1/meV; what lies beyond the bins is left out."""
        place, last = at / (self.bins[1] - self.bins[0]), len(self.bins) - 1
        inside = (place < last)[..., None] * share
        below = place.floor().clamp(max=last - 1)
        rest = (place - below)[..., None]
        index = below.long()[..., None].expand_as(share)
        filled = share.new_zeros(len(share), last + 1, share.shape[-1])
        filled.scatter_add_(1, index, (1 - rest) * inside).scatter_add_(1, index + 1, rest * inside)
        return torch.einsum("lf,bfi->bil", self.shape, filled)


class Density(nn.Module):
    """Densities of states of the atoms of `model`, from about `modes` modes; `seed` moves their wavevectors.

    A share of these that is `close` to Bragg points makes what is weighed by 1 / E^2 better, and the rest worse.
    """

    basis: Tensor
    worth: Tensor

    def __init__(self, model: PhononModel, *, modes: int = MODES, seed: int = 0, close: float = 0.0) -> None:
        super().__init__()
        if modes < 1:
            raise InputError(f"a density of states from {modes} modes; give at least one")
        self.model = model
        reciprocal = model.cell.to_cartesian(torch.eye(3, dtype=torch.float64))
        q, worth = crowded(reciprocal, math.ceil(modes / (3 * len(model.positions))), seed, close)
        self.register_buffer("basis", basis(model, q @ reciprocal))
        self.register_buffer("worth", worth / worth.sum())

    def forward(
        self, theta: Float[Tensor, "batch parameter"], lines: Lines, *, imaginary: float = 0.0
    ) -> Float[Tensor, "batch atom line"]:
        """Each atom's density, 1/meV, as those lines; modes with imaginary energies are left out.

        NaN where more than the share `imaginary` of the modes are.
        """
        at, share, _ = self.shares(theta)
        real = at.flatten(1) > STILL
        found = lines(at.flatten(1), share.flatten(1, 2) * real[..., None])
        return torch.where(((~real).double().mean(1) <= imaginary)[:, None, None], found, torch.nan)

    def shares(
        self, theta: Float[Tensor, "batch parameter"]
    ) -> tuple[Float[Tensor, "batch q mode"], Float[Tensor, "batch q mode atom"], Bool[Tensor, " batch"]]:
        """Energies (meV), what of each atom's density a mode is, and whether all energies are real."""
        parts = [self._solved(part, theta) for part in blocks(self.basis)]
        square, share, stable = (torch.cat(each, 1) for each in zip(*parts, strict=True))
        share = share * self.worth[:, None, None] / 3
        return square.clamp(min=STILL**2).sqrt(), share, stable.all(1)

    def _solved(self, part: Tensor, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of some wavevectors: E^2, |e_i|^2, stability."""
        size, n = part.shape[-1], len(self.model.positions)
        found = solve(dynamical(part, theta), torch.eye(size, dtype=part.dtype)[None, None])
        e = found.amplitude.reshape(*found.amplitude.shape[:-1], n, 3)
        return found.square, (e.real**2 + e.imag**2).sum(-1), found.stable


def neutron_weighted(model: PhononModel, density: Float[Tensor, "*batch atom line"]) -> Float[Tensor, "*batch line"]:
    """What neutrons see of the densities of the atoms: their mean by cross-section over mass."""
    weight = (model.coherent_per_sr + model.incoherent_per_sr) / model.masses
    return torch.einsum("i,...il->...l", weight / weight.sum(), density)
