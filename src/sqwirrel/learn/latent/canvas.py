"""One canvas for powder maps of any crystal: |Q| V^(1/3), V the volume per atom, and E over the highest energy.

chi'' of a harmonic crystal at T = 0 is a function of these alone: nothing has to be simulated for other lattice
constants, masses or stiffness.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe.resolution import gaussian_kernel
from sqwirrel.observe.views.folding import folded
from sqwirrel.observe.views.lines import deposit
from sqwirrel.observe.views.sampling import Sampling
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.phonon.folded import FoldedPhonons
from sqwirrel.spectra import QShells
from sqwirrel.units import SIGMA

Q = torch.linspace(0.0, 21.6, 49, dtype=torch.float64)
"""Edges of |Q| V^(1/3)."""
ENERGY = torch.linspace(0.06, 1.26, 41, dtype=torch.float64)
"""Edges of E over the highest energy."""
SHAPE = (len(Q) - 1, len(ENERGY) - 1)
FINER, BEYOND = 3, 8
"""Lines a bin, and bins beyond either end."""
SAMPLES, TOGETHER = 16, 32
WIDTH, WIDTH_Q, GUESS = (0.05, 0.12), (0.2, 0.8), (0.8, 1.25)
"""Full widths at half maximum, in units of the axes, and how far off the highest energy may have been taken."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """Maps of a crystal, whose modes are taken at few wavevectors that serve many."""

    solver: FoldedPhonons
    where: Sampling
    side: float

    @classmethod
    def of(cls, model: PhononModel, seed: int = 0) -> "Canvas":
        """For any springs of a model; `seed` moves the wavevectors."""
        side = (model.cell.volume / len(model.positions)) ** (1 / 3)
        where = folded(
            QShells(Q / side), model.lattice, model.primitive, samples=SAMPLES, width=float(Q[1]) / side, seed=seed
        )
        assert where.folding is not None
        return cls(FoldedPhonons(model, *where.folding), where, side)

    def maps(
        self, theta: Float[Tensor, "row parameter"], generator: torch.Generator, top: float | None = None
    ) -> tuple[Float32[Tensor, "row point energy"], Bool[Tensor, " row"]]:
        """Maps of chi'' in units of their largest bin, with random widths, and whether the springs hold.

        `top` is the highest energy (meV) that is assumed; None takes that of each map, off by a random factor.
        """
        parts = [self._maps(rows, generator, top) for rows in torch.split(theta, TOGETHER)]
        level, stable = zip(*parts, strict=True)
        return torch.cat(level), torch.cat(stable)

    @torch.no_grad()
    def _maps(self, theta: Tensor, generator: torch.Generator, top: float | None) -> tuple[Tensor, Tensor]:
        modes, draw = self.solver(theta), torch.rand(len(theta), 3, generator=generator, dtype=torch.float64)
        own = modes.energy.amax((1, 2)) * GUESS[0] * (GUESS[1] / GUESS[0]) ** draw[:, 2]
        high = own if top is None else torch.full_like(own, top)
        step = float(ENERGY[1] - ENERGY[0]) / FINER
        line = float(ENERGY[0]) + step * torch.arange(-FINER * BEYOND, FINER * (SHAPE[1] + BEYOND)).double()
        scaled = Modes(modes.energy / high[:, None, None], modes.intensity, modes.stable)
        level = self._blurred(deposit(scaled, self.where.weight, self.where.cell, line), line, draw)
        return (level / level.amax((1, 2), keepdim=True).clamp(min=1e-30)).float(), modes.stable.all(1)

    def _blurred(
        self, grid: Float[Tensor, "row cell line"], line: Float[Tensor, " line"], draw: Float[Tensor, "row 3"]
    ) -> Float[Tensor, "row point energy"]:
        wide, far = (low + (high - low) * draw[:, k] for k, (low, high) in enumerate((WIDTH, WIDTH_Q)))
        kernel = gaussian_kernel(line, wide[:, None].expand(-1, len(line)), ENERGY)
        assert self.where.edges is not None
        cells = self.side * (self.where.edges[1:] + self.where.edges[:-1]) / 2
        share = torch.exp(-0.5 * ((_middle(Q)[:, None] - cells) / (SIGMA * far[:, None, None])) ** 2)
        return torch.einsum("rpc,rcl,rle->rpe", share / share.sum(2, keepdim=True), grid, kernel)


def kinematic(rows: int, generator: torch.Generator) -> Bool[Tensor, "row point energy"]:
    """What spectrometers of random incident energies and angles see of the canvas (a `Cover`)."""

    def even(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(rows, 1, 1, generator=generator, dtype=torch.float64)

    E, x, start, size = _middle(ENERGY), _middle(Q)[:, None], even(1.15, 2.5), even(8.0, 20.0)
    before, after = start.sqrt(), (start - E).clamp(min=0).sqrt()
    ends = [
        (before**2 + after**2 - 2 * before * after * torch.cos(torch.deg2rad(angle))).clamp(min=0).sqrt() * size
        for angle in (even(3.0, 12.0), even(100.0, 140.0))
    ]
    return (x >= ends[0]) & (x <= ends[1]) & (start > E)


def _middle(edges: Float[Tensor, " edge"]) -> Float[Tensor, " bin"]:
    return (edges[1:] + edges[:-1]) / 2
