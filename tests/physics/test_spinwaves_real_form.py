"""Inversion and real coefficients save work: the answers are those of all operators with complex matrix elements."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import Modes, SpinWaves
from tests.cases import build, tensor

ROWS = tensor([[1.0, 2.5, 1.0], [2.0, 0.1, 1.0], [1.0, -1.0, 1.0]])
CELL = np.array([[4.0, 0, 0], [0.7, 5.1, 0], [-0.3, 0.4, 6.2]])


def random_model(*, centred: bool, flat: bool, inversion: bool = True, seed: int = 3) -> SpinModel:
    """Four moments held by strong axes: on inversion centres or in pairs about one, in one plane with isotropic exchange
    or in any direction with any exchange matrix and g tensor.
    """
    rng = np.random.default_rng(seed)
    some = rng.uniform(0.05, 0.45, (2, 3))
    places = (
        np.array([[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0]]) if centred else np.vstack((some, 1 - some))
    )
    partner = np.arange(4) if centred else np.array([2, 3, 0, 1])
    directions = rng.normal(size=(4, 3)) @ (
        np.diag([1.0, 1, 0]) @ np.linalg.qr(rng.normal(size=(3, 3)))[0] if flat else np.eye(3)
    )
    directions = directions[np.minimum(np.arange(4), partner)]
    bonds: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for k, (i, j) in enumerate(((0, 1), (0, 3), (0, 1), (1, 2))):
        cell = 2 * k + rng.integers(1, 3, 3)
        matrix = rng.normal() * np.eye(3) if flat else rng.normal(size=(3, 3))
        bonds[i, j, *cell] = 0.3 * matrix
        if inversion:  # i at r goes to its partner at -r, the partner's place in the cell being r_p = -r + whole
            whole = np.round(places[partner] + places).astype(int)
            bonds[partner[i], partner[j], *(-cell - whole[j] + whole[i])] = 0.3 * matrix
    i, j, *cells = zip(*bonds, strict=True)
    g = np.eye(3) * 2 + (0 if flat else 0.3 * rng.normal(size=(4, 3, 3)))
    model = build(
        CELL,
        places,
        directions,
        {"J": ((i, j, np.array(cells).T), np.array(list(bonds.values())))},
        anisotropies={"D": np.array([-np.outer(n, n) / (n @ n) for n in directions])},
        g=np.broadcast_to(g, (4, 3, 3))[np.minimum(np.arange(4), partner)],
    )
    return dataclasses.replace(model, ions=tuple(("Mn2+", "Fe2+")[min(k, partner[k]) % 2] for k in range(4)))


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
