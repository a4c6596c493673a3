"""Orders of lowest classical energy in a given magnetic cell, from random starts.

Each moment in turn is laid along its exchange field, less what its own anisotropy would make overshoot, so that steps
lower the energy (the local-field method: L. R. Walker and R. E. Walstedt, Phys. Rev. B 22, 3816 (1980),
doi:10.1103/PhysRevB.22.3816); Newton's method ends it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.magnetic.order import Spiral
from sqwirrel.model.magnetic.stevens import monomials
from sqwirrel.model.spin import SpinModel
from sqwirrel.seeds import stream
from sqwirrel.simulate.classical.order import Energy, is_stationary, relax
from sqwirrel.simulate.terms import one_set, terms

SWEEPS = 200
"""Times that every moment is turned before Newton's method."""
SAME_ENERGY, SAME_ANGLES = 1e-8, 1e-3
"""Energies (relative) and n_i . n_j that differ by less belong to one order."""
Vector = Float[Tensor, "3"] | tuple[float, float, float]


def energy_of(model: SpinModel, theta: Float[Tensor, "set parameter"], field: Vector = (0.0, 0.0, 0.0)) -> Energy:
    """The classical energy of one set of parameters; with a spiral in the frame that turns with it."""
    parts = terms(model, torch.as_tensor(field, dtype=torch.float64))
    return parts.energy(one_set(model, theta))


def check_bilinear(model: SpinModel) -> None:
    """Refuses biquadratic exchange, which is expanded round the order that the model gives."""
    if any(coupling.squared for coupling in model.couplings):
        raise InputError(
            f"model '{model.name}' has biquadratic exchange, which is known round its given order alone, so that its "
            "energy cannot be compared with that of others"
        )


def check_plain(model: SpinModel, what: str) -> None:
    """Refuses what goes beyond exchange matrices and single-ion matrices."""
    check_bilinear(model)
    if not is_plain(model):
        raise InputError(f"model '{model.name}' has Stevens operators or dipoles, which {what} does not know")


def is_plain(model: SpinModel) -> bool:
    """Whether the energy is matrices between moments and on them alone."""
    return not model.multipoles and model.dipole is None


class Minimum(NamedTuple):
    """A local minimum: classical energy (meV per ion), directions, and how many of the random starts ended there."""

    energy: float
    directions: Float[Tensor, "site 3"]
    starts: int


def ground_states(
    model: SpinModel,
    theta: Float[Tensor, "set parameter"],
    *,
    field: Vector = (0.0, 0.0, 0.0),
    starts: int = 64,
    seed: int = 0,
) -> list[Minimum]:
    """The different orders that random starts in the magnetic cell of `model` end in, lowest first.

    Two are one if their energies and all n_i . n_j agree. A start that has not come to rest is left out. `field` in T.
    With a spiral its propagation is held.
    """
    check_bilinear(model)
    if starts < 1:
        raise InputError(f"a search for an order needs one random start at least; got starts = {starts}")
    energy, spiral = energy_of(model, theta, field), model.spiral
    random = torch.randn(starts, len(model.spins), 3, dtype=torch.float64, generator=stream(seed, "orders"))
    n = _settled(energy, torch.nn.functional.normalize(random, dim=-1))
    many = Energy(*(part.expand(starts, *part.shape[1:]) for part in energy))
    n = relax(many, n)
    height, still = many.value(n) / len(model.spins), is_stationary(many, n)
    n, height, found = n[still], height[still], list[Minimum]()
    for k in height.argsort(stable=True).tolist():
        _enter(found, float(height[k]), n[k])
    if not found:
        raise InputError(f"none of {starts} starts came to rest in model '{model.name}'; give more starts")
    if spiral is not None:
        outward = spiral.rotation(model.positions @ model.supercell)
        return [m._replace(directions=torch.einsum("sab,sb->sa", outward, m.directions)) for m in found]
    free = not bool(energy.linear.any()) and is_plain(model)
    return [m._replace(directions=upright(model, m.directions)) if free else m for m in found]


