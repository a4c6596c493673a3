"""The sentence for an order that is no minimum."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.magnetic.terms import Dipole
from sqwirrel.simulate.classical.luttinger_tisza import luttinger_tisza
from sqwirrel.simulate.classical.search import ground_states
from sqwirrel.simulate.quantum.mean_field import interacting
from sqwirrel.simulate.quantum.two_magnon import two_magnon
from sqwirrel.simulate.quantum.zero_point import energy, moments
from sqwirrel.simulate.stability import stability, why_unstable
from tests.cases import build, kagome, neighbours, tensor

SQUARE, NEEL = [[x, y, 0] for x in (0, 0.5) for y in (0, 0.5)], [[0, 0, s] for s in (1, -1, -1, 1)]
MODEL = library.load("rb2mnf4")


def test_a_torque_names_the_moment_and_where_it_turns():
    tilted = replace(MODEL, directions=tensor([[0, 0, 1], [0, 0.2, -1]]))
    found = stability(tilted, MODEL.pack())
    assert not found.is_stationary
    assert not found.is_minimum
    sentence = why_unstable(tilted, found)
    assert "that of Mn_1 would turn towards (0.000, -0.981, -0.196)); set relaxed = true" in sentence
    assert stability(replace(tilted, relaxed=True), MODEL.pack()).is_minimum


def test_an_instability_names_its_softest_wavevector_or_one_that_the_search_missed():
    found = stability(MODEL, MODEL.pack(J1=-1))
    given = torch.full((1, 3), 0.25, dtype=torch.float64)
    for at in (None, given):
        assert "unstable at q = (0.000, 0.000, 0.000); change the parameters" in why_unstable(MODEL, found, at)
    missed = why_unstable(MODEL, found._replace(is_minimum=True), given)
    assert "unstable at q = (0.250, 0.250, 0.250)" in missed
    assert "give an order with that propagation" in missed


def test_dipoles_between_chains_are_seen_in_all_directions():
    """Parallel moments across chains on a cubic lattice: columns along the moments would rather alternate."""
    chain = [0], [0], [[1, 0, 0]]
    model = build(np.eye(3) * 4, [[0, 0, 0]], [[0, 0, 1]], {"J": (chain, -1)}, spin=2.5)
    found = stability(replace(model, dipole=Dipole()), tensor([[1.0]]))
    assert not found.is_minimum
    assert found.q.abs().tolist() == pytest.approx([0, 0.5, 0.5], abs=1e-5)
    assert found.eigenvalue == pytest.approx(-0.0098, abs=5e-5)


def test_ions_without_couplings_have_their_own_anisotropy_alone():
    alone = build(np.eye(3) * 4, [[0, 0, 0]], [[0, 0, 1]], {}, anisotropies={"D": np.diag([0, 0, -0.1])}, spin=2.0)
    found = stability(alone, tensor([[1.0]]))
    assert found.is_minimum
    assert found.eigenvalue == pytest.approx(2 * 2 * 0.1)
    assert not stability(alone, tensor([[-1.0]])).is_minimum


def test_the_smallest_negative_eigenvalue_beyond_rounding_counts():
    """Stripes win over the Neel order from J2 = J1 / 2 on: the eigenvalue at (1/2, 0) is 4 S (J1 - 2 J2)."""
    model = build(
        np.eye(3) * [6, 6, 9],
        SQUARE,
        NEEL,
        {f"J{k}": (neighbours(np.eye(3) * [6, 6, 9], SQUARE, r), 1) for k, r in ((1, 3), (2, 18**0.5))},
    )
    assert stability(model, tensor([[1.0, 0.5 - 1e-5]])).is_minimum
    found = stability(model, tensor([[1.0, 0.5 + 1e-5]]))
    assert not found.is_minimum
    assert found.eigenvalue == pytest.approx(-8e-5, rel=1e-3)


def test_of_equally_low_wavevectors_the_centre_is_named():
    assert stability(kagome(), tensor([[1.0]])).q.tolist() == [0, 0, 0]


Q, EDGES = torch.zeros(1, 3, dtype=torch.float64), tensor([0.0, 1.0])


@pytest.mark.parametrize(
    "ask",
    [
        stability,
        moments,
        energy,
        luttinger_tisza,
        ground_states,
        lambda model, theta: two_magnon(model, theta, Q, EDGES),
        lambda model, theta: interacting(model, theta, Q),
    ],
)
def test_one_set_of_parameters_is_asked_for(ask):
    with pytest.raises(InputError, match="takes one set of parameters"):
        ask(MODEL, MODEL.pack().expand(2, -1))
