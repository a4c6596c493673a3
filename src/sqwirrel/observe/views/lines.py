"""Modes laid out on cells and the lines of a fine energy grid."""

from functools import partial
from typing import NamedTuple, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit
from torch import Tensor

from sqwirrel.simulate.compiled.threads import share
from sqwirrel.simulate.modes import Modes

FINE = 3
"""Lines of the fine energy grid per bin of the spectrum."""
FEWEST = 36
"""Lines across the energies of a spectrum that has few bins, or one: what is integrated over has edges, too."""
REACH, BEYOND = 1.5, 0.25
"""The fine grid reaches this many meV beyond the bins, or this share of the energy range if that is more, and at most
half of it (but for scans); lines further out are lost.
"""
LINES, NARROWEST = 400, 0.01
"""Points of scans share this many lines, at least this far apart (meV)."""
ELASTIC = 5e-3
"""Modes fade out as E^8 below this energy (meV), or that between two lines: at a Bragg peak a Goldstone mode has
infinite intensity, and the regularisation of `simulate`, some 1e-4 meV, says where it is.
"""
REACH_WIDTHS = 3.0
"""Where the width is known, it reaches this many FWHM beyond the bins: a factor of 2 on the widths loses nothing."""


class Blur(NamedTuple):
    """What a resolution in q does at points that were drawn from it, at the energies of evenly spaced `nodes` (meV).

    A mode is seen with `factor`, at an energy higher by `shift` (meV): linear between nodes, constant beyond.
    """

    nodes: Float[Tensor, " node"]
    factor: Float[Tensor, "sample node"]
    shift: Float[Tensor, "sample node"]

    def at(self, energy: Float[Tensor, "batch sample mode"]) -> tuple[Tensor, Tensor]:
        """Factor and shift of modes."""
        if len(self.nodes) == 1:
            return self.factor, self.shift
        place = ((energy - self.nodes[0]) / (self.nodes[1] - self.nodes[0])).clamp(0, len(self.nodes) - 1)
        low = place.detach().floor().long().clamp(max=len(self.nodes) - 2)
        part, sample = place - low, torch.arange(energy.shape[1], device=energy.device)[:, None]
        factor, shift = (torch.lerp(each[sample, low], each[sample, low + 1], part) for each in self[1:])
        return factor, shift


def deposit(
    modes: Modes,
    weight: Float[Tensor, " sample"],
    cells: Int[Tensor, " sample"],
    line: Float[Tensor, " line"],
    blur: Blur | None = None,
) -> Float[Tensor, "batch cell line"]:
    """Intensity of all modes shared between cells and the lines of the fine energy grid, by quadratic B-splines.

    These keep the mean energy, add the same variance wherever a mode lies (see `resolution`), and have no kinks.
    Modes of unstable wavevectors, and those at zero energy (`ELASTIC`), do not count. Cells ascend; under
    `torch.no_grad` a compiled loop gives the same.
    """
    if not torch.is_grad_enabled() and modes.energy.device.type == "cpu":
        none = modes.energy.new_zeros(0, len(modes.energy), 2, *modes.energy.shape[1:])
        return deposit_slopes(modes, none, weight, cells, line, blur)[0]
    step, n, high = line[1] - line[0], len(line), modes.energy**8
    energy, strength = modes.energy, modes.intensity * weight[:, None] * (high / (high + _elastic(step) ** 8))
    if blur is not None:
        factor, shift = blur.at(energy)
        energy, strength = energy + shift, strength * factor
    place = (energy - line[0]) / step
    inside = (place >= 1) & (place < n - 2) & modes.stable[..., None]
    nearest = torch.where(inside, place, 1.0).detach().round()
    strength = torch.where(inside, strength, 0.0)
    away = torch.where(inside, place - nearest, 0.0)
    below, above = strength * (0.5 - away) ** 2 / 2, strength * (0.5 + away) ** 2 / 2
    index = (cells[:, None] * n + nearest.long()).flatten(1)
    grid = strength.new_zeros(len(strength), (int(cells[-1]) + 1) * n)
    for offset, part in ((-1, below), (0, strength - below - above), (1, above)):
        grid = grid.scatter_add(1, index + offset, part.flatten(1))
    return grid.reshape(len(grid), -1, n)


def _elastic(step: Tensor | float) -> float:
    """Energy below which modes fade out, on lines so far apart (meV)."""
    return min(ELASTIC, float(step))


