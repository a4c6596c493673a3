"""Twins and domains: what each orientation of a model adds."""

import dataclasses

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.domains import Domains
from tests.cases import build, neighbours, random_q, tensor

CELL = [[4.0, 0, 0], [0, 5, 0], [0, 0, 6]]
SWAP = tensor([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
TURN = tensor([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
Q, THETA = random_q(8), tensor([[-1.0, -0.4]])
FIELD = (0.5, -0.3, 2.0)


def ferromagnet(direction=(0, 0.6, 0.8), **options):
    bonds = {"Ja": (neighbours(CELL, [[0, 0, 0]], 4), 1), "Jb": (neighbours(CELL, [[0, 0, 0]], 5), 1)}
    return build(CELL, [[0, 0, 0]], [direction], bonds, g=[[2.2, 0, 0.1], [0, 2, 0], [0.1, 0, 1.8]], **options)


def test_a_twin_adds_the_rotated_wavevectors_with_its_share() -> None:
    model = ferromagnet()
    both = Domains(model, Q, torch.stack((torch.eye(3).to(SWAP), SWAP)), shares=(3, 1), temperature=20.0)(THETA)
    swapped = model.lattice.to_rlu(model.lattice.to_cartesian(Q) @ SWAP)
    one, other = SpinWaves(model, Q, temperature=20.0)(THETA), SpinWaves(model, swapped, temperature=20.0)(THETA)
    assert both.energy.shape == (1, 8, 4)
    expected = 0.75 * one.intensity.sum(-1) + 0.25 * other.intensity.sum(-1)
    assert torch.allclose(both.intensity.sum(-1), expected, rtol=1e-12)
    assert torch.allclose(both.energy[..., :2].sum(-1), one.energy[..., 0] + other.energy[..., 0], rtol=1e-12)


@pytest.mark.parametrize("R", [TURN, SWAP])
def test_a_domain_in_a_field_is_the_model_with_spins_and_crystal_turned(R: torch.Tensor) -> None:
    """Spins are axial: a mirror turns them as its proper part does."""
    model = ferromagnet(relaxed=True)
    axial = torch.linalg.det(R) * R
    turned = dataclasses.replace(
        model,
        lattice=Lattice.from_vectors(model.lattice.vectors @ R.T),
        directions=model.directions @ axial.T,
        g=axial @ model.g @ axial.T,
    )
    q = turned.lattice.to_rlu(model.lattice.to_cartesian(Q))
    expected = SpinWaves(turned, q, field=FIELD)(THETA)
    found = Domains(model, Q, R[None], field=FIELD)(THETA)
    assert bool(found.stable.all())
    assert torch.allclose(found.energy, expected.energy, atol=1e-9)
    assert torch.allclose(found.intensity, expected.intensity, atol=1e-9)


def test_wrong_shares_and_rotations_are_refused() -> None:
    with pytest.raises(InputError, match="one share each, not negative"):
        Domains(ferromagnet(), Q, SWAP[None], shares=(1, 2))
    with pytest.raises(InputError, match="must be orthogonal"):
        Domains(ferromagnet(), Q, 2 * SWAP[None])


def test_single_precision_wavevectors_are_taken() -> None:
    assert Domains(ferromagnet(), Q.float(), SWAP[None])(THETA).energy.dtype == torch.float64
