"""The compiled path against the torch path: random, degenerate, Goldstone and indefinite Hamiltonians, threads, layouts."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqwirrel.simulate.compiled import kernels
from sqwirrel.simulate.compiled.kernels import Problem
from sqwirrel.simulate.quadratic.eigen import eigenmodes

Array = NDArray[np.complex128]


def bosonic_modes(theta: NDArray[np.float64], basis: Array, V: Array) -> tuple[Array, Array, Array]:
    """The kernel for H = sum_p theta[:, p] basis[p, q], each element with a phase of its own, and V as it is."""
    n, q = basis.shape[-1], basis.shape[1]
    row, column = np.triu_indices(n)
    parts = len(basis), len(row)
    return kernels.bosonic_modes(
        Problem(
            value=np.repeat(theta, len(row), axis=1) + 0j,
            row=np.tile(row, len(basis)),
            column=np.tile(column, len(basis)),
            source=np.arange(len(basis) * len(row)),
            phase=basis[:, :, row, column].transpose(1, 0, 2).reshape(q, parts[0] * parts[1]),
            moment=V,
            kind=np.zeros(n, dtype=np.int64),
            form=np.ones((q, 1)),
            unit=np.zeros((q, 3)),
            weight=np.ones(q),
            positive=n // 2,
            mirrored=False,
        )
    )


def random_bosons(n: int, P: int, q: int, seed: int = 0) -> tuple[Array, Array]:
    """Positive-definite basis matrices and observables."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(P, q, 2 * n, 2 * n)) + 1j * rng.normal(size=(P, q, 2 * n, 2 * n))
    V = rng.normal(size=(1, 2 * n, 3)) + 1j * rng.normal(size=(1, 2 * n, 3))
    return X @ X.conj().swapaxes(-1, -2) / n + 0.1 * np.eye(2 * n), V


def by_torch(theta: NDArray[np.float64], basis: Array, V: Array) -> tuple[Tensor, Tensor, Tensor]:
    H = torch.from_numpy(np.einsum("bp,pqmn->bqmn", theta, basis))
    with torch.no_grad():
        energy, amplitude, stable = eigenmodes(H, torch.from_numpy(V)[:, None])
    return energy, amplitude.abs().square().sum(-1), stable


def assert_same(theta: NDArray[np.float64], basis: Array, V: Array) -> None:
    """Equal energies and stability; intensities equal below every energy, so that degenerate modes may share theirs."""
    energy, intensity, stable = map(torch.from_numpy, bosonic_modes(theta, basis, V))
    expected, strength, mask = by_torch(theta, basis, V)
    assert torch.equal(stable, mask)
    assert torch.allclose(energy[mask], expected[mask], rtol=0, atol=1e-10)
    edge = torch.linspace(-1, 1, 21, dtype=torch.float64) * float(expected.abs().max())
    weight = torch.sigmoid((edge - expected[mask][..., None]) / 0.1)
    ours, theirs = ((part[mask][..., None] * weight).sum(-2) for part in (intensity, strength))
    assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-10)
    assert not bool(energy[~mask].any())
    assert not bool(intensity[~mask].any())


@pytest.mark.parametrize("n", [1, 2, 3, 8, 16, 33])
def test_energies_and_intensities_equal_those_of_torch(n: int) -> None:
    theta = np.random.default_rng(1).uniform(0.5, 1.5, (3, 2))
    assert_same(theta, *random_bosons(n, 2, 10))


def test_rows_whose_hamiltonian_is_indefinite_are_flagged_and_zero() -> None:
    theta = np.array([[1.0, 0.2], [-1.0, 0.1], [0.3, 1.0], [np.nan, 1.0]])
    basis, V = random_bosons(3, 2, 5)
    stable = bosonic_modes(theta, basis, V)[2]
    assert stable.all(1).tolist() == [True, False, True, False]
    assert_same(theta[:3], basis, V)


