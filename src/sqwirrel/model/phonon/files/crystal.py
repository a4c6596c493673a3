"""What a file of force constants says, checked once, and the model that it makes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model.inputs import HUGE
from sqwirrel.model.phonon.model import PhononModel, Polar
from sqwirrel.model.phonon.supercell import Folded, springs

NAME = "stiffness"
WHOLE = 1e-3
"""How far a number that should be whole may be off, in vectors of a cell."""
WIDEST = 50
"""Cells that a vector of a supercell may reach over along each of theirs."""
MOST_PAIRS = 2**18
"""Pairs of an atom of the cell and one of the supercell: 50 atoms in 100 cells; some seconds."""


class Atoms(NamedTuple):
    """Atoms of a cell with the rows of `vectors`, A; fractional positions, masses in u."""

    vectors: Float[Tensor, "3 3"]
    positions: Float[Tensor, "atom 3"]
    elements: tuple[str, ...]
    masses: Float[Tensor, " atom"]


def model_of(
    path: Path,
    atoms: Atoms,
    folded: Folded,
    polar: Polar | None,
    lattice: Float[Tensor, "3 3"] | None = None,
    paper: str = "",
) -> PhononModel:
    """The model of a file; `lattice` is what wavevectors refer to, unless the cell of the atoms."""
    vectors = atoms.vectors if lattice is None else lattice
    return PhononModel(
        name="".join(dict.fromkeys(atoms.elements)),
        title=f"force constants of {path.name}",
        lattice=Lattice.from_vectors(vectors),
        positions=atoms.positions,
        elements=atoms.elements,
        springs=(springs(NAME, folded),),
        primitive=atoms.vectors @ torch.linalg.inv(vectors),
        masses=atoms.masses,
        polar=polar,
        defaults={NAME: 1.0},
        papers=(paper,) if paper else (),
    )


def numbers(value: object, shape: tuple[int, ...], what: str, path: Path) -> Float[Tensor, "..."]:
    """Finite numbers in an array of this shape, where -1 is any length but 0."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    fits = array.ndim == len(shape) and all(
        length == wanted or (wanted == -1 and length) for length, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits or not bool((np.abs(array) < HUGE).all()):
        wanted = " x ".join("any number" if n == -1 else str(n) for n in shape)
        wanted = f"{wanted} finite numbers" if shape else "one finite number"
        raise InputError(f"{what} of {path.name} must be {wanted}; write the file again")
    return torch.from_numpy(array)


def whole(array: Float[Tensor, "*shape"], what: str, path: Path) -> Int64[Tensor, "*shape"]:
    """As whole numbers; refuses others."""
    if bool(((array - array.round()).abs() > WHOLE).any()):
        raise InputError(f"{what} of {path.name} must be whole numbers, got {array.flatten()[:9].tolist()}")
    return array.round().to(torch.int64)


def cell(value: object, scale: float, what: str, path: Path) -> Float[Tensor, "3 3"]:
    """Three vectors that span a cell, A."""
    vectors = scale * numbers(value, (3, 3), what, path)
    if not 1e-3 < abs(float(torch.linalg.det(vectors))) < HUGE:
        raise InputError(f"{what} of {path.name} are no three vectors that span a cell: {vectors.tolist()}")
    return vectors


def check_atoms(atoms: Atoms, path: Path) -> Atoms:
    """Refuses a cell without atoms, and masses that are none."""
    if not len(atoms.elements) == len(atoms.positions) == len(atoms.masses) > 0:
        raise InputError(
            f"{path.name} has {len(atoms.elements)} elements, {len(atoms.positions)} positions and "
            f"{len(atoms.masses)} masses; expected one of each per atom"
        )
    return atoms


def supercell_of(array: Float[Tensor, "3 3"], path: Path) -> Int64[Tensor, "3 3"]:
    """Rows of whole numbers of cells; refuses what is no supercell that anyone would compute."""
    found = whole(array, "the supercell", path)
    if int(found.abs().max()) > WIDEST or abs(float(torch.linalg.det(found.to(torch.float64)))) < 0.5:
        raise InputError(f"{path.name} has a supercell of {found.tolist()} cells; write it with shorter vectors")
    return found


def check_pairs(pairs: int, path: Path) -> None:
    """Refuses more pairs of atoms than are worked through in a few seconds."""
    if pairs > MOST_PAIRS:
        raise InputError(f"{path.name} has force constants of {pairs} pairs of atoms; at most {MOST_PAIRS} are read")
