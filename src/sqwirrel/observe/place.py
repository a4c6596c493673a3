"""Where the modes of a model are looked at, and how they come onto the grid that kernels smear."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.observe.sampling import Sampling, concentrate, sampling
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.modes import Modes
from sqwirrel.spectra import Measurement, QShells

CANDIDATES = 16
"""Candidates for each quadrature point, of which `concentrate` keeps one."""
MARGIN = 0.5
"""Points are concentrated on modes up to this many meV beyond the bins."""
FINE = 3
"""Lines of the fine energy grid per bin of the spectrum."""
DENSER, REPEATS = 6, 16
"""`dense` uses this many times more points, this often."""
SPARSER = 2
"""Derivatives come from this many times fewer, concentrated points, as often."""
REACH = 1.5
"""The fine grid reaches this many meV beyond the bins, at most half of the energy range; lines further out are lost."""


class Dense(NamedTuple):
    """Deposits of `REPEATS` independent sets of many points, derivatives if asked for, and unstable points (rlu)."""

    value: Float[Tensor, "repeat cell line"]
    slope: Float[Tensor, "repeat parameter cell line"]
    unstable: Float[Tensor, "unstable 3"]


class Control(NamedTuple):
    """What better points add to the deposit: `value`, and `slope` times the way from `at`.

    The latter is right within a few tenths of `reach` and fades out, as a Gaussian, by three times that.
    """

    at: Float[Tensor, " parameter"]
    reach: Float[Tensor, " parameter"]
    value: Float[Tensor, "cell line"]
    slope: Float[Tensor, "parameter cell line"]

    def add(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch cell line"]:
        """To be added to the deposit at `theta`."""
        away = theta - self.at
        fade = torch.exp(-((away / self.reach) ** 2).sum(1, keepdim=True) / 2)
        return self.value + torch.einsum("bp,pcl->bcl", away * fade, self.slope)


def points(model: SpinModel, measurement: Measurement, samples: int, cell: float, seed: int) -> Sampling:
    """Quadrature points, concentrated with the modes of the published parameters where these give a stable order."""
    even = partial(sampling, measurement, model.lattice, width=cell, seed=seed)
    if any(name not in model.defaults for name in model.names):
        return even(samples=samples)
    candidates = even(samples=CANDIDATES * samples)
    with torch.no_grad():
        modes = waves(model, measurement, candidates, keep=False)(model.pack())
    if not bool(modes.stable.all()):
        return even(samples=samples)
    return _kept(candidates, modes, measurement, samples, seed)


def _kept(where: Sampling, modes: Modes, measurement: Measurement, samples: int, seed: int) -> Sampling:
    """Points concentrated on the modes in and near the measured energies."""
    span = float(measurement.energy[0]) - MARGIN, float(measurement.energy[-1]) + MARGIN
    return concentrate(where, modes.energy[0], modes.intensity[0], span, samples=samples, seed=seed)


def waves(
    model: SpinModel, measurement: Measurement, where: Sampling, *, keep: bool = True, fwhm: float | None = None
) -> SpinWaves:
    """The spin waves at the points, under the conditions of the measurement, as fine as a width `fwhm` (meV) sees."""
    temperature = measurement.temperature or 0.0
    return SpinWaves(model, where.q, temperature=temperature, field=measurement.field, keep=keep, fwhm=fwhm)


def deposit(
    modes: Modes, weight: Float[Tensor, " sample"], cells: Int[Tensor, " sample"], line: Float[Tensor, " line"]
) -> Float[Tensor, "batch cell line"]:
    """Intensity of all modes shared between cells and the lines of the fine energy grid, by quadratic B-splines.

    These keep the mean energy, add the same variance wherever a mode lies (see `resolution`), and have no kinks.
    Modes of unstable wavevectors are left out.
    """
    step, n = line[1] - line[0], len(line)
    place = (modes.energy - line[0]) / step
    inside = (place >= 1) & (place < n - 2) & modes.stable[..., None]
    nearest = torch.where(inside, place, 1.0).detach().round()
    strength = torch.where(inside, modes.intensity * weight[:, None], 0.0)
    away = torch.where(inside, place - nearest, 0.0)
    below, above = strength * (0.5 - away) ** 2 / 2, strength * (0.5 + away) ** 2 / 2
    index = (cells[:, None] * n + nearest.long()).flatten(1)
    grid = strength.new_zeros(len(strength), (int(cells[-1]) + 1) * n)
    for offset, part in ((-1, below), (0, strength - below - above), (1, above)):
        grid = grid.scatter_add(1, index + offset, part.flatten(1))
    return grid.reshape(len(grid), -1, n)


def slopes(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], theta: Float[Tensor, "batch parameter"]
) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, "parameter batch *shape"], Tensor]:
    """Value and exact derivatives (forward mode) of a function of rows, and what else it returns."""

    def push(tangent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return torch.func.jvp(function, (theta,), (tangent.expand_as(theta),), has_aux=True)  # type: ignore[return-value]

    if theta.shape[1] == 0:
        value, other = function(theta)
        return value, value[None][:0], other
    with torch.enable_grad():
        every = torch.eye(theta.shape[1], dtype=theta.dtype, device=theta.device)
        value, slope, other = torch.func.vmap(push, out_dims=(None, 0, None))(every)  # type: ignore[arg-type]
    return value, slope, other


def dense(
    model: SpinModel,
    measurement: Measurement,
    theta: Float[Tensor, "1 parameter"],
    line: Float[Tensor, " line"],
    samples: int,
    cell: float,
    seed: int,
    *,
    sloped: bool,
) -> Dense:
    """Averages at `theta` over sets of `DENSER` x `samples` points a cell; derivatives from few of each set."""

    def one(k: int) -> tuple[Tensor, Tensor, Tensor]:
        where = sampling(measurement, model.lattice, samples=DENSER * samples, width=cell, seed=seed + 1 + k)
        with torch.no_grad():
            modes = waves(model, measurement, where, keep=False)(theta)
        value, unstable = deposit(modes, where.weight, where.cell, line), where.q[~modes.stable[0]]
        if not sloped:
            return value, value.new_zeros(1, theta.shape[1], *value.shape[1:]), unstable
        kept = _kept(where, modes, measurement, max(1, samples // SPARSER), seed + 1 + k)
        few = waves(model, measurement, kept, keep=False)

        def deposited(theta: Tensor) -> tuple[Tensor, Tensor]:
            modes = few(theta)
            return deposit(modes, kept.weight, kept.cell, line), modes.stable

        return value, slopes(deposited, theta)[1].movedim(1, 0), unstable

    return Dense(*(torch.cat(parts) for parts in zip(*map(one, range(REPEATS)), strict=True)))


def is_sharp(measurement: Measurement) -> bool:
    """Whether every bin is a point of reciprocal space, so that there is nothing to average."""
    return not isinstance(measurement.points, QShells) and not bool(measurement.points.box.any())


def sphere(where: Sampling, measurement: Measurement) -> Float[Tensor, "one cell"]:
    """Weights of the average over the measured solid angle: |Q| d|Q| for a powder, equal for the points of a path."""
    if where.edges is None or not isinstance(measurement.points, QShells):
        area = torch.ones(int(where.cell[-1]) + 1, dtype=torch.float64)
    else:
        low, high = measurement.points.edges[[0, -1]]
        area = (where.edges.clamp(low, high) ** 2).diff()
    return (area / area.sum())[None]


def fine_grid(edges: Float[Tensor, " edge"]) -> Float[Tensor, " line"]:
    """Even energies of the lines that modes are deposited on, meV."""
    step = float(edges.diff().min()) / FINE
    reach = min(REACH, float(edges[-1] - edges[0]) / 2)
    count = int((float(edges[-1] - edges[0]) + 2 * reach) / step) + 2
    return float(edges[0]) - reach + step * torch.arange(count, dtype=torch.float64)
