"""Phonons of any crystal in the harmonic approximation, batched over spring constants and wavevectors.

Conventions: phases with the full atomic positions, D_ij(q) = sum Phi_ij exp(i q . (r_j - r_i)) / (m_i m_j)^1/2 and
E^2 e = D e, so that D at q + G has the polarisation vectors that a structure factor at q + G asks for (M. T. Dove,
Introduction to Lattice Dynamics (1993)). D is linear in the parameters. One-phonon coherent scattering:

    S(Q, E) = 1/N sum_modes hbar^2 / 2 E |sum_i b_i exp(-W_i) Q . e_i / m_i^1/2|^2 (n(E) + 1) delta(E)

with N atoms in the cell (G. L. Squires, Introduction to the Theory of Thermal Neutron Scattering (2012), chapter 3).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.simulate.crosssection import bose
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.phonon.dynamical import STILL, Solved, basis, dynamical, solve
from sqwirrel.simulate.phonon.thermal import Thermal, exponent
from sqwirrel.simulate.quadratic.once import first_order
from sqwirrel.units import MB_PER_FM2, RECOIL


class Phonons(nn.Module):
    """Energies and coherent one-phonon scattering of `model` at wavevectors `q` (rlu of its lattice).

    Intensities are in mb / sr per atom, thermal weights at `temperature` (K) and, if `thermal` is given, its
    Debye-Waller factors included. `stable` is False where the square of an energy is negative: there is none for it.
    """

    q: Tensor
    wave: Tensor
    basis: Tensor

    def __init__(
        self,
        model: PhononModel,
        q: Float[Tensor, "q 3"],
        *,
        temperature: float = 0.0,
        thermal: Thermal | None = None,
    ) -> None:
        super().__init__()
        self.model, self.names, self.temperature, self.thermal = model, model.names, temperature, thermal
        q = torch.as_tensor(q, dtype=torch.float64)
        if q.ndim != 2 or q.shape[1] != 3:
            raise InputError(f"wavevectors have the shape {tuple(q.shape)}; expected (n, 3), each h, k, l")
        self.register_buffer("q", q)
        self.register_buffer("wave", model.lattice.to_cartesian(q))
        self.register_buffer("basis", basis(model, self.wave))

    @property
    def modes(self) -> int:
        """Number of modes at each wavevector, those of both signs of energy."""
        return 2 * self.basis.shape[-1]

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """Modes for every row of `theta` (in the order of `names`); differentiable once."""
        U, steady = (None, True) if self.thermal is None else self.thermal.motion(theta)
        square, amplitude, stable = self._solved(theta, self._seen(U)[..., None] + 0j)
        stable = stable & torch.as_tensor(steady).reshape(-1, 1)
        energy = square.clamp(min=STILL**2).sqrt()
        intensity = MB_PER_FM2 * RECOIL / (2 * energy) * (amplitude.real**2 + amplitude.imag**2).sum(-1)
        energy, intensity = (
            torch.cat((part, sign * part.flip(-1)), -1) for part, sign in ((energy, -1), (intensity, 1))
        )
        intensity = intensity / len(self.model.positions) * bose(energy, self.temperature)
        return Modes(first_order(energy), first_order(intensity), stable)

    def energies(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch q branch"]:
        """Energies of the branches, meV, highest first; an imaginary one is given as minus its modulus."""
        none = self.wave.new_zeros(1, len(self.q), self.basis.shape[-1], 1) + 0j
        square, _, _ = self._solved(theta, none)
        return first_order(square.sign() * square.abs().clamp(min=STILL**4).sqrt())

    def _solved(self, theta: Tensor, seen: Tensor) -> Solved:
        if theta.ndim != 2 or theta.shape[1] != len(self.names):
            raise InputError(
                f"parameters have the shape {tuple(theta.shape)}; expected (batch, {len(self.names)}), "
                f"{', '.join(self.names)}: model.pack() makes one row"
            )
        return solve(dynamical(self.basis, theta), seen)

    def _seen(self, U: Tensor | None) -> Float[Tensor, "batch q component"]:
        """What each atom's displacement adds to the amplitude, without the polarisation vector."""
        strength = self.model.lengths.to(self.wave) / self.model.masses.to(self.wave).sqrt()
        seen = strength[:, None] * self.wave[:, None, :]
        if U is None:
            return seen.flatten(1)[None]
        return (torch.exp(-exponent(U, self.wave))[..., None] * seen).flatten(2)
