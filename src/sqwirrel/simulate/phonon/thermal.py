"""Thermal motion: how far atoms are from their places, and what that takes from scattering (Debye-Waller factors).

    U_i = 1/N sum_qj hbar^2 / 2 m_i E coth(E / 2 k T) e_i e_i*,    W_i(Q) = Q . U_i . Q / 2

(G. L. Squires, Introduction to the Theory of Thermal Neutron Scattering (2012), section 3.6.)
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.simulate.phonon.dynamical import STILL, basis, blocks, dynamical, solve
from sqwirrel.units import K_B, RECOIL

MESH = 8
"""Points along each direction of the zone, unless asked otherwise. One mesh is wrong by some 1 / MESH at high
temperature, for the acoustic modes near the centre; with one of half as many, U of Al is right to 0.1 % at 300 K
and to 1 % at 0 K.
"""
ASIDE = (0.5, 0.477, 0.523)
"""Where in its box each point of the mesh is: aside of symmetry, where modes are degenerate."""


@runtime_checkable
class Thermal(Protocol):
    """What tells how far atoms are from their places: `ThermalMotion`, or what that found (`Motion`)."""

    def motion(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Tensor, Bool[Tensor, " batch"]]:
        """U, and whether it is that of a crystal that holds together."""

    def slopes(self, theta: Float[Tensor, "batch parameter"]) -> "Motion":
        """The same, with derivatives."""


class Motion(NamedTuple):
    """U (angstrom^2), its derivatives, and whether no mode has an imaginary energy: at some parameters, those that are
    then asked for.
    """

    U: Float[Tensor, "batch atom 3 3"]
    rise: Float[Tensor, "parameter batch atom 3 3"]
    steady: Bool[Tensor, " batch"]

    def motion(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Tensor, Bool[Tensor, " batch"]]:
        """As that of `ThermalMotion`, derivatives included."""
        if not len(self.rise):
            return self.U, self.steady
        none = theta - theta.detach()
        return self.U + torch.einsum("bp,pbnac->bnac", none, self.rise), self.steady

    def slopes(self, _: Float[Tensor, "batch parameter"]) -> "Motion":
        """As those of `ThermalMotion`."""
        return self


class ThermalMotion(nn.Module):
    """Mean square displacements of the atoms of `model` at `temperature` (K), from a `mesh` of the zone."""

    fine: Tensor
    coarse: Tensor

    def __init__(self, model: PhononModel, temperature: float, mesh: int = MESH) -> None:
        super().__init__()
        if mesh < 4 or mesh % 4:
            raise InputError(f"a mesh of {mesh} points for thermal motion; give a multiple of 4")
        self.model, self.temperature = model, temperature
        for name, n in (("fine", mesh), ("coarse", mesh // 2)):
            self.register_buffer(name, basis(model, model.cell.to_cartesian(_half_zone(n))))

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch atom 3 3"]:
        """U, angstrom^2; zero where a mode of the mesh has an imaginary energy."""
        return self.motion(theta)[0]

    def motion(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Tensor, Bool[Tensor, " batch"]]:
        """U, and whether no mode of the mesh has an imaginary energy."""
        (fine, steady), (coarse, still) = self._mean(self.fine, theta), self._mean(self.coarse, theta)
        both, stable = 2 * fine - coarse, steady & still
        good = torch.linalg.eigvalsh(both.detach())[..., :1, None] > 0
        return torch.where(stable[:, None, None, None], torch.where(good, both, fine), 0.0), stable

    def slopes(self, theta: Float[Tensor, "batch parameter"]) -> Motion:
        """The same, with derivatives (forward mode)."""

        def push(tangent: Tensor) -> Any:
            return torch.func.jvp(self.motion, (theta,), (tangent.expand_as(theta),), has_aux=True)

        if not theta.shape[1]:
            U, steady = self.motion(theta)
            return Motion(U, U[None][:0], steady)
        with torch.enable_grad():
            every = torch.eye(theta.shape[1], dtype=theta.dtype)
            U, rise, steady = torch.func.vmap(push, out_dims=(None, 0, None))(every)  # type: ignore[arg-type]
        return Motion(U, rise, steady)

    def _mean(self, mesh: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """U of one mesh, and stability."""
        parts = [self._sum(part, theta) for part in blocks(mesh)]
        U, stable = (torch.stack(each) for each in zip(*parts, strict=True))
        return U.sum(0) * RECOIL / (2 * mesh.shape[1] * self.model.masses.to(U)[:, None, None]), stable.all(0)

    def _sum(self, mesh: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Of some points of a mesh, sum coth(E / 2 k T) e e* / E, and stability."""
        size, n = mesh.shape[-1], len(self.model.positions)
        found = solve(dynamical(mesh, theta), torch.eye(size, dtype=torch.complex128)[None, None])
        energy = found.square.clamp(min=STILL**2).sqrt()
        heat = 1.0 if self.temperature <= 0 else 1 / torch.tanh(energy / (2 * K_B * self.temperature))
        e = found.amplitude.reshape(*found.amplitude.shape[:-1], n, 3)
        return torch.einsum("bqm,bqmna,bqmnc->bnac", heat / energy + 0j, e.conj(), e).real, found.stable.all(1)


def exponent(U: Float[Tensor, "batch atom 3 3"], wave: Float[Tensor, "q 3"]) -> Float[Tensor, "batch q atom"]:
    """W at Cartesian wavevectors (1/angstrom)."""
    W: Tensor = torch.einsum("qa,bnac,qc->bqn", wave, U, wave) / 2
    return W


def _half_zone(n: int) -> Float[Tensor, "x 3"]:
    """A mesh of one half of the zone, fractions of reciprocal vectors of the cell: -q has what q has."""
    axis = torch.arange(n, dtype=torch.float64)
    return (torch.cartesian_prod(axis, axis, axis[: n // 2]) + torch.tensor(ASIDE, dtype=torch.float64)) / n
