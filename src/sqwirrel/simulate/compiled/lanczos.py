"""Compiled Lanczos for what is seen of a boson Hamiltonian, one direction at a time.

With x^dagger H x, x = (b, b^dagger), and the signs g of the commutators, the modes are the columns of T with
g H T = T E and T^dagger H T = |E|. So g H is self-adjoint in the inner product (y, z) = y^dagger H z, and started from
H^-1 V, V being what is seen, Lanczos finds the measure

    (H^-1 V, f(g H) H^-1 V) = sum_n |a_n|^2 / |E_n| f(E_n),   a = T^dagger V.

Gauss quadrature with m nodes E and weights w is exact for polynomials f up to degree 2m - 1, among them what gives the
static susceptibility V^dagger H^-1 V, the sum V^dagger g V of the intensities w |E| with the signs of the energies, and
their first moment V^dagger H V. The nodes stand for all modes near them, and lines wider than their distance have the
right spectrum (Golub & Meurant, Matrices, Moments and Quadrature with Applications, Princeton, 2010). Vectors are not
made orthogonal again: a mode that is found twice has its weight shared between two nodes.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sqwirrel.simulate.compiled import sparse
from sqwirrel.simulate.compiled.tridiagonal import implicit_ql

_ALGEBRA = {"contract", "reassoc", "nsz"}
_ENDED = 1e-12
"""Length of a new vector, relative to the largest energy, that is rounding: all directions have been found."""
CHAIN = 8
"""Rows of a chain: real and imaginary parts of the last vector y, of the one before, of H y; the tridiagonal matrix."""


class Matrix(NamedTuple):
    """H by rows (`sparse.Pattern`), the signs of the commutators, and a bound of the energies."""

    start: NDArray[np.uint64]
    column: NDArray[np.uint64]
    hr: NDArray[np.float64]
    hi: NDArray[np.float64]
    sign: NDArray[np.float64]
    bound: float


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def observe(moment, kind, form, direction, chain):
    """Begins a chain with what is seen along a direction, V = H y."""
    for i in range(moment.shape[0]):
        x, y = 0.0, 0.0
        for a in range(moment.shape[1]):
            x += direction[a] * moment[i, a].real
            y += direction[a] * moment[i, a].imag
        chain[4, i], chain[5, i] = form[kind[i]] * x, form[kind[i]] * y


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def begin(first, lr, li, chain):
    """The first vector, y = H^-1 V made of unit length, from the Cholesky factor; returns its square, 0 without V."""
    chain[0:2], chain[2:4] = chain[4:6], 0.0
    sparse.solve(first, lr, li, chain[0], chain[1])
    square = 0.0
    for i in range(chain.shape[1]):
        square += chain[0, i] * chain[4, i] + chain[1, i] * chain[5, i]
    chain[0:6] *= 1 / np.sqrt(square) if square > 0 else 0.0
    return square


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def extend(H, chain, done, steps):
    """Rows `done` to `steps` of the tridiagonal matrix; False, and zeros, where no direction is left."""
    if done > 0 and chain[7, done - 1] == 0:
        return False
    yr, yi, pr, pi, zr, zi = chain[0], chain[1], chain[2], chain[3], chain[4], chain[5]
    for k in range(done, steps):
        a, b = 0.0, chain[7, k - 1] if k > 0 else 0.0
        for i in range(yr.shape[0]):
            a += H.sign[i] * (zr[i] * zr[i] + zi[i] * zi[i])
        for i in range(yr.shape[0]):
            x, y = yr[i], yi[i]
            yr[i] = H.sign[i] * zr[i] - a * x - b * pr[i]
            yi[i] = H.sign[i] * zi[i] - a * y - b * pi[i]
            pr[i], pi[i] = x, y
        b = np.sqrt(max(sparse.product(H.start, H.column, H.hr, H.hi, yr, yi, zr, zi), 0.0))
        chain[6, k], chain[7, k] = a, b
        if not b > _ENDED * H.bound:
            chain[6:8, k + 1 :], chain[7, k] = 0.0, 0.0
            return False
        for i in range(yr.shape[0]):
            yr[i], yi[i], zr[i], zi[i] = yr[i] / b, yi[i] / b, zr[i] / b, zi[i] / b
    return True


@njit(nogil=True, cache=True)
@no_type_check
def nodes(chain, square, line):
    """Nodes and weights of the quadrature, into line[0] and line[1]."""
    line[:] = 0.0
    if square > 0:
        node, first = chain[6, : line.shape[1]].copy(), np.zeros((line.shape[1], 1))
        first[0] = 1.0
        implicit_ql(node, chain[7, : line.shape[1]].copy(), first)
        line[0], line[1] = node, square * first[:, 0] ** 2
