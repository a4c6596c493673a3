"""Compiled spectra of large cells, as fine as a resolution sees them: Lanczos lines in place of modes."""

from functools import partial
from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sqwirrel.simulate.compiled import lanczos, sparse
from sqwirrel.simulate.compiled.kernels import Problem, bosonic_modes
from sqwirrel.simulate.compiled.threads import share
from sqwirrel.units import SIGMA

ACCURACY = 1e-3
"""Estimated error of a broadened spectrum, relative to its largest value at that wavevector."""
_FIRST, _GROWTH = 0.5, 1.25
"""Steps at the first look, in widths that the bound of the energies holds, and their growth from look to look."""
_ENOUGH = ACCURACY / 2
"""The steps end with a change from look to look below this; the error is then several times less, mostly."""
_REACH = 5.0
"""A line is looked at this many standard deviations away."""
_SOFT = 1e-6
"""A line at zero, between the two sides, is put at this energy (meV): its thermal weight is finite there."""
_UNSTABLE, _SOLVED, _UNRESOLVED = 0, 1, 2


class _View(NamedTuple):
    """The standard deviation of a line and k_B T, both in meV; each line has both signs if mirrored."""

    sigma: float
    thermal: float
    mirrored: bool


def broadened_modes(
    problem: Problem, fwhm: float, thermal: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Lines whose spectrum, broadened with `fwhm` at k_B T = `thermal` (meV), is that of the modes.

    As `kernels.bosonic_modes`, with as many lines as modes for each direction across the wavevector (one, or two of
    vectors), in the same order; those not needed have energy and intensity 0 and lie between both halves. Where as many
    steps as there are operators would not reach `ACCURACY`, the modes themselves are found.
    """
    n, columns = problem.moment.shape[1:]
    batch, q, pattern = len(problem.value), len(problem.phase), sparse.Pattern.of(problem.row, problem.column, n)
    across, sign = _across(problem.unit, columns), np.where(np.arange(n) < problem.positive, 1.0, -1.0)
    lines = across.shape[1] * (2 * n if problem.mirrored else n)
    energy, intensity = np.zeros((batch, q, lines)), np.zeros((batch, q, lines))
    found, view = np.zeros((batch, q), dtype=np.int8), _View(fwhm * SIGMA, thermal, problem.mirrored)
    arrays = (
        sign[pattern.order], problem.value, problem.source, problem.phase, problem.moment[:, pattern.order],
        problem.kind[pattern.order], problem.form, across, problem.weight,
    )  # fmt: skip
    solve = partial(_solve_range, pattern, view, *map(np.ascontiguousarray, arrays), energy, intensity, found)
    share(solve, batch * q, n**2)
    order = np.argsort(-energy, axis=-1, kind="stable")
    energy, intensity = (np.take_along_axis(part, order, axis=-1) for part in (energy, intensity))
    stable = found == _SOLVED
    for k in np.flatnonzero((found == _UNRESOLVED).any(axis=1)):
        where = np.flatnonzero(found[k] == _UNRESOLVED)
        energy[k, where], intensity[k, where] = 0, 0
        half = n if problem.mirrored else n // 2
        *modes, stable[k : k + 1, where] = bosonic_modes(_at(problem, int(k), where))
        for part, exact in zip((energy, intensity), modes, strict=True):
            part[k, where, :half], part[k, where, -half:] = exact[0, :, :half], exact[0, :, -half:]
    return energy, intensity, stable


def _across(unit: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Two directions across each unit vector (q, 2, 3), both zero if that is zero; or the one column as it is."""
    if columns == 1:
        return np.ones((len(unit), 1, 1))
    first = np.cross(unit, np.eye(3)[np.abs(unit).argmin(axis=1)])
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-300)
    return np.stack((first, np.cross(unit, first)), axis=1)


def _at(problem: Problem, k: int, q: NDArray[np.int64]) -> Problem:
    """One row at some wavevectors."""
    own = min(k, len(problem.moment) - 1)
    return problem._replace(
        value=problem.value[k : k + 1],
        moment=problem.moment[own : own + 1],
        phase=problem.phase[q],
        form=problem.form[q],
        unit=problem.unit[q],
        weight=problem.weight[q],
    )


