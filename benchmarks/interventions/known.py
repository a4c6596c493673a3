"""Systems with known causes: closed forms on a grid of wavevectors and energies, counted with Poisson noise.

A system is drawn from its kind and a seed: where modes are, how strong and how wide, and how wide the prior of each
cause is, so that d' lie between far below and far above what can be told.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sqwirrel.model.laws import Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Poisson
from sqwirrel.observe.counting import Observed
from sqwirrel.seeds import stream

SHAPE = 48, 64
Q = ((torch.arange(SHAPE[0], dtype=torch.float64) + 0.5) / SHAPE[0])[:, None]
"""Wavevectors, 0 to 1, of the rows of a map."""
STEP = 10 / SHAPE[1]
ENERGY = (torch.arange(SHAPE[1], dtype=torch.float64) + 0.5) * STEP
"""Energies, 0 to 10 meV, of its columns."""
FLOOR = 1.0
"""Counts in every cell whatever the causes do, a background that is known."""
NOWHERE = torch.zeros(SHAPE, dtype=torch.bool)
"""What a cause reaches that does nothing."""
DUMMY = "dummy"
Causes = dict[str, Tensor]
"""Values of each cause, (row, 1, 1)."""


class Known(Protocol):
    """A system, and what is known of it: the cells that a cause may reach where these are not all, and the cause that
    is hidden, and draws others along, where nobody intervenes.
    """

    @property
    def prior(self) -> Prior:
        """Which values each cause may take."""

    @property
    def neighbours(self) -> Tensor:
        """Cells that touch, (pair, 2)."""

    @property
    def reach(self) -> Mapping[str, Tensor]:
        """Cells, (q, energy), that a cause can act on."""

    @property
    def confounder(self) -> str:
        """A cause."""

    def see(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Cells in standard deviations."""

    def slope(self, theta: Tensor) -> Tensor:
        """Their derivatives."""


@dataclass(frozen=True, eq=False)
class Closed:
    """Expected counts, (row, q, energy), as a function of the causes."""

    prior: Prior
    expected: Callable[[Causes], Tensor]
    reach: Mapping[str, Tensor]
    confounder: str

    @property
    def neighbours(self) -> Tensor:
        """Cells next to each other in q or energy."""
        return touching(SHAPE)

    def see(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Counts on the scale of Anscombe."""
        with torch.no_grad():
            return self._steady(theta), torch.ones(len(theta), dtype=torch.bool)

    def slope(self, theta: Tensor) -> Tensor:
        """Exact derivatives of the same."""
        slope: Tensor = torch.func.jacfwd(lambda row: self._steady(row[None])[0])(theta[0])
        return slope.T

    def _steady(self, theta: Tensor) -> Tensor:
        causes = {name: theta[:, k, None, None] for k, name in enumerate(self.prior.names)}
        counts = (self.expected(causes) + FLOOR).expand(len(theta), *SHAPE).flatten(1)
        return Poisson().steady(counts, Observed(counts[0], counts[0], NOWHERE))


def touching(shape: tuple[int, int]) -> Tensor:
    """Pairs of numbers of cells next to each other along either axis."""
    number = torch.arange(shape[0] * shape[1]).reshape(shape)
    pairs = [(number[1:], number[:-1]), (number[:, 1:], number[:, :-1])]
    return torch.cat([torch.stack(pair, -1).reshape(-1, 2) for pair in pairs])


class Draw:
    """Random details of one system."""

    def __init__(self, kind: str, seed: int) -> None:
        self.generator = stream(seed, kind)

    def __call__(self, low: float, high: float) -> float:
        """Even between two numbers."""
        return low + (high - low) * float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def log(self, low: float, high: float) -> float:
        """Even in the logarithm."""
        return math.exp(self(math.log(low), math.log(high)))

    def law(self, low: float, high: float) -> Uniform:
        """Of a cause inside these bounds, over a fifth to all of them."""
        half = (high - low) * self.log(0.2, 1) / 2
        middle = self(low + half, high - half)
        return Uniform(middle - half, middle + half)

    def area(self) -> Uniform:
        """Counts of a mode at one wavevector, known to 3 to 30 %."""
        middle, share = self.log(500, 8000), self.log(0.03, 0.3)
        return Uniform(middle * (1 - share), middle * (1 + share))


def closed(
    laws: Mapping[str, Uniform],
    expected: Callable[[Causes], Tensor],
    reach: Mapping[str, Tensor] | None = None,
    confounder: str = "scale",
) -> Closed:
    """A system of these causes, and of one that does nothing."""
    prior = Prior(**laws, **{DUMMY: Uniform(0.0, 1.0)})
    return Closed(prior, expected, {DUMMY: NOWHERE, **(reach or {})}, confounder)


def ridge(energy: Tensor, area: Tensor | float, fwhm: Tensor | float) -> Tensor:
    """Counts of a Gaussian mode of `area` counts a wavevector."""
    sigma = fwhm / 2.3548
    return area * STEP * torch.exp(-(((ENERGY - energy) / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))


def chain(J: Tensor | float, gap: Tensor | float) -> Tensor:
    """Energies of a gapped chain, sqrt(gap^2 + (J sin pi q)^2)."""
    return ((J * (math.pi * Q).sin()) ** 2 + gap**2) ** 0.5
