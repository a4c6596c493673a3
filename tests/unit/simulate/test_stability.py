"""The sentence for an order that is no minimum."""

from dataclasses import replace

import torch

from sqwirrel.model import library
from sqwirrel.simulate.stability import stability, why_unstable
from tests.cases import tensor

MODEL = library.load("rb2mnf4")


def test_a_torque_names_the_moment_and_where_it_turns():
    tilted = replace(MODEL, directions=tensor([[0, 0, 1], [0, 0.2, -1]]))
    found = stability(tilted, MODEL.pack())
    assert not found.is_stationary
    assert not found.is_minimum
    sentence = why_unstable(tilted, found)
    assert "that of Mn_1 would turn towards (0.000, -0.981, -0.196)); set relaxed = true" in sentence
    assert stability(replace(tilted, relaxed=True), MODEL.pack()).is_minimum


def test_an_instability_names_its_wavevector_or_the_one_given():
    found = stability(MODEL, MODEL.pack(J1=-1))
    assert "unstable at q = (0.000, 0.000, 0.000); change the parameters" in why_unstable(MODEL, found)
    given = torch.full((1, 3), 0.25, dtype=torch.float64)
    assert "unstable at q = (0.250, 0.250, 0.250)" in why_unstable(MODEL, found, given)
    assert "give an order with that propagation" in why_unstable(MODEL, found, given)
