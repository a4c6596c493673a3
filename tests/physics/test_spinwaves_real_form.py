"""Inversion and real coefficients save work: the answers are those of all operators with complex matrix elements."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import Modes, SpinWaves
from tests.cases import build, random_model, tensor

ROWS = tensor([[1.0, 2.5, 1.0], [2.0, 0.1, 1.0], [1.0, -1.0, 1.0]])


def both_ways(model: SpinModel, theta: Tensor) -> tuple[SpinWaves, Modes, Modes]:
    waves = SpinWaves(model, tensor(np.random.default_rng(1).uniform(-1, 1, (30, 3))), temperature=30.0)
    with torch.no_grad():
        compiled = waves(theta)
    return waves, compiled, waves(theta)


def below(modes: Modes) -> Tensor:
    """Intensity below a set of energies, which does not ask how degenerate modes share it."""
    edge = torch.linspace(-8, 8, 33, dtype=torch.float64)
    return (modes.intensity[..., None] * torch.sigmoid((edge - modes.energy[..., None]) / 0.2)).sum(-2)


@pytest.mark.parametrize("centred", [True, False], ids=["sites on centres", "sites in pairs"])
@pytest.mark.parametrize("flat", [True, False], ids=["coplanar", "general"])
def test_the_real_form_has_the_modes_of_the_complex_one(centred: bool, flat: bool) -> None:
    model = random_model(centred=centred, flat=flat)
    theta = tensor([[1.0, 2.5], [0.4, 2.0], [-0.8, 3.0]])
    waves, ours, theirs = both_ways(model, theta)
    assert waves.quadratures is not None
    assert waves.quadratures.apart == flat
    assert torch.allclose(ours.energy, theirs.energy, rtol=0, atol=1e-10)
    assert torch.allclose(below(ours), below(theirs), rtol=0, atol=1e-10)
    assert float(ours.energy.abs().min()) > 0.1


def test_a_row_or_a_wavevector_that_is_not_positive_definite_is_zero_and_flagged() -> None:
    for flat in (True, False):
        model = random_model(centred=True, flat=flat)
        waves, ours, theirs = both_ways(model, ROWS[:, :2])
        assert waves.quadratures is not None
        alive, expected = ours.energy.abs().amax(-1) > 0, torch.linalg.eigvalsh(hamiltonian(waves)).amin(-1) > 0
        assert torch.equal(alive, expected)
        assert 0 < int(alive[1].sum()) < 30
        assert torch.allclose(ours.energy[alive], theirs.energy[alive], rtol=0, atol=1e-8)
        assert not bool(ours.intensity[~alive].any())


def hamiltonian(waves: SpinWaves) -> Tensor:
    return waves.elements.matrix((ROWS + 0j) @ waves.coefficient, waves.get_buffer("phase"), 2 * len(waves.spins))


def test_without_inversion_all_operators_are_used() -> None:
    model = random_model(centred=True, flat=True, inversion=False)
    waves, ours, theirs = both_ways(model, tensor([[1.0, 2.5]]))
    assert waves.quadratures is None
    assert torch.allclose(ours.energy, theirs.energy, rtol=0, atol=1e-10)


def test_what_no_neutron_sees_has_energies_and_no_intensity() -> None:
    """Ions whose g across the moments is zero."""
    model = build(
        np.diag([3.0, 8, 8]), [[0, 0, 0]], [[0, 0, 1]], {"J": (([0], [0], [[1, 0, 0]]), -1)}, g=np.diag([0, 0, 4.0])
    )
    waves = SpinWaves(model, tensor([[0.2, 0, 0]]))
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            modes = waves(tensor([[1.0]]))
        assert float(modes.energy[0, 0, 0]) == pytest.approx(2 * (1 - np.cos(0.4 * np.pi)), abs=1e-7)
        assert not bool(modes.intensity.any())


def test_partners_of_an_inversion_have_the_same_ion() -> None:
    """Else the inversion is not used, and the form factors are those of each."""
    model = dataclasses.replace(random_model(centred=False, flat=True), ions=("Mn2+", "Mn2+", "Fe2+", "Fe2+"))
    waves, ours, theirs = both_ways(model, tensor([[1.0, 2.5]]))
    assert waves.quadratures is None
    assert torch.allclose(below(ours), below(theirs), rtol=0, atol=1e-10)
