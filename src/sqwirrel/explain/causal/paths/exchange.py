"""Modes taken apart into energies, intensities and thermal factors, and put together from two sets of parameters.

    strength of a line = structure(theta) * (n(E) + 1),    n(E) for the lines that gain energy

Debye-Waller factors are inside the structure factor of a phonon, so that the structure is found again with the motion
of the atoms of the other parameters.
"""

import copy
import math
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.observe.views.crystal.beam import Crossing, Passing
from sqwirrel.simulate.crosssection import bose
from sqwirrel.simulate.looks.standing import Standing
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.phonon.folded import FoldedPhonons
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.phonon.thermal import Motion
from sqwirrel.simulate.spinwave import SpinWaves

EQUAL = 1e-6
"""Modes nearer than this, relative to the largest energy, share their intensity evenly: how a solver splits it among
degenerate modes means nothing.
"""
Copied = TypeVar("Copied", bound=nn.Module)


class Known(nn.Module):
    """A solver whose modes are known: it gives them for any parameters."""

    def __init__(self, modes: Modes) -> None:
        super().__init__()
        self.known = modes

    def forward(self, _: Float[Tensor, "batch parameter"]) -> Modes:
        """The modes."""
        return self.known


@dataclass(frozen=True, eq=False)
class Exchange:
    """Modes of pairs of parameters, by side: 0 before, 1 after an intervention.

    `energy[k]` are the signed energies; `structure[k, l]` the intensities before the Bose factor, with the amplitudes
    of side k and the motion of atoms of side l.
    """

    energy: tuple[Float[Tensor, "batch q mode"], Float[Tensor, "batch q mode"]]
    structure: dict[tuple[int, int], Float[Tensor, "batch q mode"]]
    stable: Tensor
    temperature: float

    @classmethod
    def of(cls, solver: nn.Module, sides: tuple[Tensor, Tensor]) -> "Exchange":
        """Both sides of rows of parameters of the model, solved by one solver of a view."""
        inner = _whole(solver.waves if isinstance(solver, Passing | Crossing) else solver)
        moving = [_motion(inner, theta) for theta in sides]
        found = {(k, k): _split(inner, sides[k], moving[k]) for k in (0, 1)}
        for k, other in ((0, 1), (1, 0)):
            found[k, other] = found[k, k] if moving[k] is None else _split(inner, sides[k], moving[other])
        stable = torch.stack([each[2] for each in found.values()]).all(0)
        structure = {key: each[1] for key, each in found.items()}
        return cls((found[0, 0][0], found[1, 1][0]), structure, stable, float(inner.temperature))  # type: ignore[arg-type]

    def modes(self, energy: int, structure: int, thermal: int) -> Modes:
        """Lines with the energies, amplitudes and thermal factors of these sides."""
        weight = bose(self.energy[thermal], self.temperature)
        return Modes(self.energy[energy], self.structure[structure, thermal] * weight, self.stable)


def replaced(module: Copied, **parts: nn.Module) -> Copied:
    """The same with other parts, everything else shared."""
    same = copy.copy(module)
    same._modules = {**module._modules, **parts}
    return same


def standing_in(solver: nn.Module, modes: Modes) -> nn.Module:
    """What gives these modes in the place of a solver of a view; what follows in it is as it was."""
    return replaced(solver, waves=Known(modes)) if isinstance(solver, Passing | Crossing) else Known(modes)


def _whole(solver: nn.Module) -> nn.Module:
    """The same without what it leaves out because nobody would see it: modes are needed one by one."""
    same = copy.copy(solver)
    if isinstance(same, SpinWaves):
        same.fwhm = None
    if isinstance(same, Standing):
        same.window = (0.0, math.inf)
    return same


def _motion(solver: nn.Module, theta: Tensor) -> Motion | None:
    """How atoms move at these parameters; None where the solver has no Debye-Waller factors."""
    if not isinstance(solver, Phonons | FoldedPhonons) or solver.thermal is None:
        return None
    U, steady = solver.thermal.motion(theta)
    return Motion(U, U[None][:0], steady)


def _split(solver: nn.Module, theta: Tensor, moving: Motion | None) -> tuple[Tensor, Tensor, Tensor]:
    """Energies, intensities before the Bose factor, and stability."""
    if moving is not None:
        solver = copy.copy(solver)
        solver._modules = {name: part for name, part in solver._modules.items() if name != "thermal"}
        solver.thermal = moving  # type: ignore[assignment]
    modes: Modes = solver(theta)
    weight = bose(modes.energy, float(solver.temperature))  # type: ignore[arg-type]
    seen = weight > 0  # at 0 K lines that gain energy are dark, whatever their structure
    return modes.energy, _even(modes.energy, torch.where(seen, modes.intensity / weight, 0.0)), modes.stable


def _even(energy: Float[Tensor, "batch q mode"], structure: Float[Tensor, "batch q mode"]) -> Tensor:
    """Structure shared evenly between degenerate modes of the same sign of energy, which are neighbours."""
    apart = energy.diff(dim=-1).abs() > EQUAL * energy.abs().amax(-1, keepdim=True)
    apart = apart | ((energy[..., :-1] > 0) != (energy[..., 1:] > 0))
    group = torch.nn.functional.pad(apart.cumsum(-1), (1, 0))
    none = torch.zeros_like(structure)
    total, count = (none.scatter_add(-1, group, x) for x in (structure, torch.ones_like(structure)))
    return (total / count.clamp(min=1)).gather(-1, group)
