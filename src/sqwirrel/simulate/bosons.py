"""Boson operators: which of them a Hamiltonian couples, and its matrix elements between those.

Around a collinear order that conserves the spin along the moments, b of one direction and b^dagger of the other form a
block of their own. With real coefficients the operators left out have the same matrix with the opposite signs of the
commutators, so that half of the operators, and one column for what the neutron sees, give every mode.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from sqwirrel.simulate.terms import Parts

ZERO = 1e-10
"""Matrix elements below this, relative to the largest, are rounding."""
DIGITS = 1e8
"""Displacements that agree to one in `DIGITS` (of the magnetic cell) share a phase."""


class Bosons(NamedTuple):
    """The operators of a block: `place`[d, i] is the row of b (d = 0) or b^dagger (d = 1) of site i, -1 if left out.

    The first `positive` are b. If `mirrored`, the operators left out have the same H with the opposite commutators.
    """

    place: Int[Tensor, "2 site"]
    positive: int
    mirrored: bool

    @classmethod
    def every(cls, n: int) -> "Bosons":
        """All operators of n sites."""
        return cls(torch.arange(2 * n).reshape(2, n), n, mirrored=False)

    @property
    def operators(self) -> Int[Tensor, " boson"]:
        """Each row's operator among all b and then all b^dagger."""
        place = self.place.flatten()
        return place.argsort()[place.sort().values >= 0]

    @property
    def size(self) -> int:
        """Number of operators."""
        return int((self.place >= 0).sum())


class Elements(NamedTuple):
    """Matrix elements of the upper triangle: H[row, column] = sum value phase[source], conjugated for ~source.

    `pick` are those of the raw elements (`Parts.raw`) that lie there, `merge` the element that each belongs to.
    """

    row: Int[Tensor, " element"]
    column: Int[Tensor, " element"]
    source: Int[Tensor, " element"]
    pick: Int[Tensor, " picked"]
    merge: Int[Tensor, " picked"]

    @classmethod
    def of(cls, bosons: Bosons, i: Tensor, j: Tensor, source: Tensor) -> "Elements":
        """From bonds (both directions) i -> j with their phase, in the order of `Parts.raw`."""
        site = torch.arange(bosons.place.shape[1])
        start, end = torch.cat((i, site)), torch.cat((j, site))
        row = torch.cat([bosons.place[d, start] for d in (0, 0, 1, 1)])
        column = torch.cat([bosons.place[d, end] for d in (0, 1, 0, 1)])
        phase = torch.cat((source, torch.zeros_like(site))).repeat(4)
        pick = ((row >= 0) & (column >= row)).nonzero()[:, 0]
        found, merge = _unique(torch.stack((row[pick], column[pick], phase[pick]), dim=1))
        row, column, source = found.T.contiguous()
        return cls(row, column, source, pick, merge)

    def values(self, raw: Complex[Tensor, "batch raw"]) -> Complex[Tensor, "batch element"]:
        """The elements from the raw ones."""
        return raw.new_zeros(len(raw), len(self.row)).index_add(1, self.merge, raw[:, self.pick])

    def only(self, used: Bool[Tensor, " element"]) -> "Elements":
        """Those marked."""
        kept = used[self.merge]
        merge = (used.cumsum(0) - 1)[self.merge[kept]]
        return Elements(self.row[used], self.column[used], self.source[used], self.pick[kept], merge)

    def to(self, device: torch.device) -> "Elements":
        """On a device."""
        return Elements(*(part.to(device) for part in self))

    def matrix(
        self, value: Complex[Tensor, "batch element"], phase: Complex[Tensor, "q source"], n: int
    ) -> Complex[Tensor, "batch q boson boson"]:
        """H as dense matrices."""
        turned = phase[:, torch.where(self.source < 0, ~self.source, self.source)]
        turned = torch.where(self.source < 0, turned.conj(), turned)
        flat = value.new_zeros(len(value), n * n, len(phase))
        flat = flat.index_add(1, self.row * n + self.column, value[..., None] * turned.T)
        upper = flat.mT.reshape(len(value), -1, n, n)
        return upper + upper.triu(1).mH