def upright(model: SpinModel, directions: Float[Tensor, "site 3"]) -> Float[Tensor, "site 3"]:
    """The order turned as the Hamiltonian allows: a line along z, a plane across z, the first moment along x."""
    axes = torch.eye(3, dtype=torch.float64)
    free = [axis for axis in axes if Spiral(torch.zeros(3), axis).keeps(matrices(model))]
    if len(free) == 3:
        return directions @ _frame(directions).T
    if len(free) == 1:
        (axis,) = free
        flat = directions - (directions @ axis)[:, None] * axis
        if float(flat.norm(dim=-1).max()) < SAME_ANGLES:
            return directions
        target = axes[(int(axis.argmax()) + 1) % 3]
        first = torch.nn.functional.normalize(flat[flat.norm(dim=-1) > SAME_ANGLES][0], dim=0)
        here = torch.stack((first, torch.linalg.cross(axis, first), axis))
        there = torch.stack((target, torch.linalg.cross(axis, target), axis))
        return directions @ here.T @ there
    return directions


def matrices(model: SpinModel) -> Float[Tensor, "term 3 3"]:
    """Those of all couplings and anisotropies."""
    return torch.cat(
        [torch.zeros(0, 3, 3), *(c.matrix for c in model.couplings), *(a.matrix for a in model.anisotropies)]
    )


def torque(energy: Energy, directions: Float[Tensor, "site 3"]) -> Float[Tensor, "site 3"]:
    """The part of -dE/dn across each moment, meV: where the moment would turn to."""
    force = energy.derivatives(directions)[0][0]
    return (force * directions).sum(-1, keepdim=True) * directions - force


def _settled(energy: Energy, n: Float[Tensor, "start site 3"]) -> Float[Tensor, "start site 3"]:
    pairs, linear, onsite = (part[0] for part in energy)
    own = pairs[range(n.shape[1]), :, range(n.shape[1])] + torch.einsum("iack,sik->siac", onsite, monomials(n, 4))
    over = 1.2 * torch.linalg.eigvalsh(own).amax((0, -1)).clamp(min=0)
    n = n.clone()
    for _ in range(SWEEPS):
        for i, row in enumerate(pairs):
            alone = torch.einsum("ack,sk,sc->sa", onsite[i], monomials(n[:, i], 4), n[:, i]) / 5
            force = torch.einsum("ajc,sjc->sa", row, n) + alone + linear[i] - over[i] * n[:, i]
            size = force.norm(dim=-1, keepdim=True)
            n[:, i] = torch.where(size > 0, -force / size.clamp(min=1e-300), n[:, i])
    return n


def _enter(found: list[Minimum], energy: float, n: Float[Tensor, "site 3"]) -> None:
    """Counts a start for the order it ended in, a new one if there is none like it."""
    for k, known in enumerate(found):
        near = abs(energy - known.energy) <= SAME_ENERGY * (abs(known.energy) + 1e-9)
        if near and float((n @ n.T - known.directions @ known.directions.T).abs().max()) < SAME_ANGLES:
            found[k] = known._replace(starts=known.starts + 1)
            return
    found.append(Minimum(energy, n, 1))


def _frame(directions: Float[Tensor, "site 3"]) -> Float[Tensor, "3 3"]:
    """Rows x, y, z of a frame: z along collinear moments or across a plane of them, the first moment along x there."""
    first = directions[0]
    _, size, axes = torch.linalg.svd(directions)
    off = directions - (directions @ first)[:, None] * first
    if float(off.norm(dim=-1).max()) < SAME_ANGLES:
        z, x = first, axes[1]
    elif float(size[2]) < SAME_ANGLES if len(size) > 2 else True:
        z, x = axes[2], first
    else:
        z, x = first, torch.nn.functional.normalize(off[int(off.norm(dim=-1).argmax())], dim=0)
    return torch.stack((x, torch.linalg.cross(z, x), z))
