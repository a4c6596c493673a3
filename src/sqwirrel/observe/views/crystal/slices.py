"""Intensity on lines of energy cut into slices, and slices as modes that are laid out again.

A slice holds a fixed share of the intensity of its cell, from low to high energy. Its mean energy moves smoothly where
the height of a line does not: a mode that moves past is a bump (D. Rim, K. T. Mandli, Displacement interpolation using
monotone rearrangement (2017), arXiv:1712.04028).
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Levels = Float[Tensor, "cell edge"]
"""Shares of the intensity of each cell that lie below the edges of its slices, from 0 to 1."""
TRIED = 8
"""Equal slices, for each of those that are wanted, that say where levels should be."""


def levels_of(grid: Float[Tensor, "row cell line"], line: Float[Tensor, " line"], n: int) -> Levels:
    """Levels of `n` slices: half of them are equal in intensity and half in energy, on the average of the rows.

    So weak bands have slices of their own beside strong ones.
    """
    even = torch.linspace(0, 1, TRIED * n + 1, dtype=grid.dtype).expand(grid.shape[1], -1)
    energy = sliced(grid, line, even)[0].mean(0)
    wide = energy[:, 1:] - energy[:, :-1]
    wide = torch.cat((wide, wide[:, -1:]), -1) + 1e-9 * float(line[-1] - line[0])
    done = torch.cat((wide.new_zeros(len(wide), 1), (wide / wide.sum(-1, keepdim=True)).cumsum(-1)), -1)
    wanted = np.linspace(0, 1, n + 1)
    rows = [np.interp(wanted, ((each + even[0]) / 2).numpy(), even[0].numpy()) for each in done]
    levels = torch.from_numpy(np.stack(rows))
    levels[:, 0], levels[:, -1] = 0.0, 1.0
    return levels


def sliced(
    grid: Float[Tensor, "row cell line"], line: Float[Tensor, " line"], levels: Levels
) -> tuple[Float[Tensor, "row cell slice"], Float[Tensor, "row cell"]]:
    """Mean energies of the slices (meV), and intensity of the cells; the energies of an empty cell are in the middle.

    The first moment is linear in the cumulated intensity between lines; slices are its differences.
    """
    zero = torch.zeros_like(grid[..., :1])
    mass, moment = (torch.cat((zero, part.cumsum(-1)), -1) for part in (grid, grid * line))
    total = mass[..., -1:]
    wanted = (total * levels).contiguous()
    k = torch.searchsorted(mass, wanted).clamp(1, len(line))
    low, high = mass.gather(-1, k - 1), mass.gather(-1, k)
    part = ((wanted - low) / (high - low).clamp(min=1e-300)).clamp(0, 1)
    at = torch.lerp(moment.gather(-1, k - 1), moment.gather(-1, k), part)
    energy = at.diff(dim=-1) / (total * levels.diff(dim=-1)).clamp(min=1e-300)
    return energy.where(total > 0, line.mean()), total[..., 0]
