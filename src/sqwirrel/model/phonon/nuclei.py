"""Masses and neutron scattering of nuclei in their natural mixture, from the tables of periodictable.

Lengths and cross-sections: H. Rauch and W. Waschkowski (2003) and V. F. Sears, Neutron News 3, 26 (1992), as shipped
there.
"""

import re
from dataclasses import dataclass
from typing import Any

import periodictable

from sqwirrel.errors import InputError


@dataclass(frozen=True)
class Nucleus:
    """Mass (u), coherent scattering length (fm), incoherent cross-section (barn)."""

    mass: float
    length: float
    incoherent: float


def nucleus(element: str) -> Nucleus:
    """That of an element, "Al", or of an isotope, "7-Li".

    >>> nucleus("Al")
    Nucleus(mass=26.9815384, length=3.449, incoherent=0.0082)
    """
    match = re.fullmatch(r"(?:(\d+)-)?([A-Z][a-z]?)", element.strip())
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
