"""The lowest classical energy that any order can have, and the order that has it.

With the lengths of the moments fixed on average only, the energy per ion is at least half the lowest eigenvalue of the
exchange matrix J(k) over the zone; where moments of equal length can be made of the modes at that k, they have this
energy (J. M. Luttinger and L. Tisza, Phys. Rev. 70, 954 (1946), doi:10.1103/PhysRev.70.954).
"""

import math
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Complex, Float
from scipy.optimize import least_squares
from torch import Tensor

from sqwirrel.model.magnetic.arrangement import Arrangement
from sqwirrel.model.magnetic.order import Spiral
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import zone
from sqwirrel.simulate.classical import translations
from sqwirrel.simulate.classical.search import check_plain, matrices, upright
from sqwirrel.simulate.classical.translations import Unit
from sqwirrel.simulate.quadratic.bosons import turns
from sqwirrel.simulate.terms import Terms, single_ion, terms

SAME = 1e-8
"""Eigenvalues that differ by less, relative to the largest, are degenerate."""
TRIES = 8
"""Random starts of the search for moments of equal length among degenerate modes."""
GENERIC = 0.1234, 0.2718, 0.4142
"""A wavevector in no special position."""


class LuttingerTisza(NamedTuple):
    """The bound and where it is.

    `k` (rlu of the chemical cell): that of the order first, then others of the same height. `energy` (meV per ion) is
    a lower bound. `flat` counts the directions in which modes of this height go on: more than none means that no k is
    chosen. `arrangement` has this energy; None if no moments of equal length were made of the modes at the first k.
    """

    k: Float[Tensor, "arm 3"]
    energy: float
    flat: int
    arrangement: Arrangement | None


class Exchange(NamedTuple):
    """J(k) of one set of parameters, in the unit cell of the Hamiltonian."""

    unit: Unit
    row: Tensor
    column: Tensor
    displacement: Float[Tensor, "bond 3"]
    """From site to site, chemical."""
    matrix: Float[Tensor, "bond 3 3"]
    onsite: Float[Tensor, "kind 3 3"]

    @classmethod
    def of(cls, model: SpinModel, theta: Float[Tensor, "set parameter"]) -> "Exchange":
        """From a model, without its order and without a field."""
        check_plain(model, "the bound of Luttinger and Tisza")
        model = replace(model, spiral=None, relaxed=False)
        parts, alone = terms(model, torch.zeros(3, dtype=torch.float64)), single_ion(model, theta)
        every = torch.arange(len(model.spins))
        whole = cls._within(parts, theta, alone, Unit(model.supercell, every, every))
        found = translations.unit(model, whole.at(torch.tensor([GENERIC], dtype=torch.float64))[0])
        return cls._within(parts, theta, alone, found, model.supercell)

    @classmethod
    def _within(
        cls, parts: Terms, theta: Tensor, alone: Tensor, unit: Unit, supercell: Tensor | None = None
    ) -> "Exchange":
        place = torch.full((len(unit.kind),), -1)
        place[unit.sites] = torch.arange(len(unit.sites))
        bond = (place[parts.i] >= 0).nonzero()[:, 0]
        i, j = parts.i[bond], parts.j[bond]
        size = theta[0, parts.parameter[bond]] * parts.spins[i] * parts.spins[j]
        onsite = 2 * parts.spins[:, None, None] ** 2 * alone
        across = parts.displacement[bond] @ (unit.cell if supercell is None else supercell)
        return cls(unit, place[i], unit.kind[j], across, size[:, None, None] * parts.matrix[bond], onsite[unit.sites])

    @property
    def loops(self) -> Float[Tensor, "bond 3"]:
        """Chemical displacements that the eigenvalues depend on."""
        return zone.loops(self.row, self.column, self.displacement)

    def at(self, k: Float[Tensor, "k 3"]) -> Complex[Tensor, "k kind 3 kind 3"]:
        """J(k); half its quadratic form is the energy."""
        n = len(self.unit.sites)
        value = torch.einsum("kb,bac->kbac", turns(self.displacement, k), self.matrix + 0j)
        J = value.new_zeros(len(k), n * n, 3, 3).index_add(1, self.row * n + self.column, value)
        J = J.reshape(len(k), n, n, 3, 3)
        J[:, range(n), range(n)] += self.onsite
        return J.transpose(2, 3)

    def lowest(self, x: Float[Tensor, "x 3"]) -> Float[Tensor, " x"]:
        """Lowest eigenvalue at fractions of the reciprocal lattice vectors."""
        J = self.at(zone.to_rlu(x, self.unit.cell)).flatten(3, 4).flatten(1, 2)
        low: Tensor = torch.linalg.eigvalsh(J)[:, 0]
        return low


