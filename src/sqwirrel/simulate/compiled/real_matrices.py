"""Compiled linear algebra of small real matrices, a few columns turned along (Golub & Van Loan, 4th ed., sec. 8.3)."""

from typing import no_type_check

import numpy as np
from numba import njit

_ALGEBRA = {"contract", "reassoc", "nsz"}


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def cholesky(upper):
    """In place [G | V] -> [L^T | L^-1 V], upper triangle; False at the first pivot that is not positive."""
    n, m = upper.shape
    for k in range(n):
        if not upper[k, k] > 0:
            return False
        scale = 1 / np.sqrt(upper[k, k])
        for j in range(k, m):
            upper[k, j] *= scale
        for i in range(k + 1, n):
            x = upper[k, i]
            for j in range(i, m):
                upper[i, j] -= x * upper[k, j]
    return True


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def congruence(upper, m, c):
    """Lower triangle of C = U M U^T with upper triangular U; M is filled up and then overwritten by U M."""
    n = m.shape[0]
    for i in range(n):
        for j in range(i):
            m[i, j] = m[j, i]
    for i in range(n):
        x = upper[i, i]
        for j in range(n):
            m[i, j] *= x
        for k in range(i + 1, n):
            x = upper[i, k]
            for j in range(n):
                m[i, j] += x * m[k, j]
    for i in range(n):
        for j in range(i + 1):
            x = 0.0
            for k in range(j, n):
                x += m[i, k] * upper[j, k]
            c[i, j] = x


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def symplectic_square(upper, c):
    """Lower triangle of the antisymmetric U J U^T with upper triangular U, J = [[0, 1], [-1, 0]]."""
    n = c.shape[0] // 2
    for i in range(2 * n):
        for j in range(i):
            x = 0.0
            for k in range(max(j, i - n), n):
                x -= upper[i, n + k] * upper[j, k]
            for k in range(i, n):
                x += upper[i, k] * upper[j, n + k]
            c[i, j] = x
        c[i, i] = 0.0


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def tridiagonalise(a, w, work, sign):
    """Lower triangle of A = sign A^T -> work[0] diagonal, work[1] below it; the columns W (as rows) turned too."""
    n = a.shape[0]
    d, e, v, p = work[0], work[1], work[2], work[3]
    for i in range(n - 1, 0, -1):
        tail, last = 0.0, i - 1
        for j in range(i):
            v[j] = a[i, j]
        for j in range(last):
            tail += v[j] * v[j]
        e[last] = v[last]
        if tail > 0:
            norm, size = np.sqrt(tail + v[last] * v[last]), abs(v[last])
            e[last] = -norm if v[last] > 0 else norm
            v[last] -= e[last]
            beta = 1 / (norm * (norm + size))
            _reflect(a, v, p, beta, i, sign)
            for c in range(w.shape[0]):
                x = 0.0
                for j in range(i):
                    x += v[j] * w[c, j]
                x *= beta
                for j in range(i):
                    w[c, j] -= v[j] * x
        d[i] = a[i, i]
    d[0] = a[0, 0]
    e[n - 1] = 0.0


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _reflect(a, v, p, beta, m, sign):
    """Leading m x m block of A -> P A P as A - p v^T - sign v p^T, p = beta A v - (beta^2 v^T A v / 2) v."""
    for i in range(m):
        x, s = 0.0, sign * v[i]
        for j in range(i):
            x += a[i, j] * v[j]
            p[j] += a[i, j] * s
        p[i] = x + a[i, i] * v[i]
    overlap = 0.0
    for j in range(m):
        overlap += v[j] * p[j]
    shift = 0.5 * beta * beta * overlap
    for j in range(m):
        p[j] = beta * p[j] - shift * v[j]
    for i in range(m):
        s, x = sign * v[i], p[i]
        for j in range(i + 1):
            a[i, j] -= s * p[j] + x * v[j]
