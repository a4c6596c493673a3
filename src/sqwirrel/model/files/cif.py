"""CIF files, read by gemmi."""

import re
from pathlib import Path

import gemmi

from sqwirrel.errors import InputError
from sqwirrel.limits import check_file, text

LARGEST = 1e6
"""Edges (angstrom), angles (degrees) and coordinates are below this; spglib does not survive an infinite one."""
CELL = "length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"


def read(path: Path) -> tuple[gemmi.cif.Block, gemmi.SmallStructure]:
    """The first block of a CIF that has atoms, and these, without partial occupancy."""
    check_file(path)
    try:
        blocks = [block for block in gemmi.cif.read_string(text(path)) if len(block.find("_atom_site_fract_", ["x"]))]
        for block in blocks:
            _check_numbers(block, path)
        found = [(block, gemmi.make_small_structure_from_block(block)) for block in blocks]
    except InputError:
        raise
    except (RuntimeError, ValueError) as error:
        raise InputError(f"'{path}' is not a readable CIF file: {error}") from None
    with_atoms = [(block, each) for block, each in found if len(each.sites)]
    if not with_atoms:
        raise InputError(f"CIF file '{path}' lists no atoms (_atom_site_fract_x, ...)")
    block, structure = with_atoms[0]
    if partial := [site for site in structure.sites if site.occ < 0.999 or site.disorder_group]:
        raise InputError(
            f"CIF file '{path}' has partial occupancy or disorder, first at site '{partial[0].label}' (occupancy "
            f"{partial[0].occ:g}); a spin model needs an ordered structure, so edit the file to one"
        )
    return block, structure


def atoms(structure: gemmi.SmallStructure) -> list[gemmi.SmallStructure.Site]:
    """All atoms of the cell, by the file's own symmetry operations, which must be readable."""
    if structure.spacegroup is None:
        raise InputError("the CIF file names no space group that gemmi knows; give _space_group_name_H-M_alt")
    return list(structure.get_all_unit_cell_sites())


def _check_numbers(block: gemmi.cif.Block, path: Path) -> None:
    """The cell and the positions must be numbers before gemmi makes a structure of them."""
    for name in CELL:
        value = block.find_value(f"_cell_{name}")
        if value is None or not _is_number(value):
            given = "lacks" if value is None else f"has '{value}' for"
            raise InputError(f"CIF file '{path}' {given} _cell_{name}; give the number, in A or degrees")
    table = block.find("_atom_site_", ["label", "fract_x", "fract_y", "fract_z"])
    for label, *position in table:
        for axis, value in zip("xyz", position, strict=True):
            if not _is_number(value):
                raise InputError(
                    f"CIF file '{path}': _atom_site_fract_{axis} of '{label}' is '{value}'; expected a number, so give "
                    "it or take the atom out"
                )


def _is_number(value: str) -> bool:
    match = re.fullmatch(r"([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)(\(\d+\))?", value)
    return match is not None and abs(float(match[1])) < LARGEST
