"""Which exchange matrices symmetry allows: textbook cases, Moriya's rules."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import symmetry
from sqwirrel.model.crystal import Crystal

RIGHT = [90, 90, 90]
EYE = torch.eye(3, dtype=torch.float64)


def asymmetric(basis):
    """Dimension of the Dzyaloshinskii-Moriya part."""
    return int(torch.linalg.matrix_rank((basis - basis.mT).reshape(-1, 9), tol=1e-9))


def test_pyrochlore_nearest_neighbours_have_four_parameters():
    # Ross, Savary, Gaulin, Balents, Phys. Rev. X 1, 021002 (2011): J1..J4 on 16c.
    crystal = Crystal.from_spacegroup([10, 10, 10, *RIGHT], "F d -3 m:2", {"Yb": [0, 0, 0]})
    assert len(crystal.sites) == 16
    assert len(crystal.allowed_exchange("1")) == 4
    assert asymmetric(crystal.allowed_exchange("1")) == 1


def test_both_origins_of_the_pyrochlore_agree():
    one = Crystal.from_spacegroup([10, 10, 10, *RIGHT], "F d -3 m:1", {"Yb": [0.125, 0.125, 0.125]})
    two = Crystal.from_spacegroup([10, 10, 10, *RIGHT], 227, {"Yb": [0, 0, 0]})
    assert [(o.name, len(o.i), len(o.allowed)) for o in one.bonds(7.2)] == [
        (o.name, len(o.i), len(o.allowed)) for o in two.bonds(7.2)
    ]


@pytest.mark.parametrize(
    ("group", "count", "D"),
    [
        ("P 1", 9, "[a, b, c]"),  # nothing is forbidden
        ("P -1", 6, ""),  # Moriya 1: a centre of inversion at the midpoint, D = 0
        ("P m 1 1", 6, "[0, a, b]"),  # Moriya 2: mirror perpendicular to the bond at its middle, D in the mirror
        ("P 1 m 1", 5, "[0, a, 0]"),  # Moriya 3: mirror that contains the bond, D perpendicular to it
        ("P 1 2 1", 6, "[a, 0, b]"),  # Moriya 4: twofold axis perpendicular at the middle, D perpendicular to it
        ("P 2 1 1", 5, "[a, 0, 0]"),  # Moriya 5: twofold axis along the bond, D along it
        ("P m m m", 3, ""),  # three principal values
    ],
)
def test_moriyas_rules_for_a_bond_along_a(group, count, D):
    # T. Moriya, Phys. Rev. 120, 91 (1960). The 3 A bond along a is the shortest; it carries count parameters.
    basis = Crystal.from_spacegroup([3, 8, 9, *RIGHT], group, {"A": [0, 0, 0]}).allowed_exchange("1")
    found = symmetry.antisymmetric(basis)
    assert (len(basis), len(found) and symmetry.vector_pattern(found)) == (count, D or 0)


def test_heisenberg_vector_and_anisotropic_part_are_all_of_the_exchange():
    crystal = Crystal.from_spacegroup([10, 10, 10, *RIGHT], 227, {"Yb": [0, 0, 0]})
    for orbit in crystal.bonds(7.2):
        D, rest = symmetry.antisymmetric(orbit.allowed), symmetry.traceless(orbit.allowed)
        assert 1 + len(D) + len(rest) == len(orbit.allowed)
        assert all(symmetry.contains(orbit.allowed, part) for part in (EYE, *rest, *map(cross, D)))
        assert torch.allclose(rest.diagonal(dim1=-2, dim2=-1).sum(-1), torch.zeros(len(rest)).double(), atol=1e-12)


def cross(D):
    """The matrix J with S_i . J . S_j = D . (S_i x S_j)."""
    S = torch.eye(3, dtype=torch.float64)
    return torch.stack([torch.stack([D @ torch.linalg.cross(a, b) for b in S]) for a in S])


def test_heisenberg_is_always_allowed():
    for group in (1, 2, 47, 62):
        crystal = Crystal.from_spacegroup([5, 6, 7, *RIGHT], group, {"A": [0.1, 0.2, 0.3]})
        for orbit in crystal.bonds(5):
            assert torch.allclose(crystal.propagate_exchange(orbit, EYE), EYE, atol=1e-12)


def test_centrosymmetric_midpoint_refuses_dm_and_says_what_is_allowed():
    crystal = Crystal.from_spacegroup([4.8736, 4.8736, 3.2998, *RIGHT], 136, {"Mn": [0, 0, 0]})
    dm = torch.tensor([[0, 1, 0], [-1, 0, 0], [0, 0, 0]], dtype=torch.float64)
    with pytest.raises(InputError, match=r"on bond '1' \(Mn_1 to Mn_1 \[0, 0, 1\], 3.3 A\); it allows \[\[a, b, 0\]"):
        crystal.propagate_exchange(crystal.bond("1"), dm)


def test_anisotropy_of_cubic_and_uniaxial_sites():
    cubic = Crystal.from_spacegroup([4, 4, 4, *RIGHT], 221, {"A": [0, 0, 0]})
    assert torch.allclose(cubic.allowed_anisotropy("A"), EYE[None])
    pyrochlore = Crystal.from_spacegroup([10, 10, 10, *RIGHT], 227, {"A": [0, 0, 0]})
    assert len(pyrochlore.allowed_anisotropy("A")) == 2  # along and across the local threefold axis
    axis = torch.ones(3, dtype=torch.float64) / 3**0.5
    local = pyrochlore.propagate_site("A", torch.outer(axis, axis), "anisotropy")
    assert torch.allclose(local.diagonal(dim1=-2, dim2=-1), torch.full((16, 3), 1 / 3, dtype=torch.float64))
    assert torch.allclose(local.sum(0), 16 / 3 * EYE, atol=1e-9)  # four axes, cubic on the average
