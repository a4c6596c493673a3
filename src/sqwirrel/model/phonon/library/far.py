"""How strong springs to far neighbours are, as published ones of metals say: a prior for those that data hardly fix.

Springs that end at some neighbour make up for those left out: fitted to a map of many, they give branches that are off
by more than the map's errors say. Far ones whose sizes are believed beforehand keep more of what is not known in the
answer.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.born_von_karman import names_of
from sqwirrel.model.phonon.library.structures import crystal_of, neighbours_of
from sqwirrel.model.symmetry import BondOrbit

Rows = tuple[tuple[float, float], ...]

BEYOND = 1.5
"""Springs are far from this many times the shortest bond: beyond the second neighbours of fcc and bcc."""
LIKE = ("fcc", "bcc")
"""Structures whose published models reach beyond twice the shortest bond, and of several elements."""
HELD, REACH = 0.9, 1.645
"""So many of the published ones are within so many standard deviations."""


def prior_of(
    orbits: Sequence[BondOrbit], near: float, stiffest: float, like: str = "", but: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Normal around zero for springs longer than `near`, A; `stiffest` is about the largest parameter, N/m.

    Widths fall with distance as those of published metals of the structure `like` do ("fcc" or "bcc"; of all without
    it), the elements `but` left out: see `falling`.
    """
    if not (0 < stiffest < math.inf):
        raise InputError(f"stiffest = {stiffest:g} N/m; give about how large the largest force constant is, above zero")
    shortest, far = min(orbit.distance for orbit in orbits), [orbit for orbit in orbits if orbit.distance > near]
    if not far:
        raise InputError(f"there are no bonds between max_distance = {near:g} A and far; give a longer far, or none")
    if (least := min(orbit.distance for orbit in far)) < BEYOND * shortest:
        raise InputError(
            f"bonds of {least:.3g} A would be far, and published force constants suggest nothing for those below "
            f"{BEYOND * shortest:.3g} A ({BEYOND:g} times the shortest); give a max_distance that holds them"
        )
    share, power = falling(like, but)
    return {
        name: {"normal": [0.0, stiffest * share * (orbit.distance / shortest) ** -power], "unit": "N/m"}
        for orbit in far
        for name in names_of(orbit)
    }


@cache
def falling(like: str = "", but: frozenset[str] = frozenset()) -> tuple[float, float]:
    """(a, p): a (d / d1)^-p, relative to the largest force constant, is the standard deviation of far ones.

    p is that of a straight line through logarithms of sizes (the root of the mean square over the parameters of a
    neighbour) and distances of published models; d1 is the shortest bond, and every element counts as one. a is such
    that `HELD` of the published ones are within `REACH` standard deviations, as of a normal law: sizes scatter about
    the line by a factor of 2 to 2.6.

    >>> a, p = falling("fcc", but=frozenset({"Al"}))
    >>> 0.02 < a * 2**-p < 0.06
    True
    """
    if like not in ("", *LIKE):
        raise InputError(f"no structure '{like}' has enough published models; use {', '.join(LIKE)}, or leave it out")
    distance, size, weight = _published(like, but, _sizes).T
    line = torch.stack((torch.ones_like(distance), -distance.log()), 1) * weight.sqrt()[:, None]
    power = float(torch.linalg.lstsq(line, size.log() * weight.sqrt()).solution[1])
    distance, value, weight = _published(like, but, _values).T
    even, order = (value * distance**power).sort()
    within = weight[order].cumsum(0) / weight.sum()
    return float(even[int(torch.searchsorted(within, HELD))]) / REACH, power


def _published(like: str, but: frozenset[str], what: Callable[[str], Rows]) -> Float[Tensor, "far 3"]:
    """Distances (of the shortest), something (of the largest) and weights of far neighbours."""
    tables = {name: library.published(name) for name in library.names()}
    of = {k: t["element"] for k, t in tables.items() if like in ("", t["structure"]) and t["element"] not in but}
    models = Counter(of.values())
    rows = [(*far, 1 / models[element]) for name, element in of.items() for far in what(name)]
    return torch.tensor(rows, dtype=torch.float64)


@cache
def _values(name: str) -> Rows:
    """Distances and absolute force constants of the far neighbours of one model."""
    table, values = library.published(name), library.load(name).defaults
    orbits = [each.orbit for each in neighbours_of(table, crystal_of(table))]
    shortest, largest = min(orbit.distance for orbit in orbits), max(map(abs, values.values()))
    return tuple(
        (orbit.distance / shortest, abs(values[key]) / largest)
        for orbit in orbits
        if orbit.distance > BEYOND * shortest
        for key in names_of(orbit)
    )


def _sizes(name: str) -> Rows:
    """Distances and root mean squares of the force constants of each of them, if not all are zero."""
    of: dict[float, list[float]] = {}
    for distance, value in _values(name):
        of.setdefault(distance, []).append(value**2)
    return tuple((distance, math.sqrt(sum(each) / len(each))) for distance, each in of.items() if any(each))
