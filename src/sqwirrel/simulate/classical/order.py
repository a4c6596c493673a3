"""The classical order a model is expanded about: local frames, torque, and moments that follow the parameters."""

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

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


def gradient(
    quadratic: Float[Tensor, "*batch site 3 site 3"], linear: Float[Tensor, "*batch site 3"], directions: Tensor
) -> Float[Tensor, "*batch site 3"]:
    """dE/dn of the classical energy E = n . quadratic . n / 2 + linear . n (meV per magnetic cell)."""
    force: Tensor = torch.einsum("...iajc,...jc->...ia", quadratic, directions) + linear
    return force


def is_stationary(quadratic: Tensor, linear: Tensor, directions: Tensor) -> Bool[Tensor, "*batch"]:
    """Whether every moment lies along its exchange field, so that the expansion has no linear terms."""
    force = gradient(quadratic, linear, directions)
    torque = torch.linalg.cross(force, directions.expand_as(force)).norm(dim=-1).amax(-1)
    still: Tensor = torque <= STATIONARY * force.norm(dim=-1).amax(-1).clamp(min=1e-12)
    return still


def relax(
    quadratic: Float[Tensor, "batch site 3 site 3"],
    linear: Float[Tensor, "batch site 3"],
    start: Float[Tensor, "*#batch site 3"],
) -> Float[Tensor, "batch site 3"]:
    """Directions of the nearest local minimum from `start`, differentiable with respect to the energy's coefficients.

    `start` is one order, or one for each energy. Newton's method on the sphere with the Hessian made positive;
    the last step carries the derivative (implicit function theorem: dn = -Hessian^-1 d(gradient)).
    """
    with torch.no_grad():
        directions = start.expand(linear.shape).clone()
        for _ in range(STEPS):
            directions = _newton(quadratic.detach(), linear.detach(), directions)
    return _newton(quadratic, linear, directions)


def _newton(quadratic: Tensor, linear: Tensor, directions: Tensor) -> Tensor:
    u, _ = local_frames(directions)
    tangent = torch.stack((u.real, u.imag), dim=-2)
    force = gradient(quadratic, linear, directions)
    slope = torch.einsum("bica,bia->bic", tangent, force).flatten(1)
    with torch.no_grad():
        size, axes = torch.linalg.eigh(_hessian(quadratic, force, directions, tangent))
        floor = 1e-9 * size.abs().amax(-1, keepdim=True).clamp(min=1e-12)
        inverse = torch.where(size.abs() > floor, 1 / size.abs().clamp(min=floor), 0.0)
    step = -torch.einsum("bxk,bk,byk,by->bx", axes, inverse, axes, slope)
    step = step * (0.5 / step.detach().abs().amax(-1, keepdim=True).clamp(min=0.5))
    moved = directions + torch.einsum("bic,bica->bia", step.reshape(*step.shape[:-1], -1, 2), tangent)
    return torch.nn.functional.normalize(moved, dim=-1)


def _hessian(
    quadratic: Tensor, force: Tensor, directions: Tensor, tangent: Tensor
) -> Float[Tensor, "batch angle angle"]:
    """Second derivative of the classical energy in the tangent planes."""
    curved = torch.einsum("bica,biajd,bjed->bicje", tangent, quadratic, tangent).flatten(3, 4).flatten(1, 2)
    pull = torch.einsum("bia,bia->bi", force, directions).repeat_interleave(2, dim=-1)
    return curved - torch.diag_embed(pull)
