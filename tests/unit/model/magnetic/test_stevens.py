"""Stevens operators: published forms, explicit spin matrices in coherent states, rotation, derivatives, what a file says."""

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import expm

from sqwirrel.errors import InputError
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.magnetic import stevens
from sqwirrel.model.magnetic.terms import Multipole
from sqwirrel.model.parse import parse
from tests.cases import tensor

N = torch.nn.functional.normalize(tensor(np.random.default_rng(0).normal(size=(7, 3))), dim=1)
X, Y, Z = N.T.numpy()
W = X + 1j * Y
PUBLISHED = {
    (2, 0): 3 * Z**2 - 1,
    (2, 2): X**2 - Y**2,
    (2, -2): 2 * X * Y,
    (2, 1): X * Z,
    (4, 0): 35 * Z**4 - 30 * Z**2 + 3,
    (4, 2): (7 * Z**2 - 1) * (X**2 - Y**2),
    (4, 3): Z * (X**3 - 3 * X * Y**2),
    (4, -3): Z * (3 * X**2 * Y - Y**3),
    (4, 4): X**4 - 6 * X**2 * Y**2 + Y**4,
    (6, 0): 231 * Z**6 - 315 * Z**4 + 105 * Z**2 - 5,
    (6, 2): (33 * Z**4 - 18 * Z**2 + 1) * (X**2 - Y**2),
    (6, 3): (11 * Z**3 - 3 * Z) * (W**3).real,
    (6, 4): (11 * Z**2 - 1) * (W**4).real,
    (6, 6): (W**6).real,
    (6, -6): (W**6).imag,
}
"""M. T. Hutchings, Solid State Phys. 16, 227 (1964), with r = 1."""


@pytest.mark.parametrize(("pair", "expected"), PUBLISHED.items(), ids=map(str, PUBLISHED))
def test_functions_are_those_published(pair: tuple[int, int], expected: NDArray[np.float64]) -> None:
    found = stevens.monomials(N) @ stevens.operator(*pair)
    assert np.allclose(found.numpy(), expected, rtol=0, atol=1e-11)


def spin_matrices(s: float) -> tuple[NDArray[np.complex128], ...]:
    m = np.arange(s, -s - 1, -1)
    plus = np.diag(np.sqrt(s * (s + 1) - m[1:] * (m[1:] + 1)), 1)
    return (plus + plus.T) / 2 + 0j, (plus - plus.T) / 2j, np.diag(m) + 0j


def operators(s: float) -> dict[tuple[int, int], NDArray[np.complex128]]:
    """Operator forms of Hutchings' table; X = s (s + 1)."""
    Sx, Sy, Sz = spin_matrices(s)
    c, one = s * (s + 1), np.eye(len(Sz))
    up, power = Sx + 1j * Sy, np.linalg.matrix_power
    four = 35 * power(Sz, 4) - (30 * c - 25) * power(Sz, 2) + (3 * c**2 - 6 * c) * one
    six = 231 * power(Sz, 6) - (315 * c - 735) * power(Sz, 4) + (105 * c**2 - 525 * c + 294) * power(Sz, 2)
    cube, high = power(up, 3), power(up, 6)
    real = (cube + cube.conj().T) / 4
    return {
        (2, 0): 3 * power(Sz, 2) - c * one,
        (2, 2): (power(up, 2) + power(up, 2).conj().T) / 2,
        (4, 0): four,
        (4, 3): Sz @ real + real @ Sz,
        (4, 4): (power(up, 4) + power(up, 4).conj().T) / 2,
        (6, 0): six - (5 * c**3 - 40 * c**2 + 60 * c) * one,
        (6, 6): (high + high.conj().T) / 2,
        (6, -6): (high - high.conj().T) / 2j,
    }


@pytest.mark.parametrize("s", [1, 1.5, 2, 2.5, 3, 4, 7.5])
def test_coherent_states_give_the_renormalised_function(s: float) -> None:
    """<n|O|n> = lambda_k s^k O(n), and zero where the rank is above 2s."""
    Sx, Sy, Sz = spin_matrices(s)
    for n in N.numpy():
        theta, phi = np.arccos(n[2]), np.arctan2(n[1], n[0])
        state = (expm(-1j * phi * Sz) @ expm(-1j * theta * Sy))[:, 0]
        assert np.allclose([np.vdot(state, S @ state) for S in (Sx, Sy, Sz)], s * n)
        for (k, q), matrix in operators(s).items():
            expected = (
                stevens.renormalisation(k, s) * s**k * float(stevens.monomials(tensor(n)) @ stevens.operator(k, q))
            )
            assert np.vdot(state, matrix @ state) == pytest.approx(expected, abs=1e-11 * s**k)


def test_factors_are_those_published() -> None:
    s = 2.5
    assert stevens.renormalisation(2, s) == pytest.approx(1 - 1 / (2 * s))
    assert stevens.renormalisation(4, s) == pytest.approx((1 - 1 / (2 * s)) * (1 - 1 / s) * (1 - 3 / (2 * s)))
    assert stevens.renormalisation(6, 2.0) == 0


def test_turned_function_has_at_the_turned_moment_the_value_of_the_first() -> None:
    R = torch.linalg.qr(tensor(np.random.default_rng(1).normal(size=(2, 3, 3)))).Q
    f = tensor(np.random.default_rng(2).normal(size=28))
    for each, turned in zip(R, stevens.turned(f, R), strict=True):
        assert torch.allclose(stevens.monomials(N @ each.T) @ turned, stevens.monomials(N) @ f, rtol=0, atol=1e-12)


