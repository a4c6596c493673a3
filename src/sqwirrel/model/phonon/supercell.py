"""Force constants that a program found in a supercell, as springs between the nearest images of its atoms.

What acts on an atom of a periodic supercell is what all images of the others exert together. It is given to the image
that is nearest, in equal parts where several are (the Wigner-Seitz rule; K. Parlinski, Z. Q. Li, Y. Kawazoe, Phys. Rev.
Lett. 78, 4063 (1997), doi:10.1103/PhysRevLett.78.4063): energies are then exact at wavevectors of the supercell.
"""

from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.model.phonon.springs import Springs

SAME = 1e-4
"""Distances, A, that differ by less are the same: what the digits of a file and a relaxed structure leave open."""
AROUND = torch.tensor(list(product(range(-2, 3), repeat=3)))
"""Supercells that the nearest image may lie in, where their vectors are short."""
CHUNK = 2**14
"""Pairs worked on at once."""


class Folded(NamedTuple):
    """Force constants, N/m, of atom `i` and of atom `j` in the cell `offset` with all its images in a supercell.

    Rows of `vectors` (A) span the cell that repeats, `positions` are fractional in it, and rows of `supercell` are
    whole numbers of its vectors.
    """

    vectors: Float[Tensor, "3 3"]
    positions: Float[Tensor, "atom 3"]
    supercell: Int64[Tensor, "3 3"]
    i: Int64[Tensor, " pair"]
    j: Int64[Tensor, " pair"]
    offset: Int64[Tensor, "pair 3"]
    constants: Float[Tensor, "pair 3 3"]


def springs(name: str, folded: Folded) -> Springs:
    """Springs of one parameter, a factor on all, with those of each atom with itself as they were found.

    The two directions of a bond are averaged, so that reaction equals action where a program left them to differ.
    """
    pair, offset = images(folded)
    weight = 1 / torch.bincount(pair, minlength=len(folded.i))[pair].to(torch.float64)
    i, j, constants = folded.i[pair], folded.j[pair], weight[:, None, None] * folded.constants[pair]
    back = _is_backward(i, j, offset)
    i, j = torch.where(back, j, i), torch.where(back, i, j)
    offset = torch.where(back[:, None], -offset, offset)
    constants = torch.where(back[:, None, None], constants.mT, constants) / 2
    bonds, place = torch.unique(torch.cat((i[:, None], j[:, None], offset), 1), dim=0, return_inverse=True)
    total = torch.zeros(len(bonds), 3, 3, dtype=torch.float64).index_add(0, place, constants)
    itself = (bonds[:, 0] == bonds[:, 1]) & (bonds[:, 2:] == 0).all(1)
    on_site = torch.zeros(len(folded.positions), 3, 3, dtype=torch.float64)
    on_site[bonds[itself, 0]] = total[itself] + total[itself].mT
    kept = ~itself & total.ne(0).flatten(1).any(1)
    return Springs(name, bonds[kept, 0], bonds[kept, 1], bonds[kept, 2:], -total[kept], on_site=on_site)


def images(folded: Folded) -> tuple[Int64[Tensor, " image"], Int64[Tensor, "image 3"]]:
    """All nearest images: which pair each is of, and the cell of its atom j."""
    box = folded.supercell.to(torch.float64) @ folded.vectors
    turn = _reduced(box)
    short = turn.to(torch.float64) @ box
    step = folded.offset + folded.positions[folded.j] - folded.positions[folded.i]
    found = []
    for pairs in torch.split(torch.arange(len(step)), CHUNK):
        near = (step[pairs] @ folded.vectors @ torch.linalg.inv(short)).round().to(torch.int64)
        shift = (AROUND - near[:, None]) @ turn @ folded.supercell
        distance = ((step[pairs, None] + shift) @ folded.vectors).norm(dim=-1)
        pair, image = (distance < distance.amin(1, keepdim=True) + SAME).nonzero().unbind(1)
        found.append((pairs[pair], folded.offset[pairs[pair]] + shift[pair, image]))
    return torch.cat([pair for pair, _ in found]), torch.cat([offset for _, offset in found])


def cells(supercell: Int64[Tensor, "3 3"]) -> Int64[Tensor, "cell 3"]:
    """One of each kind of whole numbers that differ by more than sums of the rows of `supercell`."""
    corners = torch.tensor(list(product((0, 1), repeat=3))) @ supercell
    ranges = [torch.arange(int(a), int(b) + 1) for a, b in zip(corners.amin(0), corners.amax(0), strict=True)]
    points = torch.cartesian_prod(*ranges)
    share = points.to(torch.float64) @ torch.linalg.inv(supercell.to(torch.float64))
    return points[((share > -1e-9) & (share < 1 - 1e-9)).all(1)]


def commensurate(supercell: Int64[Tensor, "3 3"]) -> Float[Tensor, "cell 3"]:
    """Wavevectors, in reciprocal vectors of the cell, that the supercell has: as many as it has cells."""
    q: Tensor = cells(supercell.T.contiguous()).to(torch.float64) @ torch.linalg.inv(supercell.to(torch.float64)).T
    return q


def _is_backward(i: Tensor, j: Tensor, offset: Tensor) -> Tensor:
    """Whether a bond is the reverse of the one of its two directions that is listed."""
    sign = offset.sign()
    back: Tensor = (i > j) | ((i == j) & ((9 * sign[:, 0] + 3 * sign[:, 1] + sign[:, 2]) < 0))
    return back


def _reduced(box: Float[Tensor, "3 3"]) -> Int64[Tensor, "3 3"]:
    """Whole numbers that turn the rows of `box` into short ones: none is shorter by adding or taking the others."""
    turn, steps = torch.eye(3, dtype=torch.int64), torch.tensor(list(product((-1, 0, 1), repeat=2)))
    k, still = 0, 0
    while still < 3:
        others = turn[[(k + 1) % 3, (k + 2) % 3]]
        tried = turn[k] + steps @ others
        length = (tried.to(box) @ box).norm(dim=1)
        is_shorter = bool(length.min() < (turn[k].to(box) @ box).norm() * (1 - 1e-9))
        turn[k] = tried[length.argmin()] if is_shorter else turn[k]
        still = 0 if is_shorter else still + 1
        k = (k + 1) % 3
    return turn
