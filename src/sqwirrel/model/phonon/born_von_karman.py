"""Born-von Karman models: every spring constant that symmetry leaves free, shell by shell.

M. Born and K. Huang, Dynamical Theory of Crystal Lattices (Oxford, 1954). The matrix of a bond is -Phi of its two
atoms; those of one orbit are turned into each other, so that it has as many parameters as its first bond permits.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.springs import Springs
from sqwirrel.model.symmetry import BondOrbit

AXES = "xyz"


def born_von_karman(
    crystal: Crystal, max_distance: float, *, name: str = "", values: Mapping[str, float] | None = None
) -> PhononModel:
    """All springs up to `max_distance`, A; a parameter "K1xx" is the xx element of the first bond of orbit 1, N/m.

    Sites of the crystal are named after their elements ("Al", "Si1"); `values` are defaults of the parameters.
    """
    orbits = crystal.bonds(max_distance)
    if not orbits:
        raise InputError(f"no two atoms are within {max_distance:g} A of each other; give a longer distance")
    return model_of(crystal, orbits, name=name, title=f"springs up to {max_distance:g} A", defaults=values or {})


def model_of(crystal: Crystal, orbits: Sequence[BondOrbit], **more: Any) -> PhononModel:
    """All that symmetry permits on some orbits, in a primitive cell; `more` is for `PhononModel`."""
    cell = primitive(crystal)
    elements = ["".join(itertools.takewhile(str.isalpha, site.kind)) for site in crystal.sites]
    more = {"name": "".join(dict.fromkeys(elements)), **{key: value for key, value in more.items() if value != ""}}
    return PhononModel(
        lattice=crystal.lattice,
        positions=crystal.positions[cell.first] @ torch.linalg.inv(cell.vectors),
        elements=tuple(elements[site] for site in cell.first),
        springs=tuple(each for orbit in orbits for each in springs_of(orbit, crystal, cell)),
        primitive=cell.vectors,
        **more,
    )


class Primitive(NamedTuple):
    """The smallest cell that repeats, in the vectors of the crystal's, the first site of each kind of place in it, and
    which of these each site is.
    """

    vectors: Float[Tensor, "3 3"]
    first: list[int]
    which: Int64[Tensor, " site"]


def primitive(crystal: Crystal) -> Primitive:
    """Spanned by the shortest centring vectors that do."""
    still = (crystal.rotations == torch.eye(3, dtype=torch.int64)).all((1, 2))
    steps = torch.cartesian_prod(*[torch.arange(-1, 2)] * 3)
    every = (crystal.translations[still][:, None] + steps).reshape(-1, 3)
    every = every[(every @ crystal.lattice.vectors).norm(dim=1).argsort(stable=True)]
    chosen = torch.zeros(0, 3, dtype=torch.float64)
    for vector in every:
        more = torch.cat((chosen, vector[None]))
        if len(chosen) < 3 and int(torch.linalg.matrix_rank(more)) > len(chosen):
            chosen = more
    if not math.isclose(float(torch.linalg.det(chosen).abs()) * int(still.sum()), 1, rel_tol=1e-6):
        chosen = torch.eye(3, dtype=torch.float64)  # the shortest do not span all: the crystal's own cell does
        still = torch.zeros_like(still)
    image = crystal.action.image[still].amin(0) if bool(still.any()) else torch.arange(len(crystal.sites))
    first, which = torch.unique(image, return_inverse=True)
    return Primitive(chosen, first.tolist(), which)


def springs_of(orbit: BondOrbit, crystal: Crystal, cell: Primitive) -> list[Springs]:
    """One for every matrix that symmetry permits on the bonds of an orbit."""
    step = crystal.positions[orbit.j] + orbit.offset - crystal.positions[orbit.i]
    i, j = cell.which[orbit.i], cell.which[orbit.j]
    start = crystal.positions[cell.first]
    offset = ((step - start[j] + start[i]) @ torch.linalg.inv(cell.vectors)).round().long()
    seen: dict[tuple[object, ...], int] = {}
    for bond, (a, b, n) in enumerate(zip(i.tolist(), j.tolist(), offset.tolist(), strict=True)):
        seen.setdefault(min((a, b, *n), (b, a, *(-x for x in n))), bond)
    kept = list(seen.values())
    turned = [orbit.rotation[kept] @ matrix @ orbit.rotation[kept].mT for matrix in orbit.allowed]
    return [
        Springs(name, i[kept], j[kept], offset[kept], matrix)
        for name, matrix in zip(names_of(orbit), turned, strict=True)
    ]


def names_of(orbit: BondOrbit) -> list[str]:
    """Of its parameters: each is an element of the matrix of the first bond, which the others do not touch."""
    pivots = [int(each.flatten().ne(0).nonzero()[0]) for each in orbit.allowed]
    return [f"K{orbit.name}{AXES[pivot // 3]}{AXES[pivot % 3]}" for pivot in pivots]


def values_of(orbit: BondOrbit, matrix: Float[Tensor, "3 3"]) -> dict[str, float]:
    """The parameters that give the first bond of an orbit this matrix."""
    pivots = [int(each.flatten().ne(0).nonzero()[0]) for each in orbit.allowed]
    return dict(zip(names_of(orbit), matrix.flatten()[pivots].tolist(), strict=True))