@njit(nogil=True, cache=True)
@no_type_check
def _solve_range(
    pattern, view, sign, value, source, phase, moment, kind, form, across, weight, energy, intensity, found, start, stop
):
    """Items `start` to `stop` of all (q, batch row) pairs, the batch fastest."""
    batch, n, columns = value.shape[0], sign.shape[0], across.shape[1]
    hr, hi = np.empty(pattern.column.shape[0]), np.empty(pattern.column.shape[0])
    lr, li, spectra = np.zeros((n, n)), np.zeros((n, n)), np.empty((2, 5 * n + 32))
    chains, lines, squares = np.empty((columns, lanczos.CHAIN, n)), np.empty((columns, 2, n)), np.empty(columns)
    for item in range(start, stop):
        q, k = item // batch, item % batch
        sparse.assemble(value[k], source, phase[q], pattern.slot, hr, hi)
        bound = sparse.row_bound(pattern.start, hr, hi)
        found[k, q] = _UNRESOLVED
        if not across[q].any() or bound > n * view.sigma / SIGMA:
            continue
        if not sparse.factorise(pattern.start, pattern.column, hr, hi, pattern.first, lr, li):
            found[k, q] = _UNSTABLE
            continue
        for c in range(columns):
            lanczos.observe(moment[min(k, moment.shape[0] - 1)], kind, form[q], across[q, c], chains[c])
            squares[c] = lanczos.begin(pattern.first, lr, li, chains[c])
        H = lanczos.Matrix(pattern.start, pattern.column, hr, hi, sign, bound)
        steps = _resolve(H, view, chains, squares, lines, spectra)
        if steps > 0 and _write(lines[:, :, :steps], weight[q], view.mirrored, energy[k, q], intensity[k, q]):
            found[k, q] = _SOLVED


@njit(nogil=True, cache=True)
@no_type_check
def _resolve(H, view, chains, squares, lines, spectra):
    """Steps until the broadened spectrum is known, and the lines there; 0 if it takes more than there are operators."""
    done, steps, look = 0, 4 + int(_FIRST * H.bound * SIGMA / view.sigma), 0
    spectra[1] = 0.0
    while True:
        steps, ended = min(steps, H.sign.shape[0]), True
        for c in range(len(squares)):
            if squares[c] > 0 and lanczos.extend(H, chains[c], done, steps):
                ended = False
            lanczos.nodes(chains[c], squares[c], lines[c, :, :steps])
        _broaden(lines[:, :, :steps], view, H.bound, spectra[look % 2])
        if ended or _difference(spectra[look % 2], spectra[1 - look % 2]) < _ENOUGH:
            return steps
        if steps == H.sign.shape[0]:
            return 0
        done, steps, look = steps, int(_GROWTH * steps) + 1, look + 1


@njit(nogil=True, cache=True)
@no_type_check
def _broaden(lines, view, bound, spectrum):
    """The spectrum of both sides with its thermal weights, at two energies a width."""
    step, low, reach = 0.5 * view.sigma / SIGMA, -bound - _REACH * view.sigma, _REACH * view.sigma
    spectrum[:] = 0.0
    for c in range(lines.shape[0]):
        for k in range(lines.shape[2]):
            for side in range(2 if view.mirrored else 1):
                x = lines[c, 0, k] * (1 - 2 * side)
                strength = lines[c, 1, k] * _response(x, view.thermal)
                for i in range(int((x - low - reach) / step), int((x - low + reach) / step) + 1):
                    spectrum[i] += strength * np.exp(-(((low + i * step - x) / view.sigma) ** 2) / 2)


@njit(nogil=True, cache=True, inline="always")
@no_type_check
def _response(x, thermal):
    """Energy times the thermal weight of a line, x / (1 - exp(-x / k_B T)) on both sides."""
    if thermal <= 0:
        return max(x, 0.0)
    return thermal if x == 0 else -x / np.expm1(-x / thermal)


@njit(nogil=True, cache=True)
@no_type_check
def _difference(new, old):
    """The largest difference, relative to the largest value."""
    change, height = 0.0, 0.0
    for i in range(new.shape[0]):
        change, height = max(change, abs(new[i] - old[i])), max(height, new[i])
    return change / height if height > 0 else 0.0


@njit(nogil=True, cache=True)
@no_type_check
def _write(lines, weight, mirrored, energy, intensity):
    """Lines above zero from the left and below zero from the right; False if either are more than half."""
    above, below, last = 0, 0, energy.shape[0] - 1
    for c in range(lines.shape[0]):
        for k in range(lines.shape[2]):
            x, size = lines[c, 0, k], max(abs(lines[c, 0, k]), _SOFT)
            strength = weight * size * lines[c, 1, k]
            if strength > 0 and (mirrored or x >= 0):
                energy[above], intensity[above] = size, strength
                above += 1
            if strength > 0 and (mirrored or x < 0):
                energy[last - below], intensity[last - below] = -size, strength
                below += 1
            if 2 * max(above, below) > last + 1:
                return False
    return True
