"""The springs of a crystal bond by bond: which atoms, how long, how many, and the matrix in its parameters."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import symmetry
from sqwirrel.model.phonon.born_von_karman import AXES
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.springs import Springs

LEGEND = """The matrix is that of the first bond, in Cartesian axes: x along a, y in the plane of a and b; symmetry
turns it with the bond. Its parameters are in N/m: minus what other programs call the force constants of two atoms."""

ABOUT_FACTORS = "Force constants are those of the file; the parameter, without unit, multiplies them."


class Orbit(NamedTuple):
    """Springs on the same bonds: the first of the bonds as a step (A), how many of them each of its two atoms has, and
    the matrix of each parameter there. `bonds` in the cell that repeats; `longest` (A) of them.
    """

    names: tuple[str, ...]
    elements: tuple[str, str]
    step: Float[Tensor, "3"]
    neighbours: tuple[int, int]
    matrices: Float[Tensor, "parameter 3 3"]
    bonds: int
    longest: float
    is_factor: bool

    @property
    def name(self) -> str:
        """That of the orbit, as parameters have it: 1, 2, 3a."""
        return self.names[0].removeprefix("K").rstrip(AXES)

    @property
    def pattern(self) -> str:
        """The matrix in its parameters."""
        return symmetry.pattern(self.matrices, self.names)


class SpringBonds(NamedTuple):
    """The bonds of a model that have springs, up to a length (A), and those that are longer."""

    model: PhononModel
    orbits: list[Orbit]
    further: list[Orbit]


def look(model: PhononModel, longest: float = math.inf) -> SpringBonds:
    """In the order of the parameters; refused where all are longer than `longest`, A."""
    shared: dict[tuple[Any, ...], list[Springs]] = {}
    for each in model.springs:
        shared.setdefault((tuple(each.i.tolist()), tuple(each.j.tolist()), str(each.offset.tolist())), []).append(each)
    every = [_orbit(model, group) for group in shared.values()]
    near = [each.is_factor or each.longest <= longest + symmetry.SHELL_TOLERANCE for each in every]
    orbits, further = ([each for each, is_in in zip(every, near, strict=True) if is_in == it] for it in (True, False))
    if not orbits:
        raise InputError(f"no spring of '{model.name}' is as short as {longest:g} A; give a larger --distance")
    return SpringBonds(model, orbits, further)


def _orbit(model: PhononModel, group: list[Springs]) -> Orbit:
    first, vectors = group[0], model.cell.vectors
    x = model.positions
    steps = (x[first.j] + first.offset - x[first.i]) @ vectors
    ends = int(first.i[0]), int(first.j[0])
    a, b = (int((first.i == end).sum() + (first.j == end).sum()) for end in ends)
    return Orbit(
        tuple(each.name for each in group),
        (model.elements[ends[0]], model.elements[ends[1]]),
        steps[0],
        (a, b),
        torch.stack([each.matrix[0] for each in group]),
        len(steps),
        float(steps.norm(dim=1).max()),
        first.on_site is not None,
    )


def along_and_across(
    orbit: Orbit, theta: Float[Tensor, "draw parameter"]
) -> tuple[Float[Tensor, " draw"], Float[Tensor, " draw"]]:
    """Stiffness (N/m) of the first bond along itself and, on average, across; theta in the order of its `names`."""
    n = torch.nn.functional.normalize(orbit.step, dim=0)
    along = torch.einsum("a,pab,b->p", n, orbit.matrices, n)
    across = (orbit.matrices.diagonal(dim1=1, dim2=2).sum(1) - along) / 2
    return theta @ along, theta @ across


def as_mapping(bonds: SpringBonds) -> dict[str, Any]:
    """Numbers for machines: lengths in A, fractional positions in the cell that repeats, Cartesian matrices."""
    model, lattice = bonds.model, bonds.model.lattice
    atoms = zip(model.elements, model.positions.tolist(), strict=True)
    return {
        "cell": [lattice.a, lattice.b, lattice.c, lattice.alpha, lattice.beta, lattice.gamma],
        "cell_that_repeats": model.primitive.tolist(),
        "atoms": [{"element": element, "position": at} for element, at in atoms],
        "bonds": [
            {
                "name": each.name,
                "length": float(each.step.norm()),
                "elements": list(each.elements),
                "neighbours": list(each.neighbours),
                "step": each.step.tolist(),
                "matrices": dict(zip(each.names, each.matrices.tolist(), strict=True)),
            }
            for each in bonds.orbits
            if not each.is_factor
        ],
        **({"longer": [each.name for each in bonds.further]} if bonds.further else {}),
    }


def legend(bonds: SpringBonds) -> str:
    """How to read the rows, and what is not among them."""
    if all(each.is_factor for each in bonds.orbits):
        return ABOUT_FACTORS
    if not bonds.further:
        return LEGEND
    names, longest = ", ".join(each.name for each in bonds.further), max(each.longest for each in bonds.further)
    return f"{LEGEND}\nLonger ones are left out: {names}, up to {longest:.4g} A; without --distance all are listed."


def rows(bonds: SpringBonds) -> Iterator[tuple[str, str]]:
    """What, and its value, for people."""
    for element, at in zip(bonds.model.elements, bonds.model.positions, strict=True):
        yield f"atom {element}", symmetry.spell(at @ bonds.model.primitive)
    for each in bonds.orbits:
        yield what(each), bond(each)
        if not each.is_factor:
            yield "  first", f"{symmetry.spell(each.step + 0.0)} A"
            yield "  matrix", each.pattern


def what(orbit: Orbit) -> str:
    """The bond by its name."""
    return orbit.names[0] if orbit.is_factor else f"bond {orbit.name}"


def bond(orbit: Orbit) -> str:
    """Length, ends and number of the bonds."""
    if orbit.is_factor:
        return f"a factor on {orbit.bonds} force constants to {orbit.longest:.4g} A"
    return f"{float(orbit.step.norm()):.4f} A, {' to '.join(orbit.elements)}, {neighbours(orbit)}"


def neighbours(orbit: Orbit) -> str:
    """How many such bonds an atom has; both of its ends, where they differ."""
    (start, end), (a, b) = orbit.elements, orbit.neighbours
    if start != end:
        return f"{a} neighbours of {start}, {b} of {end}"
    return f"{a} neighbours" if a == b else f"{a} neighbours, {b} of the other atom"
