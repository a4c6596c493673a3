"""What atoms scatter each for itself, with any number of phonons (incoherent approximation).

    S_i(Q, E) = exp(-Q^2 U_i) sum_n Q^2n / n! P_i * ... * P_i (E),    P_i(E) = hbar^2 / 2 m_i E g_i(|E|) (n(E) + 1)

with n factors in the convolution, E of both signs, and U_i the integral of P_i. One phonon is scattered so by the
incoherent cross-section alone: what is coherent has a |Q| dependence of its own. Two and more have lost that, nearly
(G. Placzek, Phys. Rev. 93, 895 (1954), doi:10.1103/PhysRev.93.895; A. Sjolander, Ark. Fys. 14, 315 (1958)). Atoms move
alike in all directions here.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.simulate.crosssection import bose
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.phonon.crowded import CLOSE
from sqwirrel.simulate.phonon.density import MODES, Density
from sqwirrel.simulate.quadratic.once import first_order
from sqwirrel.units import RECOIL

ORDERS = 24
"""Phonons at once, at most: of all scattering with Q^2 U = 10, 5e-5 has more, with 14, 0.6 %."""
SHARP = 15
"""What is incoherent shows every edge of the density of states: it has up to so many times more modes."""


class PhononExpansion(nn.Module):
    """P_i as `Modes`: those of each atom at all wavevectors, one atom after the other; intensities in angstrom^2."""

    def __init__(self, model: PhononModel, *, temperature: float, modes: int = MODES, seed: int = 0) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature
        self.density = Density(model, modes=modes, seed=seed, close=CLOSE)

    @property
    def modes(self) -> int:
        """Number of modes at each wavevector, those of both signs of energy."""
        return 2 * self.density.basis.shape[-1]

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """For every row of `theta`; differentiable once."""
        energy, share, stable = self.density.shares(theta)
        n = len(self.model.positions)
        both = torch.cat((energy, -energy), -1).repeat(1, n, 1)
        moved = RECOIL / 2 * share / self.model.masses / energy[..., None]
        moved = torch.cat((moved, moved), -2).permute(0, 3, 1, 2).flatten(1, 2) * bose(both, self.temperature)
        return Modes(first_order(both), first_order(moved), stable[:, None].expand(-1, both.shape[1]))


def enough(model: PhononModel) -> float:
    """How many times more modes than usual a density is to have, for what of its scattering is incoherent."""
    return 1 + SHARP * float(model.incoherent_per_sr.sum() / (model.incoherent_per_sr + model.coherent_per_sr).sum())


def orders(P: Float[Tensor, "batch atom energy"], step: float) -> Float[Tensor, "batch atom order energy"]:
    """P convolved with itself n - 1 times, n from 1 to `ORDERS`: angstrom^2n / meV, at energies `step` (meV) apart.

    Energies go from minus half of their range, and come round: give several times what is looked at.
    """
    n = torch.arange(1, ORDERS + 1, device=P.device)
    F = torch.fft.rfft(torch.fft.ifftshift(P, dim=-1) * step)
    found: Tensor = torch.fft.fftshift(torch.fft.irfft(F[:, :, None] ** n[:, None], n=P.shape[-1]), dim=-1) / step
    return found


def scattered(
    model: PhononModel,
    orders: Float[Tensor, "batch atom order energy"],
    U: Float[Tensor, "batch atom"],
    square: Float[Tensor, " cell"],
) -> Float[Tensor, "batch cell energy"]:
    """The sum, mb / sr / meV per atom, at squares of |Q| (1/angstrom^2) and the energies of `orders`."""
    n = torch.arange(1, ORDERS + 1, dtype=U.dtype, device=U.device)
    each = square[:, None] ** n / torch.exp(torch.lgamma(n + 1))
    seen = (model.incoherent_per_sr[:, None] + model.coherent_per_sr[:, None] * (n > 1)) / len(model.positions)
    damped = torch.exp(-square[:, None, None] * U[:, None, :, None])
    found: Tensor = torch.einsum("bcin,bine->bce", damped * each[:, None] * seen, orders)
    return found


def scattered_along(
    model: PhononModel,
    orders: Float[Tensor, "batch atom order energy"],
    U: Float[Tensor, "batch atom"],
    square: Float[Tensor, "cell energy"],
) -> Float[Tensor, "batch cell energy"]:
    """The same where |Q|^2 (1/angstrom^2) depends on the energy, too: sum Q^2n / n! P_n by Horner's rule."""
    found = orders.new_zeros(len(orders), *square.shape)
    for i, (alone, coherent) in enumerate(zip(model.incoherent_per_sr, model.coherent_per_sr, strict=True)):
        several = torch.zeros_like(found)
        for n in range(ORDERS, 1, -1):
            several = square / n * (orders[:, i, n - 1, None] + several)
        damped = square * torch.exp(-square * U[:, i, None, None])
        found = found + damped * (alone * orders[:, i, 0, None] + (alone + coherent) * several)
    return found / len(model.positions)
