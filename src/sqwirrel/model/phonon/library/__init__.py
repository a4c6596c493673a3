"""Published Born-von Karman models of elements, by name: force constants as printed, with their papers.

`published.toml` has one table a model: what was measured and where it was published, the lattice constants, and force
constants (N/m) by neighbour, in the form and the axes of the paper. The source is the list of the DANSE project
(danse-inelastic/vnf), typed from Landolt-Boernstein, New Series III/13a (Springer, 1981); the `note` of a table says
what is not as the source has it, and why, or where the model is known to be far from measurement. Sets that contradict
themselves are not here: `LEFT_OUT` says which.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.limits import settings
from sqwirrel.model.laws import Uniform
from sqwirrel.model.phonon.born_von_karman import model_of
from sqwirrel.model.phonon.library import matrices, structures
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.nuclei import mixture
from sqwirrel.model.prior import Prior

FILE = Path(__file__).parent / "published.toml"
SLACK = 0.02
"""Suggested ranges reach this share of the largest parameter beyond half of each."""
DIGITS = 9
"""Of N/m: what rounding of matrices adds is not kept."""
LEFT_OUT = {
    "ag_293k": "energies are imaginary along [1 1 0] (1.9 meV at most), C11 is 19 % below and C44 40 % above the "
    "handbook's; numbers of neighbour 211 do not look like those of any other noble metal",
    "li_293k": "C11 < C12, so that energies are imaginary near the zone centre (0.4 meV at most, along [1 1 0]), and "
    "C11 is 42 % above the handbook's",
    "sc_295k": "C44 is 28 GPa along c and 38 GPa in the plane, while other such sets agree to 8 %; C_Bz of neighbour 1 "
    "is printed as equal to that of neighbour 3",
    "ta_296k": "neighbour 400 has elements that symmetry forbids: they are of neighbour 133, the rest of which is lost "
    "(C44 is 40 % too small without it); the cell given is that of terbium",
}
"""Sets of the source that are not in the library, and the reason."""


def names() -> tuple[str, ...]:
    """Models of the library: the element and the temperature of the measurement.

    >>> "al_80k" in names()
    True
    """
    return tuple(sorted(_tables()))


def by_temperature() -> tuple[str, ...]:
    """The same, those of an element from the coldest on.

    >>> by_temperature()[:3]
    ('ag_296k', 'al_80k', 'al_300k')
    """
    split = {name: name.removesuffix("k").split("_") for name in names()}
    return tuple(sorted(split, key=lambda name: (split[name][0], int(split[name][1]))))


def load(name: str) -> PhononModel:
    """A model by name; only neighbours that were published have springs.

    >>> load("na_90k").defaults["K1xx"]
    1.178
    """
    table = published(name)
    crystal, frame = structures.crystal_of(table), structures.FRAMES[table["structure"]]
    neighbours = structures.neighbours_of(table, crystal)
    defaults: dict[str, float] = {}
    for each in neighbours:
        allowed, what = frame.T @ each.allowed @ frame, f"neighbour {each.name} of '{name}'"
        matrix = matrices.matrix_of(table["springs"][each.name], each.step @ frame, allowed, what)
        values = each.values(frame @ matrix @ frame.T)
        defaults |= {parameter: round(value, DIGITS) for parameter, value in values.items()}
    return model_of(
        crystal,
        [each.orbit for each in neighbours],
        name=name,
        title=title_of(table),
        papers=tuple(table["papers"]),
        defaults=defaults,
        prior=_round(defaults),
        **_nuclei(table),
    )


def _round(defaults: Mapping[str, float]) -> Prior:
    """Half of each parameter to either side, and `SLACK` of the largest."""
    slack = SLACK * max(map(abs, defaults.values()))
    ends = {name: slack + abs(value) / 2 for name, value in defaults.items()}
    return Prior(**{name: Uniform(value - ends[name], value + ends[name], "N/m") for name, value in defaults.items()})


def published(name: str) -> dict[str, Any]:
    """The table of a model, as in the file."""
    if name in LEFT_OUT:
        raise InputError(f"the set '{name}' is left out of the library: {LEFT_OUT[name]}; choose another")
    if name not in _tables():
        raise InputError(f"there is no phonon model '{name}'; the library has {', '.join(names())}")
    return dict(_tables()[name])


def title_of(table: Mapping[str, Any]) -> str:
    """What a model is of, in words."""
    parts = table.get("parts", {})
    what = "".join(f"{element}{part:g}" for element, part in parts.items()) or table["element"]
    return f"{what}, {table['structure']}, {table['temperature']:g} K, springs to {len(table['springs'])} neighbours"


def _nuclei(table: Mapping[str, Any]) -> dict[str, Tensor]:
    """Those of an alloy, where the model is of one."""
    if "parts" not in table:
        return {}
    mean = mixture(table["parts"])
    found = {"masses": mean.mass, "lengths": mean.length, "incoherent": mean.incoherent}
    return {name: torch.tensor([value], dtype=torch.float64) for name, value in found.items()}


@cache
def _tables() -> dict[str, Any]:
    return settings(FILE)
