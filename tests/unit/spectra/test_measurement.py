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
