"""What is under the modes of a phonon model: scattering of each atom for itself, and of several phonons at once."""

import math
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe.views.derivatives import slopes, stacked
from sqwirrel.observe.views.lines import deposit, deposit_slopes
from sqwirrel.observe.views.sampling import Sampling
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.phonon.density import MODES
from sqwirrel.simulate.phonon.incoherent import ORDERS, PhononExpansion, orders, scattered, scattered_along

REACH, HIGHEST = 4, 200.0
"""Energies go to so many times the largest that is looked at, and to no less than this many meV: phonons add up, and
cancel, and few crystals have any that are higher.
"""
FINEST = 0.05
"""No two energies are closer, meV."""
BLOCK_BYTES = 2**25
"""What derivatives of modes, or of their orders, that are worked on at once may hold."""


class Looked(NamedTuple):
    """The mean of |Q|^2 (1/angstrom^2) where the cells look at each energy, and the share of them that is reached."""

    square: Float[Tensor, "cell line"]
    reached: Float[Tensor, "cell line"]


class Incoherent(nn.Module):
    """The incoherent approximation (`simulate.phonon.incoherent`) on the cells and lines of a view.

    In a beam it is `looked` at elsewhere at every energy.
    """

    square: Tensor
    reached: Tensor
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
        looked: Looked | None = None,
    ) -> None:
        super().__init__()
        self.model, self.expansion = model, PhononExpansion(model, temperature=temperature, modes=modes, seed=seed)
        self.between, self.step = float(line[1] - line[0]), max(FINEST, float(line[1] - line[0]))
        half = math.ceil(max(HIGHEST, REACH * float(line.abs().max())) / self.step)
        place = line / self.step + half
        self.register_buffer("square", _squares(model, where) if looked is None else looked.square)
        self.register_buffer("reached", torch.ones(1, 1, dtype=line.dtype) if looked is None else looked.reached)
        self.register_buffer("low", place.floor().long())
        self.register_buffer("part", place - place.floor())
        self.register_buffer("energy", self.step * torch.arange(-half, half, dtype=line.dtype))
        points = self.expansion.density.basis.shape[1]
        self.register_buffer("atom", torch.arange(len(model.positions)).repeat_interleave(points))

    @property
    def bytes_per_row(self) -> int:
        """Memory that one row of parameters takes, about."""
        atoms, lines = len(self.model.positions), len(self.low) * (len(self.square) + 2 * ORDERS)
        return 16 * (ORDERS * atoms * len(self.energy) + lines + 8 * len(self.atom) * self.expansion.modes)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Float[Tensor, "batch cell line"], Tensor]:
        """Every row of parameters, and whether all its modes have real energies."""
        modes = self.expansion(theta)
        return self._seen(deposit(modes, *self._where)), modes.stable.all(-1)

    def slopes(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        """The same, with derivatives (parameter first) before the stability."""
        some = max(1, BLOCK_BYTES // (16 * len(theta) * len(self.atom) * self.expansion.modes))
        every, ways = torch.eye(theta.shape[1], dtype=theta.dtype, device=theta.device), []
        for along in torch.split(every, some):
            modes, rise, stable = slopes(partial(stacked, self.expansion), theta, along)
            energy, moved = modes.unbind(1)
            P, way = deposit_slopes(Modes(energy, moved, stable), rise, *self._where)
            ways.append(way)
        seen = len(P) * self.square.numel() if self.square.ndim > 1 else 0
        some = max(1, BLOCK_BYTES // (16 * max(ORDERS * P.numel(), 4 * seen)))
        push = torch.func.vmap(lambda tangent: torch.func.jvp(self._seen, (P,), (tangent,))[1], chunk_size=some)
        return self._seen(P), push(torch.cat(ways)), stable.all(-1)

    @property
    def _where(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weight and atom of the modes, and the energies that they are laid out on."""
        return torch.ones_like(self.atom, dtype=self.energy.dtype), self.atom, self.energy

    def _seen(self, strength: Float[Tensor, "batch atom energy"]) -> Float[Tensor, "batch cell line"]:
        """What the cells see of P, whose modes were laid out on lines (angstrom^2)."""
        every = orders(strength / self.step, self.step)
        near = torch.lerp(every[..., self.low], every[..., self.low + 1], self.part)
        law = scattered if self.square.ndim == 1 else scattered_along
        return self.between * self.reached * law(self.model, near, strength.sum(-1), self.square)


def _squares(model: PhononModel, where: Sampling) -> Float[Tensor, " cell"]:
    """The mean of |Q|^2 in each cell (1/angstrom^2): of shells, which few points may lie in, over their volume."""
    if where.edges is not None:
        return 0.6 * (where.edges**5).diff() / (where.edges**3).diff()
    square = (model.lattice.to_cartesian(where.q) ** 2).sum(-1)
    return torch.bincount(where.cell, where.weight * square) / torch.bincount(where.cell, where.weight)
