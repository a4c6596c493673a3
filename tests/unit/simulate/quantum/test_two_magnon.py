"""Energy bins of two-magnon scattering."""

import math

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.simulate.quantum.two_magnon import two_magnon
from tests.cases import kagome, tensor

MODEL = library.load("rb2mnf4")
Q = tensor([[0.3, 0.2, 0]])


def test_intensity_is_a_density_in_energy_whatever_the_bins():
    coarse, fine = tensor([2.0, 8.0, 13.2]), torch.linspace(2.0, 13.2, 29, dtype=torch.float64)
    one, many = (two_magnon(MODEL, MODEL.pack(), Q, edges, points=12) for edges in (coarse, fine))
    total = [(S * edges.diff()[:, None, None]).sum(1) for S, edges in ((one, coarse), (many, fine))]
    assert torch.allclose(total[0], total[1], atol=1e-12)
    assert one.shape == (1, 2, 3, 3)


@pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, math.nan, 2.0], [0.0, math.inf]])
def test_edges_must_rise(edges):
    with pytest.raises(InputError, match="energy edges must rise"):
        two_magnon(MODEL, MODEL.pack(), Q, tensor(edges))


def test_a_band_without_energy_is_refused():
    with pytest.raises(InputError, match=r"1 flat mode\(s\) without energy in the whole zone, which leave two-magnon"):
        two_magnon(kagome(), tensor([[1.0]]), Q, tensor([0.0, 1.0]))


def test_no_wavevector_puts_a_goldstone_mode_on_the_mesh():
    """An odd multiple of 1 / 2n in all directions, n points a direction, is like its neighbours."""
    theta, x = MODEL.pack(D=0), tensor([[1 / 16, 1 / 16, 0], [0.065, 0.065, 0]])
    total = two_magnon(MODEL, theta, x @ torch.linalg.inv(MODEL.supercell).T, tensor([0.0, 100]), points=8)
    first, second = total[:, 0].diagonal(dim1=-2, dim2=-1).real.sum(-1)
    assert float(first) == pytest.approx(float(second), rel=0.2)


def test_single_precision_will_do():
    edges = tensor([2.0, 8.0])
    single, double = (
        two_magnon(MODEL, MODEL.pack(), q, e, points=4) for q, e in ((Q.float(), edges.float()), (Q, edges))
    )
    assert torch.allclose(single, double, atol=1e-5)
