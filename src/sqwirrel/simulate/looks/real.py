"""Compiled amplitudes: the modes of a real form with the columns seen left apart, not squared and summed.

As `real`, whose columns z of the eigenvectors are given instead of intensities: what is seen of a mode that loses
energy is the sum over r of z[r] span[r], times i for the columns of p.
"""

from functools import partial
from typing import no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sqwirrel.simulate.compiled.real import assemble, halve
from sqwirrel.simulate.compiled.real_matrices import cholesky, congruence, symplectic_square, tridiagonalise
from sqwirrel.simulate.compiled.threads import share
from sqwirrel.simulate.compiled.tridiagonal import implicit_ql

Solved = tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.bool_]]


def real_amplitudes(
    n: int,
    apart: bool,
    value: NDArray[np.float64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    wave: NDArray[np.int64],
    table: NDArray[np.float64],
) -> Solved:
    """Energies (batch, q, n), highest first, z (batch, q, column, n) and stability (batch, q), of a `RealForm`.

    All quadratures are seen, each by itself. Columns of x come first; where x and p are coupled every column is there
    twice, for either.
    """
    batch, q, columns = len(value), len(table), (2 if apart else 4) * n
    z = np.zeros((batch, q, columns, n), np.float32)
    energy, stable = np.zeros((batch, q, n)), np.zeros((batch, q), dtype=np.bool_)
    arrays = [np.ascontiguousarray(part) for part in (value, row, column, wave, table)]
    share(partial(_solve, *arrays, apart, energy, z, stable), batch * q, n**2)
    return energy, z, stable


@njit(nogil=True, cache=True)
@no_type_check
def _solve(value, row, column, wave, table, apart, energy, out, stable, start, stop):
    """Items `start` to `stop` of all (q, batch row) pairs, the batch fastest."""
    batch, n = value.shape[0], energy.shape[2]
    size = n if apart else 2 * n
    upper, m, c = np.empty((size, 2 * size)), np.empty((size, size)), np.empty((size, size))
    w, work = np.empty((2 * n, size)), np.empty((4, size))
    d, e, z = np.empty(n), np.empty(n), np.empty((n, out.shape[2]))
    second = np.searchsorted(row, n) if apart else len(row)
    for item in range(start, stop):
        q, k = item // batch, item % batch
        assemble(value[k], row, column, wave, table[q], upper, 0, second, 0)
        upper[:, size:] = 0.0
        for i in range(size):
            upper[i, size + i] = 1.0
        if not cholesky(upper):
            continue
        w[:size] = upper[:, size:].T
        if apart:
            assemble(value[k], row, column, wave, table[q], m, second, len(row), n)
            for i in range(n):
                w[n:, i] = 0.0
                w[n + i :, i] = upper[i, i:n]
            _reduce_apart(upper, m, c, w, work, d, e, z)
        else:
            symplectic_square(upper, c)
            tridiagonalise(c, w, work, -1)
            halve(work[1], w, d, e, z)
        implicit_ql(d, e, z)
        stable[k, q] = _sorted(d, z, energy[k, q], out[k, q])


@njit(nogil=True, cache=True)
@no_type_check
def _reduce_apart(upper, m, c, w, work, d, e, z):
    """The tridiagonal matrix of x and p that do not couple, and its columns."""
    congruence(upper, m, c)
    tridiagonalise(c, w, work, 1)
    d[:], e[:], z[:] = work[0], work[1], w.T


@njit(nogil=True, cache=True)
@no_type_check
def _sorted(d, z, energy, out):
    """Energies in descending order and their columns; False where a square is not positive."""
    order, half = np.argsort(-d), z.shape[1] // 2
    if not d[order[-1]] > 0:
        return False
    for place, k in enumerate(order):
        energy[place] = np.sqrt(d[k])
        root = np.sqrt(energy[place])
        for r in range(half):
            out[r, place] = z[k, r] * root
        for r in range(half, 2 * half):
            out[r, place] = z[k, r] / root
    return True
