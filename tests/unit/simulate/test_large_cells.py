"""What large cells are made of: sparse products and factors, chains of Lanczos vectors, threads, and when it is chosen."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sqwirrel.errors import InputError
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.compiled import choice, lanczos, sparse
from sqwirrel.simulate.compiled.sparse import Pattern
from tests.cases import random_q
from tests.physics.test_large_cells import modes, square

Array = NDArray[np.complex128]
N = 20


class Sparse:
    """A random sparse Hermitian matrix, some places made of several elements with phases, plus `shift` on its diagonal."""

    def __init__(self, shift: float, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        row, column = np.sort(rng.integers(0, N, (2, 3 * N)), axis=0)
        self.row, self.column = np.concatenate((row, np.arange(N))), np.concatenate((column, np.arange(N)))
        source = np.where(row == column, 0, rng.integers(-4, 4, 3 * N))
        self.source = np.concatenate((source, np.zeros(N, dtype=np.int64)))
        self.phase = np.exp(1j * np.array([0, *rng.uniform(0, 6, 3)]))
        value = rng.normal(size=3 * N) + 1j * np.where(row == column, 0, rng.normal(size=3 * N))
        self.value = np.concatenate((value, np.full(N, shift + 0j)))
        self.pattern = Pattern.of(self.row, self.column, N)
        self.hr, self.hi = np.empty((2, len(self.pattern.column)))
        sparse.assemble(self.value, self.source, self.phase, self.pattern.slot, self.hr, self.hi)

    def dense(self) -> Array:
        """In the order of the pattern."""
        H = np.zeros((N, N), dtype=complex)
        phase = np.where(self.source < 0, self.phase[~self.source].conj(), self.phase[self.source])
        np.add.at(H, (self.row, self.column), self.value * phase)
        return (H + np.triu(H, 1).conj().T)[np.ix_(self.pattern.order, self.pattern.order)]

    def factor(self) -> tuple[bool, NDArray[np.float64], NDArray[np.float64]]:
        lr, li = np.zeros((2, N, N))
        p = self.pattern
        return sparse.factorise(p.start, p.column, self.hr, self.hi, p.first, lr, li), lr, li


def test_products_factor_and_solution_are_those_of_the_dense_matrix() -> None:
    made, rng = Sparse(15.0), np.random.default_rng(1)
    H, p = made.dense(), made.pattern
    (xr, xi, yr, yi), (definite, lr, li) = rng.normal(size=(4, N)), made.factor()
    form = sparse.product(p.start, p.column, made.hr, made.hi, xr, xi, yr, yi)
    x = xr + 1j * xi
    assert definite
    assert np.allclose(yr + 1j * yi, H @ x, rtol=0, atol=1e-12)
    assert form == pytest.approx((x.conj() @ H @ x).real, rel=1e-12)
    assert np.allclose(lr + 1j * li, np.linalg.cholesky(H), rtol=0, atol=1e-12)
    sparse.solve(p.first, lr, li, xr, xi)
    assert np.allclose(H @ (xr + 1j * xi), x, rtol=0, atol=1e-11)
    assert sparse.row_bound(p.start, made.hr, made.hi) == pytest.approx(np.abs(H).sum(1).max(), rel=1e-12)


def test_the_factor_says_whether_the_matrix_is_positive_definite() -> None:
    lowest = np.linalg.eigvalsh(Sparse(0.0).dense())[0]
    assert [Sparse(shift - lowest).factor()[0] for shift in (1e-6, -1e-6, np.nan)] == [True, False, False]


def chain(steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights, and the signed energies E and |a|^2 / |E| that they stand for."""
    made, rng = Sparse(15.0), np.random.default_rng(2)
    H, p, sign = made.dense(), made.pattern, np.where(np.arange(N) % 2, 1.0, -1.0)
    V = rng.normal(size=N) + 1j * rng.normal(size=N)
    L = np.linalg.cholesky(H)
    energy, Y = np.linalg.eigh((L.conj().T * sign) @ L)
    work, lines = np.zeros((lanczos.CHAIN, N)), np.zeros((2, steps))
    work[4], work[5] = V.real, V.imag
    _, lr, li = made.factor()
    square_ = lanczos.begin(p.first, lr, li, work)
    bound = sparse.row_bound(p.start, made.hr, made.hi)
    lanczos.extend(lanczos.Matrix(p.start, p.column, made.hr, made.hi, sign, bound), work, 0, steps)
    lanczos.nodes(work, square_, lines)
    return *lines, energy, np.abs(Y.conj().T @ np.linalg.solve(L, V)) ** 2