def test_some_wavevectors_of_a_row_may_be_unstable() -> None:
    basis, V = random_bosons(3, 1, 6)
    basis[:, ::2] -= 5 * np.eye(6)
    energy, _, stable = bosonic_modes(np.ones((1, 1)), basis, V)
    assert stable[0].tolist() == [False, True] * 3
    assert np.isfinite(energy).all()
    assert_same(np.ones((1, 1)), basis, V)


@pytest.mark.parametrize("n", [2, 4, 16])
def test_degenerate_modes_have_the_summed_intensity_of_their_set(n: int) -> None:
    """Copies of one two-boson problem, turned by a unitary that leaves the commutators: every energy n times."""
    rng = np.random.default_rng(2)
    U = np.linalg.qr(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))[0]
    W = np.block([[U, np.zeros((n, n))], [np.zeros((n, n)), U.conj()]])
    H = W @ np.block([[2 * np.eye(n), 0.7 * np.eye(n)], [0.7 * np.eye(n), 2 * np.eye(n)]]) @ W.conj().T
    _, V = random_bosons(n, 1, 1)
    assert_same(np.ones((1, 1)), np.ascontiguousarray(H[None, None]), V)


def test_diagonal_hamiltonian_needs_no_rotation() -> None:
    _, V = random_bosons(2, 1, 1)
    H = np.diag([1.0, 3.0, 2.0, 5.0]).astype(complex)[None, None]
    energy, intensity, _ = bosonic_modes(np.ones((1, 1)), H, V)
    size = (np.abs(V[0]) ** 2).sum(-1)
    assert energy[0, 0].tolist() == pytest.approx([3, 1, -2, -5], rel=1e-14)
    assert intensity[0, 0].tolist() == pytest.approx(size[[1, 0, 2, 3]], rel=1e-14)


def test_nearly_soft_mode_agrees_to_what_rounding_leaves() -> None:
    """H with an eigenvalue 1e-9: energies near 1e-4 and intensities near 1e4 lose about ten digits, in both paths alike."""
    a, b = 4.0, 4.0
    H = np.array([[a + 1e-9, b], [b, a + 1e-9]], dtype=complex)[None, None]
    V = np.array([[1, 1j, 0], [1, -1j, 0]])[None].astype(complex)
    energy, intensity, stable = bosonic_modes(np.ones((1, 1)), H, V)
    assert bool(stable.all())
    closed = np.sqrt((a + 1e-9) ** 2 - b**2)
    assert energy[0, 0, 0] == pytest.approx(closed, rel=1e-6)
    expected = by_torch(np.ones((1, 1)), H, V)[1].sum()
    assert intensity.sum() == pytest.approx(float(expected), rel=1e-6)


def test_layout_of_the_arrays_does_not_matter() -> None:
    basis, V = random_bosons(3, 2, 8)
    theta = np.random.default_rng(1).uniform(0.5, 1.5, (5, 3))[:, ::2]
    energy, intensity, _ = bosonic_modes(theta, basis[:, ::2], V)
    packed = bosonic_modes(*map(np.ascontiguousarray, (theta, basis[:, ::2], V)))
    assert np.array_equal(energy, packed[0])
    assert np.array_equal(intensity, packed[1])


def test_observables_may_differ_by_row() -> None:
    theta = np.random.default_rng(1).uniform(0.5, 1.5, (2, 2))
    basis, V = random_bosons(2, 2, 4)
    V = np.concatenate((V, 2j * V))
    assert_same(theta, basis, V)


def test_threads_share_the_work_without_changing_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    theta = np.random.default_rng(1).uniform(0.5, 1.5, (7, 2))
    basis, V = random_bosons(8, 2, 150)
    alone = bosonic_modes(theta, basis, V)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    together = bosonic_modes(theta, basis, V)
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_no_wavevectors_give_no_modes() -> None:
    basis, V = random_bosons(2, 1, 1)
    energy, _, stable = bosonic_modes(np.ones((3, 1)), basis[:, :0], V)
    assert energy.shape == (3, 0, 4)
    assert stable.shape == (3, 0)
