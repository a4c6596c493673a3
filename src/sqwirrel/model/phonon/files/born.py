"""The BORN file of phonopy: dielectric tensor and Born charges of the atoms that symmetry does not make of others.

One line with the unit, e^2 / 4 pi epsilon_0 in those of the force constants (or without: then charges are in e), one
with the nine elements of the dielectric tensor, and one for each independent atom of the primitive cell.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.limits import check_file, text_lines
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.files.crystal import Atoms, numbers


def read(path: Path, atoms: Atoms) -> tuple[Float[Tensor, "atom 3 3"], Float[Tensor, "3 3"], float | None]:
    """Charges of all atoms, as they are or turned by symmetry; dielectric tensor; the unit, if there is one."""
    check_file(path)
    lines = [line.split() for line in text_lines(path) if line.strip()]
    if len(lines) < 3:
        raise InputError(f"{path.name} has {len(lines)} lines; expected a unit, a dielectric tensor and Born charges")
    dielectric, *given = (numbers(line, (9,), f"line {k}", path).reshape(3, 3) for k, line in enumerate(lines[1:], 2))
    return _spread(torch.stack(given), atoms, path), dielectric, _factor(lines[0])


def _factor(line: list[str]) -> float | None:
    """The number that a first line starts with; it may be words only."""
    try:
        return float(line[0])
    except ValueError:
        return None


def _spread(given: Float[Tensor, "kind 3 3"], atoms: Atoms, path: Path) -> Float[Tensor, "atom 3 3"]:
    """Charges of all atoms from those of the first of each kind: R Z R^T, averaged over what takes it there."""
    numbers_of = [sorted(set(atoms.elements)).index(each) + 1 for each in atoms.elements]
    labels = [str(k) for k in range(len(atoms.elements))]
    where = f"the atoms of {path.name}"
    lattice = Lattice.from_vectors(atoms.vectors)
    crystal = Crystal.from_atoms(lattice, labels, numbers_of, atoms.positions.tolist(), where=where)
    image, R = crystal.action.image, crystal.action.R
    first: Tensor = torch.unique(image.amin(0))
    if len(given) != len(first):
        raise InputError(
            f"{path.name} has Born charges of {len(given)} atoms; expected those of atoms "
            f"{', '.join(str(k + 1) for k in first.tolist())} of the primitive cell, which symmetry does not relate"
        )
    total = torch.zeros(len(labels), 3, 3, dtype=torch.float64)
    for charge, atom in zip(given, first.tolist(), strict=True):
        total.index_add_(0, image[:, atom], R @ charge @ R.mT)
    count = torch.bincount(image[:, first].flatten(), minlength=len(labels))
    return total / count[:, None, None]