def fine_grid(
    edges: Float[Tensor, "*point edge"],
    fwhm: tuple[float, float] | None = None,
    widest: float = 0.0,
    tailed: bool = False,
) -> Float[Tensor, " line"]:
    """Even energies of the lines that modes are deposited on, meV.

    `fwhm` are the least and the largest width, `widest` the latter where only that is known, perhaps of lines with
    tails.
    """
    low, high = float(edges.min()), float(edges.max())
    span, is_scan = high - low, edges.ndim == 2  # points of scans may have no width
    widths = edges.diff()[..., : max(1, edges.shape[-1] - 2)]  # the last may be what merging bins left over
    far = max(REACH, (0 if widest and not is_scan and not tailed else BEYOND) * span)
    reach = max(far if is_scan else min(far, span / 2), REACH_WIDTHS * widest)
    step = max(span / LINES, NARROWEST) if is_scan else min(float(widths.min()) / FINE, span / FEWEST)
    if fwhm is not None:
        step, reach = min(step, fwhm[0] / FINE), REACH_WIDTHS * fwhm[1]
    count = int((span + 2 * reach) / step) + 2
    return low - reach + step * torch.arange(count, dtype=torch.float64)


def deposit_slopes(
    modes: Modes,
    rise: Float[Tensor, "parameter batch 2 sample mode"],
    weight: Float[Tensor, " sample"],
    cells: Int[Tensor, " sample"],
    line: Float[Tensor, " line"],
    blur: Blur | None = None,
) -> tuple[Float[Tensor, "batch cell line"], Float[Tensor, "parameter batch cell line"]]:
    """What `deposit` gives on the CPU, and its derivatives from those of the modes, in one compiled loop.

    `rise` has the derivatives of energies and of intensities.
    """
    number = int(cells[-1]) + 1
    first = torch.searchsorted(cells.contiguous(), torch.arange(number + 1))
    one = Blur(torch.zeros(1).double(), torch.ones(1, 1).double(), torch.zeros(1, 1).double())
    nodes, factor, shift = blur or one
    between = float(nodes[1] - nodes[0]) if len(nodes) > 1 else 1.0
    parts = (modes.energy, modes.intensity, modes.stable, rise, weight, first, factor, shift)
    grid = np.zeros((1 + len(rise), len(modes.energy), number, len(line)))
    step = float(line[1] - line[0])
    numbers = float(nodes[0]), between, float(line[0]), step, _elastic(step)
    work = partial(_lay, *(each.detach().contiguous().numpy() for each in parts), *numbers, grid)
    share(work, number, len(grid) * len(modes.energy) * 4 * modes.energy[0].numel() // number)
    laid = torch.from_numpy(grid)
    return laid[0], laid[1:]


@njit(nogil=True, cache=True)
@no_type_check
def _lay(
    energy, intensity, stable, rise, weight, first, factor, shift, node, between, line, step, elastic, grid, start, stop
):
    """Cells `start` to `stop`; sample q has row q of `factor` and `shift`, or all the only one.

    `rise` are derivatives of energy and intensity; `grid[0]` has the values, `grid[1:]` their derivatives.
    """
    last, n, along = factor.shape[1] - 1, grid.shape[3], grid.shape[0] - 1
    for b in range(grid.shape[1]):
        for cell in range(start, stop):
            for q in range(first[cell], first[cell + 1]):
                row = min(q, factor.shape[0] - 1)
                for m in range(energy.shape[2]):
                    E, strength = energy[b, q, m], intensity[b, q, m]
                    if not stable[b, q] or (strength == 0.0 and along == 0):
                        continue
                    at = min(max((E - node) / between, 0.0), last)
                    low = min(int(at), max(last - 1, 0))
                    high, part, inner = min(low + 1, last), at - low, 1.0 / between if 0.0 < at < last else 0.0
                    place = (E + shift[row, low] * (1 - part) + shift[row, high] * part - line) / step
                    if not (place >= 1 and place < n - 2):
                        continue
                    faded, nearest = elastic**8 / (E**8 + elastic**8), int(np.rint(place))
                    seen = weight[q] * (1 - faded) * (factor[row, low] * (1 - part) + factor[row, high] * part)
                    _spline(grid[0, b, cell], nearest, place - nearest, seen * strength, 0.0)
                    if along == 0:
                        continue
                    moved = (1 + (shift[row, high] - shift[row, low]) * inner) / step
                    steeper = weight[q] * (1 - faded) * (factor[row, high] - factor[row, low]) * inner
                    steeper += seen * 8 * faded / E if E != 0.0 else 0.0
                    for p in range(along):
                        dE, dI = rise[p, b, 0, q, m], rise[p, b, 1, q, m]
                        more, way = seen * dI + steeper * strength * dE, seen * strength * moved * dE
                        _spline(grid[p + 1, b, cell], nearest, place - nearest, more, way)


@njit(nogil=True, inline="always")
@no_type_check
def _spline(grid, nearest, away, strength, way):
    """A quadratic B-spline `away` from line `nearest`, and the derivative of one of unit strength times `way`."""
    below = strength * (0.5 - away) ** 2 / 2 - way * (0.5 - away)
    above = strength * (0.5 + away) ** 2 / 2 + way * (0.5 + away)
    grid[nearest - 1] += below
    grid[nearest] += strength - below - above
    grid[nearest + 1] += above
