"""Compiled spin waves whose quadratic form H = X G X in the quadratures X = (x, p), b = (x + i p) / sqrt 2, is real.

G = L L^T, and the energies are the singular values of the real antisymmetric A = L^T J L, J = [[0, 1], [-1, 0]]
(Colpa, Physica A 93, 327 (1978), doi:10.1016/0378-4371(78)90160-7, in real form). Both cases end with a symmetric
tridiagonal matrix of half the size, whose eigenvalues are the squared energies:

- x and p apart, G = diag(K, M): K = L L^T, and L^T M L is made tridiagonal;
- coupled: A is made tridiagonal; between its even and its odd rows it is then bidiagonal, B, and B B^T is used.

With Y its eigenvectors, the amplitude of a mode is sqrt E Y^T a + i Y^T b / sqrt E, where a = L^-1 V_x, b = L^T V_p in
the first case and a = W_even, b = B W_odd with W = L^-1 V in the second; V is what is seen
over sqrt 2. No eigenvectors are formed.
"""

from functools import partial
from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sqwirrel.simulate.compiled.real_matrices import cholesky, congruence, symplectic_square, tridiagonalise
from sqwirrel.simulate.compiled.threads import share
from sqwirrel.simulate.compiled.tridiagonal import implicit_ql

_ALGEBRA = {"contract", "reassoc", "nsz"}


class RealForm(NamedTuple):
    """G of 2n quadratures at every q, and what is seen of them.

    G[row, column] = sum of value[:, entry] table[q, wave], upper triangle only, the entries of the first row block
    first. The columns `seen`, times form[q, kind], stand for the vectors `span`, made perpendicular to `unit`; if x
    and p are `apart`, the first `firsts` columns belong to x and the others to p.
    """

    firsts: int
    apart: bool
    value: NDArray[np.float64]  # (batch, entry)
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    wave: NDArray[np.int64]
    table: NDArray[np.float64]  # (q, wave)
    seen: NDArray[np.float64]  # (2n, column)
    span: NDArray[np.complex128]  # (column, 3)
    kind: NDArray[np.int64]  # (2n,)
    form: NDArray[np.float64]  # (q, kind)
    unit: NDArray[np.float64]  # (q, 3)


