"""Internal units: meV, 1/angstrom, angstrom, K, T. Conversion happens here, at the border, and nowhere else.

A unit is a string that scipp understands (`meV`, `1/angstrom`, `kelvin`, `THz`); `A` also means angstrom, the way
this field writes it, unless an electric current is meant, which never is.
"""

import math
import re

import scipp as sc
from scipp.constants import h

from sqwirrel.errors import InputError

SIGMA = 1 / math.sqrt(8 * math.log(2))
"""Standard deviation of a Gaussian of unit full width at half maximum."""

K_B = 0.08617333262
"""Boltzmann constant, meV/K (CODATA 2018)."""

MU_B = 0.05788381806
"""Bohr magneton, meV/T (CODATA 2018)."""

MU_0 = 16.02176634
"""mu_0 / (4 pi), T^2 angstrom^3 / meV (CODATA 2018): mu_B^2 MU_0 = 0.0536815 meV angstrom^3."""

E_PER_K2 = 2.0721248
"""hbar^2 / (2 m_n), meV angstrom^2 (CODATA 2018): a neutron of wavevector k has the energy E_PER_K2 k^2."""

E2_PER_SPRING = 4.1801592805 * 62.4150907446
"""hbar^2 / u times N/m, meV^2 (CODATA 2018): m u on a spring of K N/m have the energy (E2_PER_SPRING K / m)^1/2."""

RECOIL = 4.1801592805
"""hbar^2 / u, meV angstrom^2 (CODATA 2018)."""

COULOMB = 230.7077552
"""e^2 / (4 pi epsilon_0), N/m angstrom^3 (CODATA 2018)."""

MOLAR_GAS = 8.314462618
"""Gas constant, J / mol / K (CODATA 2018)."""

METRES_PER_SECOND = 151.9267448
"""meV angstrom / hbar, m / s (CODATA 2018)."""

MB_PER_FM2 = 10.0
"""fm^2 in mb."""

MB_PER_BARN = 1000.0
"""barn in mb."""

GAMMA_R0_SQUARED = 290.6116
"""(gamma r_0)^2, mb/sr: gamma = 1.91304273, classical electron radius 2.8179403262 fm (CODATA 2018)."""


def to_internal(value: float, unit: str, expected: str) -> float:
    """`value` in `unit` as a number in the internal unit `expected` (`"meV"`, `"1/angstrom"`, `"K"`, ...).

    A frequency where an energy is expected is multiplied by Planck's constant (1 THz = 4.135667696 meV). A
    temperature is not taken for an energy: it is refused, like every other unit of the wrong kind.

    >>> to_internal(1.0, "eV", "meV")
    1000.0
    """
    source, target = _parse(unit, expected), _parse(expected, expected)
    if source == target:
        return float(value)
    quantity = sc.scalar(float(value), unit=source)
    if _is(source, "Hz") and _is(target, "J"):
        return float((quantity * h).to(unit=target).value)
    if not _is(source, str(target)):
        raise InputError(
            f"unit '{unit}' cannot be converted to {expected}; write a unit of the same kind as {expected}"
            + (", or multiply by 0.0861733 meV / K" if _is(source, "K") and _is(target, "J") else "")
        )
    return float(quantity.to(unit=target).value)


def _parse(unit: str, expected: str) -> sc.Unit:
    """The scipp unit behind a written one; `A`, `Å` and a leading power are the field's spellings."""
    spelled = re.sub(r"\b(A|Ang|Angstrom)\b|[Åå]", "angstrom", unit.strip()).replace("µ", "u")
    spelled = re.sub(r"^(\w+)\s*(\^-1|\*\*-1|\^\(-1\))$", r"1/\1", spelled)
    try:
        unit_of = sc.Unit(spelled)
        sc.scalar(0.0, unit=unit_of)  # refuses 'nan m', which is a Unit of nothing
        return unit_of
    except sc.UnitError:
        raise InputError(f"unit '{unit}' is not known; expected {expected} or a unit that converts to it") from None


def _is(unit: sc.Unit, kind: str) -> bool:
    """Whether `unit` is a plain multiple of `kind`."""
    try:
        return float(sc.scalar(0.0, unit=unit).to(unit=kind).value) == 0.0
    except sc.UnitError:
        return False
