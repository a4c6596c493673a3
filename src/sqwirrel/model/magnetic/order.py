"""Magnetic cells: a crystal's magnetic atoms repeated to the period of the order, their directions and their bonds.

All positions called chemical are fractional in the chemical cell, without folding; the magnetic cell has its own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Complex, Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import inputs, symmetry
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.files.exchange import Table
from sqwirrel.model.magnetic import stevens
from sqwirrel.model.symmetry import BondOrbit, Ends

CLOSE = 1e-3
"""Fractional coordinates, and phases in turns, that differ by less are equal: three digits in a file."""


@dataclass(frozen=True, eq=False)
class Spiral:
    """Moments of the cell moved by a lattice translation t are those of the first, turned about `axis` by 2 pi k . t.

    `axis` is Cartesian (made a unit vector here); `propagation` k, in reciprocal lattice units of the chemical cell, is
    held: it does not follow the parameters.
    """

    propagation: Float[Tensor, "3"]
    axis: Float[Tensor, "3"]

    def __post_init__(self) -> None:
        """Converts and checks both."""
        object.__setattr__(self, "propagation", inputs.floats(self.propagation))
        axis = inputs.floats(self.axis)
        if not bool(axis.any()):
            raise InputError("the axis of the spiral is zero; give the Cartesian direction that moments turn about")
        object.__setattr__(self, "axis", torch.nn.functional.normalize(axis, dim=0))

    @property
    def cross(self) -> Float[Tensor, "3 3"]:
        """The matrix of axis x v."""
        x, y, z = self.axis.tolist()
        return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)

    def rotation(self, at: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3 3"]:
        """Rotations by 2 pi k . at."""
        angle = (2 * math.pi * (at @ self.propagation))[..., None, None]
        return (
            torch.eye(3, dtype=torch.float64) + angle.sin() * self.cross + (1 - angle.cos()) * self.cross @ self.cross
        )

    def harmonic(self, order: int) -> Complex[Tensor, "3 3"]:
        """The part of `rotation` that goes as exp(2 pi i order propagation . r): order -1, 0 or 1."""
        square = self.cross @ self.cross
        return torch.eye(3) + square + 0j if order == 0 else -(square + 1j * order * self.cross) / 2

    def keeps(self, matrices: Float[Tensor, "n 3 3"]) -> bool:
        """Whether rotations about the axis leave the matrices unchanged."""
        change = self.cross @ matrices - matrices @ self.cross
        return not len(matrices) or bool((change.abs() <= 1e-6 * matrices.abs().max()).all())

    def keeps_functions(self, functions: Float[Tensor, "n 28"]) -> bool:
        """Whether rotations about the axis leave functions of the moment (`stevens`) unchanged."""
        by_one_radian = torch.matrix_exp(self.cross)  # no fraction of a turn
        change = stevens.turned(functions, by_one_radian) - functions
        return not len(functions) or bool((change.abs() <= 1e-6 * functions.abs().max()).all())


@dataclass(frozen=True, eq=False)
class MagneticCell:
    """Atoms of the magnetic cell: atom m is site `site`[m] of `crystal`, moved by `cell`[m] chemical cells.

    Rows of `supercell` are the magnetic cell in chemical lattice vectors; `directions` are Cartesian unit vectors.
    """

    crystal: Crystal
    supercell: Float[Tensor, "3 3"]
    site: Int64[Tensor, " atom"]
    cell: Int64[Tensor, "atom 3"]
    directions: Float[Tensor, "atom 3"]

    @property
    def chemical(self) -> Float[Tensor, "atom 3"]:
        """Chemical positions of the atoms."""
        return self.crystal.positions[self.site] + self.cell

    @property
    def positions(self) -> Float[Tensor, "atom 3"]:
        """Positions in the magnetic cell, in [0, 1)."""
        return symmetry.wrap(self.chemical @ torch.linalg.inv(self.supercell))

    @property
    def vectors(self) -> Float[Tensor, "3 3"]:
        """Rows of the magnetic cell, A."""
        return self.supercell @ self.crystal.lattice.vectors

    def bonds(
        self, bonds: BondOrbit | Table, matrices: Float[Tensor, "bond 3 3"]
    ) -> tuple[Int64[Tensor, " kept"], Int64[Tensor, " kept"], Int64[Tensor, "kept 3"], Float[Tensor, "kept 3 3"]]:
        """The bonds in the magnetic cell, each once: ends i and j, offset of j in magnetic cells, matrix."""
        found: dict[Ends, Tensor] = {}
        for bond, M in self._directed(bonds, matrices):
            if symmetry.reverse(bond) not in found:
                found[bond] = M
        expected = len(bonds.i) * float(torch.linalg.det(self.supercell).abs())
        assert len(found) == round(expected), f"{len(found)} bonds where the cell's volume asks for {expected}"
        i, j, offset = (torch.tensor(part) for part in zip(*found, strict=True))
        return i, j, offset, torch.stack(list(found.values()))

    def _directed(self, bonds: BondOrbit | Table, matrices: Float[Tensor, "bond 3 3"]) -> list[tuple[Ends, Tensor]]:
        """Every bond from each of its ends that is an atom of the magnetic cell."""
        ends = [*zip(bonds.i, bonds.j, bonds.offset, matrices, strict=True)]
        ends += [*zip(bonds.j, bonds.i, -bonds.offset, matrices.mT, strict=True)]
        start = [(m, j, self.cell[m] + o, M) for i, j, o, M in ends for m in (self.site == i).nonzero()[:, 0].tolist()]
        far = torch.stack([self.crystal.positions[j] + n for _, j, n, _ in start]) @ torch.linalg.inv(self.supercell)
        atom, cell, _ = symmetry.locate(far, self.positions, self.vectors)
        # `positions` are folded, so the first end may lie in another magnetic cell than its chemical position.
        home = (self.chemical @ torch.linalg.inv(self.supercell) - self.positions).round().to(torch.int64)
        found = []
        for (m, _, _, M), b, c in zip(start, atom.tolist(), cell, strict=True):
            x, y, z = (c - home[m]).tolist()
            found.append(((m, b, (x, y, z)), M))
        return found


def magnetic_cell(crystal: Crystal, order: Mapping[str, object]) -> MagneticCell:
    """From the [order] table of a model file, with the keys `supercell`, `propagation`, `axis` and `spins`.

    A spin's direction holds for its position, chemical, modulo the supercell; for the copy moved by a chemical
    lattice translation t it is multiplied with cos 2 pi k.t, which must be 1 or -1, k being the propagation; with an
    axis it is turned about that by 2 pi k.t.
    """
    supercell = _supercell(crystal, order.get("supercell", torch.eye(3).tolist()))
    k = inputs.numbers(order.get("propagation", [0, 0, 0]), (3,), "[order] propagation")
    turns = supercell @ k
    turning = spiral(order)
    if turning is None and not torch.allclose(turns, turns.round(), atol=CLOSE):
        raise InputError(
            f"[order] the propagation {k.tolist()} has not the period of the supercell {supercell.tolist()}; choose "
            "rows with a whole number of k.t, or give the axis of a spiral"
        )
    spins = [
        (inputs.numbers(s["position"], (3,), "position"), inputs.numbers(s["direction"], (3,), "direction"))
        for s in inputs.tables(order.get("spins", []), "[[order.spins]]", "position direction")
    ]
    site, cell = _atoms(crystal, supercell)
    at = crystal.positions[site] + cell
    directions = [_direction(crystal, supercell, k, turning, spins, point) for point in at]
    _check_used(crystal, spins)
    return MagneticCell(crystal, supercell, site, cell, torch.stack(directions))


def spiral(order: Mapping[str, object]) -> Spiral | None:
    """The spiral of an [order] table that has an `axis`."""
    if "axis" not in order:
        return None
    if "propagation" not in order:
        raise InputError("[order] has an axis but no propagation; a spiral needs both")
    k = inputs.numbers(order["propagation"], (3,), "[order] propagation")
    return Spiral(k, inputs.numbers(order["axis"], (3,), "[order] axis"))


def _supercell(crystal: Crystal, value: object) -> Float[Tensor, "3 3"]:
    """Rows that are lattice translations and span a volume."""
    supercell = inputs.numbers(value, (3, 3), "[order] supercell")
    for row in supercell:
        if not any(_whole(row - t) for t in _centring(crystal)):
            raise InputError(
                f"[order] supercell: {row.tolist()} is not a lattice translation of the chemical structure"
            )
    if abs(float(torch.linalg.det(supercell))) < CLOSE:
        raise InputError(f"[order] supercell: the rows {supercell.tolist()} lie in one plane")
    return supercell


def _centring(crystal: Crystal) -> list[Tensor]:
    """Lattice translations in one chemical cell, zero first."""
    identity = (crystal.rotations == torch.eye(3, dtype=torch.int64)).all(-1).all(-1)
    return sorted(crystal.translations[identity], key=lambda t: float(t.abs().sum()))


def _atoms(crystal: Crystal, supercell: Float[Tensor, "3 3"]) -> tuple[Int64[Tensor, " atom"], Int64[Tensor, "atom 3"]]:
    """Sites and chemical cells of the atoms in the magnetic cell, ordered by site."""
    corners = torch.tensor(list(product((0.0, 1.0), repeat=3)), dtype=torch.float64) @ supercell
    low, high = corners.amin(0).floor().int().tolist(), corners.amax(0).ceil().int().tolist()
    cells = torch.cartesian_prod(*(torch.arange(a - 1, b + 1) for a, b in zip(low, high, strict=True)))
    x = (crystal.positions[:, None] + cells) @ torch.linalg.inv(supercell)
    site, n = ((x > -CLOSE / 10) & (x < 1 - CLOSE / 10)).all(-1).nonzero(as_tuple=True)
    expected = len(crystal.sites) * abs(float(torch.linalg.det(supercell)))
    assert len(site) == round(expected), f"{len(site)} atoms where the cell's volume asks for {expected}"
    return site, cells[n]


def _direction(
    crystal: Crystal,
    supercell: Float[Tensor, "3 3"],
    k: Float[Tensor, "3"],
    turning: Spiral | None,
    spins: list[tuple[Tensor, Tensor]],
    point: Float[Tensor, "3"],
) -> Float[Tensor, "3"]:
    """Direction of the atom at a chemical position, from the spin there or else from the nearest kind of copy."""
    inverse = torch.linalg.inv(supercell)
    same = [
        (torch.zeros(3).to(k) if turning is None else point - p, d) for p, d in spins if _whole((point - p) @ inverse)
    ]
    copies = [[((point - p - t).round() + t, d) for p, d in spins if _whole(point - p - t)] for t in _centring(crystal)]
    found = next((each for each in (same, *copies) if each), [])
    where = symmetry.spell(point)
    if len(found) != 1:
        raise InputError(
            f"[order] {len(found) or 'no'} spins are given for the magnetic atom at {where}; give one entry of "
            "[[order.spins]] for each magnetic atom of the chemical cell or of the supercell"
        )
    t, direction = found[0]
    if not bool(direction.any()):
        raise InputError(f"[order] the direction of the spin at {where} is zero; give a Cartesian direction")
    if turning is not None:
        return torch.nn.functional.normalize(turning.rotation(t) @ direction, dim=0)
    factor = math.cos(2 * math.pi * float(k @ t))
    if abs(abs(factor) - 1) > CLOSE:
        raise InputError(
            f"[order] the atom at {where} gets {factor:.3g} times the direction {direction.tolist()}, which is no unit "
            "vector; give the spins of the supercell one by one"
        )
    return torch.div(direction * round(factor), torch.linalg.vector_norm(direction)) + 0.0


def _check_used(crystal: Crystal, spins: list[tuple[Tensor, Tensor]]) -> None:
    for position, _ in spins:
        if not any(_whole(position - at) for at in crystal.positions):
            raise InputError(f"[[order.spins]] position {symmetry.spell(position)} is not that of a magnetic atom")


def _whole(x: Float[Tensor, "3"]) -> bool:
    """Whether all components are whole numbers."""
    return bool(((x - x.round()).abs() < CLOSE).all())
