"""Compiled spin waves without gradients: energies and intensities of one Hamiltonian after another, no eigenvectors.

With H = L L^dagger (Cholesky) the Hermitian A = L^dagger g L has the signed energies as eigenvalues, Y as eigenvectors,
and T = L^-dagger Y |E|^1/2 (Colpa, Physica A 93, 327 (1978), doi:10.1016/0378-4371(78)90160-7). The amplitudes of the
observables are T^dagger V = |E|^1/2 Y^dagger W with W = L^-1 V. A is made real tridiagonal, then diagonal; both act on
the columns of W only.

Matrices are held as separate real and imaginary parts, so that the inner loops run over contiguous numbers. Sums may be
reordered and fused by the compiler (`_ALGEBRA`), but NaN keeps its meaning: an indefinite H is found by its pivot.
"""

from functools import partial
from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sqwirrel.simulate.compiled.threads import share
from sqwirrel.simulate.compiled.tridiagonal import implicit_ql, tridiagonalise, unphase

_ALGEBRA = {"contract", "reassoc", "nsz"}


class Problem(NamedTuple):
    """Boson Hamiltonians of n operators, the first `positive` of them b, the others b^dagger, at every q.

    H[row, column] = sum of value[:, entry] phase[q, source], conjugated where `source` is ~source; upper triangle only.
    V[operator] = form[q, kind] moment, three Cartesian columns made perpendicular to the unit vector `unit` or one
    column as it is. Intensities are times `weight`. If `mirrored`, H is that of the operators left out, too, with the
    opposite signs.
    """

    positive: int
    mirrored: bool
    value: NDArray[np.complex128]  # (batch, entry)
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    source: NDArray[np.int64]
    phase: NDArray[np.complex128]  # (q, source)
    moment: NDArray[np.complex128]  # (1 or batch, n, columns)
    kind: NDArray[np.int64]  # (n,)
    form: NDArray[np.float64]  # (q, kind)
    unit: NDArray[np.float64]  # (q, 3)
    weight: NDArray[np.float64]  # (q,)


