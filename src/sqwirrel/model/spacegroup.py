"""Space groups by number, symbol or operations that generate them; the tables are gemmi's."""

from collections.abc import Sequence

import gemmi
import torch
from jaxtyping import Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice

FIT = 1e-3
"""Relative misfit of a cell to its space group that counts as rounding in a file."""

SHAPES = {
    "monoclinic": "two right angles",
    "orthorhombic": "three right angles",
    "tetragonal": "a = b and three right angles",
    "trigonal": "a = b, alpha = beta = 90 and gamma = 120, or three equal edges and angles",
    "hexagonal": "a = b, alpha = beta = 90 and gamma = 120",
    "cubic": "a = b = c and three right angles",
}


def operations_of(spacegroup: str | int | Sequence[str], lattice: Lattice) -> tuple[Tensor, Tensor]:
    """Rotations and translations of a space group that the cell fits."""
    if isinstance(spacegroup, list | tuple):
        group, name, table = None, ", ".join(map(str, spacegroup)), _generated(spacegroup)
    else:
        name = str(spacegroup).strip()
        group = _find_group(name, lattice)
        table = group.operations() if group else _hall(name)
    operations = list(table)
    rotations = torch.tensor([operation.rot for operation in operations]) // gemmi.Op.DEN
    translations = torch.tensor([operation.tran for operation in operations], dtype=torch.float64) / gemmi.Op.DEN
    shape = SHAPES.get(group.crystal_system_str(), "") if group else ""
    check_cell(lattice, rotations, f"space group '{group.xhm() if group else name}'", shape)
    return rotations, translations


def _find_group(name: str, lattice: Lattice) -> gemmi.SpaceGroup | None:
    """The group by number or Hermann-Mauguin symbol; the cell's angles tell rhombohedral from hexagonal axes."""
    if name.isdigit():
        group = gemmi.find_spacegroup_by_number(int(name)) if 1 <= int(name) <= 230 else None
        if group is None:
            raise InputError(f"there is no space group number {name}; they run from 1 to 230")
        name = group.hm
    return gemmi.find_spacegroup_by_name(name, lattice.alpha, lattice.gamma, "2H")


def _hall(name: str) -> gemmi.GroupOps:
    try:
        table = gemmi.symops_from_hall(name)
    except (RuntimeError, ValueError):
        table = None
    if table is None or not name:
        raise InputError(
            f"space group '{name}' is not known; give a number (136), a Hermann-Mauguin symbol ('P 42/m n m') or a "
            "Hall symbol ('-P 4n 2n')"
        )
    return table


def check_cell(lattice: Lattice, rotations: Int64[Tensor, "operation 3 3"], group: str, shape: str) -> None:
    """Refuses a cell whose metric G = A A^T does not obey W^T G W = G."""
    G = lattice.vectors @ lattice.vectors.T
    W = rotations.to(G)
    if float((W.mT @ G @ W - G).abs().max()) > FIT * float(G.abs().max()):
        cell = ", ".join(f"{each:g}" for each in (lattice.a, lattice.b, lattice.c))
        angles = ", ".join(f"{each:g}" for each in (lattice.alpha, lattice.beta, lattice.gamma))
        needs = f", which needs {shape}" if shape else ""
        raise InputError(f"the cell {cell} A, {angles} degrees does not fit {group}{needs}")


def _generated(operations: Sequence[str]) -> gemmi.GroupOps:
    """The group that operations such as "-x, y, z+1/2" generate."""
    try:
        group = gemmi.GroupOps([gemmi.Op("x,y,z"), *map(gemmi.Op, operations)])
        group.add_missing_elements()
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"the symmetry operations {list(operations)} generate no space group: {error}") from None
    return group
