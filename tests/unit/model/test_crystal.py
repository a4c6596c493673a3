"""Crystal: space groups, CIF files, shells and orbits of known structures."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model.crystal import Crystal

RIGHT = [90, 90, 90]
CIF = """data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt {group}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Mn Mn 0 0 0 {occupancy}
"""


def shells(crystal, longest):
    """Name, length and number of bonds in the chemical cell."""
    return [(orbit.name, round(orbit.distance, 3), len(orbit.i)) for orbit in crystal.bonds(longest)]


def test_mnf2_shells():
    crystal = Crystal.from_spacegroup([4.8736, 4.8736, 3.2998, *RIGHT], "P 42/m n m", {"Mn": [0, 0, 0]})
    assert [site.label for site in crystal.sites] == ["Mn_1", "Mn_2"]
    # Per Mn: 2 along c, 8 to the body centres, 4 along a and b; each bond belongs to two Mn, the cell has two.
    assert shells(crystal, 5) == [("1", 3.3, 2), ("2", 3.821, 8), ("3", 4.874, 4)]


def test_rb2mnf4_shells():
    crystal = Crystal.from_spacegroup([4.215, 4.215, 13.77, *RIGHT], 139, {"Mn": [0, 0, 0]})
    assert shells(crystal, 7.6) == [("1", 4.215, 4), ("2", 5.961, 4), ("3", 7.502, 8)]


def test_fcc_shells():
    crystal = Crystal.from_spacegroup([4, 4, 4, *RIGHT], "F m -3 m", {"A": [0, 0, 0]})
    assert [n / 4 for _, _, n in shells(crystal, 5.7)] == [6, 3, 12, 6]  # half of 12, 6, 24, 12 neighbours


def test_kagome_third_shell_splits_into_two_orbits():
    crystal = Crystal.from_spacegroup([6, 6, 10, 90, 90, 120], "P 6/m m m", {"A": [0.5, 0, 0]})
    # Along a chain of the kagome through a site, and across a hexagon: both 6 A.
    assert shells(crystal, 6.1) == [("1", 3, 6), ("2", 5.196, 6), ("3a", 6, 6), ("3b", 6, 3)]
    with pytest.raises(InputError, match="shell 3 consists of '3a', '3b'"):
        crystal.bond("3")
    assert crystal.bond("3b").name == "3b"


def test_rounded_special_position_is_made_exact():
    crystal = Crystal.from_spacegroup([5, 5, 6, 90, 90, 120], "P -3 m 1", {"A": [0.3333, 0.6667, 0.25]})
    assert len(crystal.sites) == 2
    assert crystal.positions[0, :2].tolist() == pytest.approx([1 / 3, 2 / 3], abs=1e-12)


def test_order_of_sites_does_not_matter():
    cell = [5.0, 6.0, 7.0, *RIGHT]
    sites = {"A": [0, 0, 0], "B": [0.5, 0.1, 0.2], "C": [0.25, 0.25, 0.5]}
    one = Crystal.from_spacegroup(cell, "P n m a", sites)
    other = Crystal.from_spacegroup(cell, "P n m a", dict(reversed(sites.items())))
    for a, b in zip(one.bonds(5), other.bonds(5), strict=True):
        assert (a.name, len(a.i)) == (b.name, len(b.i))
        assert {one.kinds[a.i[0]], one.kinds[a.j[0]]} == {other.kinds[b.i[0]], other.kinds[b.j[0]]}
        assert torch.allclose(a.allowed, b.allowed)


@pytest.mark.parametrize(
    ("cell", "group", "message"),
    [
        ([4, 5, 6, *RIGHT], "I 4/m m m", "does not fit space group 'I 4/m m m', which needs a = b"),
        ([4, 4, 6, *RIGHT], "nonsense", "space group 'nonsense' is not known"),
        ([4, 4, 6, *RIGHT], 300, "run from 1 to 230"),
        ([4, 4, -6, *RIGHT], 1, "must be positive"),
        ([4, 4, 6, 150, 50, 50], 1, "no cell has the angles"),
        ([4, 4, 6], 1, r"\[a, b, c, alpha, beta, gamma\]"),
    ],
)
def test_impossible_cells_and_groups_are_refused(cell, group, message):
    with pytest.raises(InputError, match=message):
        Crystal.from_spacegroup(cell, group, {"A": [0, 0, 0]})


def test_sites_on_one_place_are_refused():
    with pytest.raises(InputError, match="apart"):
        Crystal.from_spacegroup([4, 4, 6, *RIGHT], 139, {"A": [0, 0, 0], "B": [0.5, 0.5, 0.5]})
    with pytest.raises(InputError, match="exactly on its special position"):
        Crystal.from_spacegroup([4, 4, 6, *RIGHT], 139, {"A": [0.01, 0, 0]})


def test_symbols_of_three_kinds_mean_one_group():
    groups = [Crystal.from_spacegroup([4, 4, 3, *RIGHT], g, {"A": [0, 0, 0]}) for g in (136, "P42/mnm", "-P 4n 2n")]
    assert [len(crystal.rotations) for crystal in groups] == [16, 16, 16]
    assert [len(crystal.sites) for crystal in groups] == [2, 2, 2]


def test_a_bond_between_two_places_is_the_first_of_its_orbit():
    crystal = Crystal.from_spacegroup([4.8736, 4.8736, 3.2998, *RIGHT], 136, {"Mn": [0, 0, 0]})
    start, end = torch.tensor([[0.5, 0.5, 0.5], [1, 0, 0]], dtype=torch.float64)
    orbit, named = crystal.between(start, end), crystal.bond("2")
    assert (len(orbit.i), orbit.distance) == (len(named.i), pytest.approx(named.distance))
    assert (int(orbit.i[0]), int(orbit.j[0]), orbit.offset[0].tolist()) == (1, 0, [1, 0, 0])
    assert len(orbit.allowed) == len(named.allowed)
    for wrong in (start, start + 0.1):
        with pytest.raises(
            InputError, match=r"no bond runs from \(0.5, 0.5, 0.5\) to .*; give the fractional positions"
        ):
            crystal.between(start, wrong)


def test_a_group_may_be_given_by_operations_that_generate_it():
    cell, sites = [4, 5, 6, *RIGHT], {"A": [0.1, 0.2, 0.3]}
    listed = Crystal.from_spacegroup(cell, ["-x, y, z", "x, -y, z", "x, y, -z"], sites)
    named = Crystal.from_spacegroup(cell, "P m m m", sites)
    assert {tuple(site.position.tolist()) for site in listed.sites} == {
        tuple(site.position.tolist()) for site in named.sites
    }
    with pytest.raises(InputError, match=r"operations \['x, q, z'\] generate no space group"):
        Crystal.from_spacegroup(cell, ["x, q, z"], sites)
    with pytest.raises(InputError, match="does not fit space group 'y, x, z'"):
        Crystal.from_spacegroup(cell, ["y, x, z"], sites)


def test_cif_files_that_cannot_be_used(tmp_path):
    path = tmp_path / "x.cif"
    for text, message in [
        (CIF.format(group="'P m -3 m'", occupancy="0.5"), "partial occupancy or disorder, first at site 'Mn'"),
        (CIF.format(group="?", occupancy="1"), "names no space group"),
        ("hello", "not a readable CIF"),
        ("data_x\n_cell_length_a 3\n", "lists no atoms"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            Crystal.from_cif(path)
    with pytest.raises(InputError, match="there is no file"):
        Crystal.from_cif(tmp_path / "absent.cif")


def test_operations_that_miss_a_site_are_refused():
    crystal = Crystal.from_spacegroup([4, 4, 4, *RIGHT], "P m -3 m", {"A": [0.5, 0, 0]})
    with pytest.raises(InputError, match="where there is no site"):
        Crystal(crystal.lattice, crystal.sites[:1], crystal.rotations, crystal.translations)
