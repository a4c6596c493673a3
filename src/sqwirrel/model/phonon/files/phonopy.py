"""phonopy.yaml: cells, masses, and force constants and Born charges, in it or in a file beside it.

Force constants [i, j, a, b] are those of atom i (of the primitive cell, or of all) and atom j of the supercell. They
are taken from the yaml, else from FORCE_CONSTANTS, else from force_constants.hdf5, the order that phonopy has (A. Togo,
J. Phys. Soc. Jpn. 92, 012001 (2023), doi:10.7566/JPSJ.92.012001).
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.limits import check_count, is_file, yaml_of
from sqwirrel.model.inputs import mapping
from sqwirrel.model.phonon.files import born, constants
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
from sqwirrel.units import COULOMB

PAPER = "A. Togo, J. Phys. Soc. Jpn. 92, 012001 (2023), doi:10.7566/JPSJ.92.012001"
KEYS = ("phonopy:", "physical_unit:", "primitive_cell:", "supercell:", "force_constants:")


class Mapped(NamedTuple):
    """Which atom of the primitive cell each atom of the supercell is, in which cell, and where the former are in it."""

    kind: Int64[Tensor, " site"]
    offset: Int64[Tensor, "site 3"]
    first: Int64[Tensor, " atom"]


def sniff(start: list[str]) -> bool:
    """Whether this is a mapping of YAML with keys of phonopy."""
    return any(line.startswith(KEYS) for line in start)


def read(path: Path) -> PhononModel:
    """The model, with the unit cell of the file as lattice."""
    content = yaml_of(path)
    units = mapping(content.get("physical_unit") or {}, f"'physical_unit' of {path.name}")
    scale = unit(str(units.get("length", "angstrom")), "A", path)
    atoms, sites = (_cell(content, key, scale, path) for key in ("primitive_cell", "supercell"))
    supercell = supercell_of(sites.vectors @ torch.linalg.inv(atoms.vectors), path)
    mapped = _mapped(atoms, sites, content, path)
    check_pairs(len(atoms.positions) * len(sites.positions), path)
    spring = stiffness(str(units.get("force_constants", "eV/angstrom^2")), path)
    found = spring * _constants(content, mapped, path)
    i, j = torch.cartesian_prod(torch.arange(len(atoms.positions)), torch.arange(len(mapped.kind))).unbind(1)
    offset = mapped.offset[j] - mapped.offset[mapped.first[i]]
    folded = Folded(atoms.vectors, atoms.positions, supercell, i, mapped.kind[j], offset, found[i, j])
    electric = _electric(content, atoms, spring * scale**3, path)
    polar = None if electric is None else Polar(*electric, NAME, supercell)
    unit_cell = _cell(content, "unit_cell", scale, path).vectors if "unit_cell" in content else None
    return model_of(path, atoms, folded, polar, unit_cell, PAPER)


def _cell(content: dict[str, Any], key: str, scale: float, path: Path) -> Atoms:
    """A cell of the file."""
    given = mapping(content.get(key), f"'{key}' of {path.name}")
    points = given.get("points")
    if not isinstance(points, list) or not all(isinstance(each, dict) for each in points):
        raise InputError(f"'{key}' of {path.name} lists no atoms under 'points'")
    read_from = f"'{key}'"
    return check_atoms(
        Atoms(
            cell(given.get("lattice"), scale, f"'lattice' of {read_from}", path),
            numbers([each.get("coordinates") for each in points], (-1, 3), f"the coordinates of {read_from}", path),
            tuple(str(each.get("symbol")).rstrip("0123456789") for each in points),
            numbers([each.get("mass") for each in points], (-1,), f"the masses of {read_from}", path),
        ),
        path,
    )


def _mapped(atoms: Atoms, sites: Atoms, content: dict[str, Any], path: Path) -> Mapped:
    """By position; the atoms of the primitive cell are the `reduced_to` of the supercell, else the first of each."""
    places = sites.positions @ sites.vectors @ torch.linalg.inv(atoms.vectors)
    gap = places[:, None] - atoms.positions
    distance = ((gap - gap.round()) @ atoms.vectors).norm(dim=-1)
    near, kind = distance.min(1)
    count = torch.bincount(kind, minlength=len(atoms.positions))
    if float(near.max()) > 1e-2 or bool((count != len(sites.positions) // len(atoms.positions)).any()):
        raise InputError(f"the supercell of {path.name} is not made of its primitive cell; write the file again")
    offset = (places - atoms.positions[kind]).round().to(torch.int64)
    named = [each.get("reduced_to") for each in content["supercell"]["points"]]
    listed = sorted({each - 1 for each in named if isinstance(each, int)})
    fits = len(listed) == len(count) and listed[0] >= 0 and listed[-1] < len(kind)
    first = torch.tensor(listed) if fits else torch.tensor([kind.tolist().index(k) for k in range(len(count))])
    first = first[kind[first].argsort()]
    if kind[first].tolist() != list(range(len(count))):
        raise InputError(f"'reduced_to' of {path.name} does not name one atom of each kind; write the file again")
    return Mapped(kind, offset, first)


def _constants(content: dict[str, Any], mapped: Mapped, path: Path) -> Float[Tensor, "atom site 3 3"]:
    """Those of the atoms of the primitive cell, in the unit of the file."""
    n, sites = len(mapped.first), len(mapped.kind)
    if "force_constants" in content:
        found = _inside(content["force_constants"], path)
    elif is_file(beside := path.parent / "FORCE_CONSTANTS"):
        found = constants.read_text(beside)
    elif is_file(beside := path.parent / "force_constants.hdf5"):
        found = constants.read_hdf5(beside)
    else:
        raise InputError(
            f"{path.name} has no force constants, and beside it is neither FORCE_CONSTANTS nor force_constants.hdf5; "
            "let phonopy write them: phonopy-load --writefc"
        )
    if found.shape[:2] not in {(n, sites), (sites, sites)}:
        raise InputError(
            f"the force constants of {path.name} are of {found.shape[0]} x {found.shape[1]} atoms; expected {n} or "
            f"{sites} x {sites}, the atoms of its cells"
        )
    return found if len(found) == n and n != sites else found[mapped.first]


def _inside(given: object, path: Path) -> Float[Tensor, "row site 3 3"]:
    """Force constants in the yaml."""
    held = mapping(given, f"'force_constants' of {path.name}")
    shape = whole(numbers(held.get("shape"), (2,), "the shape of the force constants", path), "the shape", path)
    rows, sites = shape.tolist()
    check_count(9 * rows * sites, "force_constants", path)
    found = numbers(held.get("elements"), (math.prod((rows, sites)), 3, 3), "'force_constants'", path)
    return found.reshape(rows, sites, 3, 3)


def _electric(
    content: dict[str, Any], atoms: Atoms, scale: float, path: Path
) -> tuple[Float[Tensor, "atom 3 3"], Float[Tensor, "3 3"]] | None:
    """Born charges and dielectric tensor; `scale` is what turns the file's e^2 / 4 pi epsilon_0 into N/m A^3.

    That number is the file's own: where it differs from ours, charges are multiplied by the root of the ratio.
    """
    held = mapping(content.get("nac") or content, f"'nac' of {path.name}")
    if "born_effective_charge" in held and "dielectric_constant" in held:
        charges = numbers(held["born_effective_charge"], (len(atoms.positions), 3, 3), "'born_effective_charge'", path)
        dielectric = numbers(held["dielectric_constant"], (3, 3), "'dielectric_constant'", path)
        factor = held.get("unit_conversion_factor")
        factor = None if factor is None else float(numbers(factor, (), "'unit_conversion_factor'", path))
    elif is_file(beside := path.parent / "BORN"):
        charges, dielectric, factor = born.read(beside, atoms)
    else:
        return None
    if factor is not None and factor <= 0:
        raise InputError(f"the unit conversion factor of the Born charges of {path.name} is {factor}; it is positive")
    return charges * (1.0 if factor is None else math.sqrt(factor * scale / COULOMB)), dielectric
