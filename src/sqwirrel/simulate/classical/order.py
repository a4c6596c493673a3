"""The classical order a model is expanded about: local frames, torque, and moments that follow the parameters."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from sqwirrel.model.magnetic import stevens

STEPS = 60
"""Newton steps of `relax`; from a sensible start it converges in fewer than 20."""
STATIONARY = 1e-6
"""Largest torque, relative to the largest exchange field, at which an order counts as stationary."""


def local_frames(
    directions: Float[Tensor, "*batch site 3"],
) -> tuple[Complex[Tensor, "*batch site 3"], Float[Tensor, "*batch site 3"]]:
    """u = e1 + i e2 and n, with (e1, e2, n) right-handed and n along each moment."""
    tilted = directions[..., 2:].abs() < 0.9
    pole = torch.where(tilted, directions.new_tensor([0.0, 0.0, 1.0]), directions.new_tensor([1.0, 0.0, 0.0]))
    e1 = torch.nn.functional.normalize(torch.linalg.cross(pole, directions), dim=-1)
    return torch.complex(e1, torch.linalg.cross(directions, e1)), directions


class Energy(NamedTuple):
    """Classical energy n . pairs . n / 2 + linear . n + f(n) of unit moments n, meV per magnetic cell."""

    pairs: Float[Tensor, "*batch site 3 site 3"]
    linear: Float[Tensor, "*batch site 3"]
    onsite: Float[Tensor, "*batch site 3 3 15"]
    """Second derivative of f (`stevens`)."""

    def derivatives(
        self, n: Float[Tensor, "*#batch site 3"]
    ) -> tuple[Float[Tensor, "*batch site 3"], Float[Tensor, "*batch site 3 3"]]:
        """dE/dn, and d2f/dn dn; `pairs` is the rest of the second derivative."""
        alone = torch.einsum("...ack,...k->...ac", self.onsite, stevens.monomials(n, 4))
        force = torch.einsum("...iajc,...jc->...ia", self.pairs, n) + self.linear
        return force + torch.einsum("...ac,...c->...a", alone, n) / 5, alone

    def value(self, n: Float[Tensor, "*#batch site 3"]) -> Float[Tensor, "*batch"]:
        """E."""
        force, alone = self.derivatives(n)
        own = torch.einsum("...ac,...a,...c->...", alone, n, n) / 15
        return ((force + self.linear) * n).sum((-1, -2)) / 2 - own.sum(-1)

    def detach(self) -> "Energy":
        """Without derivatives."""
        return Energy(*(part.detach() for part in self))


def is_stationary(energy: Energy, directions: Float[Tensor, "*#batch site 3"]) -> Bool[Tensor, "*batch"]:
    """Whether every moment lies along its exchange field, so that the expansion has no linear terms."""
    force, _ = energy.derivatives(directions)
    torque = torch.linalg.cross(force, directions.expand_as(force)).norm(dim=-1).amax(-1)
    still: Tensor = torque <= STATIONARY * force.norm(dim=-1).amax(-1).clamp(min=1e-12)
    return still


def relax(energy: Energy, start: Float[Tensor, "*#batch site 3"]) -> Float[Tensor, "batch site 3"]:
    """Directions of the nearest local minimum from `start`, differentiable with respect to the energy's coefficients.

    `start` is one order, or one for each energy. Newton's method on the sphere with the Hessian made positive;
    the last step carries the derivative (implicit function theorem: dn = -Hessian^-1 d(gradient)).
    """
    with torch.no_grad():
        directions = start.expand(energy.linear.shape).clone()
        for _ in range(STEPS):
            directions = _newton(energy.detach(), directions)
    return _newton(energy, directions)


def _newton(energy: Energy, directions: Tensor) -> Tensor:
    u, _ = local_frames(directions)
    tangent = torch.stack((u.real, u.imag), dim=-2)
    force, alone = energy.derivatives(directions)
    slope = torch.einsum("bica,bia->bic", tangent, force).flatten(1)
    with torch.no_grad():
        # Forward mode passes no_grad, and tangents of axes that share an eigenvalue are not finite.
        curved = _hessian(energy, force, alone, directions, tangent).detach()
        size, axes = torch.linalg.eigh(curved)
        floor = 1e-9 * size.abs().amax(-1, keepdim=True).clamp(min=1e-12)
        inverse = torch.where(size.abs() > floor, 1 / size.abs().clamp(min=floor), 0.0)
    step = -torch.einsum("bxk,bk,byk,by->bx", axes, inverse, axes, slope)
    step = step * (0.5 / step.detach().abs().amax(-1, keepdim=True).clamp(min=0.5))
    moved = directions + torch.einsum("bic,bica->bia", step.reshape(*step.shape[:-1], -1, 2), tangent)
    return torch.nn.functional.normalize(moved, dim=-1)


def _hessian(
    energy: Energy, force: Tensor, alone: Tensor, directions: Tensor, tangent: Tensor
) -> Float[Tensor, "batch angle angle"]:
    """Second derivative of the classical energy in the tangent planes."""
    curved = torch.einsum("bica,biajd,bjed->bicje", tangent, energy.pairs, tangent)
    curved.diagonal(dim1=1, dim2=3).add_(torch.einsum("bica,biad,bied->bcei", tangent, alone, tangent))
    curved = curved.flatten(3, 4).flatten(1, 2)
    pull = torch.einsum("bia,bia->bi", force, directions).repeat_interleave(2, dim=-1)
    return curved - torch.diag_embed(pull)
