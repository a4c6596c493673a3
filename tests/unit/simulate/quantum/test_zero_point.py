"""Averages over the zone, and orders that have none."""

import dataclasses

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.magnetic.terms import Dipole
from sqwirrel.simulate.quantum.zero_point import energy, expanded, flat_bands, moments, zone_average
from tests.cases import build, kagome, tensor

MODEL = library.load("rb2mnf4")


def test_average_of_a_cusp_is_known_to_its_stated_error():
    """1/|x| over the square [-1/2, 1/2]^2 is 4 ln(1 + sqrt 2), although the finest mesh is off by percents."""

    def cusp(q):
        x = q @ MODEL.supercell.T
        x = x - x.round()
        return 1 / x[:, :2].norm(dim=-1)

    found = zone_average(MODEL, cusp)
    assert abs(float(found.value) - 3.525494) < float(found.error)
    assert 0 < float(found.error) < 1e-3


def test_average_that_does_not_converge_has_an_infinite_error():
    found = zone_average(MODEL, lambda q: (q @ MODEL.supercell.T)[:, 0] ** -2)
    assert float(found.error) == torch.inf


def test_smooth_average_is_exact():
    found = zone_average(MODEL, lambda q: 2 + torch.cos(2 * torch.pi * (q @ MODEL.supercell.T)[:, 0]))
    assert float(found.value) == pytest.approx(2, abs=1e-12)
    assert float(found.error) < 1e-8


def test_unstable_orders_are_refused():
    with pytest.raises(InputError, match="not a minimum of the energy"):
        moments(MODEL, MODEL.pack(J1=-1))


def test_zone_of_dipoles_between_chains_is_sampled_in_all_directions():
    """2.4991; one chain's dispersion alone would give 2.4976."""
    cell, easy = np.eye(3) * 4, {"D": np.diag([0, 0, -0.05])}
    chain = build(cell, [[0, 0, 0]], [[0, 0, 1]], {"J": (([0], [0], [[1, 0, 0]]), -1)}, spin=2.5, anisotropies=easy)
    found = moments(dataclasses.replace(chain, dipole=Dipole()), tensor([[0.1, 1.0]]))
    assert float(found.value) == pytest.approx(2.4991, abs=1e-4)


def test_ions_without_couplings_keep_their_moment():
    alone = build(np.eye(3) * 4, [[0, 0, 0]], [[0, 0, 1]], {}, anisotropies={"D": np.diag([0, 0, -0.1])}, spin=2.0)
    assert float(moments(alone, tensor([[1.0]])).value) == pytest.approx(2)
    assert float(energy(alone, tensor([[1.0]])).value) == pytest.approx(-0.4)


def test_a_band_without_energy_leaves_the_moments_unknown_and_the_energy_known():
    model, theta = kagome(), tensor([[1.0]])
    assert bool(moments(model, theta).error.isinf().all())
    assert float(energy(model, theta).error) < 1e-6
    assert flat_bands(model, expanded(model, theta)) == 1
    easy = library.load("rb2mnf4")
    assert flat_bands(easy, expanded(easy, easy.pack())) == 0


def test_a_goldstone_mode_is_no_flat_band():
    isotropic = MODEL.pack(D=0)
    assert flat_bands(MODEL, expanded(MODEL, isotropic)) == 0
    assert bool(moments(MODEL, isotropic).error.isfinite().all())
