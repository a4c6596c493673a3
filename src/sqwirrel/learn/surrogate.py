"""Emulator: a network that lays out modes on cells and lines as a model does, for simulators that are slow.

What a spectrum owes to the model alone, its modes on cells and lines of energy, is learnt; everything an instrument
does to it is calculated, so that `experiment.seen_by(emulator)` is an experiment like any other. In each cell the
intensity is cut, from low to high energy, into slices of fixed shares. Their mean energies, and the logarithm of the
intensity, are smooth functions of the parameters where the height of a bin is not: a line that moves past it is a bump
(see `views.slices`; a network of bins, for La2NiO4: S. R. Chitturi et al., Nat. Commun. 14, 5852 (2023),
doi:10.1038/s41467-023-41378-4). A network of residual blocks gives their principal components.

It is in double precision, as what is calculated from it has to be differentiated.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.learn.npe import initialise
from sqwirrel.learn.pairs import Pairs, Simulations, column_of
from sqwirrel.learn.train import Effort, Progress, held_rows, train
from sqwirrel.observe import Experiment
from sqwirrel.observe.views.crystal.slices import levels_of, sliced
from sqwirrel.observe.views.derivatives import slopes
from sqwirrel.observe.views.lines import deposit
from sqwirrel.observe.views.view import Laid
from sqwirrel.seeds import stream
from sqwirrel.simulate.modes import Modes

SLICES = (12, 72)
"""Parts that the intensity of a cell is cut into, below and above zero energy: no mode goes from one to the other."""
COMPONENTS = 96
WIDTH, BLOCKS = 192, 3
FINER = 2
"""Slices are cut on lines this many times finer, as laying them out blurs them once more."""
ROWS_BYTES = 2**27
"""Rows of parameters are laid out together as long as the lines take no more than this."""
LEVELLED = 64
"""Rows of parameters that say where slices are cut."""
LEAST = 1e-9
"""Intensities below this share of the largest are as good as none."""
ENERGY_WIDTH = 3.0
"""A slice that is off by this many steps of the lines is as wrong as its cell with a factor e."""


class Coefficients(NamedTuple):
    """Parameters between -1 and 1, and principal components in units of a common size."""

    u: Float64[Tensor, "row parameter"]
    c: Float64[Tensor, "row component"]


@dataclass(frozen=True, eq=False)
class Lessons:
    """What an emulator learns from, without noise."""

    rows: Coefficients

    def __len__(self) -> int:
        return len(self.rows.u)

    def split(self, last: int) -> tuple["Lessons", "Lessons"]:
        """All but the last rows, and the last ones."""
        return Lessons(self._at(slice(None, -last))), Lessons(self._at(slice(-last, None)))

    def batch(self, rows: int, seed: int, label: str) -> Coefficients:
        """Random rows."""
        return self._at(torch.randint(len(self), (rows,), generator=stream(seed, label)))

    def every(self, generator: torch.Generator) -> Coefficients:  # noqa: ARG002 (there is no noise)
        """Each row once."""
        return self.rows

    def _at(self, rows: slice | Tensor) -> Coefficients:
        return Coefficients(self.rows.u[rows], self.rows.c[rows])


class _Block(nn.Module):
    """x + two layers of it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Of a batch."""
        grown: Tensor = x + self.layers(x)
        return grown


class Emulator(nn.Module):
    """Modes of a model, laid out on the cells and lines of one experiment, for parameters in the range of one prior.

    Rows outside of that range are said to be unstable. `error` is what it lacks on simulations that it did not learn
    from, per bin and in units of the counting noise at the scales and backgrounds of the prior: root mean square, and
    the square root of the 99 % quantile of a spectrum's mean square. It is not known (NaN) before training.
    """

    line: Tensor
    middle: Tensor
    reach: Tensor
    mean: Tensor
    basis: Tensor
    size: Tensor
    share: Tensor
    error: Tensor
    exact = True

    def __init__(self, line: Float[Tensor, " line"], cells: int, parameters: int, seed: int = 0) -> None:
        super().__init__()
        self.cells, columns = cells, cells * (sum(SLICES) + len(SLICES))
        self.guard: tuple[nn.Module, ...] = ()
        shapes = {"middle": parameters, "reach": parameters, "mean": columns, "weight": columns}
        self.register_buffer("line", line)
        self.register_buffer("share", torch.zeros(cells, sum(SLICES), dtype=torch.float64))
        for name, n in shapes.items():
            self.register_buffer(name, torch.zeros(n, dtype=torch.float64))
        self.register_buffer("basis", torch.zeros(COMPONENTS, columns, dtype=torch.float64))
        self.register_buffer("size", torch.ones((), dtype=torch.float64))
        self.register_buffer("error", torch.full((2,), torch.nan, dtype=torch.float64))
        blocks = [_Block() for _ in range(BLOCKS)]
        self.network = nn.Sequential(nn.Linear(parameters, WIDTH), *blocks, nn.SiLU(), nn.Linear(WIDTH, COMPONENTS))
        initialise(self, seed)
        self.double()

    @classmethod
    def sized_for(cls, pairs: Pairs, seed: int = 0) -> "Emulator":
        """For the cells, lines and range of some pairs; it knows nothing yet."""
        kept = pairs.simulations
        experiment, theta = kept.experiment, modelled(kept)
        if experiment.is_emulated:
            raise InputError("an emulator learns from the model itself; give simulations of an experiment that has it")
        with torch.no_grad():
            laid = experiment.view(theta[:1]).grid
        emulator = cls(experiment.line, laid.shape[1], theta.shape[1], seed)
        low, high = _range(kept, theta)
        emulator.middle.copy_((low + high) / 2)
        emulator.reach.copy_(((high - low) / 2).where(high > low, 1e-9 * low.abs().clamp(min=1e-3)))
        if kept.stable < 1:
            emulator.guard = (replace(experiment.scene, samples=1).view(experiment.line, experiment.seed),)
        return emulator

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained."""
        return {"components": self}

    @property
    def bytes_per_row(self) -> int:
        """Memory that one row of parameters takes."""
        return 128 * self.cells * sum(SLICES)

    def loss(self, player: str, batch: Coefficients) -> Float64[Tensor, ""]:
        """Mean square error of what the components add up to, in units of the largest one's."""
        del player
        error: Tensor = (self.network(batch.u) - batch.c).square().sum(1).mean()
        return error

    def inside(self, theta: Float[Tensor, "batch parameter"]) -> Bool[Tensor, " batch"]:
        """Whether rows of the model's parameters are in the range that was learnt."""
        inside: Tensor = ((theta - self.middle).abs() <= self.reach * (1 + 1e-6)).all(1)
        return inside

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Laid:
        """Every row of parameters."""
        stable = self.inside(theta)
        for guard in self.guard:
            stable = stable & guard(theta).stable
        modes = self.slices(self.network((theta - self.middle) / self.reach))
        cells = torch.arange(self.cells, device=theta.device)
        return Laid(deposit(modes, self.line.new_ones(self.cells), cells, self.line), stable)

    def slopes(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        """The grid, its derivatives (parameter first), and stability."""
        return slopes(self, theta)

    def slices(self, c: Float64[Tensor, "batch component"]) -> Modes:
        """The slices of every cell as modes of one wavevector."""
        y = self.mean + (self.size * c) @ self.basis / self.get_buffer("weight")
        energy, intensity = _parts(y.reshape(len(c), self.cells, -1))
        each = torch.cat([part[..., None].expand(-1, -1, n) for n, part in zip(SLICES, intensity, strict=True)], -1)
        return Modes(energy, each * self.share, torch.ones_like(energy[..., 0], dtype=torch.bool))

    def lessons(self, simulations: Simulations) -> Lessons:
        """What the model makes of the parameters of some simulations; sets slices and principal components."""
        theta = modelled(simulations)
        y, share = _cut(simulations.experiment, theta)
        self.share.copy_(share)
        weight = _weight(y, share, ENERGY_WIDTH * float(self.line[1] - self.line[0]))
        self.get_buffer("weight").copy_(weight)
        self.mean.copy_(y.mean(0).flatten())
        wide = (y.flatten(1) - self.mean) * weight
        some = wide[: 16 * COMPONENTS]
        _, found, axes = torch.linalg.svd(some, full_matrices=False)
        self.basis.zero_()
        self.basis[: len(axes)] = axes[:COMPONENTS]
        self.size.copy_(found[0] / math.sqrt(len(some)))
        return Lessons(Coefficients((theta - self.middle) / self.reach, wide @ self.basis.T / self.size))

    def judge(self, pairs: Pairs, seed: int = 0) -> None:
        """Finds `error` on some pairs."""
        theta, expected = pairs.redrawn(torch.arange(len(pairs)), stream(seed, "judged"))
        own = pairs.simulations.experiment.seen_by(self)
        full = torch.stack([column_of(pairs.prior, theta, name) for name in own.names], dim=1)
        with torch.no_grad():
            away = own.predict(full).expected - expected
        valid, error = pairs.bins
        variance = expected.clamp(min=1.0) if own.instrument.counting.is_poisson else error**2
        square = (away**2 / variance)[:, valid].mean(1)
        self.error.copy_(torch.stack((square.mean(), square.quantile(0.99))).sqrt())


def emulate(
    pairs: Pairs,
    effort: Effort | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Emulator:
    """An emulator of the model of some pairs, trained, with its error on those that it did not learn from."""
    emulator = Emulator.sized_for(pairs, seed)
    lessons = emulator.lessons(pairs.simulations)
    train(emulator, lessons, effort, folder, progress)
    emulator.judge(pairs.split(held_rows(lessons))[1], seed)
    return emulator.requires_grad_(requires_grad=False)


def modelled(simulations: Simulations) -> Float64[Tensor, "row parameter"]:
    """Parameters of the model and of its orientations, free or fixed, in the order of the experiment."""
    names = simulations.experiment.modelled
    return torch.stack([column_of(simulations.prior, simulations.theta, name) for name in names], dim=1)


def _range(simulations: Simulations, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds of the prior; where it has none, those of the draws."""
    low, high = theta.min(0).values, theta.max(0).values
    prior = simulations.prior
    for k, name in enumerate(simulations.experiment.modelled):
        if name in prior.names:
            bounds = prior.bounds[prior.names.index(name)]
            low[k], high[k] = (torch.where(b.isfinite(), b, x) for b, x in zip(bounds, (low[k], high[k]), strict=True))
    return low, high


def _cut(experiment: Experiment, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Mean energies of the slices of every cell, below and above zero, then the logarithms of the intensity of both
    (row, cell, column); and the share of the intensity that is in each slice (cell, slice).

    The lines reach twice as far as those of the experiment, so that modes that leave it do not disturb the others.
    """
    line = experiment.line
    step, span = float(line[1] - line[0]) / FINER, float(line[-1] - line[0])
    fine = line[0] - span / 2 + step * torch.arange(int(2.5 * span / step), dtype=line.dtype)
    view, zero = experiment.scene.view(fine, experiment.seed), int((fine < 0).sum().clamp(1, len(fine) - 1))
    with torch.no_grad():
        first = view(theta[:LEVELLED]).grid
        levels = [levels_of(*each, n) for each, n in zip(_sides(first, fine, zero), SLICES, strict=True)]
        least, found = LEAST * float(first.sum(-1).max()), []
        for rows in torch.split(theta, max(1, ROWS_BYTES // (8 * first[0].numel()))):
            sides = zip(_sides(view(rows).grid, fine, zero), levels, strict=True)
            energy, total = zip(*(sliced(*side, level) for side, level in sides), strict=True)
            found.append(torch.cat((*energy, torch.stack(total, -1).clamp(min=least).log()), -1))
    return torch.cat(found), torch.cat([level.diff(dim=-1) for level in levels], -1)


def _sides(grid: Tensor, line: Tensor, zero: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """What is below zero energy, and above."""
    return (grid[..., :zero], line[:zero]), (grid[..., zero:], line[zero:])


def _parts(y: Float64[Tensor, "row cell column"]) -> tuple[Tensor, list[Tensor]]:
    """Energies of the slices (row, cell, slice), and intensities below and above zero (row, cell)."""
    return y[..., : sum(SLICES)], [y[..., sum(SLICES) + k].exp() for k in range(len(SLICES))]


def _weight(y: Tensor, share: Float64[Tensor, "cell slice"], width: float) -> Float64[Tensor, " column"]:
    """How much counts know of each column: N of them know the logarithm of the intensity to 1 / sqrt(N), and a line of
    this `width` to width / sqrt(N).
    """
    usual = torch.stack([part.mean(0) for part in _parts(y)[1]], -1)
    usual = usual.clamp(min=LEAST * float(usual.max())).sqrt()
    each = torch.cat([usual[:, k, None].expand(-1, n) for k, n in enumerate(SLICES)], -1)
    return torch.cat((each * share.sqrt() / width, usual), -1).flatten()
