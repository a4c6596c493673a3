"""Compiled implicit QL: eigenvalues of a real symmetric tridiagonal matrix, the rows of a few columns turned along.

Golub & Van Loan, Matrix Computations, 4th ed., sec. 8.3; no eigenvectors are formed.
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