def test_as_many_steps_as_operators_give_every_mode() -> None:
    node, weight, energy, strength = chain(N)
    order = node.argsort()
    assert np.allclose(node[order], energy, rtol=0, atol=1e-9)
    assert np.allclose(weight[order], strength, rtol=0, atol=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_moments_up_to_twice_the_steps_are_exact(steps: int) -> None:
    node, weight, energy, strength = chain(steps)
    for power in range(2 * steps):
        size = strength @ np.abs(energy) ** power
        assert abs(weight @ node**power - strength @ energy**power) < 1e-11 * size


def test_more_steps_than_directions_end_by_themselves() -> None:
    """The unit matrix has one direction for every vector."""
    p = Pattern.of(np.arange(N), np.arange(N), N)
    work = np.zeros((lanczos.CHAIN, N))
    work[[0, 4]] = 1 / np.sqrt(N)
    one = lanczos.Matrix(p.start, p.column, np.ones(N), np.zeros(N), np.ones(N), 1.0)
    assert not lanczos.extend(one, work, 0, 5)
    assert not lanczos.extend(one, work, 5, N)
    lines = np.zeros((2, N))
    lanczos.nodes(work, 1.0, lines)
    assert lines[1].sum() == pytest.approx(1.0, abs=1e-12)
    assert lines[0] @ lines[1] == pytest.approx(1.0, abs=1e-12)


def test_threads_share_the_work_without_changing_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    model, q = square((12, 12)), random_q(60)
    alone = modes(model, q, fwhm=1.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    together = modes(model, q, fwhm=1.0)
    assert torch.equal(alone.energy, together.energy)
    assert torch.equal(alone.intensity, together.intensity)


def test_rows_of_a_batch_are_solved_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqwirrel.simulate.spinwave.LARGE", 1)
    theta = torch.tensor([[1.0, 1.0], [0.8, 2.0]], dtype=torch.float64)
    for relaxed in (False, True):
        model, q = square((8, 4), relaxed=relaxed), random_q(5)
        both = modes(model, q, theta, fwhm=2.0, field=(0.0, 0.0, 1.0))
        one = modes(model, q, theta[1:], fwhm=2.0, field=(0.0, 0.0, 1.0))
        assert torch.allclose(both.energy[1], one.energy[0], rtol=0, atol=1e-9)
        assert torch.allclose(both.intensity[1], one.intensity[0], rtol=0, atol=1e-9)


def test_only_large_cells_without_gradients_are_solved_as_a_width_sees_them() -> None:
    small, large, q = square((8, 8)), square((16, 8)), random_q(2)
    assert choice.LARGE == 128
    assert SpinWaves(small, q, fwhm=1.0).fwhm is None
    assert SpinWaves(large, q).fwhm is None
    waves, theta = SpinWaves(large, q, fwhm=1.0), torch.ones(1, 2, dtype=torch.float64)
    exact = modes(large, q)
    assert torch.allclose(waves(theta).energy, exact.energy, rtol=0, atol=1e-8)
    with torch.no_grad():
        assert int((waves(theta).intensity > 0).sum(-1).max()) < 0.8 * int((exact.intensity > 0).sum(-1).min())


def test_a_width_that_is_none_is_refused() -> None:
    for fwhm in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="a resolution is wider than 0"):
            SpinWaves(square((2, 2)), random_q(1), fwhm=fwhm)
