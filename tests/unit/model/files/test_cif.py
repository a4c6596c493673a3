"""CIF files that are not what they should be: one sentence each."""

from pathlib import Path

import pytest

from sqwirrel.errors import InputError
from sqwirrel.model.crystal import Crystal
from tests.cases import MNF2_CIF


def read(folder: Path, text: str) -> Crystal:
    path = folder / "file.cif"
    path.write_text(text, encoding="utf-8")
    return Crystal.from_cif(path)


def test_numbers_with_an_error_in_brackets_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, MNF2_CIF).lattice.c == pytest.approx(3.2998)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("_cell_length_c 3.2998(4)\n", "", "lacks _cell_length_c; give the number"),
        ("3.2998(4)", "3.2998(4", r"has '3.2998\(4' for _cell_length_c"),
        ("Mn1 Mn 0 0 0", "Mn1 Mn ? ? ?", r"_atom_site_fract_x of 'Mn1' is '\?'; expected a number"),
        ("Mn1 Mn 0 0 0", "Mn1 Mn 0 0 zero", "_atom_site_fract_z of 'Mn1' is 'zero'"),
        ("Mn1 Mn 0 0 0", "Mn1 Mn 0 0 1e400", "_atom_site_fract_z of 'Mn1' is '1e400'"),  # spglib would crash
        ("3.2998(4)", "-1e9", "has '-1e9' for _cell_length_c"),
    ],
)
def test_what_is_no_number_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, MNF2_CIF.replace(old, new))


def test_an_atom_beside_its_special_position_is_named(tmp_path: Path) -> None:
    crystal = read(tmp_path, MNF2_CIF.replace("Mn1 Mn 0 0 0", "Mn1 Mn 0.01 0 0"))
    with pytest.raises(InputError, match=r"no symmetry operation takes site 'Mn1' from \(0.01, 0, 0\)"):
        crystal.allowed_anisotropy("Mn1")
