"""Moments that follow the parameters, and their derivatives in forward mode."""

import math

import torch

from sqwirrel.simulate.classical.order import Energy, relax


def test_moments_with_equal_curvatures_have_finite_derivatives():
    """Two free moments in a field (b, 0, 1): n = (b, 0, 1) / sqrt(1 + b^2), and four equal second derivatives."""

    def moments(b):
        force = -torch.stack((b, torch.zeros_like(b), torch.ones_like(b)), -1)
        zero = torch.zeros(1, 2, 3, 2, 3, dtype=b.dtype), torch.zeros(1, 2, 3, 3, 15, dtype=b.dtype)
        return relax(Energy(zero[0], force[:, None].expand(1, 2, 3), zero[1]), up)

    up = torch.tensor([[0.0, 0, 1]] * 2, dtype=torch.float64)
    b = torch.tensor([0.5], dtype=torch.float64)
    found, slope = torch.func.jvp(moments, (b,), (torch.ones_like(b),))
    root = math.sqrt(1.25)
    expected = torch.tensor([[[0.5, 0, 1]] * 2], dtype=torch.float64) / root
    change = torch.tensor([[[1, 0, -0.5]] * 2], dtype=torch.float64) / root**3
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(slope, change)
