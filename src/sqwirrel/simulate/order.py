"""A model as tensors, and the classical order it is expanded about: frames, torque, moments that follow parameters."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.units import MU_B

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
    start: Float[Tensor, "site 3"],
) -> Float[Tensor, "batch site 3"]:
    """Directions of the nearest local minimum from `start`, differentiable with respect to the energy's coefficients.

    Newton's method on the sphere with the Hessian made positive; the last step carries the derivative
    (implicit function theorem: dn = -Hessian^-1 d(gradient)).
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


class Terms(NamedTuple):
    """The Hamiltonian as tensors: bonds in both directions; the last of the parameters is the part that none scales."""

    parameter: Int[Tensor, " bond"]
    i: Int[Tensor, " bond"]
    j: Int[Tensor, " bond"]
    displacement: Float[Tensor, "bond 3"]
    """From site i to site j, fractions of the magnetic cell."""
    matrix: Float[Tensor, "bond 3 3"]
    anisotropy: Float[Tensor, "parameter site 3 3"]
    quadratic: Float[Tensor, "parameter site 3 site 3"]
    """Classical energy n . quadratic . n / 2 + linear . n of unit moments n."""
    linear: Float[Tensor, "parameter site 3"]


def terms(model: SpinModel, field: Float[Tensor, "3"]) -> Terms:
    """Bonds, anisotropy, classical energy and Zeeman term of a model; a spin along `field` is low in energy."""
    P, N, order = len(model.names) + 1, len(model.spins), {name: k for k, name in enumerate(model.names)}
    count = torch.tensor([len(c.i) for c in model.couplings], dtype=torch.int64)
    parameter = torch.tensor([order[c.name] for c in model.couplings], dtype=torch.int64).repeat_interleave(count)
    i, j, offset, matrix = (_joined(model, name) for name in ("i", "j", "offset", "matrix"))
    displacement = offset + model.positions[j] - model.positions[i]
    if model.spiral is not None:
        matrix = matrix @ model.spiral.rotation(displacement @ model.supercell)
    i, j = torch.cat((i, j)), torch.cat((j, i))
    matrix, parameter = torch.cat((matrix, matrix.mT)), parameter.repeat(2)
    anisotropy = torch.zeros(P, N, 3, 3, dtype=torch.float64)
    for term in model.anisotropies:
        anisotropy[order[term.name]].index_add_(0, term.site, term.matrix)
    scale = model.spins[i] * model.spins[j]
    quadratic = torch.zeros(P, N, N, 3, 3, dtype=torch.float64)
    quadratic.index_put_((parameter, i, j), scale[:, None, None] * matrix, accumulate=True)
    quadratic[:, range(N), range(N)] += 2 * (model.spins**2)[:, None, None] * anisotropy
    linear = torch.zeros(P, N, 3, dtype=torch.float64)
    linear[-1] = -MU_B * model.spins[:, None] * torch.einsum("a,iac->ic", field, model.g)
    displacement = torch.cat((displacement, -displacement))
    return Terms(parameter, i, j, displacement, matrix, anisotropy, quadratic.transpose(2, 3).contiguous(), linear)


def turned(model: SpinModel) -> Float[Tensor, "site 3"]:
    """Directions in the frame that turns with the spiral, if there is one."""
    if model.spiral is None:
        return model.directions
    back = model.spiral.rotation(-model.positions @ model.supercell)
    return torch.einsum("sab,sb->sa", back, model.directions)


def _joined(model: SpinModel, name: str) -> Tensor:
    return torch.cat([getattr(coupling, name) for coupling in model.couplings])
