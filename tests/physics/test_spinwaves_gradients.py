"""Derivatives of spectra against finite differences: at degenerate modes, where a parameter splits them, in relaxed order."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from sqwirrel.errors import StateError
from sqwirrel.model.magnetic.terms import Anisotropy, Coupling
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import Modes, SpinWaves
from tests.cases import build, neighbours, random_model, random_q, tensor

NEEL = np.array([[4.2, 4.2, 0], [4.2, -4.2, 0], [0, 0, -13.0]])
PLACES = [[0, 0, 0], [0.5, 0.5, 0]]
UP_DOWN = [[0, 0, 1], [0, 0, -1]]
AXIS = np.diag([0, 0, -1.0])
RHOMBIC = np.diag([1.0, -1.0, 0])
DZYALOSHINSKII = np.array([[0, 1.0, 0], [-1, 0, 0], [0, 0, 0]])
STEP = 2e-5
"""meV; the error of the central difference is its square over that of the smallest parameter (0.05), about 2e-7."""
Q = random_q(12, seed=3)


def bonds() -> object:
    return neighbours(NEEL, PLACES, 4.2)


def square() -> SpinModel:
    """Neel order with degenerate modes at E = 0; E splits them."""
    return build(NEEL, PLACES, UP_DOWN, {"J": (bonds(), 1)}, anisotropies={"D": AXIS, "E": RHOMBIC}, spin=2.5)


def canted() -> SpinModel:
    """In-plane antiferromagnet canted by a staggered Dzyaloshinskii-Moriya term; the angle follows theta."""
    i, j, offset = bonds()
    sign = np.where(np.asarray(i) == 0, 1.0, -1.0)[:, None, None]
    couplings = {"J": ((i, j, offset), 1), "DM": ((i, j, offset), sign * DZYALOSHINSKII)}
    start = [[1.0, -0.05, 0], [-1.0, -0.05, 0]]
    return build(NEEL, PLACES, start, couplings, anisotropies={"D": -AXIS}, relaxed=True)


CASES = {
    "degenerate, and split by a parameter": (square(), [0.67, 0.05, 0.0], {}),
    "nearly degenerate": (square(), [0.67, 0.05, 0.01], {}),
    "thermal": (square(), [0.67, 0.05, 0.0], {"temperature": 15.0}),
    "relaxed": (canted(), [1.0, 0.2, 0.05], {}),
    "relaxed in a field": (canted(), [1.0, 0.2, 0.05], {"field": (0.0, -2.0, 0.0)}),
}


def spectrum(modes: Modes) -> Tensor:
    """sum_n I_n exp(-(E - E_n)^2 / 2 w^2) on a coarse mesh of energies."""
    energy = torch.linspace(-7, 7, 15, dtype=torch.float64)
    line = torch.exp(-0.5 * ((energy - modes.energy[..., None]) / 0.5) ** 2)
    return (modes.intensity[..., None] * line).sum(-2)


def differences(waves: SpinWaves, theta: Tensor) -> Tensor:
    """Central differences by the path without gradients, parameter last."""
    columns = []
    with torch.no_grad():
        for k in range(theta.shape[1]):
            step = STEP * torch.eye(theta.shape[1], dtype=torch.float64)[k]
            columns.append((spectrum(waves(theta + step)) - spectrum(waves(theta - step))) / (2 * STEP))
    return torch.stack(columns, -1)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_reverse_mode_equals_the_finite_difference(case: tuple[SpinModel, list[float], dict[str, object]]) -> None:
    model, theta, sample = case
    waves, theta = SpinWaves(model, Q, **sample), tensor([theta])
    jacobian = torch.autograd.functional.jacobian(lambda t: spectrum(waves(t))[0], theta)[..., 0, :]
    expected = differences(waves, theta)[0]
    assert torch.allclose(jacobian, expected, atol=2e-6 * float(expected.abs().max()) + 2e-6)


@pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")  # torch's own forward rules use it
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_forward_mode_equals_reverse_mode(case: tuple[SpinModel, list[float], dict[str, object]]) -> None:
    model, theta, sample = case
    waves, theta = SpinWaves(model, Q, **sample), tensor([theta])
    direction = tensor([[0.3, -0.5, 0.7]])
    with torch.autograd.forward_ad.dual_level():
        dual = spectrum(waves(torch.autograd.forward_ad.make_dual(theta, direction)))
        tangent = torch.autograd.forward_ad.unpack_dual(dual).tangent
    jacobian = torch.autograd.functional.jacobian(lambda t: spectrum(waves(t))[0], theta)[..., 0, :]
    assert torch.allclose(tangent[0], jacobian @ direction[0], rtol=1e-9, atol=1e-9)


def test_energies_follow_hellmann_and_feynman_through_an_exact_degeneracy() -> None:
    waves, theta = SpinWaves(square(), Q), tensor([[0.67, 0.05, 0.0]]).requires_grad_()
    energy = waves(theta).energy
    assert bool(((energy[..., 0] - energy[..., 1]).abs() < 1e-9).all())
    (slope,) = torch.autograd.grad(energy[..., :2].sum(), theta)
    with torch.no_grad():
        up, down = (waves(theta + sign * tensor([STEP, 0, 0])).energy[..., :2].sum() for sign in (1, -1))
    assert float(slope[0, 0]) == pytest.approx(float(up - down) / (2 * STEP), rel=1e-6)


def test_order_that_follows_theta_gives_the_modes_of_the_order_held_there() -> None:
    J, dm, theta = 1.0, 0.2, tensor([[1.0, 0.2, 0.05]])
    model = canted()
    angle = -0.5 * np.arctan2(dm, J)
    held = [[np.cos(angle), np.sin(angle), 0], [-np.cos(angle), np.sin(angle), 0]]
    i, j, offset = bonds()
    sign = np.where(np.asarray(i) == 0, 1.0, -1.0)[:, None, None]
    terms = {"J": ((i, j, offset), 1), "DM": ((i, j, offset), sign * DZYALOSHINSKII)}
    fixed = build(NEEL, PLACES, held, terms, anisotropies={"D": -AXIS})
    a, b = SpinWaves(model, Q)(theta), SpinWaves(fixed, Q)(theta)
    assert bool(a.stable.all())
    assert bool(b.stable.all())
    assert torch.allclose(a.energy, b.energy, atol=1e-7)
    assert torch.allclose(a.intensity.sum(-1), b.intensity.sum(-1), atol=1e-7)


def test_unstable_row_is_a_flag_and_leaves_the_gradients_of_the_others_alone() -> None:
    waves = SpinWaves(square(), Q)
    theta = tensor([[0.67, 0.05, 0.0], [-0.67, 0.05, 0.0], [0.5, 0.02, 0.01]])
    alone = torch.autograd.functional.jacobian(lambda t: spectrum(waves(t)).sum(), theta[[0, 2]])
    leaf = theta.clone().requires_grad_()
    modes = waves(leaf)
    assert modes.stable.all(-1).tolist() == [True, False, True]
    value = torch.where(modes.stable[..., None], spectrum(modes), 0.0)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert bool(torch.isfinite(modes.energy).all())
    assert bool(torch.isfinite(modes.intensity).all())
    assert torch.allclose(gradient[[0, 2]], alone, rtol=1e-10)
    assert bool(torch.isfinite(gradient).all())


def random_case(seed: int) -> tuple[SpinModel, Tensor]:
    """Moments held by their own axes, random exchange: general or coplanar, with an inversion or without; every third
    model twice in one cell, uncoupled, with parameters of its own for each copy, so that every mode is degenerate.
    """
    inversion, flat = bool(seed % 2), seed % 4 > 1
    model = random_model(centred=bool(seed % 5), flat=flat, inversion=inversion, seed=seed)
    theta = [0.5, 4.0]
    if seed % 3 == 0:
        model, theta = doubled(model), [0.5, 0.5, 4.0, 4.0]
    return model, tensor([theta])


def doubled(model: SpinModel) -> SpinModel:
    n = len(model.spins)
    copies = [
        (
            [Coupling(c.name + mark, c.i + shift, c.j + shift, c.offset, c.matrix) for c in model.couplings],
            [Anisotropy(a.name + mark, a.site + shift, a.matrix) for a in model.anisotropies],
        )
        for mark, shift in (("", 0), ("'", n))
    ]
    both = {name: torch.cat((getattr(model, name),) * 2) for name in ("spins", "g", "directions", "lande")}
    return dataclasses.replace(
        model,
        positions=torch.cat((model.positions, model.positions)),
        labels=model.labels * 2,
        ions=model.ions * 2,
        couplings=tuple(copies[0][0] + copies[1][0]),
        anisotropies=tuple(copies[0][1] + copies[1][1]),
        **both,
    )


@pytest.mark.parametrize("seed", range(100))
def test_gradient_of_a_random_model_is_the_finite_difference(seed: int) -> None:
    model, theta = random_case(seed)
    waves = SpinWaves(model, Q[:6], temperature=20.0)
    with torch.no_grad():
        modes = waves(theta)
    assert float(modes.energy.abs().amin()) > 0.05
    if seed % 3 == 0:
        assert float((modes.energy[..., 0:8:2] - modes.energy[..., 1:8:2]).abs().max()) < 1e-9
    leaf = theta.clone().requires_grad_()
    weight = torch.linspace(0.5, 1.5, 6 * 15, dtype=torch.float64).reshape(6, 15)
    (gradient,) = torch.autograd.grad((spectrum(waves(leaf)) * weight).sum(), leaf)
    expected = (differences(waves, theta)[0] * weight[..., None]).sum((0, 1))
    scale = (differences(waves, theta)[0] * weight[..., None]).abs().sum((0, 1))
    assert torch.allclose(gradient[0], expected, rtol=0, atol=1e-6 * float(scale.max()))


def test_second_derivatives_are_refused() -> None:
    waves, theta = SpinWaves(square(), Q), tensor([[0.67, 0.05, 0.01]])
    total = lambda t: spectrum(waves(t)).sum()  # noqa: E731
    leaf = theta.clone().requires_grad_()
    for twice in (
        lambda: torch.autograd.grad(waves.correlations(leaf).S.abs().sum(), leaf, create_graph=True),
        lambda: torch.autograd.grad(total(leaf), leaf, create_graph=True),
        lambda: torch.func.hessian(total)(theta),
        lambda: torch.func.grad(lambda t: torch.func.grad(total)(t).sum())(theta),
    ):
        with pytest.raises(StateError, match="differentiated once"):
            twice()
    assert torch.allclose(torch.func.grad(total)(theta), torch.autograd.grad(total(leaf), leaf)[0], rtol=1e-9)


def test_correlations_flag_what_is_unstable() -> None:
    stable = SpinWaves(square(), Q).correlations(tensor([[0.67, 0.05, 0.0], [-0.67, 0.05, 0.0]])).stable
    assert stable.all(-1).tolist() == [True, False]
