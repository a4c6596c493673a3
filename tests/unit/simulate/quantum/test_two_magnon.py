"""Energy bins of two-magnon scattering."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.simulate.quantum.two_magnon import two_magnon
from tests.cases import tensor

MODEL = library.load("rb2mnf4")
Q = tensor([[0.3, 0.2, 0]])


def test_intensity_is_a_density_in_energy_whatever_the_bins():
    coarse, fine = tensor([2.0, 8.0, 13.2]), torch.linspace(2.0, 13.2, 29, dtype=torch.float64)
    one, many = (two_magnon(MODEL, MODEL.pack(), Q, edges, points=12) for edges in (coarse, fine))
    total = [(S * edges.diff()[:, None, None]).sum(1) for S, edges in ((one, coarse), (many, fine))]
    assert torch.allclose(total[0], total[1], atol=1e-12)
    assert one.shape == (1, 2, 3, 3)


@pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0]])
def test_edges_must_rise(edges):
    with pytest.raises(InputError, match="energy edges must rise"):
        two_magnon(MODEL, MODEL.pack(), Q, tensor(edges))
