"""Compiled amplitudes: the modes of a real form with the columns seen left apart, not squared and summed.

As `real`, whose columns z of the eigenvectors are given instead of intensities: what is seen of a mode that loses
energy is the sum over r of z[r] span[r], times i for the columns of p.
"""

from functools import partial
from typing import no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sqwirrel.simulate.compiled.real import RealForm, assemble, columns_of, halve
from sqwirrel.simulate.compiled.real_matrices import cholesky, congruence, symplectic_square, tridiagonalise
from sqwirrel.simulate.compiled.threads import share
from sqwirrel.simulate.compiled.tridiagonal import implicit_ql

Solved = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]


def real_amplitudes(problem: RealForm) -> Solved:
    """Energies (batch, q, n), highest first, z (batch, q, n, column) and stability (batch, q).

    Columns of x come first; where x and p are coupled every column is there twice, for either.
    """
    batch, q, n, columns = len(problem.value), len(problem.table), len(problem.seen) // 2, problem.seen.shape[1]
    z = np.zeros((batch, q, n, columns if problem.apart else 2 * columns))
    energy, stable = np.zeros((batch, q, n)), np.zeros((batch, q), dtype=np.bool_)
    arrays = [np.ascontiguousarray(part) for part in (*problem[2:8], problem.kind, problem.form)]
    share(partial(_solve, *arrays, problem.firsts, problem.apart, energy, z, stable), batch * q, n**2)
    return energy, z, stable


@njit(nogil=True, cache=True)
@no_type_check
def _solve(value, row, column, wave, table, seen, kind, form, firsts, apart, energy, out, stable, start, stop):
    """Items `start` to `stop` of all (q, batch row) pairs, the batch fastest."""
    batch, n, columns = value.shape[0], seen.shape[0] // 2, seen.shape[1]
    size = n if apart else 2 * n
    upper, m = np.empty((size, size + (firsts if apart else columns))), np.empty((size, size))
    c, w, work = np.empty((size, size)), np.empty((columns, size)), np.empty((4, size))
    d, e, z = np.empty(n), np.empty(n), np.empty((n, out.shape[3]))
    second = np.searchsorted(row, n) if apart else len(row)
    for item in range(start, stop):
        q, k = item // batch, item % batch
        assemble(value[k], row, column, wave, table[q], upper, 0, second, 0)
        for i in range(size):
            for r in range(upper.shape[1] - size):
                upper[i, size + r] = form[q, kind[i]] * seen[i, r]
        if not cholesky(upper):
            continue
        if apart:
            assemble(value[k], row, column, wave, table[q], m, second, len(row), n)
            columns_of(upper, seen, kind, form[q], firsts, w)
            _reduce_apart(upper, m, c, w, work, d, e, z)
        else:
            w[:] = upper[:, size:].T
            symplectic_square(upper, c)
            tridiagonalise(c, w, work, -1)
            halve(work[1], w, d, e, z)
        implicit_ql(d, e, z)
        stable[k, q] = _sorted(d, z, firsts, energy[k, q], out[k, q])


@njit(nogil=True, cache=True)
@no_type_check
def _reduce_apart(upper, m, c, w, work, d, e, z):
    """The tridiagonal matrix of x and p that do not couple, and its columns."""
    congruence(upper, m, c)
    tridiagonalise(c, w, work, 1)
    d[:], e[:], z[:] = work[0], work[1], w.T


@njit(nogil=True, cache=True)
@no_type_check
def _sorted(d, z, firsts, energy, out):
    """Energies in descending order and their columns; False where a square is not positive."""
    order = np.argsort(-d)
    if not d[order[-1]] > 0:
        return False
    for place, k in enumerate(order):
        energy[place] = np.sqrt(d[k])
        root = np.sqrt(energy[place])
        for r in range(z.shape[1]):
            out[place, r] = z[k, r] * root if r < firsts else z[k, r] / root
    return True
