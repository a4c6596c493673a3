"""Compiled: a Hermitian matrix made real tridiagonal, then diagonal, a few columns turned along; no eigenvectors.

Householder reflections and the implicit QL method (Golub & Van Loan, Matrix Computations, 4th ed., sec. 8.3).
"""

from typing import no_type_check

import numpy as np
from numba import njit

_ALGEBRA = {"contract", "reassoc", "nsz"}
_EPS = 2.220446049250313e-16
"""Rounding of float64: an off-diagonal element smaller than this times its neighbours counts as zero."""
_TINY = 1e-290
"""Squares below this (meV^2) count as zero, so that their inverse is finite."""
_SWEEPS = 60
"""Most QL sweeps spent on one eigenvalue; fewer than 4 are usual."""


@njit(nogil=True, cache=True)
@no_type_check
def implicit_ql(d, e, z):
    """Eigenvalues of the symmetric tridiagonal (d, e) into d; the rows of z are turned into the eigenbasis."""
    for low in range(d.shape[0]):
        for _ in range(_SWEEPS):
            high = _block_end(d, e, low)
            if high == low:
                break
            _ql_sweep(d, e, z, low, high)


@njit(nogil=True, cache=True)
@no_type_check
def _block_end(d, e, low):
    """The last index of the unreduced block that starts at `low`."""
    for m in range(low, d.shape[0] - 1):
        if abs(e[m]) <= _EPS * (abs(d[m]) + abs(d[m + 1])):
            return m
    return d.shape[0] - 1


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _ql_sweep(d, e, z, low, high):
    """One QL sweep with Wilkinson's shift on the block low..high, the plane rotations applied to the rows of z.

    Each step waits for the one before: the next g and p come from 1 / r^2 while the root for s and c is under way.
    """
    g = (d[low + 1] - d[low]) / (2 * e[low])
    r = np.sqrt(g * g + 1)
    g = d[high] - d[low] + e[low] / (g + (r if g >= 0 else -r))
    s, c, p = 1.0, 1.0, 0.0
    for i in range(high - 1, low - 1, -1):
        f, h = s * e[i], c * e[i]
        square = f * f + g * g
        if square < _TINY:
            d[i + 1] -= p
            e[i + 1], e[high] = 0.0, 0.0
            return
        inverse, r = 1 / square, np.sqrt(square)
        e[i + 1] = r
        s, c = f * (r * inverse), g * (r * inverse)
        shifted = d[i + 1] - p
        t = ((d[i] - shifted) * f + 2 * g * h) * inverse
        p, g = f * t, g * t - h
        d[i + 1] = shifted + p
        _rotate(z, i, s, c)
    d[low] -= p
    e[low], e[high] = g, 0.0


@njit(nogil=True, cache=True, inline="always")
@no_type_check
def _rotate(z, i, s, c):
    """Rows i and i + 1 turned by the rotation with sine s and cosine c."""
    for k in range(z.shape[1]):
        upper, lower = z[i, k], z[i + 1, k]
        z[i + 1, k] = s * upper + c * lower
        z[i, k] = c * upper - s * lower


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def tridiagonalise(a, b, wr, wi, work):
    """A -> tridiagonal by reflections 1 - beta v v^dagger from the last row up, applied to W too.

    On return work[0] is the diagonal, work[2] + i work[3] the elements (k - 1, k); work[2:6] is scratch.
    """
    n = a.shape[0]
    vr, vi, pr, pi = work[2], work[3], work[4], work[5]
    for i in range(n - 1, 0, -1):
        tail, last = 0.0, i - 1
        for j in range(i):
            vr[j], vi[j] = a[i, j], -b[i, j]
        for j in range(last):
            tail += vr[j] ** 2 + vi[j] ** 2
        if tail > 0:
            size = np.sqrt(vr[last] ** 2 + vi[last] ** 2)
            norm = np.sqrt(tail + size * size)
            x, y = (vr[last] / size, vi[last] / size) if size > 0 else (1.0, 0.0)
            vr[last], vi[last] = x * (size + norm), y * (size + norm)
            beta = 1 / (norm * (norm + size))
            _reflect(a, b, vr, vi, pr, pi, beta, i)
            _reflect_columns(wr, wi, vr, vi, beta, i)
            vr[last], vi[last] = -x * norm, -y * norm
        vr[i], vi[i] = vr[last], vi[last]
        work[0, i] = a[i, i]
    work[0, 0] = a[0, 0]


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _reflect(a, b, vr, vi, pr, pi, beta, m):
    """Leading m x m block of A -> P A P as A - v p^dagger - p v^dagger, p = beta A v - (beta^2 v^dagger A v / 2) v."""
    for i in range(m):
        x, y, s, t = 0.0, 0.0, vr[i], vi[i]
        for j in range(i):
            x += a[i, j] * vr[j] - b[i, j] * vi[j]
            y += a[i, j] * vi[j] + b[i, j] * vr[j]
            pr[j] += a[i, j] * s + b[i, j] * t
            pi[j] += a[i, j] * t - b[i, j] * s
        pr[i], pi[i] = x + a[i, i] * s, y + a[i, i] * t
    overlap = 0.0
    for j in range(m):
        overlap += vr[j] * pr[j] + vi[j] * pi[j]
    shift = 0.5 * beta * beta * overlap
    for j in range(m):
        pr[j] = beta * pr[j] - shift * vr[j]
        pi[j] = beta * pi[j] - shift * vi[j]
    for i in range(m):
        s, t, x, y = vr[i], vi[i], pr[i], pi[i]
        for j in range(i + 1):
            a[i, j] -= s * pr[j] + t * pi[j] + x * vr[j] + y * vi[j]
            b[i, j] -= t * pr[j] - s * pi[j] + y * vr[j] - x * vi[j]


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _reflect_columns(wr, wi, vr, vi, beta, m):
    """The columns (held as rows) W -> W - beta v (v^dagger W)."""
    for c in range(wr.shape[0]):
        x, y = 0.0, 0.0
        for j in range(m):
            x += vr[j] * wr[c, j] + vi[j] * wi[c, j]
            y += vr[j] * wi[c, j] - vi[j] * wr[c, j]
        x, y = beta * x, beta * y
        for j in range(m):
            wr[c, j] -= vr[j] * x - vi[j] * y
            wi[c, j] -= vr[j] * y + vi[j] * x


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def unphase(work, wr, wi, z):
    """Phases that make the off-diagonal elements real (work[1, k]: k to k + 1), applied to W on its way to z."""
    n = work.shape[1]
    x, y = 1.0, 0.0
    for k in range(n - 1, -1, -1):
        for c in range(wr.shape[0]):
            z[k, c] = x * wr[c, k] + y * wi[c, k]
            z[k, wr.shape[0] + c] = x * wi[c, k] - y * wr[c, k]
        if k > 0:
            s, t = work[2, k], work[3, k]
            size = np.sqrt(s * s + t * t)
            work[1, k - 1] = size
            if size > 0:
                x, y = (s * x - t * y) / size, (s * y + t * x) / size
                norm = np.sqrt(x * x + y * y)
                x, y = x / norm, y / norm
    work[1, n - 1] = 0.0
