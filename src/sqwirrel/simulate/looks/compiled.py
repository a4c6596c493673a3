"""The compiled loop over looks: what a beam sees of modes that were found before."""

from typing import no_type_check

import numpy as np
from numba import njit

from sqwirrel.units import E_PER_K2

STEP = 0.01
"""Form factors are tabulated at this step of |Q| (1/angstrom), linear between: good to 1e-5."""
TURN = 4096
_ANGLES = np.arange(TURN + 2) * (2 * np.pi / TURN)
_CIRCLE = np.stack((np.cos(_ANGLES), np.sin(_ANGLES)))
"""Cosine and sine in `TURN` steps of a turn, linear between: good to 3e-7."""
_ALGEBRA = {"contract", "reassoc", "nsz"}


@njit(nogil=True, cache=True)
@no_type_check
def look(
    energy, real, imaginary, component, place, turn, cosine, sine, wave, axis, incident, first, rise, kind,
    form, thermal, incident_energy, low, high, intensity, start, stop,
):  # fmt: skip
    """S_perp with its thermal weight of all modes from `low` to `high` at wavevectors `start` to `stop`."""
    size = np.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2)
    Q, summed = np.empty(3), np.empty((2, component.shape[0], rise.shape[0]))
    table = np.empty((2, rise.shape[0]))
    for q in range(start, stop):
        x, y, z = incident[0] - wave[q, 0], incident[1] - wave[q, 1], incident[2] - wave[q, 2]
        along = (x * axis[0] + y * axis[1] + z * axis[2]) / size
        rest, at = along * along - (x * x + y * y + z * z), place[q]
        for b in range(energy.shape[0]):
            for m in range(energy.shape[2]):
                E = energy[b, at, m]
                square = rest + (incident_energy - E) / E_PER_K2
                if not (low <= E <= high and incident_energy >= E and square > 0):
                    continue
                far = (along - np.sqrt(square) if along > 0 else along + np.sqrt(square)) / size
                for k in range(3):
                    Q[k] = wave[q, k] + far * axis[k]
                _summed(real[b, at, m], imaginary[b, at, m], cosine[turn[q]], sine[turn[q]], first, summed)
                _turned(Q, far, rise, kind, form, table)
                intensity[b, q, m] = _perpendicular(summed, table, component, Q)
                if thermal > 0 and 30 * thermal > E:
                    intensity[b, q, m] /= -np.expm1(-max(E, 1e-6) / thermal)


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _summed(real, imaginary, c, s, first, summed):
    """Amplitudes of sites with their phases, summed by group; the sites of one follow each other."""
    for a in range(real.shape[0]):
        for g in range(first.shape[0] - 1):
            x, y = np.float32(0.0), np.float32(0.0)
            for site in range(first[g], first[g + 1]):
                x += c[site] * real[a, site] - s[site] * imaginary[a, site]
                y += c[site] * imaginary[a, site] + s[site] * real[a, site]
            summed[0, a, g], summed[1, a, g] = x, y


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _turned(Q, far, rise, kind, form, table):
    """Form factor times the phase along the axis, of every group; `rise` is in turns, equal ones follow each other."""
    place = np.sqrt(Q[0] * Q[0] + Q[1] * Q[1] + Q[2] * Q[2]) / STEP
    low = min(int(place), form.shape[1] - 2)
    part, c, s = place - low, 1.0, 0.0
    for g in range(rise.shape[0]):
        if g > 0 and rise[g] == -rise[g - 1]:
            s = -s
        elif g == 0 or rise[g] != rise[g - 1]:
            angle = far * rise[g]
            angle = (angle - np.floor(angle)) * TURN
            at = int(angle)
            between = angle - at
            c = _CIRCLE[0, at] * (1 - between) + _CIRCLE[0, at + 1] * between
            s = _CIRCLE[1, at] * (1 - between) + _CIRCLE[1, at + 1] * between
        size = form[kind[g], low] * (1 - part) + form[kind[g], low + 1] * part
        table[0, g], table[1, g] = size * c, size * s


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _perpendicular(summed, table, component, Q):
    """|A|^2 less the part along Q, A being the sum of the groups."""
    total, p, r = 0.0, 0.0, 0.0
    for a in range(component.shape[0]):
        x, y = 0.0, 0.0
        for g in range(table.shape[1]):
            x += table[0, g] * summed[0, a, g] - table[1, g] * summed[1, a, g]
            y += table[0, g] * summed[1, a, g] + table[1, g] * summed[0, a, g]
        total += x * x + y * y
        p += x * Q[component[a]]
        r += y * Q[component[a]]
    square = Q[0] * Q[0] + Q[1] * Q[1] + Q[2] * Q[2]
    return total if square == 0.0 else total - (p * p + r * r) / square
