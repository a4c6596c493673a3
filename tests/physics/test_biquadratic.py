"""Biquadratic exchange: against the classical energy, a closed form, and a published spectrum."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.parse import parse
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.classical.order import local_frames
from tests.cases import assert_second_derivative, build, random_q, tensor


def tilted() -> SpinModel:
    """Two spins in no special direction, with every kind of term."""
    rng = np.random.default_rng(3)
    bonds = [0, 0, 0], [1, 1, 0], [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    return build(
        np.diag([4.0, 5, 6]),
        [[0, 0, 0], [0.4, 0.3, 0.2]],
        rng.normal(size=(2, 3)),
        {"J": (bonds, np.eye(3) + 0.3 * rng.normal(size=(3, 3, 3)))},
        squared={"B": (bonds, np.eye(3)), "C": (bonds, rng.normal(size=(3, 3, 3)))},
        anisotropies={"D": np.diag([0.3, -0.2, 0.7])},
        spin=[1.5, 2.5],
    )


THETA = tensor([[0.7, -0.2, 0.4, 0.5]])


def classical(model: SpinModel, xy: Tensor) -> Tensor:
    """Energy of the cell with spins leaned by (x, y), b = (x + i y) / sqrt 2, as Holstein and Primakoff have it."""
    u, n = local_frames(model.directions)
    size = (xy**2).sum(-1, keepdim=True) / 2
    S = n * (model.spins[:, None] - size) + (model.spins[:, None] - size / 2).sqrt() * (
        xy[:, :1] * u.real + xy[:, 1:] * u.imag
    )
    energy = torch.zeros(())
    for value, term in zip(THETA[0], (*model.couplings, *model.anisotropies), strict=True):
        ends = (term.i, term.j) if hasattr(term, "i") else (term.site, term.site)
        each = torch.einsum("ba,bac,bc->b", S[ends[0]], term.matrix, S[ends[1]])
        energy = energy + value * (each**2 if getattr(term, "squared", False) else each).sum()
    return energy


def test_the_boson_hamiltonian_is_the_second_derivative_of_the_classical_energy() -> None:
    model = tilted()
    K = torch.autograd.functional.hessian(lambda xy: classical(model, xy), torch.zeros(2, 2, dtype=torch.float64))
    assert_second_derivative(model, THETA, K)


CUBIC = {
    "name": "cubic",
    "crystal": {
        "cell": [4, 4, 4, 90, 90, 90],
        "spacegroup": 221,
        "sites": [{"label": "M", "position": [0, 0, 0], "spin": 1.5}],
    },
    "couplings": [{"name": "J", "bond": "1"}, {"name": "B", "bond": "1", "biquadratic": "classical"}],
    "order": {
        "supercell": [[0, 1, 1], [1, 0, 1], [1, 1, 0]],
        "propagation": [0.5, 0.5, 0.5],
        "spins": [{"position": [0, 0, 0], "direction": [0, 0, 1]}],
    },
}


@pytest.mark.parametrize(("kind", "less"), [("classical", 0), ("renormalised", -2 + 1 / 1.5)])
def test_cubic_neel_order_has_its_closed_form(kind: str, less: float) -> None:
    """w = J (s cos a - (2 s - 2 + 1 / s) sin a) sqrt(36 - g^2), without the last two terms for classical spins."""
    couplings = [CUBIC["couplings"][0], {**CUBIC["couplings"][1], "biquadratic": kind}]
    model, q, s, a = parse({**CUBIC, "couplings": couplings}), random_q(20), 1.5, 0.3
    assert model.names == ("J", "B")
    with torch.no_grad():
        modes = SpinWaves(model, q)(tensor([[np.cos(a), np.sin(a) / s**2]]))
    g = 2 * torch.cos(2 * torch.pi * q).sum(-1)
    expected = (s * np.cos(a) - (2 * s + less) * np.sin(a)) * (36 - g**2).sqrt()
    assert bool(modes.stable.all())
    assert torch.allclose(modes.energy[0, :, 0], expected, atol=1e-6)


def test_what_cannot_be_biquadratic_is_refused() -> None:
    wrong = {**CUBIC, "couplings": [CUBIC["couplings"][0], {"name": "B", "bond": "1", "biquadratic": True}]}
    with pytest.raises(InputError, match="'classical' or 'renormalised', without a matrix, got True"):
        parse(wrong)
    with pytest.raises(InputError, match="is relaxed and has biquadratic exchange"):
        parse({**CUBIC, "order": {**CUBIC["order"], "relaxed": True}})
