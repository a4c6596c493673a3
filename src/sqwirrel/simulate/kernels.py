"""Compiled spin waves without gradients: energies and intensities of one Hamiltonian after another, no eigenvectors.

With H = L L^dagger (Cholesky) the Hermitian A = L^dagger g L has the signed energies as eigenvalues, Y as eigenvectors,
and T = L^-dagger Y |E|^1/2 (Colpa, Physica A 93, 327 (1978), doi:10.1016/0378-4371(78)90160-7). The amplitudes of the
observables are T^dagger V = |E|^1/2 Y^dagger W with W = L^-1 V. A is made real tridiagonal by Householder reflections,
then diagonal by the implicit QL method (Golub & Van Loan, Matrix Computations, 4th ed., sec. 8.3); both act on the
three columns of W only.

Matrices are held as separate real and imaginary parts, so that the inner loops run over contiguous numbers. Sums may be
reordered and fused by the compiler (`_ALGEBRA`), but NaN keeps its meaning: an indefinite H is found by its pivot.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import no_type_check

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from sqwirrel.simulate.tridiagonal import implicit_ql

_ALGEBRA = {"contract", "reassoc", "nsz"}
_COLUMNS = 3
_SMALL = 200_000
"""Work (matrix elements) below which starting a second thread costs more than it gains."""


def bosonic_modes(
    theta: NDArray[np.float64], basis: NDArray[np.complex128], observable: NDArray[np.complex128]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Energies, intensities (batch, q, 2N) and stability (batch, q) of H = sum_p theta[:, p] basis[p].

    `theta` is (batch, P), `basis` (P, q, 2N, 2N), `observable` V (1 or batch, q, 2N, 3); copied where not contiguous.
    Modes are in the order of `eigen.eigenmodes`: creation modes descending, then annihilation modes (negative energy)
    descending; intensity is the sum over the columns of |T^dagger V|^2. Where H is not positive definite, `stable` is
    False and both are 0. Runs on `torch.get_num_threads()` threads.
    """
    batch, q, size = len(theta), basis.shape[1], basis.shape[2]
    energy, intensity = np.zeros((batch, q, size)), np.zeros((batch, q, size))
    stable = np.zeros((batch, q), dtype=np.bool_)
    given = np.ascontiguousarray(theta), _real_pairs(basis), _real_pairs(observable)
    solve = partial(_solve_range, *given, energy, intensity, stable)
    workers = min(torch.get_num_threads(), 1 + batch * q * size**2 // _SMALL)
    edges = [batch * q * k // workers for k in range(workers + 1)]
    if workers == 1:
        solve(*edges)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(solve, edges[:-1], edges[1:]))
    return energy, intensity, stable


def _real_pairs(array: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The same numbers with real and imaginary parts side by side in the last axis."""
    return np.ascontiguousarray(array).view(np.float64)


@njit(nogil=True, cache=True)
@no_type_check
def _solve_range(theta, basis, observable, energy, intensity, stable, start, stop):
    """Items `start` to `stop` of all (q, batch row) pairs, the batch fastest."""
    batch, n = theta.shape[0], basis.shape[2]
    re, im = np.empty((n, n + _COLUMNS)), np.empty((n, n + _COLUMNS))
    a, b = np.empty((n, n)), np.empty((n, n))
    wr, wi = np.empty((_COLUMNS, n)), np.empty((_COLUMNS, n))
    work, z = np.empty((6, n)), np.empty((n, 2 * _COLUMNS))
    for item in range(start, stop):
        k, row = item // batch, item % batch
        _assemble(theta[row], basis, observable[min(row, observable.shape[0] - 1), k], k, re, im)
        if _cholesky(re, im):
            stable[row, k] = True
            _signed_square(re, im, a, b, wr, wi)
            _tridiagonalise(a, b, wr, wi, work)
            _unphase(work, wr, wi, z)
            implicit_ql(work[0], work[1], z)
            _sorted_modes(work[0], z, energy[row, k], intensity[row, k])


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _assemble(theta, basis, observable, k, re, im):
    """Upper triangle of H = sum_p theta_p basis_p at wavevector `k`, the columns V appended: (re, im) = [H | V]."""
    n = re.shape[0]
    for i in range(n):
        for j in range(i, n):
            re[i, j] = theta[0] * basis[0, k, i, 2 * j]
            im[i, j] = theta[0] * basis[0, k, i, 2 * j + 1]
        for p in range(1, theta.shape[0]):
            for j in range(i, n):
                re[i, j] += theta[p] * basis[p, k, i, 2 * j]
                im[i, j] += theta[p] * basis[p, k, i, 2 * j + 1]
        for c in range(_COLUMNS):
            re[i, n + c] = observable[i, 2 * c]
            im[i, n + c] = observable[i, 2 * c + 1]


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _cholesky(re, im):
    """In place [H | V] -> [L^dagger | L^-1 V], upper triangle; False at the first pivot that is not positive."""
    n, m = re.shape
    for k in range(n):
        if not re[k, k] > 0:
            return False
        scale = 1 / np.sqrt(re[k, k])
        for j in range(k, m):
            re[k, j] *= scale
            im[k, j] *= scale
        for i in range(k + 1, n):
            x, y = re[k, i], im[k, i]
            for j in range(i, m):
                re[i, j] -= x * re[k, j] + y * im[k, j]
                im[i, j] -= x * im[k, j] - y * re[k, j]
    return True


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _signed_square(re, im, a, b, wr, wi):
    """Lower triangle of A = U g U^dagger with U = L^dagger, and the columns W = L^-1 V as rows."""
    n = re.shape[0]
    half = n // 2
    for i in range(n):
        for c in range(_COLUMNS):
            wr[c, i], wi[c, i] = re[i, n + c], im[i, n + c]
        for j in range(i + 1):
            x, y = 0.0, 0.0
            for k in range(i, half):
                x += re[i, k] * re[j, k] + im[i, k] * im[j, k]
                y += im[i, k] * re[j, k] - re[i, k] * im[j, k]
            for k in range(max(i, half), n):
                x -= re[i, k] * re[j, k] + im[i, k] * im[j, k]
                y -= im[i, k] * re[j, k] - re[i, k] * im[j, k]
            a[i, j], b[i, j] = x, y


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _tridiagonalise(a, b, wr, wi, work):
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
    for c in range(_COLUMNS):
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
def _unphase(work, wr, wi, z):
    """Phases that make the off-diagonal elements real (work[1, k]: k to k + 1), applied to W on its way to z."""
    n = work.shape[1]
    x, y = 1.0, 0.0
    for k in range(n - 1, -1, -1):
        for c in range(_COLUMNS):
            z[k, c] = x * wr[c, k] + y * wi[c, k]
            z[k, _COLUMNS + c] = x * wi[c, k] - y * wr[c, k]
        if k > 0:
            s, t = work[2, k], work[3, k]
            size = np.sqrt(s * s + t * t)
            work[1, k - 1] = size
            if size > 0:
                x, y = (s * x - t * y) / size, (s * y + t * x) / size
                norm = np.sqrt(x * x + y * y)
                x, y = x / norm, y / norm
    work[1, n - 1] = 0.0


@njit(nogil=True, cache=True)
@no_type_check
def _sorted_modes(d, z, energy, intensity):
    """Energies in descending order with the intensities |E| sum_c |Y^dagger W|^2."""
    for k in range(d.shape[0]):
        value, strength, place = d[k], 0.0, k
        for c in range(2 * _COLUMNS):
            strength += z[k, c] ** 2
        while place > 0 and energy[place - 1] < value:
            energy[place], intensity[place] = energy[place - 1], intensity[place - 1]
            place -= 1
        energy[place], intensity[place] = value, abs(value) * strength
