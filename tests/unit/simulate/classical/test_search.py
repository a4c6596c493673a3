"""Random starts: what is refused, what counts as one order, and how an order is set upright."""

import dataclasses

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.magnetic.terms import Dipole
from sqwirrel.simulate.classical.luttinger_tisza import luttinger_tisza
from sqwirrel.simulate.classical.search import energy_of, ground_states, torque, upright
from tests.cases import build, neighbours, tensor

CELL = np.diag([6.0, 6, 9])
PLACES = [[x, y, 0] for x in (0, 0.5) for y in (0, 0.5)]
UP = [[0, 0, 1]] * 4


def square(second: float = 0.0, **options):
    bonds = {"J1": (neighbours(CELL, PLACES, 3), 1), "J2": (neighbours(CELL, PLACES, 18**0.5), 1)}
    return build(CELL, PLACES, UP, bonds, **options), tensor([[1.0, second]])


def test_stripes_along_both_axes_are_two_orders_of_one_energy():
    model, theta = square(0.8, anisotropies={"D": np.diag([0, 0, -0.3])})
    found = ground_states(model, torch.cat((theta, tensor([[1.0]])), dim=1))
    lowest = [each for each in found if each.energy < found[0].energy + 1e-9]
    assert len(lowest) == 2
    assert lowest[0].energy == pytest.approx(-2 * 0.8 - 0.3, abs=1e-9)
    assert sum(each.starts for each in found) <= 64


def test_the_same_seed_gives_the_same_orders():
    model, theta = square()
    first, second = (ground_states(model, theta, starts=4, seed=3) for _ in range(2))
    assert all(torch.equal(a.directions, b.directions) for a, b in zip(first, second, strict=True))


def test_biquadratic_exchange_is_refused():
    bonds = neighbours(CELL, PLACES, 3)
    model = build(CELL, PLACES, UP, {"J1": (bonds, 1)}, squared={"Q": (bonds, 1)})
    with pytest.raises(InputError, match="biquadratic exchange"):
        ground_states(model, tensor([[1.0, -0.1]]))


def test_torque_points_to_where_a_moment_turns():
    model, theta = square()
    n = torch.nn.functional.normalize(tensor([[0, 0.1, 1], [0, 0, -1], [0, 0, -1], [0, 0, 1]]), dim=-1)
    energy = energy_of(model, theta)
    turned = torch.nn.functional.normalize(n + 1e-3 * torque(energy, n), dim=-1)
    assert float(energy.value(turned[None])) < float(energy.value(n[None]))
    assert float(torque(energy, n)[0, 1]) < 0


@pytest.mark.parametrize(
    ("directions", "expected"),
    [
        ([[1, 0, 0], [-1, 0, 0], [1, 0, 0], [1, 0, 0]], [[0, 0, 1], [0, 0, -1], [0, 0, 1], [0, 0, 1]]),
        ([[0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]], [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]),
    ],
)
def test_isotropic_orders_are_set_upright(directions, expected):
    new = upright(square()[0], tensor(directions))
    assert torch.allclose(new @ new.T, tensor(directions) @ tensor(directions).T, atol=1e-12)
    assert torch.allclose(new.abs(), tensor(expected).abs(), atol=1e-12)
    assert torch.allclose(new[0], tensor(expected[0]), atol=1e-12)


def test_an_easy_plane_leaves_the_turn_about_its_normal_alone():
    model, _ = square(anisotropies={"D": np.diag([0, 0, 1.0])})
    new = upright(model, torch.nn.functional.normalize(tensor([[3, 4, 5]] * 4), dim=-1))
    assert new[0].tolist() == pytest.approx([0.5**0.5, 0, 0.5**0.5])


def test_stevens_operators_and_dipoles_are_in_the_energy_and_refused_by_the_bound() -> None:
    model = library.load("mnf2_dipole")
    best = ground_states(model, model.pack(), starts=8)[0]
    assert torch.allclose(best.directions.abs(), tensor([[0, 0, 1.0], [0, 0, 1]]), atol=1e-6)
    with pytest.raises(InputError, match="Stevens operators or dipoles, which the bound"):
        luttinger_tisza(model, model.pack())


def test_orders_that_the_energy_holds_are_not_turned():
    """By a field, or by dipoles, which lay moments along their chain."""
    chain = build(np.eye(3) * 4, [[0, 0, 0]], [[0, 0, 1]], {"J": (([0], [0], [[1, 0, 0]]), -1)}, spin=2.5)
    held = ground_states(chain, tensor([[1.0]]), field=(3.0, 0, 0), starts=4)[0].directions
    assert torch.allclose(held, tensor([[1, 0, 0]]), atol=1e-6)
    along = ground_states(
        dataclasses.replace(chain, dipole=Dipole(), supercell=tensor(np.diag([1, 2, 2]))), tensor([[1.0]]), starts=4
    )
    assert torch.allclose(along[0].directions.abs(), tensor([[1, 0, 0]]), atol=1e-6)


def test_a_search_needs_a_start():
    model, theta = square()
    with pytest.raises(InputError, match="one random start at least; got starts = 0"):
        ground_states(model, theta, starts=0)
