"""Compiled: a sparse Hermitian matrix, its products, and its Cholesky factor within an envelope.

Rows are ordered so that the elements lie near the diagonal (reverse Cuthill-McKee); the factor then fills no more than
the envelope, from the first element of each row to the diagonal (George & Liu, Computer Solution of Large Sparse
Positive Definite Systems, Prentice-Hall, 1981, ch. 4).
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

_ALGEBRA = {"contract", "reassoc", "nsz"}


class Pattern(NamedTuple):
    """Where the elements of a matrix lie: by rows, the columns of row i in `column[start[i] : start[i + 1]]`.

    `order` are the old numbers of the rows; `slot` says where each element of the upper triangle goes, and its
    conjugate; `first` is the first column of each row. Places without a sign need no test for one in the inner loop.
    """

    order: NDArray[np.int64]
    start: NDArray[np.uint64]
    column: NDArray[np.uint64]
    slot: NDArray[np.uint64]  # (2, element)
    first: NDArray[np.int64]

    @classmethod
    def of(cls, row: NDArray[np.int64], column: NDArray[np.int64], n: int) -> "Pattern":
        """Of a matrix with n rows and these elements in its upper triangle, some places more than once."""
        both = np.stack((np.concatenate((row, column)), np.concatenate((column, row))))
        graph = coo_array((np.ones(both.shape[1]), (both[0], both[1])), shape=(n, n)).tocsr()
        order = reverse_cuthill_mckee(graph, symmetric_mode=True).astype(np.int64)
        both = np.argsort(order)[both]
        place, slot = np.unique(both[0] * n + both[1], return_inverse=True)
        first = np.arange(n)
        np.minimum.at(first, *both)
        start = np.searchsorted(place, n * np.arange(n + 1)).astype(np.uint64)
        return cls(order, start, (place % n).astype(np.uint64), slot.reshape(2, -1).astype(np.uint64), first)


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def assemble(value, source, phase, slot, hr, hi):
    """The elements: sums of values times phases, conjugated for ~source."""
    hr[:], hi[:] = 0.0, 0.0
    for k in range(value.shape[0]):
        s = source[k]
        x = value[k] * (phase[s] if s >= 0 else np.conj(phase[~s]))
        up, down = slot[0, k], slot[1, k]
        hr[up] += x.real
        hi[up] += x.imag
        if down != up:
            hr[down] += x.real
            hi[down] -= x.imag


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def row_bound(start, hr, hi):
    """The largest sum of the moduli of a row: no eigenvalue is larger, whatever signs multiply the rows."""
    largest = 0.0
    for i in range(start.shape[0] - 1):
        total = 0.0
        for s in range(start[i], start[i + 1]):
            total += np.sqrt(hr[s] ** 2 + hi[s] ** 2)
        largest = max(largest, total)
    return largest


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def product(start, column, hr, hi, xr, xi, yr, yi):
    """y = H x; returns x^dagger H x."""
    form = 0.0
    for i in range(xr.shape[0]):
        a, b = 0.0, 0.0
        for s in range(start[i], start[i + 1]):
            x, y = xr[column[s]], xi[column[s]]
            a += hr[s] * x - hi[s] * y
            b += hr[s] * y + hi[s] * x
        yr[i], yi[i] = a, b
        form += xr[i] * a + xi[i] * b
    return form


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def factorise(start, column, hr, hi, first, lr, li):
    """H = L L^dagger, L below the diagonal and in the envelope; False at the first pivot that is not positive."""
    for i in range(first.shape[0]):
        for k in range(first[i], i + 1):
            lr[i, k], li[i, k] = 0.0, 0.0
        for s in range(start[i], start[i + 1]):
            if column[s] <= i:
                lr[i, column[s]], li[i, column[s]] = hr[s], hi[s]
        pivot = lr[i, i]
        for j in range(first[i], i):
            x, y = 0.0, 0.0
            for k in range(max(first[i], first[j]), j):
                x += lr[i, k] * lr[j, k] + li[i, k] * li[j, k]
                y += li[i, k] * lr[j, k] - lr[i, k] * li[j, k]
            x, y = (lr[i, j] - x) / lr[j, j], (li[i, j] - y) / lr[j, j]
            lr[i, j], li[i, j] = x, y
            pivot -= x * x + y * y
        if not pivot > 0:
            return False
        lr[i, i] = np.sqrt(pivot)
    return True


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def solve(first, lr, li, xr, xi):
    """In place x -> (L L^dagger)^-1 x."""
    n = first.shape[0]
    for i in range(n):
        a, b = xr[i], xi[i]
        for k in range(first[i], i):
            a -= lr[i, k] * xr[k] - li[i, k] * xi[k]
            b -= lr[i, k] * xi[k] + li[i, k] * xr[k]
        xr[i], xi[i] = a / lr[i, i], b / lr[i, i]
    for i in range(n - 1, -1, -1):
        a, b = xr[i] / lr[i, i], xi[i] / lr[i, i]
        xr[i], xi[i] = a, b
        for k in range(first[i], i):
            xr[k] -= lr[i, k] * a + li[i, k] * b
            xi[k] -= lr[i, k] * b - li[i, k] * a
