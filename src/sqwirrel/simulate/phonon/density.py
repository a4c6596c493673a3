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
from sqwirrel.simulate.phonon.dynamical import STILL, basis, dynamical, solve

MODES = 2**12
"""Modes that a density is made of, about, unless asked otherwise."""
SIGMA = 1 / math.sqrt(8 * math.log(2))
"""Standard deviation of a Gaussian of unit full width at half maximum."""


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
        self, theta: Float[Tensor, "batch parameter"], energy: Float[Tensor, " line"], *, fwhm: float
    ) -> Float[Tensor, "batch atom line"]:
        """Each atom's density, 1/meV, at energies (meV), as broad as `fwhm` (meV); NaN where an energy is imaginary."""
        at, share, stable = self.shares(theta)
        sigma = SIGMA * fwhm
        away = (energy - at.flatten(1)[..., None]) / sigma
        line = torch.exp(-(away**2) / 2) / (sigma * math.sqrt(2 * math.pi))
        found = torch.einsum("bml,bmi->bil", line, share.flatten(1, 2))
        return torch.where(stable[:, None, None], found, torch.nan)

    def shares(
        self, theta: Float[Tensor, "batch parameter"]
    ) -> tuple[Float[Tensor, "batch q mode"], Float[Tensor, "batch q mode atom"], Bool[Tensor, " batch"]]:
        """Energies (meV), what of each atom's density a mode is, and whether all energies are real."""
        size, n = self.basis.shape[-1], len(self.model.positions)
        found = solve(dynamical(self.basis, theta), torch.eye(size, dtype=self.basis.dtype)[None, None])
        e = found.amplitude.reshape(*found.amplitude.shape[:-1], n, 3)
        share = (e.real**2 + e.imag**2).sum(-1) * self.worth[:, None, None] / 3
        return found.square.clamp(min=STILL**2).sqrt(), share, found.stable.all(1)


def neutron_weighted(model: PhononModel, density: Float[Tensor, "*batch atom line"]) -> Float[Tensor, "*batch line"]:
    """What neutrons see of the densities of the atoms: their mean by cross-section over mass."""
    weight = (model.coherent + model.alone) / model.masses
    return torch.einsum("i,...il->...l", weight / weight.sum(), density)
