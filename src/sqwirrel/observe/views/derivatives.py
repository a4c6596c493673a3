"""Derivatives of functions of rows of parameters, all parameters at once."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.simulate.modes import Modes

SMALL = 1e-4
"""Step of a difference, relative to the parameters: looks are in single precision."""


def slopes(
    function: Callable[[Tensor], tuple[Tensor, Tensor]],
    theta: Float[Tensor, "batch parameter"],
    along: Float[Tensor, "way parameter"] | None = None,
) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, "way batch *shape"], Tensor]:
    """Value and exact derivatives (forward mode) of a function of rows, and what else it returns.

    Derivatives are those along each parameter, unless `along` names other ways.
    """

    def push(tangent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return torch.func.jvp(  # type: ignore[return-value]
            lambda x: tuple(function(x)), (theta,), (tangent.expand_as(theta),), has_aux=True
        )

    if theta.shape[1] == 0:
        value, other = function(theta)
        return value, value[None][:0], other
    with torch.enable_grad():
        every = torch.eye(theta.shape[1], dtype=theta.dtype, device=theta.device) if along is None else along
        value, slope, other = torch.func.vmap(push, out_dims=(None, 0, None))(every)  # type: ignore[arg-type]
    return value, slope, other


def stacked(solver: nn.Module, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Energies and intensities of the modes of a solver, and their stability."""
    modes: Modes = solver(theta)
    return torch.stack((modes.energy, modes.intensity), dim=1), modes.stable


def differences(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], theta: Float[Tensor, "batch parameter"]
) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, "parameter batch *shape"], Tensor]:
    """The same by central differences, good to some 1e-3 of the largest in single precision."""
    with torch.no_grad():
        value, other = function(theta)
        rise = []
        for k in range(theta.shape[1]):
            step = torch.zeros_like(theta)
            step[:, k] = SMALL * (theta[:, k].abs() + theta.abs().mean(1) / 10)
            change = function(theta + step)[0] - function(theta - step)[0]
            rise.append(change / (2 * step[:, k]).reshape(-1, *(1 for _ in value.shape[1:])))
    return value, torch.stack(rise) if rise else value[None][:0], other
