"""The interaction of magnons: which orders are refused."""

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.simulate.quantum.mean_field import interacting
from tests.cases import build, random_q, tensor

CELL = np.eye(3) * 4
AXIS = np.diag([0, 0, -1.0])
UNEQUAL = np.diag([1, 0.8, 1.2])
ACROSS = np.array([[0, 0, 0], [0, 0, 0.1], [0, -0.1, 0]])


def chain(matrix, D=AXIS, sign=1):
    bonds = [0, 1], [1, 0], [[0, 0, 0], [1, 0, 0]]
    places, order = [[0, 0, 0], [0.5, 0, 0]], [[0, 0, 1], [0, 0, sign]]
    return build(CELL, places, order, {"J": (bonds, matrix)}, anisotropies={"D": D})


@pytest.mark.parametrize(
    "model",
    [
        chain(-UNEQUAL),
        chain(UNEQUAL, sign=-1),
        chain(-np.eye(3), np.diag([0.1, -0.1, -1])),
        chain(ACROSS - np.eye(3)),
    ],
    ids=["pairs in a ferromagnet", "hops in an antiferromagnet", "in-plane anisotropy", "three magnons"],
)
def test_orders_that_do_not_conserve_the_spin_along_them_are_refused(model):
    with pytest.raises(InputError, match="not collinear with the spin along it conserved"):
        interacting(model, tensor([[1.0, 1.0]]), random_q(1))


def test_the_same_orders_with_conserved_spin_are_not_refused():
    for model in (chain(-np.eye(3)), chain(np.diag([1, 1, 1.2]), sign=-1)):
        assert bool(interacting(model, tensor([[1.0, 1.0]]), random_q(1)).energy.isfinite().all())


def test_ions_without_couplings_lose_half_a_spin_of_their_anisotropy():
    """D (S^z)^2 from s to s - 1 costs |D| (2 s - 1); linear theory says 2 s |D|."""
    alone = build(CELL, [[0, 0, 0]], [[0, 0, 1]], {}, anisotropies={"D": AXIS}, spin=2)
    found = interacting(alone, tensor([[0.3]]), random_q(1))
    assert float(found.energy) == pytest.approx(1.2)
    assert float(found.shift) == pytest.approx(-0.3)


def test_wavevectors_in_single_precision_will_do():
    model, q = library.load("rb2mnf4"), random_q(2)
    single, double = (interacting(model, model.pack(), each).energy for each in (q.float(), q))
    assert torch.allclose(single, double, atol=1e-4)
