"""What changes no spectrum, for any model: moments held by their own axes, random exchange, with and without symmetry."""

import dataclasses

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sqwirrel.model.magnetic.order import Spiral
from sqwirrel.model.magnetic.terms import Anisotropy, Coupling
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import Modes, SpinWaves
from tests.cases import build, in_larger_cell, neighbours, random_model, random_q, repeated, rotated, tensor

THETA = tensor([[0.3, 6.0]])
Q = random_q(5, seed=11)
TOLERANCE = 1e-8
"""meV, and intensity per ion; the two paths agree to this."""
kinds = st.fixed_dictionaries(
    {"centred": st.booleans(), "flat": st.booleans(), "inversion": st.booleans(), "seed": st.integers(0, 10**6)}
)
Kind = dict[str, int]
gradients = st.booleans()


def solve(model: SpinModel, q: Tensor = Q, *, theta: Tensor = THETA, gradients: bool = False) -> Modes:
    with torch.set_grad_enabled(gradients):
        return SpinWaves(model, q, temperature=20.0)(theta)


def assert_same(a: Modes, b: Modes, scale: float = 1.0) -> None:
    """Equal intensities below every energy: a larger cell has more modes, and degenerate ones share their intensity."""
    edge = torch.linspace(-40, 40, 81, dtype=torch.float64)
    one, other = (
        (m.intensity[..., None] * torch.sigmoid((edge - f * m.energy[..., None]) / 0.5)).sum(-2)
        for m, f in ((a, 1.0), (b, 1 / scale))
    )
    assert float(a.energy.abs().amin()) > 1e-3
    assert torch.allclose(one, other, rtol=0, atol=TOLERANCE * float(one.abs().max()))


def rotation(seed: int) -> Tensor:
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return tensor(turn * np.linalg.det(turn))


@settings(max_examples=25)
@given(kind=kinds, axis=st.integers(0, 2), gradients=gradients)
def test_a_larger_cell_changes_nothing(kind: Kind, axis: int, gradients: bool) -> None:
    model = random_model(**kind)
    larger = in_larger_cell(model, axis)
    assert_same(solve(model), solve(larger, gradients=gradients))


@settings(max_examples=25)
@given(kind=kinds, seed=st.integers(0, 10**6), gradients=gradients)
def test_turning_spins_matrices_and_crystal_changes_nothing(kind: Kind, seed: int, gradients: bool) -> None:
    model = random_model(**kind)
    assert_same(solve(model), solve(rotated(model, rotation(seed)), gradients=gradients))


@settings(max_examples=25)
@given(kind=kinds, which=st.integers(0, 2**8 - 1), gradients=gradients)
def test_the_direction_of_a_bond_changes_nothing(kind: Kind, which: int, gradients: bool) -> None:
    model = random_model(**kind)
    (c,) = model.couplings
    flip = torch.tensor([bool(which >> k & 1) for k in range(len(c.i))])
    i, j = torch.where(flip, c.j, c.i), torch.where(flip, c.i, c.j)
    offset = torch.where(flip[:, None], -c.offset, c.offset)
    matrix = torch.where(flip[:, None, None], c.matrix.mT, c.matrix)
    turned = dataclasses.replace(model, couplings=(Coupling(c.name, i, j, offset, matrix),))
    assert_same(solve(model), solve(turned, gradients=gradients))


@settings(max_examples=25)
@given(kind=kinds, order=st.permutations(range(4)), gradients=gradients)
def test_the_order_of_sites_changes_nothing(kind: Kind, order: list[int], gradients: bool) -> None:
    model = random_model(**kind)
    index, place = torch.tensor(order), torch.tensor(order).argsort()
    same = {name: getattr(model, name)[index] for name in ("positions", "spins", "g", "directions")}
    moved = dataclasses.replace(
        model,
        ions=tuple(model.ions[k] for k in order),
        couplings=tuple(dataclasses.replace(c, i=place[c.i], j=place[c.j]) for c in model.couplings),
        anisotropies=tuple(Anisotropy(a.name, place[a.site], a.matrix) for a in model.anisotropies),
        **same,
    )
    assert_same(solve(model), solve(moved, gradients=gradients))


@settings(max_examples=25)
@given(kind=kinds, G=st.tuples(*[st.integers(-3, 3)] * 3))
def test_energies_repeat_with_the_reciprocal_lattice(kind: Kind, G: tuple[int, int, int]) -> None:
    model = random_model(**kind)
    here, there = solve(model).energy, solve(model, Q + tensor(G)).energy
    assert torch.allclose(here, there, rtol=0, atol=TOLERANCE)


@settings(max_examples=25)
@given(kind=kinds, factor=st.floats(0.1, 10))
def test_a_common_factor_scales_every_energy(kind: Kind, factor: float) -> None:
    model = random_model(**kind)
    with torch.no_grad():
        here, there = (SpinWaves(model, Q)(theta) for theta in (THETA, factor * THETA))
    assert torch.allclose(factor * here.energy, there.energy, rtol=1e-8, atol=TOLERANCE)
    assert_same(here, there, factor)


@settings(max_examples=15)
@given(
    period=st.integers(5, 9),
    across=st.floats(-1, -0.1),
    plane=st.floats(0.05, 1),
    spin=st.sampled_from([0.5, 1.5, 2.5]),
    gradients=gradients,
)
def test_a_spiral_is_that_of_its_supercell(
    period: int, across: float, plane: float, spin: float, gradients: bool
) -> None:
    """J1-J2 chains, J2 chosen so that the pitch of lowest energy is one over the period."""
    theta = tensor([[-1.0, 0.25 / np.cos(2 * np.pi / period), across, plane]])
    cell, (places, at) = np.diag([3.0, 5, 7]), repeated([[0, 0, 0]], (period, 1, 1))

    def chains(places: np.ndarray, cells: int) -> SpinModel:
        wide = cell * [[cells], [1], [1]]
        turns = 2 * np.pi * at[:cells, 0] / period
        distances = {"J1": (3.0, (1, 0, 0)), "J2": (6.0, (1, 0, 0)), "Jb": (5.0, (0, 1, 0))}
        bonds = {name: (neighbours(wide, places, length, along), 1) for name, (length, along) in distances.items()}
        directions = np.stack((np.cos(turns), np.sin(turns), 0 * turns), -1)
        options = {"anisotropies": {"D": np.diag([0, 0, 1.0])}, "spin": spin, "supercell": (cells, 1, 1)}
        return build(cell, places, directions, bonds, **options)

    whole, one = chains(places, period), chains(np.zeros((1, 3)), 1)
    one = dataclasses.replace(one, spiral=Spiral(tensor([1 / period, 0, 0]), tensor([0, 0, 1])))
    assert_same(solve(whole, theta=theta), solve(one, theta=theta, gradients=gradients))
