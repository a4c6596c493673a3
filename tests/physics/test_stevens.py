"""Single-ion anisotropy of rank 2 to 6: level schemes, closed forms, the classical energy, a published case, invariances."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.magnetic import stevens
from sqwirrel.model.magnetic.order import Spiral
from sqwirrel.model.magnetic.terms import Multipole
from sqwirrel.model.parse import parse
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import Modes, SpinWaves
from sqwirrel.simulate.classical.order import local_frames
from sqwirrel.units import K_B
from tests.cases import assert_second_derivative, build, neighbours, random_q, repeated, tensor

Q = random_q(12)
CUBE = 4 * np.eye(3)
BONDS = neighbours(CUBE, [[0, 0, 0]], 4.0)
ALONG = {"001": [0, 0, 1], "111": [1, 1, 1], "110": [1, 1, 0]}


def solve(model: SpinModel, *theta: float, q: Tensor = Q, **sample: object) -> Modes:
    with torch.no_grad():
        return SpinWaves(model, q, **sample)(tensor([theta]))


def ferromagnet(function: Tensor, direction: list[float], spin: float, **more: object) -> SpinModel:
    """A simple cubic ferromagnet; theta is J and the factor of the function."""
    model = build(CUBE, [[0, 0, 0]], [direction], {"J": (BONDS, 1)}, spin=spin, **more)
    return dataclasses.replace(model, multipoles=(Multipole("B", [0], function),))


def free(spin: float, J: float = -0.8) -> Tensor:
    """Energies of the ferromagnet without anisotropy, 2 s |J| (3 - sum cos)."""
    return -2 * spin * J * (3 - torch.cos(2 * torch.pi * Q).sum(-1))


def levels(k: int, s: float) -> list[float]:
    """O_k^0 of the states m = s and m = s - 1 (K. W. H. Stevens, Proc. Phys. Soc. A 65, 209 (1952))."""
    X = s * (s + 1)
    forms = {
        2: lambda m: 3 * m**2 - X,
        4: lambda m: 35 * m**4 - (30 * X - 25) * m**2 + 3 * X**2 - 6 * X,
        6: lambda m: (
            231 * m**6 - (315 * X - 735) * m**4 + (105 * X**2 - 525 * X + 294) * m**2 - 5 * X**3 + 40 * X**2 - 60 * X
        ),
    }
    return [forms[k](s), forms[k](s - 1)]


@pytest.mark.parametrize(("k", "s"), [(2, 1.0), (2, 2.5), (4, 2.0), (4, 3.5), (6, 3.0), (6, 4.0)])
def test_renormalised_gap_of_an_axial_ferromagnet_is_the_distance_of_the_two_lowest_levels(k: int, s: float) -> None:
    """The first excitation of one ion is exact in spin-wave theory."""
    high, low = levels(k, s)
    gap, less = 0.3, stevens.renormalisation(k, s)
    found = solve(ferromagnet(less * s**k * stevens.operator(k, 0), [0, 0, 1], s), -0.8, gap / (low - high))
    assert bool(found.stable.all())
    assert torch.allclose(found.energy[0, :, 0], free(s) + gap, atol=1e-6)


def test_axial_rank_2_is_three_times_the_matrix() -> None:
    """O20 = 3 (S^z)^2 - s (s + 1)."""
    one = ferromagnet(1.5**2 * stevens.operator(2, 0), [0, 0, 1], 1.5)
    other = build(CUBE, [[0, 0, 0]], [[0, 0, 1]], {"J": (BONDS, 1)}, anisotropies={"D": np.diag([0, 0, 3.0])}, spin=1.5)
    a, b = solve(one, -0.8, -0.1), solve(other, -0.8, -0.1)
    assert torch.allclose(a.energy, b.energy, atol=1e-10)
    assert torch.allclose(a.intensity, b.intensity, atol=1e-10)


@pytest.mark.parametrize(("along", "expected"), [("001", 80.0), ("111", -160 / 3)])
def test_cubic_anisotropy_has_its_closed_gap(along: str, expected: float) -> None:
    """f = s^4 (20 (x^4 + y^4 + z^4) - 12) = O40 + 5 O44: gaps -80 B s^3 along [001] and 160 B s^3 / 3 along [111]."""
    s, B = 2.5, -0.004 * np.sign(expected)
    cubic = s**4 * (stevens.operator(4, 0) + 5 * stevens.operator(4, 4))
    found = solve(ferromagnet(cubic, ALONG[along], s), -0.8, B)
    assert bool(found.stable.all())
    assert torch.allclose(found.energy[0, :, 0], free(s) - expected * B * s**3, atol=1e-6)


def test_saddle_of_the_anisotropy_is_unstable() -> None:
    s = 2.5
    cubic = s**4 * (stevens.operator(4, 0) + 5 * stevens.operator(4, 4))
    at_zero = torch.zeros(1, 3, dtype=torch.float64)
    for B in (0.004, -0.004):
        assert not bool(solve(ferromagnet(cubic, ALONG["110"], s), -0.8, B, q=at_zero).stable.any())


FCC = {
    "name": "fcc",
    "crystal": {
        "cell": [8.289, 8.289, 8.289, 90, 90, 90],
        "spacegroup": 225,
        "sites": [{"label": "M", "position": [0, 0, 0], "spin": 2.5}],
    },
    "couplings": [{"name": "J", "bond": "1"}, {"name": "K", "bond": "1", "matrix": [[0, 0, 0], [0, 0, 0], [0, 0, 1]]}],
    "anisotropies": [{"name": "D", "site": "M", "stevens": {"40": 0.05, "44": 0.25}, "renormalised": True}],
    "order": {
        "spins": [
            {"position": [0, 0, 0], "direction": [1, 1, 1]},
            {"position": [0.5, 0.5, 0], "direction": [1, -1, -1]},
            {"position": [0.5, 0, 0.5], "direction": [-1, -1, 1]},
            {"position": [0, 0.5, 0.5], "direction": [-1, 1, -1]},
        ],
    },
}
"""D (x^4 + y^4 + z^4) is D (O40 + 5 O44) / 20 and a constant; the first bond lies in the plane of x and y."""


def test_fcc_antiferromagnet_has_the_published_intensities() -> None:
    """Test of Sunny.jl ("Intensities" of its spin-wave tests), traces of S^ab of the moments (g = 2) per cell."""
    theta = {"J": 22.06 * K_B, "K": 0.15 * K_B, "D": 25 / 24}
    model = parse(FCC)
    _, S, _ = SpinWaves(model, tensor([[0.8, 0.6, 0.1]])).correlations(model.pack(**theta))
    trace = 4 * 2**2 * torch.einsum("bqmaa->bqm", S).real[0, 0]
    found = sorted(trace[trace > 1e-9].tolist())
    assert found == pytest.approx(sorted([18.78918915723918, 19.679676835786527, 16.76890645406461]), rel=1e-7)


def tilted(relaxed: bool = False) -> SpinModel:
    """Two spins in no special direction, each with a function of every rank."""
    rng = np.random.default_rng(3)
    bonds = [0, 0, 0], [1, 1, 0], [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    model = build(
        np.diag([4.0, 5, 6]),
        [[0, 0, 0], [0.4, 0.3, 0.2]],
        rng.normal(size=(2, 3)),
        {"J": (bonds, 0.2 * rng.normal(size=(3, 3, 3)) - np.eye(3))},
        anisotropies={"D": np.diag([0.3, -0.2, 0.7])},
        spin=[1.5, 2.5],
        relaxed=relaxed,
    )
    every = torch.stack([stevens.operator(k, q) for k in (2, 4, 6) for q in range(-k, k + 1)])
    functions = tensor(rng.normal(size=(2, 27))) @ every / 10
    return dataclasses.replace(model, multipoles=(Multipole("B", [0, 1], functions), Multipole("C", [1], functions[0])))


THETA = tensor([[0.7, 0.4, 0.5, -0.3]])


def classical(model: SpinModel, xy: Tensor) -> Tensor:
    """Energy of the cell with spins leaned by (x, y), b = (x + i y) / sqrt 2, as Holstein and Primakoff have it."""
    u, n = local_frames(model.directions)
    size = (xy**2).sum(-1, keepdim=True) / 2
    S = n * (model.spins[:, None] - size) + (model.spins[:, None] - size / 2).sqrt() * (
        xy[:, :1] * u.real + xy[:, 1:] * u.imag
    )
    J, D, B, C = THETA[0]
    (coupling,), (anisotropy,), (one, two) = model.couplings, model.anisotropies, model.multipoles
    value = lambda term: (stevens.monomials(S[term.site] / model.spins[term.site, None]) * term.function).sum()  # noqa: E731
    exchange = torch.einsum("ba,bac,bc->", S[coupling.i], coupling.matrix, S[coupling.j])
    return J * exchange + D * torch.einsum("ba,bac,bc->", S, anisotropy.matrix, S) + B * value(one) + C * value(two)


def test_the_boson_hamiltonian_is_the_second_derivative_of_the_classical_energy() -> None:
    model = tilted()
    K = torch.autograd.functional.hessian(lambda xy: classical(model, xy), torch.zeros(2, 2, dtype=torch.float64))
    assert_second_derivative(model, THETA, K)


def total(modes: Modes) -> Tensor:
    """Intensity below some energies, which degenerate modes do not change."""
    edge = torch.linspace(-40, 40, 31, dtype=torch.float64)
    return (modes.intensity[..., None] * torch.sigmoid((edge - modes.energy[..., None]) / 2)).sum(-2)


def test_relaxed_order_is_stationary_and_compiled_modes_are_the_differentiable_ones() -> None:
    """The path without gradients repeats the other one to rounding."""
    waves = SpinWaves(tilted(relaxed=True), Q, field=(0.3, -0.5, 0.2))
    fast, slow = solve(waves.model, *THETA[0].tolist(), field=(0.3, -0.5, 0.2)), waves(THETA)
    assert bool(waves.is_stationary(THETA).all())
    assert bool(slow.stable.all())
    assert torch.allclose(fast.energy, slow.energy, rtol=0, atol=1e-8)
    assert torch.allclose(total(fast), total(slow), rtol=0, atol=1e-8)


@pytest.mark.parametrize("relaxed", [False, True])
def test_derivatives_are_finite_differences(relaxed: bool) -> None:
    """Of the energies; the error of a central difference with this step is about 1e-7 of a derivative."""
    model = tilted(relaxed=True)
    theta, step = THETA, 1e-5
    if not relaxed:
        waves = SpinWaves(model, Q)
        model = dataclasses.replace(model, relaxed=False, directions=waves._order(theta)[1][0])
    waves = SpinWaves(model, Q)
    jacobian = torch.autograd.functional.jacobian(lambda t: waves(t).energy[0], theta)[..., 0, :]
    moves = step * torch.eye(4, dtype=torch.float64)
    with torch.no_grad():
        columns = [(waves(theta + move).energy[0] - waves(theta - move).energy[0]) / (2 * step) for move in moves]
    assert torch.allclose(jacobian, torch.stack(columns, -1), rtol=1e-5, atol=1e-5)


def test_moments_turn_into_an_easy_direction_of_rank_4() -> None:
    """f = O44 with a positive factor is least along [110]; the start lies off it."""
    s = 2.0
    model = ferromagnet(s**4 * stevens.operator(4, 4), [1, 0.4, 0], s, relaxed=True)
    hard = Multipole("K", [0], s**2 * stevens.operator(2, 0))
    model = dataclasses.replace(model, multipoles=(*model.multipoles, hard))
    found = SpinWaves(model, Q)._order(tensor([[-0.8, 0.05, 0.3]]))[1][0, 0]
    assert found.tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 0], abs=1e-9)


def test_turning_crystal_moments_and_functions_changes_nothing() -> None:
    R = torch.linalg.qr(tensor(np.random.default_rng(8).normal(size=(3, 3)))).Q
    model = tilted(relaxed=True)
    turned = dataclasses.replace(
        model,
        lattice=type(model.lattice).from_vectors(model.lattice.vectors @ R.T),
        directions=model.directions @ R.T,
        couplings=tuple(dataclasses.replace(c, matrix=R @ c.matrix @ R.T) for c in model.couplings),
        anisotropies=tuple(dataclasses.replace(a, matrix=R @ a.matrix @ R.T) for a in model.anisotropies),
        multipoles=tuple(dataclasses.replace(m, function=stevens.turned(m.function, R)) for m in model.multipoles),
    )
    a, b = solve(model, *THETA[0].tolist()), solve(turned, *THETA[0].tolist())
    assert bool(a.stable.all())
    assert torch.allclose(a.energy, b.energy, atol=1e-8)
    assert torch.allclose(total(a), total(b), atol=1e-8)


def test_supercell_has_the_energies_of_the_primitive_cell() -> None:
    """Those at q appear among those of the folded bands, and carry all of the intensity."""
    s = 2.0
    function = s**4 * (stevens.operator(4, 0) + 2 * stevens.operator(4, 4))
    places, _ = repeated([[0, 0, 0]], (2, 1, 1))
    cell = CUBE @ np.diag([2, 1, 1])
    bonds = neighbours(cell, places, 4.0)
    large = build(CUBE, places, [[0, 0, 1]] * 2, {"J": (bonds, 1)}, spin=s, supercell=(2, 1, 1))
    large = dataclasses.replace(large, multipoles=(Multipole("B", [0, 1], function),))
    a, b = solve(ferromagnet(function, [0, 0, 1], s), -0.8, -0.01), solve(large, -0.8, -0.01)
    assert torch.allclose(total(a), total(b), atol=1e-8)


def spiral(function: Tensor, k: float, cells: int = 1) -> SpinModel:
    """A chain with competing exchange and a spiral about z: in its turning frame, or over so many cells."""
    s, i = 1.5, np.arange(cells)
    near, far = ((i, (i + step) % cells, [[n // cells, 0, 0] for n in i + step]) for step in (1, 2))
    angle = 2 * np.pi * k * i
    directions = np.stack((np.cos(angle), np.sin(angle), 0 * angle), -1)
    terms = {"J": (near, -1), "A": (far, 1)}
    model = build(
        np.diag([3.0, 8, 8]), [[n / cells, 0, 0] for n in i], directions, terms, spin=s, supercell=(cells, 1, 1)
    )
    axis = None if cells > 1 else Spiral(tensor([k, 0, 0]), tensor([0, 0, 1]))
    return dataclasses.replace(model, multipoles=(Multipole("B", i, function),), spiral=axis)


def test_spiral_with_an_axial_operator_is_that_of_its_supercell() -> None:
    function = 1.5**4 * stevens.operator(4, 0)
    J2 = 1 / (4 * np.cos(2 * np.pi / 5))
    a, b = (solve(spiral(function, 0.2, cells), 1.0, J2, -0.02) for cells in (1, 5))
    assert bool(a.stable.all())
    assert torch.allclose(total(a), total(b), atol=1e-8)


def test_spiral_with_an_operator_that_is_not_axial_is_refused() -> None:
    with pytest.raises(InputError, match="'B' of model 'case' changes when turned about the axis"):
        spiral(stevens.operator(4, 4), 0.2)
