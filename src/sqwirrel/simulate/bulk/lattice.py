"""Bulk numbers of phonons: specific heat and sound velocities, harmonic.

(M. Born and K. Huang, Dynamical Theory of Crystal Lattices (1954), sections 6 and 27.)
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.simulate.bulk.found import Found, einstein
from sqwirrel.simulate.phonon.density import Density
from sqwirrel.simulate.phonon.dynamical import STILL, basis, dynamical, solve
from sqwirrel.simulate.quadratic.once import first_order
from sqwirrel.units import K_B, METRES_PER_SECOND, MOLAR_GAS

MODES, CLOSE, SETS = 2**11, 0.5, 4
"""Modes of each of `SETS` sets of points, and the share of the points that is close to Bragg points (`crowded`)."""
LONG = 0.01
"""Wavevector at which sound is looked at, 1/angstrom: there it is slower by some 1e-4 than at none."""


class PhononHeat:
    """Specific heat at constant volume (J / K per mole of atoms) at `temperatures` (K).

    C = 3 R <x^2 e^x / (e^x - 1)^2> with x = E / k T, the mean over all modes. Measured ones are at constant pressure,
    and have electrons and magnons in them; what they differ by grows with temperature. At low temperatures the law is
    Debye's, 12 pi^4 / 5 R (T / theta_D)^3. `Found.rough` is twice the standard error of the mean of
    four sets of points.
    """

    def __init__(self, model: PhononModel, temperatures: Float[Tensor, " number"]) -> None:
        if not bool((temperatures > 0).all()):
            raise InputError("a specific heat at 0 K is 0 for any springs; give one at a temperature above 0")
        self.warmth = K_B * temperatures
        self.sets = [Density(model, modes=MODES, seed=seed, close=CLOSE) for seed in range(SETS)]

    def __call__(self, theta: Float[Tensor, "batch parameter"]) -> Found:
        """One number for each temperature."""
        found = [(each.worth, *each.shares(theta)) for each in self.sets]
        heat = torch.stack([3 * MOLAR_GAS * self._mean(worth, energy) for worth, energy, *_ in found])
        stable = torch.stack([each[-1] for each in found]).all(0)
        return Found(first_order(heat.mean(0)), 2 * heat.detach().std(0) / SETS**0.5, stable)

    def _mean(self, worth: Float[Tensor, " q"], energy: Float[Tensor, "batch q mode"]) -> Float[Tensor, "batch number"]:
        """Of all modes; one temperature after the other, which a curve of many asks for."""
        each = [torch.einsum("q,bqmt->bt", worth, einstein(energy, warmth[None])) for warmth in self.warmth]
        return torch.cat(each, dim=1) / energy.shape[-1]


class SoundVelocity:
    """Velocity (m / s) of long waves along `directions` (rlu), of the acoustic `branches` 1 (the fastest) to 3.

    v = E(q) / (hbar |q|) at |q| = 0.01 1/angstrom; rho v^2 is an elastic constant, or a sum of them. `Found.rough` is
    how far waves twice as long differ.
    """

    def __init__(self, model: PhononModel, directions: Float[Tensor, "number 3"], branches: tuple[int, ...]) -> None:
        wave = torch.nn.functional.normalize(model.lattice.to_cartesian(directions), dim=1)
        if not bool((wave.norm(dim=1) > 0.5).all()):
            raise InputError("the direction of a sound velocity is (0, 0, 0); give h, k, l along which sound travels")
        self.basis = basis(model, LONG * torch.cat((wave, wave / 2)))
        self.modes = torch.tensor([branch - 4 for branch in branches])

    def __call__(self, theta: Float[Tensor, "batch parameter"]) -> Found:
        """One number for each direction."""
        size = self.basis.shape[-1]
        none = torch.zeros(1, 1, size, 1, dtype=torch.complex128)
        square, _, stable = solve(dynamical(self.basis, theta), none)
        picked = square[..., size + self.modes.repeat(2)].diagonal(dim1=1, dim2=2)
        slow, slower = (METRES_PER_SECOND * picked.clamp(min=STILL**2).sqrt() / LONG).chunk(2, 1)
        return Found(first_order(slow), (slow - 2 * slower).abs().detach(), stable.all(1))
