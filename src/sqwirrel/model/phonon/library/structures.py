"""Structures of the elements, and which bond a published neighbour is.

Neighbours of cubic and tetragonal lattices are named by their place in half edges of the cell ("110", "133"), those of
hexagonal close packing by number. Matrices of the former are in the axes of the cell. Those of the latter are in axes
x (towards the nearest atom of the other layer, within the layer), y (an edge of the cell), z (the sixfold axis). These
axes and numbers are those of the inputs of the DANSE project, not read in the papers; with them sound along c and in
the plane and Raman-active modes are as measured.
"""

from collections.abc import Mapping
from math import sqrt
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import symmetry
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.born_von_karman import values_of
from sqwirrel.model.symmetry import BondOrbit

GROUPS: dict[str, int | str] = {"fcc": 225, "bcc": 229, "hcp": 194, "fct": "-F 4 2"}
"""Space groups; face-centred tetragonal is I 4/m m m in the cell that resembles fcc (a Hall symbol)."""
HCP_SITE = (1 / 3, 2 / 3, 1 / 4)
HCP_STEPS = {
    "1": (1 / 3, -1 / 3, 1 / 2),
    "2": (1, 1, 0),
    "3": (-2 / 3, 2 / 3, 1 / 2),
    "4": (0, 0, 1),
    "5": (4 / 3, -1 / 3, 1 / 2),
    "6": (1, -1, 0),
    "7": (1, 1, 1),
    "8": (2, 2, 0),
}
"""From `HCP_SITE` to one neighbour of each shell, in the order of lengths at the ideal c / a."""
_TURNED = [[sqrt(3) / 2, 1 / 2, 0], [-1 / 2, sqrt(3) / 2, 0], [0, 0, 1]]
FRAMES = {
    name: torch.tensor(_TURNED if name == "hcp" else torch.eye(3).tolist(), dtype=torch.float64) for name in GROUPS
}
"""Columns are the axes of published matrices, in ours (a along x)."""


class Neighbour(NamedTuple):
    """A published neighbour: its name, the way to it (A), its orbit, how the first bond of that turns into it, and
    whether it then runs backwards.
    """

    name: str
    step: Float[Tensor, "3"]
    orbit: BondOrbit
    rotation: Float[Tensor, "3 3"]
    backwards: bool

    @property
    def allowed(self) -> Float[Tensor, "basis 3 3"]:
        """Basis of the matrices that symmetry permits on it."""
        turned = self.rotation @ self.orbit.allowed @ self.rotation.T
        return turned.mT if self.backwards else turned

    def values(self, matrix: Float[Tensor, "3 3"]) -> dict[str, float]:
        """Parameters with which it has this matrix."""
        turned = matrix.T if self.backwards else matrix
        return values_of(self.orbit, self.rotation.T @ turned @ self.rotation)


def crystal_of(table: Mapping[str, Any]) -> Crystal:
    """The crystal of a published model."""
    structure, a = table["structure"], float(table["a"])
    cell = [a, a, float(table.get("c", a)), 90, 90, 120 if structure == "hcp" else 90]
    site = HCP_SITE if structure == "hcp" else (0.0, 0.0, 0.0)
    return Crystal.from_spacegroup(cell, GROUPS[structure], {table["element"]: site})


def neighbours_of(table: Mapping[str, Any], crystal: Crystal) -> list[Neighbour]:
    """Those that force constants are published of, nearest first."""
    hcp = table["structure"] == "hcp"
    steps = {
        name: torch.tensor(HCP_STEPS[name] if hcp else [int(x) / 2 for x in name], dtype=torch.float64)
        for name in table["springs"]
    }
    start = torch.tensor(HCP_SITE if hcp else (0, 0, 0), dtype=torch.float64)
    lengths = {name: float((step @ crystal.lattice.vectors).norm()) for name, step in steps.items()}
    orbits = crystal.bonds(max(lengths.values()))
    return [_find(name, start, steps[name], crystal, orbits) for name in sorted(steps, key=lambda name: lengths[name])]


def _find(
    name: str, start: Float[Tensor, "3"], step: Float[Tensor, "3"], crystal: Crystal, orbits: list[BondOrbit]
) -> Neighbour:
    """The bond among those of the orbits: its ends and the cells between them, in one direction or the other."""
    ends = torch.stack((start, start + step))
    (i, j), cells, found = symmetry.locate(ends, crystal.positions, crystal.lattice.vectors)
    if not bool(found.all()):
        raise InputError(f"there is no atom at neighbour '{name}'; write its place in half edges of the cell, as '110'")
    forth = [int(i), int(j), *(cells[1] - cells[0]).tolist()]
    back = [int(j), int(i), *(cells[0] - cells[1]).tolist()]
    for orbit in orbits:
        bonds = torch.cat((orbit.i[:, None], orbit.j[:, None], orbit.offset), 1).tolist()
        for bond, rotation in zip(bonds, orbit.rotation, strict=True):
            if bond in (forth, back):
                return Neighbour(name, step @ crystal.lattice.vectors, orbit, rotation, bond != forth)
    raise AssertionError(f"neighbour {name} is in no orbit")  # bonds() reaches as far as the longest
