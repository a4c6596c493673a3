"""Model files of springs, and the elements of their sites."""

from pathlib import Path

import pytest

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.phonon.parse import parse

ICE = {
    "name": "x",
    "crystal": {
        "cell": [4.0, 4.0, 4.0, 90, 90, 90],
        "spacegroup": 221,
        "sites": [
            {"label": "OW1", "position": [0, 0, 0]},
            {"label": "heavy", "element": "2-H", "position": [0.5, 0.5, 0.5]},
        ],
    },
    "springs": {"max_distance": 3.6},
    "defaults": {"K1xx": 10.0, "K1xy": 3.0},
}


def test_elements_are_those_given_or_begin_the_label() -> None:
    model = parse(ICE)
    assert model.elements == ("O", "2-H")
    assert model.masses.tolist() == pytest.approx([15.999, 2.014], abs=1e-3)
    assert model.names == ("K1xx", "K1xy")


def test_elements_of_a_structure_file_are_its_own(tmp_path: Path) -> None:
    """A carbon atom named Ca1, deuterium named H1."""
    (tmp_path / "x.cif").write_text(
        "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
        "_cell_angle_gamma 90\n_symmetry_space_group_name_H-M 'P m -3 m'\nloop_\n_atom_site_label\n"
        "_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        "Ca1 C 0 0 0\nH1 D 0.5 0.5 0.5\n"
    )
    model = born_von_karman(Crystal.from_cif(tmp_path / "x.cif"), 3.6)
    assert sorted(model.elements) == ["C", "D"]
    assert sorted(model.masses.tolist()) == pytest.approx([2.014, 12.011], abs=1e-3)


def test_wrong_files_are_one_sentence() -> None:
    with pytest.raises(InputError, match=r"a longer max_distance"):
        parse({**ICE, "springs": {"max_distance": 1.0}})
    with pytest.raises(InputError, match=r"got a prior for 'K9xx'"):
        parse({**ICE, "prior": {"K9xx": 1.0}})
    sites = [{"label": "Qq", "position": [0, 0, 0]}, {"label": "O", "position": [0.5, 0.5, 0.5]}]
    with pytest.raises(InputError, match=r"'Qq' begins with no element"):
        parse({**ICE, "crystal": {**ICE["crystal"], "sites": sites}})
    with pytest.raises(InputError, match=r"has springs, and this needs spins"):
        library.load("al_80k")
    assert library.find("mnf2").names[0].startswith("J")
