"""Grids over a Brillouin zone, and the lowest point of a function on it.

Wavevectors x are fractions of reciprocal lattice vectors; a direction along which nothing couples gets a single point.
"""

from collections.abc import Callable
from itertools import product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.terms import terms

POINTS = (0, 48, 24, 12)
"""Points a direction of a coarse grid, by the number of directions: halves, thirds and quarters lie on it."""
FINE = 1e-7
"""Step, fraction of a reciprocal lattice vector, at which the search for the lowest point ends."""
CLOSE = 1e-5
"""Lengths below this, in cells, are rounding, that of positions included."""
BEST = 6
"""Points of the coarse grid that the search starts from."""


def grid(coupled: Bool[Tensor, "3"], n: int, shift: float | Float[Tensor, "3"] = 0.0) -> Float[Tensor, "x 3"]:
    """`n` points along each coupled direction, from `shift` / n on."""
    axis = torch.arange(n, dtype=torch.float64)
    whole = torch.cartesian_prod(*(axis if along else axis[:1] for along in coupled.tolist()))
    return (whole + shift * coupled) / n


def coupled(model: SpinModel) -> Bool[Tensor, "3"]:
    """Directions of the magnetic reciprocal lattice along which modes can disperse."""
    if model.dipole is not None:
        return torch.ones(3, dtype=torch.bool)
    parts = terms(model, torch.zeros(3, dtype=torch.float64))
    along: Tensor = (loops(parts.i, parts.j, parts.displacement) != 0).any(0)
    return along


def loops(
    i: Int[Tensor, " bond"], j: Int[Tensor, " bond"], displacement: Float[Tensor, "bond 3"]
) -> Float[Tensor, "bond 3"]:
    """What is left of the displacements of bonds i -> j when sites are moved to make them short; spans closed paths.

    Eigenvalues depend on the wavevector through these alone.
    """
    sites = torch.unique(torch.cat((i, j)))
    ends = (j[:, None] == sites).to(displacement) - (i[:, None] == sites).to(displacement)
    left = displacement - ends @ (torch.linalg.pinv(ends) @ displacement)
    return torch.where(left.abs() > CLOSE, left, 0.0)


def midpoints(model: SpinModel, n: int) -> Float[Tensor, "q 3"]:
    """Midpoints of a mesh of the magnetic zone, rlu of the chemical cell; none is at its centre."""
    return to_rlu(grid(coupled(model), n, 0.5), model.supercell)


def between(model: SpinModel, n: int, q: Float[Tensor, "3"]) -> Float[Tensor, "k 3"]:
    """A mesh of the magnetic zone for pairs k and q - k, rlu of the chemical cell; q - k lies on it where k does.

    Both are at least a quarter of a step away from its centre.
    """
    rest = (model.supercell @ q * n).remainder(1)
    return to_rlu(grid(coupled(model), n, torch.where(rest < 0.5, rest + 1, rest) / 2), model.supercell)


def to_rlu(x: Float[Tensor, "x 3"], cell: Float[Tensor, "3 3"]) -> Float[Tensor, "x 3"]:
    """Reciprocal lattice units of the chemical cell; rows of `cell` are the direct lattice, chemical."""
    q: Tensor = x @ torch.linalg.inv(cell).T
    return q


def lowest(
    height: Callable[[Tensor], Tensor], coupled: Bool[Tensor, "3"]
) -> tuple[Float[Tensor, "best 3"], Float[Tensor, " best"]]:
    """The lowest points of a function on the zone and their heights, lowest first: a grid, then ever smaller steps."""
    start = grid(coupled, POINTS[int(coupled.sum())]) if bool(coupled.any()) else torch.zeros(1, 3, dtype=torch.float64)
    value = height(start)
    first = value.argsort(stable=True)[:BEST]
    return descend(height, start[first], coupled, 0.5 / POINTS[max(1, int(coupled.sum()))])


def descend(
    height: Callable[[Tensor], Tensor], start: Float[Tensor, "best 3"], coupled: Bool[Tensor, "3"], step: float
) -> tuple[Float[Tensor, "best 3"], Float[Tensor, " best"]]:
    """From each start to the lowest neighbour of a step, which is halved where there is none. Needs no derivative."""
    ways = torch.tensor(list(product((0, 1, -1), repeat=3)), dtype=torch.float64)
    ways = ways[(ways[:, ~coupled] == 0).all(-1)]
    x, size = start, torch.full((len(start),), step, dtype=torch.float64)
    while bool((size > FINE).any()):
        trial = x[:, None] + size[:, None, None] * ways
        values = height(trial.flatten(0, 1)).reshape(len(x), -1)
        best = values.argmin(1)
        x = trial[torch.arange(len(x)), best]
        size = torch.where((best == 0) | (values[:, 0] - values.amin(1) < 1e-15), size / 2, size)
    value = height(x)
    order = value.argsort(stable=True)
    return x[order], value[order]
