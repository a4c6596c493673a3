"""The standard path through the Brillouin zone of a crystal, with the names that its corners have.

Y. Hinuma, G. Pizzi, Y. Kumagai, F. Oba and I. Tanaka, Computational Materials Science 128, 140 (2017),
doi:10.1016/j.commatsci.2016.10.015; found by their library seekpath.
"""

import math
import warnings
from dataclasses import dataclass

import seekpath
import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.crystal import SYMPREC
from sqwirrel.model.phonon.model import PhononModel

PAPER = "Y. Hinuma et al., Computational Materials Science 128, 140 (2017), doi:10.1016/j.commatsci.2016.10.015"
GREEK = {"GAMMA": "Γ", "DELTA": "Δ", "LAMBDA": "Λ", "SIGMA": "Σ"}
LEAST = 5
"""Points of the shortest line."""
ASIDE = 1e-4
"""Next to a Bragg point, in units of the line, where the branches of a polar crystal depend on where q comes from."""


@dataclass(frozen=True, eq=False)
class Line:
    """A straight part of a path: names of its ends, wavevectors (rlu of the model), and lengths along the path, 1/A.

    `is_joined` says that it begins where the line before it ended.
    """

    names: tuple[str, str]
    q: Float[Tensor, "q 3"]
    along: Float[Tensor, " q"]
    is_joined: bool


def standard_path(model: PhononModel, points: int) -> tuple[Line, ...]:
    """Lines with `points` in all, about, both ends of each included.

    >>> from sqwirrel.model.phonon import library
    >>> [line.names for line in standard_path(library.load("al_80k"), 60)][:3]
    [('Γ', 'X'), ('X', 'U'), ('K', 'Γ')]
    """
    corner, order = _corners(model)
    lengths = [float(model.lattice.to_cartesian(corner[b] - corner[a]).norm()) for a, b in order]
    lines, start, last = [], 0.0, ""
    for (a, b), length in zip(order, lengths, strict=True):
        share = torch.linspace(0, 1, max(LEAST, round(points * length / math.fsum(lengths))), dtype=torch.float64)
        where = share.clone()
        if model.polar is not None:
            where[0] += ASIDE * (a == "GAMMA")
            where[-1] -= ASIDE * (b == "GAMMA")
        q = torch.lerp(corner[a], corner[b], where[:, None])
        lines.append(Line((_name(a), _name(b)), q, start + length * share, a == last))
        start, last = start + length, b
    return tuple(lines)


def _corners(model: PhononModel) -> tuple[dict[str, Float[Tensor, "3"]], list[tuple[str, str]]]:
    """Corners by name, rlu of the model, and which of them lines join."""
    vectors = model.cell.vectors
    hand = float(torch.linalg.det(vectors).sign())  # the same atoms in a right-handed cell
    kinds = list(dict.fromkeys(model.elements))
    numbers = [1 + kinds.index(element) for element in model.elements]
    structure = (hand * vectors).tolist(), (hand * model.positions).tolist(), numbers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cells that are not the smallest, and of shapes between two kinds
        found = seekpath.get_path_orig_cell(structure, symprec=SYMPREC)
    reciprocal = 2 * torch.pi * torch.linalg.inv(hand * vectors).T
    places = {name: torch.tensor([float(x) for x in at]).to(vectors) for name, at in found["point_coords"].items()}
    return {name: model.lattice.to_rlu(at @ reciprocal) for name, at in places.items()}, found["path"]


def _name(corner: str) -> str:
    """As figures have it: GAMMA is Γ, W_2 is W₂.

    >>> _name("SIGMA_0")
    'Σ₀'
    """
    letter, _, number = corner.partition("_")
    return GREEK.get(letter, letter) + number.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