class Expansion(NamedTuple):
    """H of all operators, b of every site and then b^dagger, round the order that belongs to each set of parameters."""

    directions: Float[Tensor, "order site 3"]
    """One order, or one for each set; those of a spiral are in the frame that turns with it."""
    stationary: Bool[Tensor, " batch"]
    elements: Elements
    value: Complex[Tensor, "batch element"]
    vectors: Float[Tensor, "source 3"]

    def at(self, q: Float[Tensor, "q 3"]) -> Complex[Tensor, "batch q boson boson"]:
        """H at wavevectors, reciprocal lattice units of the chemical cell; that of a spiral in its frame."""
        return self.elements.matrix(self.value, turns(self.vectors, q), 2 * self.directions.shape[1])


def _unique(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Different rows, and which of them each row is."""
    found, which = np.unique(rows.numpy(), axis=0, return_inverse=True)
    return torch.from_numpy(found), torch.from_numpy(which.reshape(-1))


def phases(displacement: Float[Tensor, "bond 3"]) -> tuple[Float[Tensor, "source 3"], Int[Tensor, " bond"]]:
    """Displacements that differ by more than a sign, zero first, and which (~ if reversed) each bond has."""
    whole = (displacement * DIGITS).round()
    lead = whole.gather(1, (whole != 0).to(torch.int8).argmax(1, keepdim=True))
    sign = torch.where(lead < 0, -1.0, 1.0).to(displacement)
    zero = torch.zeros(1, 3, dtype=displacement.dtype)
    keys, which = _unique(torch.cat((zero, whole * sign)))
    others = torch.arange(len(keys))
    place = torch.cat((which[:1], others[others != which[0]])).argsort()[which[1:]]
    vectors = torch.zeros(len(keys), 3, dtype=displacement.dtype)
    vectors[place] = displacement * sign
    return vectors, torch.where(sign[:, 0] < 0, ~place, place)


def turns(vectors: Float[Tensor, "source 3"], q: Float[Tensor, "q 3"]) -> Complex[Tensor, "q source"]:
    """exp(2 pi i q . r)."""
    angle = 2 * math.pi * (q @ vectors.T)
    return torch.complex(angle.cos(), angle.sin())


def one_sided(
    directions: Float[Tensor, "site 3"], i: Int[Tensor, " bond"], j: Int[Tensor, " bond"], parts: Parts
) -> Bosons | None:
    """The block of a collinear order that conserves the spin along it, with real coefficients; None without these.

    `parts` are those of each parameter alone.
    """
    hop, pair, onsite_pair = parts.hop.sum(0), parts.pair.sum(0), parts.onsite_pair
    along = directions @ directions[0]
    side = (along < 0).long()
    size = ZERO * float(torch.cat((hop, pair, onsite_pair.flatten())).abs().max())
    wrong = torch.where(side[i] == side[j], pair, hop), onsite_pair.flatten(), hop.imag, pair.imag
    if float((1 - along.abs()).max()) > ZERO or any(bool((part.abs() > size).any()) for part in wrong):
        return None
    place, order = torch.full((2, len(side)), -1), side.argsort(stable=True)
    place[side[order], order] = torch.arange(len(side))
    return Bosons(place, int((side == 0).sum()), mirrored=True)


def common_moment(
    moment: Complex[Tensor, "boson 3"],
) -> tuple[Float[Tensor, " boson"], Complex[Tensor, "3"]] | tuple[None, None]:
    """Real factors and the one vector whose multiples the rows are; None if they are not."""
    size = (moment[0].abs() ** 2).sum()
    factor = moment @ moment[0].conj() / size
    error = (moment - factor[:, None].real * moment[0]).abs().max() / size.sqrt()
    return (factor.real, moment[0]) if float(error) < ZERO else (None, None)
