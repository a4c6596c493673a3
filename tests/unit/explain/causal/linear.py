"""A system whose map is known in closed form: every cause moves a block of a line of cells, in proportion to itself."""

import torch
from torch import Tensor

from sqwirrel.model.laws import Uniform
from sqwirrel.model.prior import Prior

BLOCK = 40
MATRIX = torch.zeros(4 * BLOCK, 4, dtype=torch.float64)
"""Cells of four blocks by a, b, c and a dummy: a moves the first two blocks, b the second and third, c the fourth with
opposite signs."""
MATRIX[: 2 * BLOCK, 0] = 20.0
MATRIX[BLOCK : 3 * BLOCK, 1] = 30.0
MATRIX[3 * BLOCK :, 2] = 25.0 * (-1.0) ** torch.arange(BLOCK, dtype=torch.float64)
NAMES = ("a", "b", "c", "dummy")


class Linear:
    """Cells = MATRIX theta; unstable where a is above `ceiling`."""

    def __init__(self, highest: float = 1.0, ceiling: float = torch.inf) -> None:
        self.prior = Prior(**{name: Uniform(0.0, highest) for name in NAMES})
        cells = torch.arange(len(MATRIX))
        self.neighbours = torch.stack((cells[1:], cells[:-1]), -1)
        self.ceiling, self.rows = ceiling, 0

    def see(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        self.rows += len(theta)
        return self._cells(theta), theta[:, 0] <= self.ceiling

    def slope(self, theta: Tensor) -> Tensor:
        return torch.func.jacfwd(lambda row: self._cells(row[None])[0])(theta[0]).T

    def _cells(self, theta: Tensor) -> Tensor:
        return (theta[:, None] * MATRIX).sum(-1)  # every row rounded alike


class Stepped(Linear):
    """c acts only in the highest quarter of its prior."""

    def _cells(self, theta: Tensor) -> Tensor:
        lifted = theta.clone()
        lifted[:, 2] = (theta[:, 2] - 0.75).clamp(min=0)
        return super()._cells(lifted)
