"""CIF files, read by gemmi, and symmetry operations as they are written there."""

from collections.abc import Sequence
from pathlib import Path

import gemmi

from sqwirrel.errors import InputError


def structure(path: Path) -> gemmi.SmallStructure:
    """The first block of a CIF that has atoms, without partial occupancy."""
    if not path.is_file():
        raise InputError(f"there is no CIF file '{path}'")
    try:
        structures = [gemmi.make_small_structure_from_block(block) for block in gemmi.cif.read(str(path))]
    except (RuntimeError, ValueError) as error:
        raise InputError(f"'{path}' is not a readable CIF file: {error}") from None
    structures = [each for each in structures if len(each.sites)]
    if not structures:
        raise InputError(f"CIF file '{path}' lists no atoms (_atom_site_fract_x, ...)")
    if partial := [site for site in structures[0].sites if site.occ < 0.999 or site.disorder_group]:
        raise InputError(
            f"CIF file '{path}' has partial occupancy or disorder, first at site '{partial[0].label}' (occupancy "
            f"{partial[0].occ:g}); a spin model needs an ordered structure, so edit the file to one"
        )
    return structures[0]


def atoms(structure: gemmi.SmallStructure) -> list[gemmi.SmallStructure.Site]:
    """All atoms of the cell, by the file's own symmetry operations, which must be readable."""
    if structure.spacegroup is None:
        raise InputError("the CIF file names no space group that gemmi knows; give _space_group_name_H-M_alt")
    return list(structure.get_all_unit_cell_sites())


def generated(operations: Sequence[str]) -> gemmi.GroupOps:
    """The group that operations such as "-x, y, z+1/2" generate."""
    try:
        group = gemmi.GroupOps([gemmi.Op("x,y,z"), *map(gemmi.Op, operations)])
        group.add_missing_elements()
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"the symmetry operations {list(operations)} generate no space group: {error}") from None
    return group
