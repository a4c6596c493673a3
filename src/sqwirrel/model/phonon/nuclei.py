"""Masses and neutron scattering of nuclei in their natural mixture, from the tables of periodictable.

Lengths and cross-sections: H. Rauch and W. Waschkowski (2003) and V. F. Sears, Neutron News 3, 26 (1992), as shipped
there.
"""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from typing import Any

import periodictable

from sqwirrel.errors import InputError

HYDROGEN = {"D": "2-H", "T": "3-H"}


@dataclass(frozen=True)
class Nucleus:
    """Mass (u), coherent scattering length (fm), incoherent cross-section (barn)."""

    mass: float
    length: float
    incoherent: float


def nucleus(element: str) -> Nucleus:
    """That of an element, "Al", or of an isotope, "7-Li"; "D" is "2-H", "T" is "3-H".

    >>> nucleus("Al")
    Nucleus(mass=26.9815384, length=3.449, incoherent=0.0082)
    """
    match = re.fullmatch(r"(?:(\d+)-)?([A-Z][a-z]?)", HYDROGEN.get(element.strip(), element.strip()))
    known = {each.symbol: each for each in periodictable.elements}
    if match is None or match[2] not in known:
        raise InputError(f"'{element}' is not a chemical element; write 'Al', or '7-Li' for an isotope")
    element_or_isotope: Any = known[match[2]]
    try:
        found = element_or_isotope[int(match[1])] if match[1] else element_or_isotope
    except KeyError:
        raise InputError(f"there is no isotope '{element}'; write 'Al', or '7-Li' for an isotope") from None
    if not found.neutron.has_sld() or found.neutron.b_c is None:
        raise InputError(f"no scattering length is tabulated for '{element}'; give masses, lengths and cross-sections")
    return Nucleus(float(found.mass), float(found.neutron.b_c), float(found.neutron.incoherent or 0.0))


def mixture(parts: Mapping[str, float]) -> Nucleus:
    """The mean nucleus of an alloy at random, by the fraction of each element.

    Scattering that varies from site to site is incoherent: 4 pi (mean b^2 - (mean b)^2), beside what each nucleus has.

    >>> round(mixture({"Co": 0.92, "Fe": 0.08}).length, 3)
    3.047
    """
    total = sum(parts.values())
    each = [(part / total, nucleus(element)) for element, part in parts.items()]
    length = sum(part * one.length for part, one in each)
    spread = sum(part * one.length**2 for part, one in each) - length**2
    incoherent = sum(part * one.incoherent for part, one in each) + 4 * pi * spread / 100  # fm^2 in barn
    return Nucleus(sum(part * one.mass for part, one in each), length, incoherent)


def element_of(label: str) -> str:
    """The element that the label of a site begins with: "Na_1" is sodium, "OW2" oxygen.

    >>> element_of("OW2"), element_of("FE1"), element_of("D1")
    ('O', 'Fe', 'D')
    """
    letters = "".join(itertools.takewhile(str.isalpha, label))
    known = {each.symbol for each in periodictable.elements} | set(HYDROGEN)
    found = next((each for each in (letters[:2].capitalize(), letters[:1].upper()) if each in known), None)
    if found is None:
        raise InputError(
            f"the label '{label}' begins with no element; begin it with one, or give the element of the site"
        )
    return found
