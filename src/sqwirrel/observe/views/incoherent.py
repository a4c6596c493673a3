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
from sqwirrel.simulate.phonon.incoherent import Recoils, orders, scattered

REACH = 4
"""Energies of single phonons are kept to so many times the largest that is looked at: they add up, and cancel."""


class Incoherent(nn.Module):
    """The incoherent approximation (`simulate.phonon.incoherent`) on the cells and lines of a view."""

    square: Tensor
    line: Tensor
    energy: Tensor
    atom: Tensor

    def __init__(
        self, model: PhononModel, temperature: float, where: Sampling, line: Float[Tensor, " line"], seed: int
    ) -> None:
        super().__init__()
        self.model, self.recoils = model, Recoils(model, temperature=temperature, seed=seed)
        self.step = float(line[1] - line[0])
        half = math.ceil(REACH * float(line.abs().max()) / self.step)
        self.register_buffer("square", _squares(model, where))
        self.register_buffer("line", line)
        self.register_buffer("energy", self.step * torch.arange(-half, half, dtype=line.dtype))
        points = self.recoils.density.basis.shape[1]
        self.register_buffer("atom", torch.arange(len(model.positions)).repeat_interleave(points))

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch cell line"]:
        """Every row of parameters."""
        return self._seen(deposit(self.recoils(theta), *self._where))

    def slopes(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Tensor, Tensor]:
        """The same, and its derivatives (parameter first)."""
        modes, rise, stable = slopes(partial(stacked, self.recoils), theta)
        energy, moved = modes.unbind(1)
        P, way = deposit_slopes(Modes(energy, moved, stable), rise, *self._where)
        push = torch.func.vmap(lambda tangent: torch.func.jvp(self._seen, (P,), (tangent,))[1])
        return self._seen(P), push(way)

    @property
    def _where(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weight and atom of the modes, and the energies that they are laid out on."""
        return torch.ones_like(self.atom, dtype=self.energy.dtype), self.atom, self.energy

    def _seen(self, strength: Float[Tensor, "batch atom energy"]) -> Float[Tensor, "batch cell line"]:
        """What the cells see of P, whose modes were laid out on lines (angstrom^2)."""
        place = (float(self.line[0]) - float(self.energy[0])) / self.step
        low = math.floor(place)
        every = orders(strength / self.step, self.step)
        below, above = (every[..., k : k + len(self.line)] for k in (low, low + 1))
        found = scattered(self.model, torch.lerp(below, above, place - low), strength.sum(-1), self.square)
        return self.step * found


def _squares(model: PhononModel, where: Sampling) -> Float[Tensor, " cell"]:
    """The mean of |Q|^2 in each cell (1/angstrom^2): of shells, which few points may lie in, over their volume."""
    if where.edges is not None:
        return 0.6 * (where.edges**5).diff() / (where.edges**3).diff()
    square = (model.lattice.to_cartesian(where.q) ** 2).sum(-1)
    return torch.bincount(where.cell, where.weight * square) / torch.bincount(where.cell, where.weight)