def real_modes(problem: RealForm) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Energies, intensities (batch, q, 2n) and stability (batch, q), in the order of `kernels.bosonic_modes`."""
    batch, q, n = len(problem.value), len(problem.table), len(problem.seen)
    energy, intensity = np.zeros((batch, q, n)), np.zeros((batch, q, n))
    stable = np.zeros((batch, q), dtype=np.bool_)
    solve = _solve_apart if problem.apart else _solve_coupled
    arrays = [np.ascontiguousarray(part) for part in problem[2:]]
    share(partial(solve, *arrays, problem.firsts, energy, intensity, stable), batch * q, n**2)
    return energy, intensity, stable


@njit(nogil=True, cache=True)
@no_type_check
def _solve_apart(
    value, row, column, wave, table, seen, span, kind, form, unit, firsts, energy, intensity, stable, start, stop
):
    """Items `start` to `stop` of all (q, batch row) pairs, the batch fastest."""
    batch, n, columns = value.shape[0], seen.shape[0] // 2, seen.shape[1]
    upper, m, c = np.empty((n, n + firsts)), np.empty((n, n)), np.empty((n, n))
    w, z, work, gram = np.empty((columns, n)), np.empty((n, columns)), np.empty((4, n)), np.empty((columns, columns))
    second = np.searchsorted(row, n)
    for item in range(start, stop):
        q, k = item // batch, item % batch
        if k == 0 or item == start:
            _gram(span, unit[q], firsts, gram)
        assemble(value[k], row, column, wave, table[q], upper, 0, second, 0)
        assemble(value[k], row, column, wave, table[q], m, second, len(row), n)
        for i in range(n):
            for r in range(firsts):
                upper[i, n + r] = form[q, kind[i]] * seen[i, r]
        if cholesky(upper):
            columns_of(upper, seen, kind, form[q], firsts, w)
            congruence(upper, m, c)
            tridiagonalise(c, w, work, 1)
            for i in range(n):
                for r in range(columns):
                    z[i, r] = w[r, i]
            implicit_ql(work[0], work[1], z)
            stable[k, q] = _sorted_modes(work[0], z, gram, firsts, energy[k, q], intensity[k, q])


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def columns_of(upper, seen, kind, form, firsts, w):
    """a = L^-1 V_x, found beside L^T, and b = L^T V_p, as rows of w."""
    n = w.shape[1]
    for i in range(n):
        for r in range(firsts):
            w[r, i] = upper[i, n + r]
        for r in range(firsts, w.shape[0]):
            x = 0.0
            for j in range(i, n):
                x += upper[i, j] * form[kind[j]] * seen[n + j, r]
            w[r, i] = x


@njit(nogil=True, cache=True)
@no_type_check
def _solve_coupled(
    value, row, column, wave, table, seen, span, kind, form, unit, firsts, energy, intensity, stable, start, stop
):
    """Items `start` to `stop` of all (q, batch row) pairs, the batch fastest."""
    batch, n, columns = value.shape[0], seen.shape[0] // 2, seen.shape[1]
    upper, c = np.empty((2 * n, 2 * n + columns)), np.empty((2 * n, 2 * n))
    w, work = np.empty((columns, 2 * n)), np.empty((4, 2 * n))
    d, e, z, gram = np.empty(n), np.empty(n), np.empty((n, 2 * columns)), np.empty((2 * columns, 2 * columns))
    both = np.concatenate((span, span))
    for item in range(start, stop):
        q, k = item // batch, item % batch
        if k == 0 or item == start:
            _gram(both, unit[q], firsts, gram)
        assemble(value[k], row, column, wave, table[q], upper, 0, len(row), 0)
        for i in range(2 * n):
            for r in range(columns):
                upper[i, 2 * n + r] = form[q, kind[i]] * seen[i, r]
        if cholesky(upper):
            symplectic_square(upper, c)
            for i in range(2 * n):
                for r in range(columns):
                    w[r, i] = upper[i, 2 * n + r]
            tridiagonalise(c, w, work, -1)
            halve(work[1], w, d, e, z)
            implicit_ql(d, e, z)
            stable[k, q] = _sorted_modes(d, z, gram, firsts, energy[k, q], intensity[k, q])


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def halve(below, w, d, e, z):
    """B B^T, and the columns W_even and B W_odd, of the antisymmetric tridiagonal matrix with `below` its diagonal."""
    n, columns = d.shape[0], w.shape[0]
    for k in range(n):
        own, last = -below[2 * k], below[2 * k - 1] if k > 0 else 0.0
        d[k] = own * own + last * last
        e[k] = own * below[2 * k + 1] if k < n - 1 else 0.0
        for r in range(columns):
            z[k, r] = w[r, 2 * k]
            z[k, columns + r] = own * w[r, 2 * k + 1] + (last * w[r, 2 * k - 1] if k > 0 else 0.0)


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def assemble(value, row, column, wave, table, upper, start, stop, shift):
    """Upper triangle of a diagonal block of G, from some of the entries."""
    n = upper.shape[0]
    for i in range(n):
        for j in range(i, n):
            upper[i, j] = 0.0
    for k in range(start, stop):
        upper[row[k] - shift, column[k] - shift] += value[k] * table[wave[k]]


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _gram(span, unit, firsts, gram):
    """What each product of two columns adds to the intensity: within a, within b, and (a, b) between them."""
    for r in range(span.shape[0]):
        for s in range(span.shape[0]):
            along, across, total = 0j, 0j, 0j
            for k in range(3):
                along += unit[k] * span[r, k].conjugate()
                across += unit[k] * span[s, k]
                total += span[r, k].conjugate() * span[s, k]
            total -= along * across
            gram[r, s] = total.real if (r < firsts) == (s < firsts) else -2 * total.imag


@njit(nogil=True, cache=True)
@no_type_check
def _sorted_modes(d, z, gram, firsts, energy, intensity):
    """Energies in descending order, both signs, with their intensities; False where a square is not positive."""
    n, columns = d.shape[0], z.shape[1]
    for k in range(n):
        if not d[k] > 0:
            energy[:], intensity[:] = 0.0, 0.0
            return False
        value, place = np.sqrt(d[k]), k
        own, other, cross = 0.0, 0.0, 0.0
        for r in range(firsts):
            for s in range(firsts):
                own += gram[r, s] * z[k, r] * z[k, s]
            for s in range(firsts, columns):
                cross += gram[r, s] * z[k, r] * z[k, s]
        for r in range(firsts, columns):
            for s in range(firsts, columns):
                other += gram[r, s] * z[k, r] * z[k, s]
        same = value * own + other / value
        while place > 0 and energy[place - 1] < value:
            energy[place], intensity[place] = energy[place - 1], intensity[place - 1]
            intensity[2 * n - 1 - place] = intensity[2 * n - place]
            place -= 1
        energy[place], intensity[place], intensity[2 * n - 1 - place] = value, same + cross, same - cross
    for k in range(n):
        energy[2 * n - 1 - k] = -energy[k]
    return True
