"""A view whose resolution in q is as wide as a parameter says.

The points of a view are drawn from the resolution in q; with another width they lie elsewhere, so that spin waves are
set up there again. Numbers that they are drawn with stay, so that what is seen changes smoothly with the width.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sqwirrel.errors import StateError
from sqwirrel.observe.views.view import Laid, View
from sqwirrel.simulate.looks.amplitudes import Amplitudes

KEPT = 3
"""Views that are kept: that of the last parameters, and one on either side, of which differences are made."""


class Stretched(nn.Module):
    """Parameters are those of the `base` view, which has the resolution as it is, then the factor on its widths in q.

    `at` makes the view of a factor. Derivatives along it are central differences of a relative `step`.
    """

    line: Tensor

    def __init__(self, base: View, at: Callable[[float], View], step: float) -> None:
        super().__init__()
        self.base, self.exact, self.sampling, self.step = base, base.exact, base.sampling, step
        self.register_buffer("line", base.line)
        self._at = lru_cache(KEPT)(at)

    @property
    def solvers(self) -> nn.ModuleList:
        """Those of the base."""
        return self.base.solvers

    @property
    def amplitudes(self) -> Amplitudes | None:
        """Those of the base, which do not depend on points."""
        return self.base.amplitudes

    @property
    def bytes_per_row(self) -> int:
        """Memory that the modes of one row of parameters take."""
        return self.base.bytes_per_row

    def inside(self, theta: Float[Tensor, "batch parameter"]) -> Bool[Tensor, " batch"]:
        """A model knows all."""
        return self.base.inside(theta)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Laid:
        """Every row of parameters, those of one factor together."""
        if theta.requires_grad:
            raise StateError("widths in q are differentiated by `linearise` alone")
        return Laid(*self._rows(theta, lambda by, rows: tuple(self.view(by)(rows))))

    def slopes(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        """The grid, its derivatives (parameter first), and stability."""
        value, rise, stable = self._rows(theta, self._slopes)
        return value, rise.movedim(1, 0), stable

    def view(self, by: float) -> View:
        """The view of a factor."""
        return self.base if by == 1.0 else self._at(by)

    def _slopes(self, by: float, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Value, derivatives (row first) and stability of rows that have one factor."""
        value, rise, stable = self.view(by).slopes(rows)
        step = self.step * by
        with torch.no_grad():
            above, below = (self.view(by + way)(rows).grid for way in (step, -step))
        return value, torch.cat((rise, ((above - below) / (2 * step))[None])).movedim(0, 1), stable

    def _rows(self, theta: Tensor, of: Callable[[float, Tensor], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """What is found for rows of each factor, put together in the order of the rows."""
        factors, which = torch.unique(theta[:, -1].detach(), return_inverse=True)
        groups = [(which == k).nonzero()[:, 0] for k in range(len(factors))]
        found = [of(by, theta[group, :-1]) for by, group in zip(factors.tolist(), groups, strict=True)]
        order = torch.cat(groups).argsort()
        return tuple(torch.cat(part)[order] for part in zip(*found, strict=True))
