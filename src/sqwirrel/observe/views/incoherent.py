"""What is under the modes of a phonon model: scattering of each atom for itself, and of several phonons at once."""

import math
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe.views.derivatives import slopes, stacked
from sqwirrel.observe.views.lines import deposit, deposit_slopes
from sqwirrel.observe.views.sampling import Sampling
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.phonon.density import MODES
from sqwirrel.simulate.phonon.incoherent import ORDERS, Recoils, orders, scattered

REACH, HIGHEST = 4, 200.0
"""Energies go to so many times the largest that is looked at, and to no less than this many meV: phonons add up, and
cancel, and few crystals have any that are higher.
"""
FINEST = 0.05
"""No two energies are closer, meV."""


class Incoherent(nn.Module):
    """The incoherent approximation (`simulate.phonon.incoherent`) on the cells and lines of a view."""

    square: Tensor
    low: Tensor
    part: Tensor
    energy: Tensor
    atom: Tensor

    def __init__(
        self,
        model: PhononModel,
        temperature: float,
        where: Sampling,
        line: Float[Tensor, " line"],
        seed: int,
        modes: int = MODES,
    ) -> None:
        super().__init__()
        self.model, self.recoils = model, Recoils(model, temperature=temperature, modes=modes, seed=seed)
        self.between, self.step = float(line[1] - line[0]), max(FINEST, float(line[1] - line[0]))
        half = math.ceil(max(HIGHEST, REACH * float(line.abs().max())) / self.step)
        place = line / self.step + half
        self.register_buffer("square", _squares(model, where))
        self.register_buffer("low", place.floor().long())
        self.register_buffer("part", place - place.floor())
        self.register_buffer("energy", self.step * torch.arange(-half, half, dtype=line.dtype))
        points = self.recoils.density.basis.shape[1]
        self.register_buffer("atom", torch.arange(len(model.positions)).repeat_interleave(points))

    @property
    def bytes_per_row(self) -> int:
        """Memory that one row of parameters takes, about."""
        atoms, lines = len(self.model.positions), len(self.low) * (len(self.square) + 2 * ORDERS)
        return 16 * (ORDERS * atoms * len(self.energy) + lines + 8 * len(self.atom) * self.recoils.modes)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Float[Tensor, "batch cell line"], Tensor]:
        """Every row of parameters, and whether all its modes have real energies."""
        modes = self.recoils(theta)
        return self._seen(deposit(modes, *self._where)), modes.stable.all(-1)

    def slopes(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        """The same, with derivatives (parameter first) before the stability."""
        modes, rise, stable = slopes(partial(stacked, self.recoils), theta)
        energy, moved = modes.unbind(1)
        P, way = deposit_slopes(Modes(energy, moved, stable), rise, *self._where)
        push = torch.func.vmap(lambda tangent: torch.func.jvp(self._seen, (P,), (tangent,))[1])
        return self._seen(P), push(way), stable.all(-1)

    @property
    def _where(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weight and atom of the modes, and the energies that they are laid out on."""
        return torch.ones_like(self.atom, dtype=self.energy.dtype), self.atom, self.energy

    def _seen(self, strength: Float[Tensor, "batch atom energy"]) -> Float[Tensor, "batch cell line"]:
        """What the cells see of P, whose modes were laid out on lines (angstrom^2)."""
        every = orders(strength / self.step, self.step)
        near = torch.lerp(every[..., self.low], every[..., self.low + 1], self.part)
        return self.between * scattered(self.model, near, strength.sum(-1), self.square)


def _squares(model: PhononModel, where: Sampling) -> Float[Tensor, " cell"]:
    """The mean of |Q|^2 in each cell (1/angstrom^2): of shells, which few points may lie in, over their volume."""
    if where.edges is not None:
        return 0.6 * (where.edges**5).diff() / (where.edges**3).diff()
    square = (model.lattice.to_cartesian(where.q) ** 2).sum(-1)
    return torch.bincount(where.cell, where.weight * square) / torch.bincount(where.cell, where.weight)
