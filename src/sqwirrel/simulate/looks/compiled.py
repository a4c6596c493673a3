"""The compiled loop over looks: what a beam sees of modes that were found before."""

from typing import no_type_check

import numpy as np
from numba import njit

from sqwirrel.units import E_PER_K2

STEP = 0.01
"""Form factors are tabulated at this step of |Q| (1/angstrom), linear between: good to 1e-5."""
_ALGEBRA = {"contract", "reassoc", "nsz"}


@njit(nogil=True, cache=True)
@no_type_check
def look(
    energy, amplitude, component, place, turn, phase, wave, axis, incident, group, rise, kind, form, incident_energy,
    intensity, start, stop,
):  # fmt: skip
    """S_perp of all modes at wavevectors `start` to `stop`; `amplitude` has the Cartesian components `component`."""
    size = np.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2)
    Q, summed = np.empty(3), np.empty((rise.shape[0], component.shape[0]), dtype=np.complex128)
    for q in range(start, stop):
        x, y, z = incident[0] - wave[q, 0], incident[1] - wave[q, 1], incident[2] - wave[q, 2]
        along = (x * axis[0] + y * axis[1] + z * axis[2]) / size
        rest = along * along - (x * x + y * y + z * z)
        for b in range(energy.shape[0]):
            for m in range(energy.shape[2]):
                left = incident_energy - energy[b, place[q], m]
                square = rest + left / E_PER_K2
                if not square > 0 or left < 0:
                    continue
                far = (along - np.sqrt(square) if along > 0 else along + np.sqrt(square)) / size
                for k in range(3):
                    Q[k] = wave[q, k] + far * axis[k]
                _summed(amplitude[b, place[q], m], phase[turn[q]], group, summed)
                intensity[b, q, m] = _perpendicular(summed, component, Q, far, rise, kind, form)


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _summed(amplitude, phase, group, summed):
    """Amplitudes of sites with their phases, summed by group."""
    summed[:] = 0j
    for site in range(group.shape[0]):
        for a in range(summed.shape[1]):
            summed[group[site], a] += phase[site] * amplitude[site, a]


@njit(nogil=True, cache=True, fastmath=_ALGEBRA)
@no_type_check
def _perpendicular(summed, component, Q, far, rise, kind, form):
    """|A|^2 less the part along Q, A being the sum of the groups with their phases and form factors."""
    square = Q[0] * Q[0] + Q[1] * Q[1] + Q[2] * Q[2]
    place = np.sqrt(square) / STEP
    low = min(int(place), form.shape[1] - 2)
    part, total, along = place - low, 0.0, 0j
    for a in range(component.shape[0]):
        value = 0j
        for g in range(rise.shape[0]):
            size = form[kind[g], low] * (1 - part) + form[kind[g], low + 1] * part
            value += complex(size * np.cos(far * rise[g]), size * np.sin(far * rise[g])) * summed[g, a]
        total += value.real**2 + value.imag**2
        along += value * Q[component[a]]
    return total if square == 0.0 else total - (along.real**2 + along.imag**2) / square
