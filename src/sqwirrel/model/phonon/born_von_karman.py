"""Born-von Karman models: every spring constant that symmetry leaves free, shell by shell.

M. Born and K. Huang, Dynamical Theory of Crystal Lattices (Oxford, 1954). The matrix of a bond is -Phi of its two
atoms; those of one orbit are turned into each other, so that it has as many parameters as its first bond permits.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import symmetry
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.nuclei import element_of
from sqwirrel.model.phonon.springs import Springs
from sqwirrel.model.symmetry import BondOrbit

AXES = "xyz"
MANY, DENSE = 2000, 1.0
"""More neighbours of an atom, or less volume for it (A^3), are a mistake in a length."""
TWIST = 1e-6
"""Sums of matrices of size one that are less twisted than this are symmetric."""


def born_von_karman(
    crystal: Crystal, max_distance: float, *, name: str = "", values: Mapping[str, float] | None = None
) -> PhononModel:
    """All springs up to `max_distance`, A; a parameter "K1xx" is the xx element of the first bond of orbit 1, N/m.

    Sites of the crystal are named after their elements ("Al", "Si1"); `values` are defaults of the parameters.
    """
    orbits = bonds_of(crystal, max_distance)
    return model_of(crystal, orbits, name=name, title=f"springs up to {max_distance:g} A", defaults=values or {})


def bonds_of(crystal: Crystal, max_distance: float) -> list[BondOrbit]:
    """Orbits of bonds up to a distance, A, and none further."""
    volume = crystal.lattice.volume / len(crystal.sites)
    neighbours = 4 / 3 * math.pi * max_distance**3 / volume
    if neighbours > MANY or volume < DENSE:
        raise InputError(
            f"max_distance = {max_distance:g} A reaches some {neighbours:.0f} neighbours of an atom with {volume:.2g} "
            f"A^3 to itself; give one that reaches at most {MANY}, and the cell in angstrom"
        )
    orbits = crystal.bonds(max_distance)
    if not orbits:
        raise InputError(f"no two atoms are within {max_distance:g} A of each other; give a longer max_distance")
    return orbits


def model_of(crystal: Crystal, orbits: Sequence[BondOrbit], **more: Any) -> PhononModel:
    """All that symmetry permits on some orbits, in a primitive cell; `more` is for `PhononModel`."""
    cell = primitive(crystal)
    elements = [site.element or element_of(site.kind) for site in crystal.sites]
    more = {"name": "".join(dict.fromkeys(elements)), **{key: value for key, value in more.items() if value != ""}}
    return PhononModel(
        lattice=crystal.lattice,
        positions=crystal.positions[cell.first] @ torch.linalg.inv(cell.vectors),
        elements=tuple(elements[site] for site in cell.first),
        springs=tuple(each for orbit in orbits for each in springs_of(balanced(orbit, crystal), crystal, cell)),
        primitive=cell.vectors,
        **more,
    )


def balanced(orbit: BondOrbit, crystal: Crystal) -> BondOrbit:
    """An orbit with only those of its matrices whose sum over the bonds of every atom is symmetric.

    Force constants of an atom with itself are, so that no others leave the energy as it is when all atoms move alike.
    (Orbits whose sums cancel each other only together are left out.)
    """
    matrices = orbit.rotation @ orbit.allowed[:, None] @ orbit.rotation.mT
    twist = (matrices - matrices.mT).flatten(2)
    sums = torch.zeros(len(matrices), len(crystal.sites), 9, dtype=matrices.dtype)
    sums = sums.index_add(1, orbit.i, twist).index_add(1, orbit.j, -twist).flatten(1)
    if not len(sums) or float(sums.abs().max()) < TWIST:
        return orbit
    U, size, _ = torch.linalg.svd(sums)
    none = torch.cat((size, size.new_zeros(len(sums) - len(size)))) < TWIST
    kept = symmetry.echelon(U.T[none] @ orbit.allowed.flatten(1)).reshape(-1, 3, 3)
    return replace(orbit, allowed=kept)


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
