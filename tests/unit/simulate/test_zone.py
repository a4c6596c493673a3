"""The lowest point of a function on the zone, and the directions in which modes can disperse."""

import dataclasses

import numpy as np
import torch

from sqwirrel.model import library
from sqwirrel.model.magnetic.terms import Dipole
from sqwirrel.simulate import zone
from tests.cases import build, random_q, tensor

BOTH = torch.tensor([True, True, False])
PAIR = [[0, 0, 0.1], [0, 0, 0.4]]


def test_lowest_point_is_found_between_the_points_of_the_grid():
    at = torch.tensor([0.317, 0.801, 0.0], dtype=torch.float64)
    x, height = zone.lowest(lambda x: 2 - torch.cos(2 * torch.pi * (x - at)).sum(-1), BOTH)
    assert torch.allclose(x[0], at, atol=1e-6)
    assert abs(float(height[0]) + 1) < 1e-12


def test_grid_has_one_point_along_what_nothing_couples():
    assert zone.grid(BOTH, 4, 0.5).shape == (16, 3)
    assert zone.grid(~BOTH, 4).tolist() == [[0, 0, x] for x in (0, 0.25, 0.5, 0.75)]


def test_bonds_inside_a_bilayer_let_nothing_disperse_across_it():
    bonds = [0, 1, 0], [0, 1, 1], [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    model = build(np.eye(3) * 4, PAIR, [[0, 0, 1]] * 2, {"J": (bonds, -1)})
    assert zone.coupled(model).tolist() == [True, False, False]
    assert zone.coupled(library.load("pcsmo_goodenough")).tolist() == [True, True, False]


def test_two_ways_between_layers_make_a_path_through_the_crystal():
    bonds = [0, 0], [1, 1], [[0, 0, 0], [0, 0, -1]]
    model = build(np.eye(3) * 4, PAIR, [[0, 0, 1]] * 2, {"J": (bonds, -1)})
    assert zone.coupled(model).tolist() == [False, False, True]
    left = zone.loops(*(torch.tensor(part) for part in bonds[:2]), tensor([[0, 0, 0.3], [0, 0, -0.7]]))
    assert torch.allclose(left.diff(dim=0).abs(), tensor([[0, 0, 1.0]]), atol=1e-12)


def test_dipoles_disperse_everywhere_and_single_ions_nowhere():
    alone = build(np.eye(3) * 4, [[0, 0, 0]], [[0, 0, 1]], {}, anisotropies={"D": np.diag([0, 0, -0.1])})
    assert not zone.coupled(alone).any()
    assert zone.coupled(dataclasses.replace(alone, dipole=Dipole())).all()


def test_pairs_of_wavevectors_lie_on_one_mesh_away_from_the_centre():
    model, n = library.load("rb2mnf4"), 8
    for q in torch.cat((random_q(20), tensor([[0, 0, 0], [0.0625, 0, 0.3], [0.03125, 0.03125, 0]]))):
        k = zone.between(model, n, q)
        steps = torch.stack((k, q - k)) @ model.supercell.T[:, :2] * n
        assert float((steps - steps.round()).abs().min()) > 0.25 - 1e-9
        shift = steps[0, 0] - steps[1]
        assert torch.allclose(shift, shift.round(), atol=1e-9)
