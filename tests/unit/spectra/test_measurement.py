import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Measurement, QPath, QShells

CUBIC = Lattice(4.0, 4.0, 4.0)


def along_h(n, step=0.1):
    return QPath(CUBIC, [[step * i, 0.0, 0.0] for i in range(n)], np.diag([step, 0.2, 0.0]))


def test_lists_and_arrays_become_float64_tensors():
    measurement = Measurement(QShells([0, 1, 2]), np.arange(4), 5.0)
    assert {measurement.energy.dtype, measurement.points.edges.dtype, measurement.field.dtype} == {torch.float64}
    assert measurement.shape == (2, 3)
    assert measurement.energy_centres.tolist() == [0.5, 1.5, 2.5]
    assert measurement.points.centres.tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QShells([0.0, 2.0, 1.0]), "|Q| bin edges must be finite and ascending (1/angstrom)"),
        (lambda: QShells([1.0]), "|Q| bin edges must be a list of at least two numbers (1/angstrom), got shape (1,)"),
        (lambda: QShells([-1.0, 1.0]), "|Q| bin edges start at -1.0 1/angstrom; a modulus is not negative"),
        (
            lambda: Measurement(QShells([0, 1]), [0.0, float("nan")], 5.0),
            "energy bin edges must be finite and ascending (meV)",
        ),
        (lambda: Measurement(QShells([0, 1]), [0, 1], -1.0), "the temperature is -1.0 K; it must not be negative"),
        (
            lambda: Measurement(QShells([0, 1]), [0, 1], 5.0, incident_energy=0.0),
            "the incident energy is 0.0 meV; it must be positive",
        ),
        (
            lambda: QPath(CUBIC, [[0.0, 0.0]], np.eye(3)),
            "q must hold one finite (h, k, l) a row, got an array of shape (1, 2)",
        ),
    ],
)
def test_impossible_bins_are_refused_in_words(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message


def test_merged_path_covers_the_same_ground():
    merged = along_h(6).merge(3)
    torch.testing.assert_close(merged.q, torch.tensor([[0.1, 0, 0], [0.4, 0, 0]], dtype=torch.float64))
    torch.testing.assert_close(merged.box.diag(), torch.tensor([0.3, 0.2, 0.0], dtype=torch.float64))


@pytest.mark.parametrize(
    "path",
    [
        QPath(CUBIC, [[0.0, 0, 0], [0.1, 0, 0], [0.3, 0, 0], [0.4, 0, 0]], np.diag([0.1, 0.2, 0.0])),
        QPath(CUBIC, [[0.0, 0, 0], [0.3, 0, 0]], np.diag([0.1, 0.2, 0.0])),
        along_h(5),
    ],
)
def test_bins_that_do_not_touch_are_not_merged(path):
    with pytest.raises(InputError, match="merged"):
        path.merge(2)


TETRAGONAL = Lattice(4.0, 4.0, 12.0)


def test_bins_of_a_path_touch_on_each_leg_and_are_square_to_it():
    q = [[0.4, 0.4, 0], [0.45, 0.45, 0], [0.5, 0.5, 0], [0.5, 0.5, 0], [0.5, 0.4, 0], [0.5, 0.2, 0]]
    path = QPath.along(TETRAGONAL, q, across=0.3)
    along, side, up = (path.lattice.to_cartesian(path.box[:, k]) for k in range(3))
    expected = [[0.05, 0.05, 0]] * 3 + [[0, -0.1, 0], [0, -0.15, 0], [0, -0.2, 0]]
    torch.testing.assert_close(path.box[:, 0], torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(side.norm(dim=1), torch.full((6,), 0.3, dtype=torch.float64))
    assert float((along * side).sum(1).abs().max()) < 1e-12
    assert not bool(up.any())


def test_a_corner_that_is_listed_once_belongs_to_the_leg_before_it():
    path = QPath.along(TETRAGONAL, [[0, 0, 0], [0.1, 0, 0], [0.1, 0.3, 0]], across=0.1)
    assert path.box[1, 0].tolist() == pytest.approx([0.1, 0, 0])
    assert path.box[2, 0].tolist() == pytest.approx([0, 0.3, 0])


@pytest.mark.parametrize(
    ("q", "across"), [([[0, 0, 0], [0, 0, 0.1]], 0.1), ([[0, 0, 0], [0.1, 0, 0]], -0.1), ([[0, 0, 0]], 0.1)]
)
def test_a_path_without_a_plane_is_refused(q, across):
    with pytest.raises(InputError, match="no leg of it runs along its normal"):
        QPath.along(TETRAGONAL, q, across=across)


def test_a_path_takes_one_box_or_one_each():
    with pytest.raises(InputError, match="for all bins or for each"):
        QPath(CUBIC, [[0.0, 0, 0], [0.1, 0, 0]], np.zeros((3, 3, 3)))
    straight = QPath.along(CUBIC, [[0.1 * k, 0, 0] for k in range(6)], across=0.2)
    torch.testing.assert_close(straight.merge(3).box[0], torch.tensor([0.3, 0, 0], dtype=torch.float64))
    with pytest.raises(InputError, match="cannot be merged"):
        QPath.along(CUBIC, [[0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0], [0.1, 0.2, 0]]).merge(2)


def test_edges_made_of_centres_begin_at_zero():
    assert QShells.from_edges(np.array([-0.05, 0.05, 0.15])).edges.tolist() == [0, 0.05, 0.15]
    with pytest.raises(InputError, match="finite and ascending"):
        QShells.from_edges([-2.0, -1.0, 0.5])