def luttinger_tisza(model: SpinModel, theta: Float[Tensor, "set parameter"]) -> LuttingerTisza:
    """The bound of the energy over all orders of any period, without a field, and an order that reaches it."""
    exchange = Exchange.of(model, theta)
    coupled = ((exchange.loops @ torch.linalg.inv(exchange.unit.cell)).abs() > zone.CLOSE).any(0)
    x, height = zone.lowest(exchange.lowest, coupled)
    special = torch.cat((zone.grid(coupled, 2), zone.grid(coupled, 3)))
    heights = exchange.lowest(special)
    tolerance = SAME * float(heights.abs().max())
    x = torch.cat((x[height <= height[0] + tolerance], special[heights <= height[0] + tolerance]))
    arms = _arms(exchange, torch.stack([_plain(exchange, each, tolerance) for each in x]), model.lattice.vectors)
    flat = max(_flat(exchange, k, coupled, tolerance) for k in arms)
    modes = _modes(exchange, arms[0], tolerance)
    order = _arrangement(model, exchange, arms[0], modes)
    return LuttingerTisza(arms[:1] if flat else arms, float(height[0]) / 2, flat, order)


def _plain(exchange: Exchange, x: Tensor, tolerance: float) -> Float[Tensor, "3"]:
    """The simple fractions nearby if they are as low."""
    simple = torch.tensor([float(part) for part in translations.fraction(x)], dtype=torch.float64)
    near = float((simple - x).abs().max()) < 1e-4
    low = exchange.lowest(torch.stack((simple, x)))
    return simple if near and float(low[0] - low[1]) <= tolerance else x


def _fractions(exchange: Exchange, k: Float[Tensor, "3"]) -> list[Fraction]:
    """k in fractions of the reciprocal lattice vectors, as it is or simple."""
    x = exchange.unit.cell @ k
    simple = translations.fraction(x)
    is_simple = all(
        abs(float(part) - value) < translations.CLOSE for part, value in zip(simple, x.tolist(), strict=True)
    )
    return simple if is_simple else [Fraction(value) for value in x.tolist()]


def _arms(exchange: Exchange, x: Float[Tensor, "x 3"], vectors: Tensor) -> Float[Tensor, "arm 3"]:
    """The different ones of some wavevectors, each the simplest of those that mean the same: the simplest first."""
    reciprocal = torch.linalg.inv(vectors).T
    span = exchange.loops @ vectors
    onto = reciprocal @ torch.linalg.pinv(span) @ span @ torch.linalg.inv(reciprocal)

    def rank(k: Tensor) -> tuple[object, ...]:
        """Small periods first, then short wavevectors, then positive ones."""
        cells = min(translations.period(_fractions(exchange, k)), 1000)
        length = round(float((k @ reciprocal).norm()), 9)
        return cells, length, round(float(k.abs().sum()), 9), [-round(part, 9) for part in k.tolist()]

    around, found = translations.whole(2), list[Tensor]()
    for one in x:
        same = zone.to_rlu(torch.cat((one + around, around - one)), exchange.unit.cell)
        same = torch.cat((same, same @ onto))
        twelfths = same.mul(120).round().div(120)
        best = min(torch.where((same - twelfths).abs() < 1e-9, twelfths, same) + 0.0, key=rank)
        if all(float((best - other).abs().max()) > 1e-4 for other in found):
            found.append(best)
    return torch.stack(sorted(found, key=rank))


def _flat(exchange: Exchange, k: Tensor, coupled: Tensor, tolerance: float) -> int:
    """Directions in which the lowest eigenvalue stays where it is: no curvature, and no rise a step away."""
    axes, x, h = torch.eye(3, dtype=torch.float64)[coupled], exchange.unit.cell @ k, 1e-3
    if not len(axes):
        return 0
    steps = h * (axes[:, None] + axes).flatten(0, 1)
    rise = (exchange.lowest(x + steps) + exchange.lowest(x - steps) - 2 * exchange.lowest(x[None])) / 2
    rise = rise.reshape(len(axes), -1)
    square = rise.diagonal() / 4
    size, ways = torch.linalg.eigh((rise - square[:, None] - square) / 2)
    lines = 0.05 * ways.T[size < tolerance] @ axes
    ends = torch.maximum(exchange.lowest(x + lines), exchange.lowest(x - lines))
    return len((ends - exchange.lowest(x[None]) < tolerance).nonzero())