def test_derivatives_are_those_of_the_function() -> None:
    f, n = tensor(np.random.default_rng(2).normal(size=28)), N[0]
    value = lambda at: stevens.monomials(at) @ f  # noqa: E731 (autograd takes a function)
    slope, curvature = (getattr(torch.autograd.functional, kind)(value, n) for kind in ("jacobian", "hessian"))
    found = stevens.second_derivative(f) @ stevens.monomials(n, 4)
    assert torch.allclose(found, curvature, rtol=0, atol=1e-11)
    assert torch.allclose(found @ n, 5 * slope, rtol=0, atol=1e-11)


def test_matrix_is_its_square_form() -> None:
    A = tensor(np.random.default_rng(3).normal(size=(3, 3)))
    assert torch.allclose(stevens.monomials(N) @ stevens.quadratic(A), ((N @ A) * N).sum(-1), rtol=0, atol=1e-13)


def test_cubic_site_allows_one_function_of_rank_4_and_one_of_rank_6_in_any_frame() -> None:
    keeps, _ = Crystal.from_spacegroup([4, 4, 4, 90, 90, 90], 225, {"A": [0, 0, 0]}).site_rotations("A")
    frame = torch.eye(3, dtype=torch.float64)
    assert [stevens.invariants(k, frame, keeps) for k in (2, 4, 6)] == ["nothing", "O40 + 5 O44", "O60 - 21 O64"]
    trigonal = torch.nn.functional.normalize(tensor([[1, 1, -2], [-1, 1, 0], [1, 1, 1]]), dim=1)
    assert stevens.invariants(4, trigonal, keeps) == "O40 + 28.2843 O43"  # 20 sqrt 2


RUTILE = {
    "name": "rutile",
    "crystal": {
        "cell": [4.9, 4.9, 3.3, 90, 90, 90],
        "spacegroup": 136,
        "sites": [{"label": "Mn", "position": [0, 0, 0], "spin": 2.5}],
    },
    "couplings": [{"name": "J", "bond": "2"}],
    "order": {
        "spins": [
            {"position": [0, 0, 0], "direction": [0, 0, 1]},
            {"position": [0.5, 0.5, 0.5], "direction": [0, 0, -1]},
        ]
    },
}


def rutile(**entry: object) -> dict[str, object]:
    return {**copy.deepcopy(RUTILE), "anisotropies": [{"name": "B", "site": "Mn", **entry}]}


def test_axes_name_the_frame_and_symmetry_turns_it_from_copy_to_copy() -> None:
    diagonal = parse(rutile(stevens=[2, 2], axes=[[1, 1, 0], [-1, 1, 0], [0, 0, 1]]))
    (multipole,) = diagonal.multipoles
    expected = 2.5**2 * stevens.operator(2, -2)
    assert diagonal.names == ("J", "B")
    assert torch.allclose(multipole.function, torch.stack((expected, -expected)), rtol=0, atol=1e-12)


def test_combinations_add_up_with_the_factor_of_each_rank() -> None:
    (multipole,) = parse(rutile(stevens={"40": 1, "20": -3.5}, renormalised=True)).multipoles
    expected = 0.192 * 2.5**4 * stevens.operator(4, 0) - 3.5 * 0.8 * 2.5**2 * stevens.operator(2, 0)
    assert torch.allclose(multipole.function, expected.expand(2, 28), rtol=0, atol=1e-10)


def test_renormalised_matrix_is_smaller_by_its_factor() -> None:
    plain, less = (parse(rutile(axis=[0, 0, 1], renormalised=value)) for value in (False, True))
    assert torch.allclose(less.anisotropies[0].matrix, 0.8 * plain.anisotropies[0].matrix)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"stevens": [3, 0]}, r"rank and the index of an operator, as \[4, 0\].*got \[3, 0\]"),
        ({"stevens": [2, 3]}, "index from -rank to rank"),
        ({"stevens": {"40": "a"}}, "numbers for several"),
        ({"stevens": {}}, "numbers for several"),
        ({"stevens": [2, 2]}, r"forbids the stevens of anisotropy 'B' on site 'Mn'; of rank 2 it allows O20 and O2-2"),
        ({"stevens": [6, 0]}, "rank 6, which does nothing to a spin 2.5"),
        ({"stevens": [4, 0], "axis": [0, 0, 1]}, "stevens and an axis"),
        ({"stevens": [4, 0], "axes": [[1, 0, 0], [1, 1, 0], [0, 0, 1]]}, "right angles"),
        ({"axis": [0, 0, 1], "axes": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "only stevens may have axes"),
        ({"stevens": [4, 0], "renormalised": "yes"}, "renormalised of anisotropy 'B' must be true or false"),
        ({}, "needs an axis, a matrix or stevens"),
    ],
)
def test_a_wrong_entry_is_one_sentence(entry: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(rutile(**entry))
    assert "\n" not in str(caught.value)


def test_numbers_that_are_not_finite_and_functions_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="must be the rank and the index"):
        stevens.combination({"40": float("nan")}, "stevens")
    with pytest.raises(InputError, match=r"has shape \(27,\); expected \(28,\)"):
        Multipole("B", [0], torch.zeros(27))
