"""Polarised neutrons: what flips their spin, and the handedness of magnons."""

import math

import numpy as np
import pytest
import torch

from sqwirrel.model import library
from sqwirrel.model.magnetic.order import Spiral
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.crosssection import absolute, polarised
from tests.cases import build, neighbours, random_q, tensor

CELL = np.diag([3.0, 8, 8])
BOND = neighbours(CELL, [[0, 0, 0]], 3)
NORMAL = tensor([0.0, 0, 1])


def ferromagnet(direction: list[float]) -> SpinModel:
    return build(CELL, [[0, 0, 0]], [direction], {"J": (BOND, -1)})


def spiral(sign: float) -> SpinModel:
    """A screw along the chain, k from J1 and J2 of equal size: cos 2 pi k = 1/4."""
    second = neighbours(CELL, [[0, 0, 0]], 6)
    flat = build(CELL, [[0, 0, 0]], [[0, 1, 0]], {"J": (BOND, -1), "J2": (second, 1)})
    k = math.acos(0.25) / math.tau
    return SpinModel(**{**vars(flat), "spiral": Spiral(tensor([k, 0, 0]), tensor([sign, 0, 0]))})


def test_flip_and_non_flip_make_the_unpolarised_intensity_along_every_axis() -> None:
    model, q = library.load("rb2mnf4"), random_q(6)
    waves = SpinWaves(model, q)
    with torch.no_grad():
        S = waves.correlations(model.pack(), magnetic=True)[1]
        perpendicular = waves(model.pack()).intensity[0, :, : S.shape[2]].sum(-1)
    seen = polarised(S, model.lattice.to_cartesian(q), NORMAL)
    total = (seen.flip + seen.non_flip)[0].sum(1)
    assert torch.allclose(total, perpendicular[:, None].expand(-1, 3), rtol=1e-9)
    assert float(seen.chiral.sum(2).abs().max()) < 1e-9 * float(total.max())


def test_moments_with_g_and_form_factors_have_the_trace_of_the_unpolarised_intensity() -> None:
    """Of a ferromagnet along Q all of S^ab is perpendicular to Q; the form factor is that of the spectrum."""
    iron = ferromagnet([1, 0, 0])
    model = SpinModel(**{**vars(iron), "ions": ("Mn2+",), "g": 1.7 * torch.eye(3, dtype=torch.float64)[None]})
    waves, theta = SpinWaves(model, tensor([[1.3, 0, 0]])), tensor([[1.0]])
    trace = waves.correlations(theta, magnetic=True)[1].diagonal(dim1=-2, dim2=-1).real.sum(-1)
    assert torch.allclose(trace[0, 0], waves(theta).intensity[0, 0, :1], rtol=1e-9)
    bare = waves.correlations(theta)[1].diagonal(dim1=-2, dim2=-1).real.sum(-1)
    assert float(bare) == pytest.approx(1.0)
    assert float(trace) < 0.85**2


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_ferromagnet_along_q_flips_only_neutrons_of_opposite_spin(sign: float) -> None:
    """A magnon takes one unit of spin from the sample, which the neutron gains; the chiral part follows the moment."""
    q = tensor([[0.3, 0, 0]])
    S = SpinWaves(ferromagnet([sign, 0, 0]), q).correlations(tensor([[1.0]]))[1]
    seen = polarised(S, tensor([[1.0, 0, 0]]), NORMAL)
    assert float(seen.flip[..., 0]) == pytest.approx(1.0)
    assert float(seen.chiral) == pytest.approx(sign)
    assert float((seen.flip[..., 0] - sign * seen.chiral).abs()) < 1e-12  # neutrons along the spins never flip


def test_a_ferromagnet_across_q_has_no_chirality_and_is_seen_by_half() -> None:
    S = SpinWaves(ferromagnet([0, 0, 1]), tensor([[0.3, 0, 0]])).correlations(tensor([[1.0]]))[1]
    seen = polarised(S, tensor([[1.0, 0, 0]]), NORMAL)
    assert seen.flip.flatten().tolist() == pytest.approx([0.5, 0.0, 0.5])
    assert seen.non_flip.flatten().tolist() == pytest.approx([0.0, 0.5, 0.0])
    assert float(seen.chiral.abs()) < 1e-12


def test_chirality_of_a_spiral_changes_sign_with_its_handedness() -> None:
    q = tensor([[0.21, 0, 0], [0.4, 0, 0]])
    right, left = (SpinWaves(spiral(sign), q).correlations(tensor([[1.0, 1.0]]))[1] for sign in (1.0, -1.0))
    seen = [polarised(S, q, NORMAL) for S in (right, left)]
    assert torch.allclose(seen[0].chiral, -seen[1].chiral, atol=1e-9)
    assert float(seen[0].chiral.abs().max()) > 0.1
    assert torch.allclose(seen[0].flip, seen[1].flip, atol=1e-9)
    assert bool((seen[0].chiral.abs() <= seen[0].flip[..., 0] + 1e-9).all())


def test_absolute_units_are_291_millibarn_per_unit_of_s_perp() -> None:
    """(gamma r_0)^2 = (5.391 fm)^2."""
    assert float(absolute(tensor([1.0]))) == pytest.approx(10 * 5.3909**2, rel=1e-4)
