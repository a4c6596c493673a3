"""CIF files, read by gemmi."""

from pathlib import Path

import gemmi

from sqwirrel.errors import InputError


def read(path: Path) -> tuple[gemmi.cif.Block, gemmi.SmallStructure]:
    """The first block of a CIF that has atoms, and these, without partial occupancy."""
    if not path.is_file():
        raise InputError(f"there is no CIF file '{path}'")
    try:
        found = [(block, gemmi.make_small_structure_from_block(block)) for block in gemmi.cif.read(str(path))]
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
