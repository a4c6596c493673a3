"""Where the modes of a model are looked at, and how they come onto the grid that kernels smear."""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.observe.sampling import Sampling, concentrate, sampling
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.modes import Modes
from sqwirrel.spectra import Measurement, QShells

DENSE = 16
"""Candidates for each quadrature point, of which `concentrate` keeps one."""
MARGIN = 0.5
"""Points are concentrated on modes up to this many meV beyond the bins."""
FINE = 3
"""Lines of the fine energy grid per bin of the spectrum."""
REACH = 1.5
"""The fine grid reaches this many meV beyond the bins, at most half of the energy range; lines further out are lost."""


def points(model: SpinModel, measurement: Measurement, samples: int, cell: float, seed: int) -> Sampling:
    """Quadrature points, concentrated with the modes of the published parameters where these give a stable order."""
    even = partial(sampling, measurement, model.lattice, width=cell, seed=seed)
    if any(name not in model.defaults for name in model.names):
        return even(samples=samples)
    dense = even(samples=DENSE * samples)
    with torch.no_grad():
        modes = waves(model, measurement, dense, keep=False)(model.pack())
    if not bool(modes.stable.all()):
        return even(samples=samples)
    span = float(measurement.energy[0]) - MARGIN, float(measurement.energy[-1]) + MARGIN
    return concentrate(dense, modes.energy[0], modes.intensity[0], span, samples=samples, seed=seed)


def waves(model: SpinModel, measurement: Measurement, where: Sampling, *, keep: bool = True) -> SpinWaves:
    """The spin waves at the points, under the conditions of the measurement."""
    temperature = measurement.temperature or 0.0
    return SpinWaves(model, where.q, temperature=temperature, field=measurement.field, keep=keep)


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
