"""The lowest point of a function on the zone."""

import torch

from sqwirrel.simulate import zone

BOTH = torch.tensor([True, True, False])


def test_lowest_point_is_found_between_the_points_of_the_grid():
    at = torch.tensor([0.317, 0.801, 0.0], dtype=torch.float64)
    x, height = zone.lowest(lambda x: 2 - torch.cos(2 * torch.pi * (x - at)).sum(-1), BOTH)
    assert torch.allclose(x[0], at, atol=1e-6)
    assert abs(float(height[0]) + 1) < 1e-12


def test_grid_has_one_point_along_what_nothing_couples():
    assert zone.grid(BOTH, 4, 0.5).shape == (16, 3)
    assert zone.grid(~BOTH, 4).tolist() == [[0, 0, x] for x in (0, 0.25, 0.5, 0.75)]