def _modes(exchange: Exchange, k: Tensor, tolerance: float) -> Complex[Tensor, "kind 3 mode"]:
    """Lowest eigenvectors, with the phases of the lattice in place of those of the positions."""
    J = exchange.at(k[None])[0].flatten(2, 3).flatten(0, 1)
    value, vector = torch.linalg.eigh(J)
    lowest: Tensor = vector[:, value <= value[0] + tolerance]
    return lowest.reshape(len(exchange.unit.sites), 3, -1)


def _arrangement(model: SpinModel, exchange: Exchange, k: Tensor, modes: Tensor) -> Arrangement | None:
    """Moments Re(w exp 2 pi i k.R) of equal length: a spiral where there is one, else a supercell."""
    x, cell = _fractions(exchange, k), exchange.unit.cell
    at = (model.positions @ model.supercell)[exchange.unit.sites]
    modes = modes * turns(at, k[None])[0][:, None, None]
    if translations.period(x) > 2 and (w := _equal(modes, 8)) is not None:
        turning = _spiral(model, k, w)
        if turning is not None:
            return _first_cell(model, cell, at, turning, w.real)
    if translations.period(x) > 2 * translations.LARGEST or (w := _equal(modes, translations.period(x))) is None:
        return None
    supercell = translations.holding(cell, x, model.lattice.vectors)
    moved = translations.cosets(cell, supercell)
    n = (w * turns(moved, k[None])[0][:, None, None]).real.flatten(0, 1)
    return Arrangement(_tidy(supercell), (at + moved[:, None]).flatten(0, 1), upright(model, _unit_vectors(n)))


def _spiral(model: SpinModel, k: Tensor, w: Complex[Tensor, "kind 3"]) -> Spiral | None:
    """The spiral that turns all sites the same way, if the Hamiltonian may be turned so."""
    axis = torch.linalg.cross(w.real, -w.imag)
    if float((axis - axis[0]).abs().max()) > 1e-4:
        return None
    spiral = Spiral(k, axis[0])
    return spiral if spiral.keeps(matrices(model)) else None


def _first_cell(model: SpinModel, cell: Tensor, at: Tensor, spiral: Spiral, directions: Tensor) -> Arrangement:
    """The spiral set upright: its axis as the first three directions are turned."""
    n = _unit_vectors(directions)
    side = torch.linalg.cross(spiral.axis, n[0])
    fixed = upright(model, torch.stack((n[0], side, *n[1:])))
    axis = torch.linalg.cross(fixed[0], fixed[1])
    return Arrangement(_tidy(cell), at, torch.cat((fixed[:1], fixed[2:])), Spiral(spiral.propagation, axis))


def _equal(modes: Complex[Tensor, "kind 3 mode"], phases: int) -> Complex[Tensor, "kind 3"] | None:
    """A sum of the modes that has moments of length 1 at `phases` equal steps of the phase; None if none is found."""
    V = modes.numpy()
    phase = np.exp(2j * math.pi * np.arange(phases) / phases)
    m = V.shape[-1]

    def excess(c: np.ndarray) -> np.ndarray:
        n = ((V @ (c[:m] + 1j * c[m:]))[..., None] * phase).real
        return np.asarray((n**2).sum(1).ravel() - 1)

    random = np.random.default_rng(0)
    for _ in range(TRIES):
        found = least_squares(excess, random.normal(size=2 * m), xtol=1e-15, ftol=1e-15, gtol=1e-15)
        if np.abs(found.fun).max() < 1e-7:
            return torch.from_numpy(V @ (found.x[:m] + 1j * found.x[m:]))
    return None


def _unit_vectors(n: Float[Tensor, "site 3"]) -> Float[Tensor, "site 3"]:
    return torch.nn.functional.normalize(n, dim=-1)


def _tidy(cell: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    """The chemical cell itself where the rows span no other lattice."""
    eye = torch.eye(3, dtype=torch.float64)
    whole = bool(((cell - cell.round()).abs() < 1e-9).all())
    return eye if whole and abs(abs(float(torch.linalg.det(cell))) - 1) < 1e-9 else cell
