"""Listed bonds: their ends name the same orbit again, and every listed part is in the exchange matrix."""

import torch

from sqwirrel.model import library, symmetry
from sqwirrel.report import bonds
from tests.cases import tensor


def test_the_ends_of_a_listed_bond_name_its_orbit():
    crystal = library.crystal("yb2ti2o7")
    for listed in bonds.as_mapping(bonds.look(crystal, 7.2))["bonds"]:
        orbit = crystal.between(*tensor(listed["between"]))
        assert len(orbit.i) == listed["in_cell"]
        assert torch.allclose(orbit.allowed, tensor(listed["exchange"]))
        assert all(symmetry.contains(orbit.allowed, tensor(part)) for part in listed["anisotropic"])
        assert [crystal.sites[int(site)].label for site in (orbit.i[0], orbit.j[0])] == list(listed["sites"])


def test_rows_name_sites_and_bonds_once():
    found = [what for what, _ in bonds.rows(bonds.look(library.crystal("mnf2"), 5))]
    assert [what for what in found if not what.startswith(" ")] == ["site Mn", "bond 1", "bond 2", "bond 3"]
