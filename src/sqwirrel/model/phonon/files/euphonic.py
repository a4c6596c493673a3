"""ForceConstants of Euphonic, as its `to_json_file` writes it.

`force_constants`[n, 3 i + a, 3 j + b] are those of atom i in the first cell and atom j in the cell at `cell_origins`[n]
of the supercell with the rows of `sc_matrix` (Euphonic documentation, "Force Constants"; checked against its modes).
Where there are Born charges, the interaction of dipoles has been taken out of them; the first index of a Born charge is
the displacement.
"""

from pathlib import Path
from typing import Any

import torch

from sqwirrel.errors import InputError
from sqwirrel.limits import json_of
from sqwirrel.model.inputs import mapping
from sqwirrel.model.phonon.files.crystal import (
    NAME,
    Atoms,
    cell,
    check_atoms,
    check_pairs,
    model_of,
    numbers,
    supercell_of,
    whole,
)
from sqwirrel.model.phonon.files.units import stiffness, unit
from sqwirrel.model.phonon.model import PhononModel, Polar
from sqwirrel.model.phonon.supercell import Folded

PAPER = "R. Fair et al., J. Appl. Cryst. 55, 1689 (2022), doi:10.1107/S1600576722009256"


def sniff(start: list[str]) -> bool:
    """Whether this is JSON that says it is of Euphonic, or has the first of its keys."""
    begin = "\n".join(start).lstrip()
    return begin.startswith("{") and ('"__euphonic_class__"' in begin or '"crystal"' in begin)


def read(path: Path) -> PhononModel:
    """The model, with the cell of the file as lattice."""
    content = json_of(path)
    kind = content.get("__euphonic_class__")
    if kind != "ForceConstants":
        raise InputError(f"{path.name} holds a {kind} of Euphonic; expected its ForceConstants")
    atoms = _atoms(content, path)
    n = len(atoms.positions)
    supercell = supercell_of(numbers(content.get("sc_matrix"), (3, 3), "'sc_matrix'", path), path)
    origins = whole(numbers(content.get("cell_origins"), (-1, 3), "'cell_origins'", path), "'cell_origins'", path)
    if len(origins) != abs(round(float(torch.linalg.det(supercell.to(torch.float64))))):
        raise InputError(f"{path.name} lists {len(origins)} cells of the supercell {supercell.tolist()}")
    check_pairs(len(origins) * n * n, path)
    given = numbers(content.get("force_constants"), (len(origins), 3 * n, 3 * n), "'force_constants'", path)
    constants = given.reshape(-1, n, 3, n, 3).transpose(2, 3) * stiffness(_unit(content, "force_constants"), path)
    m, i, j = torch.cartesian_prod(torch.arange(len(origins)), torch.arange(n), torch.arange(n)).unbind(1)
    folded = Folded(atoms.vectors, atoms.positions, supercell, i, j, origins[m], constants[m, i, j])
    return model_of(path, atoms, folded, _polar(content, n, path), paper=PAPER)


def _atoms(content: dict[str, Any], path: Path) -> Atoms:
    crystal = mapping(content.get("crystal"), f"'crystal' of {path.name}")
    kinds = crystal.get("atom_type")
    if not isinstance(kinds, list) or not all(isinstance(each, str) for each in kinds):
        raise InputError(f"'atom_type' of {path.name} must be a list of elements, got {kinds!r}")
    length, mass = (_unit(crystal, key) for key in ("cell_vectors", "atom_mass"))
    return check_atoms(
        Atoms(
            cell(crystal.get("cell_vectors"), unit(length, "A", path), "'cell_vectors'", path),
            numbers(crystal.get("atom_r"), (-1, 3), "'atom_r'", path),
            tuple(kinds),
            numbers(crystal.get("atom_mass"), (-1,), "'atom_mass'", path) * unit(mass, "u", path),
        ),
        path,
    )


def _polar(content: dict[str, Any], n: int, path: Path) -> Polar | None:
    if content.get("born") is None or content.get("dielectric") is None:
        return None
    charges = numbers(content["born"], (n, 3, 3), "'born'", path).mT
    return Polar(charges, numbers(content["dielectric"], (3, 3), "'dielectric'", path), NAME)


def _unit(content: dict[str, Any], key: str) -> str:
    return str(content.get(f"{key}_unit", ""))