def bosonic_modes(problem: Problem) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Energies, intensities (batch, q, modes) and stability (batch, q) on `torch.get_num_threads()` threads.

    Modes are in the order of `eigen.eigenmodes`: creation modes descending, then annihilation modes (negative energy)
    descending; intensity is the sum over the columns of |T^dagger V|^2. Where H is not positive definite, `stable` is
    False and both are 0. There are n modes, or 2n if mirrored.
    """
    batch, q, n = len(problem.value), len(problem.phase), problem.moment.shape[1]
    modes = 2 * n if problem.mirrored else n
    energy, intensity = np.zeros((batch, q, modes)), np.zeros((batch, q, modes))
    stable = np.zeros((batch, q), dtype=np.bool_)
    arrays = [np.ascontiguousarray(part) for part in problem[2:]]
    solve = partial(_solve_range, *arrays, problem.positive, problem.mirrored, energy, intensity, stable)
    share(solve, batch * q, n**2)
    return energy, intensity, stable


@njit(nogil=True, cache=True)
@no_type_check
def _solve_range(
    value, row, column, source, phase, moment, kind, form, unit, weight, positive, mirrored, energy, intensity, stable,
    start, stop,
):  # fmt: skip
    """Items `start` to `stop` of all (q, batch row) pairs, the batch fastest."""
    batch, n, columns = value.shape[0], moment.shape[1], moment.shape[2]
    re, im = np.empty((n, n + columns)), np.empty((n, n + columns))
    a, b = np.empty((n, n)), np.empty((n, n))
    wr, wi = np.empty((columns, n)), np.empty((columns, n))
    work, z = np.empty((6, n)), np.empty((n, 2 * columns))
    for item in range(start, stop):
        q, k = item // batch, item % batch
        assemble(value[k], row, column, source, phase[q], re, im)
        _observe(moment[min(k, moment.shape[0] - 1)], kind, form[q], unit[q], re, im)
        if n == 2 and positive == 1:
            stable[k, q] = _pair(re, im, weight[q], mirrored, energy[k, q], intensity[k, q])
        elif cholesky(re, im):
            stable[k, q] = True
            signed_square(re, im, positive, a, b, wr, wi)
            tridiagonalise(a, b, wr, wi, work)
            unphase(work, wr, wi, z)
            implicit_ql(work[0], work[1], z)
            _sorted_modes(work[0], z, weight[q], mirrored, energy[k, q], intensity[k, q])


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def assemble(value, row, column, source, phase, re, im):
    """Upper triangle of H."""
    n = re.shape[0]
    for i in range(n):
        for j in range(i, n):
            re[i, j], im[i, j] = 0.0, 0.0
    for k in range(value.shape[0]):
        x, y, s = value[k].real, value[k].imag, source[k]
        p = phase[s] if s >= 0 else phase[~s]
        c, d = p.real, p.imag if s >= 0 else -p.imag
        re[row[k], column[k]] += x * c - y * d
        im[row[k], column[k]] += x * d + y * c


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _observe(moment, kind, form, unit, re, im):
    """The columns V, appended to H: (re, im) = [H | V]."""
    n, columns = moment.shape
    for i in range(n):
        f, x, y = form[kind[i]], 0.0, 0.0
        if columns == 3:
            for c in range(3):
                x += unit[c] * moment[i, c].real
                y += unit[c] * moment[i, c].imag
        for c in range(columns):
            along = unit[c] if columns == 3 else 0.0
            re[i, n + c] = f * (moment[i, c].real - along * x)
            im[i, n + c] = f * (moment[i, c].imag - along * y)


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _pair(re, im, weight, mirrored, energy, intensity):
    """One b and one b^dagger in closed form, from [H | V]; False if H is not positive definite."""
    a, d = re[0, 0], re[1, 1]
    square = re[0, 1] ** 2 + im[0, 1] ** 2
    if not (a > 0 and a * d > square):
        return False
    root = np.sqrt((a + d) ** 2 - 4 * square)
    upper, lower = ((a - d) + root) / 2, ((a - d) - root) / 2
    u, v = (a + d + root) / (2 * root), 2 * square / (root * (a + d + root))
    first, second, cross = 0.0, 0.0, 0.0
    for c in range(2, re.shape[1]):
        first += re[0, c] ** 2 + im[0, c] ** 2
        second += re[1, c] ** 2 + im[1, c] ** 2
        x, y = re[0, c] * re[1, c] + im[0, c] * im[1, c], re[0, c] * im[1, c] - im[0, c] * re[1, c]
        cross += 2 * (re[0, 1] * x - im[0, 1] * y) / root
    high, low = weight * (u * first + v * second - cross), weight * (v * first + u * second - cross)
    if not mirrored:
        energy[0], energy[1], intensity[0], intensity[1] = upper, lower, high, low
        return True
    if upper < -lower:
        upper, lower, high, low = -lower, -upper, low, high
    energy[0], energy[1], energy[2], energy[3] = upper, -lower, lower, -upper
    intensity[0], intensity[1], intensity[2], intensity[3] = high, low, low, high
    return True


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def cholesky(re, im):
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
def signed_square(re, im, positive, a, b, wr, wi):
    """Lower triangle of A = U g U^dagger with U = L^dagger, and the columns W = L^-1 V as rows."""
    n = re.shape[0]
    for i in range(n):
        for c in range(wr.shape[0]):
            wr[c, i], wi[c, i] = re[i, n + c], im[i, n + c]
        for j in range(i + 1):
            x, y = 0.0, 0.0
            for k in range(i, positive):
                x += re[i, k] * re[j, k] + im[i, k] * im[j, k]
                y += im[i, k] * re[j, k] - re[i, k] * im[j, k]
            for k in range(max(i, positive), n):
                x -= re[i, k] * re[j, k] + im[i, k] * im[j, k]
                y -= im[i, k] * re[j, k] - re[i, k] * im[j, k]
            a[i, j], b[i, j] = x, y


@njit(nogil=True, cache=True)
@no_type_check
def _sorted_modes(d, z, weight, mirrored, energy, intensity):
    """Energies in descending order with the intensities weight |E| sum_c |Y^dagger W|^2."""
    n = d.shape[0]
    for k in range(n):
        value, strength, place = abs(d[k]) if mirrored else d[k], 0.0, k
        for c in range(z.shape[1]):
            strength += z[k, c] ** 2
        while place > 0 and energy[place - 1] < value:
            energy[place], intensity[place] = energy[place - 1], intensity[place - 1]
            place -= 1
        energy[place], intensity[place] = value, weight * abs(value) * strength
    if mirrored:
        for k in range(n):
            energy[2 * n - 1 - k], intensity[2 * n - 1 - k] = -energy[k], intensity[k]
