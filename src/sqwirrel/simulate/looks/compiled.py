"""The compiled loop over looks: what a beam sees of modes that were found before.

All modes of a wavevector are worked on together, step by step, so that each step is one short loop over numbers that
follow each other in memory.
"""

import math
from typing import no_type_check

import numpy as np
from numba import njit

from sqwirrel.units import E_PER_K2

STEP = 0.01
"""Form factors are tabulated at this step of |Q| (1/angstrom), linear between: good to 1e-5."""
_SINE, _COSINE = (
    np.array([(-1) ** k * math.pi ** (2 * k + odd) / math.factorial(2 * k + odd) for k in range(7)]) for odd in (1, 0)
)
"""Series of sin(pi x) / x and cos(pi x) in x^2, good to 1e-8 within half a turn of 2 pi x."""
_S0, _S1, _S2, _S3, _S4, _S5, _S6 = map(float, _SINE)
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = map(float, _COSINE)
_ALGEBRA = {"contract", "reassoc", "nsz"}


@njit(nogil=True, cache=True)
@no_type_check
def look(
    found, amplitude, component, sequence, place, turn, pattern, cosine, sine, wave, axis, incident, rise, kind, sort,
    form, thermal, incident_energy, low, high, energy, intensity, start, stop,
):  # fmt: skip
    """S_perp with its thermal weight of modes from `low` to `high` at wavevectors `start` to `stop` of a `sequence`.

    `amplitude` has the real parts of all components of all groups, then the imaginary ones. A group is of a `sort`,
    which has a `rise` (turns per reciprocal axis) and a `kind` of form factor.
    """
    modes, count = found.shape[2], component.shape[0]
    size = np.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2)
    far, square = np.empty(modes), np.empty(modes)
    turned = np.empty((2, rise.shape[0], modes), np.float32)
    own, seen = np.empty((2, modes), np.float32), np.empty((2, count, modes), np.float32)
    for item in range(start, stop):
        q = sequence[item]
        x, y, z = incident[0] - wave[q, 0], incident[1] - wave[q, 1], incident[2] - wave[q, 2]
        along = (x * axis[0] + y * axis[1] + z * axis[2]) / size
        rest = along * along - (x * x + y * y + z * z)
        most = min(high, incident_energy, incident_energy + rest * E_PER_K2)
        t = turn[q]
        for b in range(found.shape[0]):
            values = found[b, place[q]]
            energy[b, q], intensity[b, q] = values, 0.0
            first, last = 0, modes
            while first < modes and not values[first] <= most:
                first += 1
            while last > first and not values[last - 1] >= low:
                last -= 1
            n = last - first
            if n == 0:
                continue
            block = amplitude[b, place[q], pattern[t]]
            own[0, 0] = _fetched(block, first)
            _ways(values[first:last], wave[q], axis, along, rest, incident_energy, far, square)
            _turned(n, far, square, rise, kind, form, turned)
            _summed(block, first, n, turned, cosine[t], sine[t], sort, own, seen)
            _perpendicular(n, far, square, wave[q], axis, component, seen, intensity[b, q, first:last])
            while last > first and values[last - 1] < 30 * thermal:
                last -= 1
                intensity[b, q, last] /= -np.expm1(-max(values[last], 1e-6) / thermal)


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _fetched(block, first):
    """One number of every row, so that all are on their way from memory before they are wanted: a third of the time."""
    x = np.float32(0.0)
    for part in range(block.shape[0]):
        x += block[part, first]
    return x


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _ways(values, wave, axis, along, rest, incident_energy, far, square):
    """How many axes from the wavevector the beam sees each mode, and |Q|^2 there."""
    here = wave[0] * wave[0] + wave[1] * wave[1] + wave[2] * wave[2]
    both = 2 * (wave[0] * axis[0] + wave[1] * axis[1] + wave[2] * axis[2])
    there = axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2]
    per_axis, per_energy = 1 / np.sqrt(there), 1 / E_PER_K2
    middle, side = along * per_axis, -per_axis if along > 0 else per_axis
    for m in range(values.shape[0]):
        x = middle + side * np.sqrt(max(rest + (incident_energy - values[m]) * per_energy, 0.0))
        far[m] = x
        square[m] = max(here + x * (both + x * there), 0.0)


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _turned(n, far, square, rise, kind, form, turned):
    """Form factor times the phase along the axis, of every sort; opposite rises follow each other."""
    for g in range(rise.shape[0]):
        if g > 0 and kind[g] == kind[g - 1] and rise[g] == -rise[g - 1]:
            for m in range(n):
                turned[0, g, m], turned[1, g, m] = turned[0, g - 1, m], -turned[1, g - 1, m]
            continue
        table = form[kind[g]]
        x, y = turned[0, g], turned[1, g]
        for m in range(n):
            at = np.sqrt(square[m]) * (1 / STEP)
            low = min(int(at), table.shape[0] - 2)
            x[m] = table[low] + (at - low) * (table[low + 1] - table[low])
        for m in range(n):
            angle = far[m] * rise[g]
            angle -= np.floor(angle + 0.5)
            u = angle * angle
            s = angle * (_S0 + u * (_S1 + u * (_S2 + u * (_S3 + u * (_S4 + u * (_S5 + u * _S6))))))
            c = _C0 + u * (_C1 + u * (_C2 + u * (_C3 + u * (_C4 + u * (_C5 + u * _C6)))))
            y[m] = x[m] * (2 * s * c)
            x[m] = x[m] * (1 - 2 * s * s)


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _summed(block, first, n, turned, cosine, sine, sort, own, seen):
    """Components of the amplitude of `n` modes from the `first`: those of all groups with their phases."""
    count, groups, p, r = seen.shape[1], sort.shape[0], own[0], own[1]
    for a in range(count):
        for m in range(n):
            seen[0, a, m], seen[1, a, m] = np.float32(0.0), np.float32(0.0)
    for g in range(groups):
        c, s, k = cosine[g], sine[g], sort[g]
        u, v = turned[0, k], turned[1, k]
        for m in range(n):
            p[m] = c * u[m] - s * v[m]
            r[m] = c * v[m] + s * u[m]
        for a in range(count):
            real, imaginary = block[a * groups + g, first:], block[(count + a) * groups + g, first:]
            x, y = seen[0, a], seen[1, a]
            for m in range(n):
                x[m] += p[m] * real[m] - r[m] * imaginary[m]
                y[m] += p[m] * imaginary[m] + r[m] * real[m]


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _perpendicular(n, far, square, wave, axis, component, seen, intensity):
    """|A|^2 less the part along Q."""
    for m in range(n):
        total, p, r = 0.0, 0.0, 0.0
        for a in range(component.shape[0]):
            k = component[a]
            Q = wave[k] + far[m] * axis[k]
            x, y = np.float64(seen[0, a, m]), np.float64(seen[1, a, m])
            total += x * x + y * y
            p += x * Q
            r += y * Q
        intensity[m] = total - (p * p + r * r) / max(square[m], 1e-300)
