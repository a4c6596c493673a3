"""Magnetic form factors of ions, from the tables of periodictable.

    <j0>(s) = A exp(-a s^2) + B exp(-b s^2) + C exp(-c s^2) + D,   s = Q / 4 pi

In the dipole approximation f(Q) = <j0> + (2/g - 1) <j2>, g being the Lande factor of spin and orbit, 2 for spin alone;
<j2> is s^2 times such a sum (W. Marshall and S. W. Lovesey, Theory of Thermal Neutron Scattering, 1971). Coefficients:
P. J. Brown, International Tables for Crystallography C, section 4.4.5, as shipped in `periodictable.magnetic_ff`. Some
ions there are normalised only to 1e-3 at Q = 0; they are used as published.
"""

import math
import re
from functools import cache

import periodictable
import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError


def form_factor(ion: str, Q: Float[Tensor, "*shape"], lande: float = 2.0) -> Float[Tensor, "*shape"]:
    """That of an ion such as "Mn2+" at the modulus `Q`, 1/A; `lande` is the Lande factor.

    >>> round(float(form_factor("Mn2+", torch.tensor(2.0))), 3)
    0.763
    """
    s2 = (Q / (4 * math.pi)) ** 2
    spin = _sum(coefficients(ion), s2)
    return spin if lande == 2 else spin + (2 / lande - 1) * s2 * _sum(coefficients(ion, "j2"), s2)


def _sum(values: tuple[float, ...], s2: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    A, a, B, b, C, c, D = values
    return A * torch.exp(-a * s2) + B * torch.exp(-b * s2) + C * torch.exp(-c * s2) + D


@cache
def coefficients(ion: str, order: str = "j0") -> tuple[float, ...]:
    """A, a, B, b, C, c, D of <j0> or <j2>; a, b, c in A^2."""
    match = re.fullmatch(r"([A-Z][a-z]?)(\d*)\+?", ion.strip())
    if match is None:
        raise InputError(f"ion '{ion}' is not readable; write an element and its charge, like 'Mn2+'")
    symbol, charge = match[1], int(match[2] or ion.strip().endswith("+"))
    tables = _tables(symbol, order)
    if charge not in tables:
        known = ", ".join(_spell(symbol, each) for each in sorted(tables)) or "none"
        raise InputError(f"no magnetic form factor is tabulated for ion '{ion}'; known for {symbol}: {known}")
    return tables[charge]


def _tables(symbol: str, order: str) -> dict[int, tuple[float, ...]]:
    """Coefficients by charge; empty for an element without magnetic ions."""
    if symbol not in {element.symbol for element in periodictable.elements}:
        raise InputError(f"'{symbol}' is not a chemical element")
    try:
        tables = getattr(periodictable, symbol).magnetic_ff
    except AttributeError:  # periodictable has no attribute where it has no table
        return {}
    return {charge: tuple(vars(table)[order]) for charge, table in tables.items() if order in vars(table)}


def _spell(symbol: str, charge: int) -> str:
    return f"{symbol}{charge}+" if charge else symbol
