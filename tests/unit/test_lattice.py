from math import tau

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice

TRICLINIC = (5.1, 6.2, 7.3, 81.0, 95.0, 102.0)


def test_edges_have_the_lengths_and_angles_asked_for():
    edges = Lattice(*TRICLINIC).vectors
    lengths = edges.norm(dim=1)
    cosines = [edges[i] @ edges[j] / lengths[i] / lengths[j] for i, j in ((1, 2), (0, 2), (0, 1))]
    assert lengths.tolist() == pytest.approx(TRICLINIC[:3])
    assert torch.rad2deg(torch.stack(cosines).arccos()).tolist() == pytest.approx(TRICLINIC[3:])


def test_a_lies_along_x_and_b_in_the_xy_plane():
    edges = Lattice(*TRICLINIC).vectors
    assert edges[0, 1:].tolist() == [0, 0]
    assert edges[1, 2] == 0
    assert torch.linalg.det(edges) > 0


def test_reciprocal_vectors_are_dual_with_2_pi():
    lattice = Lattice(*TRICLINIC)
    torch.testing.assert_close(lattice.vectors @ lattice.reciprocal.T, tau * torch.eye(3, dtype=torch.float64))


def test_orthogonal_cells_are_exactly_orthogonal():
    off_diagonal = Lattice(3.0, 4.0, 5.0).vectors - torch.diag(torch.tensor([3.0, 4.0, 5.0], dtype=torch.float64))
    assert not off_diagonal.any()


def test_volume_of_a_hexagonal_cell():
    assert Lattice(3.0, 3.0, 5.0, gamma=120.0).volume == pytest.approx(45 * 3**0.5 / 2)


def test_from_vectors_keeps_the_orientation():
    turned = (
        Lattice(*TRICLINIC).vectors
        @ torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double())[0]
    )
    lattice = Lattice.from_vectors(turned)
    assert torch.equal(lattice.vectors, turned)
    assert (lattice.a, lattice.beta) == pytest.approx((5.1, 95.0))
    torch.testing.assert_close(lattice.vectors @ lattice.reciprocal.T, tau * torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ((0.0, 1.0, 1.0), "the cell edges a, b, c = 0.0, 1.0, 1.0 angstrom must be positive"),
        ((1.0, 1.0, 1.0, 90.0, 90.0, 180.0), "the cell angles 90.0, 90.0, 180.0 must lie between 0 and 180 degrees"),
        ((1.0, 1.0, 1.0, 30.0, 30.0, 90.0), "no cell has the angles 30.0, 30.0, 90.0 degrees"),
        ((1.0, 1.0, 1.0, 120.0, 120.0, 120.0), "no cell has the angles 120.0, 120.0, 120.0 degrees"),
    ],
)
def test_an_impossible_cell_is_refused(cell, message):
    with pytest.raises(InputError) as caught:
        Lattice(*cell)
    assert str(caught.value).startswith(message)


def test_flat_vectors_are_refused():
    with pytest.raises(InputError):
        Lattice.from_vectors(torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=torch.float64))
