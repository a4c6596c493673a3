"""Operators whose boson Hamiltonian falls apart into blocks at all wavevectors alike, found from its coefficients.

Translations that the order keeps (turned spins allowed), mirrors that leave all wavevectors where they are, and spin
that is conserved along the moments all commute with every matrix that H(q) is made of. The eigenvectors of a mixture of
these matrices then fall into sets that none of them joins, as in Murota et al., Japan J. Indust. Appl. Math. 27, 125
(2010), doi:10.1007/s13160-010-0006-9; equal eigenvalues may leave sets joined that could be told apart.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from sqwirrel.simulate.quadratic.bosons import ZERO, Elements
from sqwirrel.simulate.quadratic.eigen import metric
from sqwirrel.simulate.quadratic.quadratures import LARGEST, harmonics

RANK = 1e-6
"""A projector is used up where its diagonal is below this; any that is not has one of 1 / rows at least."""


class Blocks(NamedTuple):
    """Block k has rows `edge`[k] to `edge`[k + 1] of basis^dagger H basis, the first `positive`[k] of them of b.

    Its entries, `first`[k] to `first`[k + 1], are as those of `Elements`, with rows and columns within the block, and
    `value` for each parameter; None where the order, and with it the value of each entry, follows the parameters.
    """

    basis: Complex[Tensor, "boson boson"]
    edge: Int[Tensor, " edge"]
    positive: Int[Tensor, " block"]
    first: Int[Tensor, " edge"]
    row: Int[Tensor, " entry"]
    column: Int[Tensor, " entry"]
    source: Int[Tensor, " entry"]
    value: Complex[Tensor, "parameter entry"] | None

    @classmethod
    def one(cls, elements: Elements, n: int, value: Complex[Tensor, "parameter element"] | None) -> "Blocks":
        """All operators of n sites in one."""
        edge, first = torch.tensor([0, 2 * n]), torch.tensor([0, len(elements.row)])
        return cls(torch.eye(2 * n, dtype=torch.complex128), edge, torch.tensor([n]), first, *elements[:3], value)


def blocks(
    elements: Elements, coefficient: Complex[Tensor, "parameter element"], is_real: Bool[Tensor, " source"], n: int
) -> Blocks:
    """The blocks of a Hamiltonian of all operators of n sites, and a fixed order.

    Sources of which `is_real` holds have no sine where it is looked at.
    """
    size = coefficient.abs().amax(1).clamp(min=1e-300)
    if len(coefficient) * len(is_real) * 8 * n**2 > LARGEST:
        return Blocks.one(elements, n, coefficient)
    H = harmonics(elements, coefficient / size[:, None], is_real, 2 * n)
    label, vectors = _sets(torch.cat((H.flatten(0, 1), torch.diag(metric(2 * n, n))[None] + 0j)))
    every = [_adapted(vectors[:, label == k], n) for k in sorted(set(label.tolist()))]
    basis = torch.cat([part for part, _ in every], dim=1)
    edge = torch.tensor([0, *(part.shape[1] for part, _ in every)]).cumsum(0)
    cosine, sine = (basis.mH @ H @ basis).reshape(len(H), -1, 2, 2 * n, 2 * n).unbind(2)
    there = torch.where(is_real[:, None, None], cosine, (cosine - 1j * sine) / 2)
    back = torch.where(is_real[:, None, None], 0, (cosine + 1j * sine) / 2)
    block = torch.bucketize(torch.arange(2 * n), edge[1:], right=True)
    G = torch.cat((there, back), dim=1).triu() * (block[:, None] == block)
    source, row, column = (G.abs() > ZERO).any(0).nonzero(as_tuple=True)
    order = row.argsort(stable=True)
    source, row, column = source[order], row[order], column[order]
    first, start = torch.searchsorted(row, edge), edge[block[row]]
    value = size[:, None] * G[:, source, row, column]
    source = torch.where(source < len(is_real), source, ~(source - len(is_real)))
    return Blocks(
        basis, edge, torch.tensor([own for _, own in every]), first, row - start, column - start, source, value
    )


def _sets(matrices: Complex[Tensor, "matrix n n"]) -> tuple[Int[Tensor, " n"], Complex[Tensor, "n n"]]:
    """Orthonormal vectors, and which set each is in: no matrix joins two of different sets."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(len(matrices), dtype=torch.float64, generator=generator) + 0.5
    vectors = torch.linalg.eigh(torch.einsum("k,kij->ij", weight + 0j, matrices)).eigenvectors
    joined = ((vectors.mH @ matrices @ vectors).abs() > ZERO).any(0) | torch.eye(len(vectors), dtype=torch.bool)
    for _ in range(len(vectors).bit_length()):
        joined = joined.to(torch.float64) @ joined.to(torch.float64) > 0
    return joined.to(torch.int8).argmax(1), vectors


def _adapted(vectors: Complex[Tensor, "boson row"], n: int) -> tuple[Complex[Tensor, "boson row"], int]:
    """A basis of the same space with few sites in each vector, b first, and how many these are.

    The space is one of b and one of b^dagger; of each the projector is taken apart column by column.
    """
    columns: list[Float[Tensor, " boson"]] = []
    own = 0
    for part in torch.eye(2, dtype=torch.float64).repeat_interleave(n, dim=1):
        left = part[:, None] * (vectors @ vectors.mH) * part
        own = len(columns)
        while float((size := left.diagonal().real).max()) > RANK:
            k = int((size > (1 - RANK) * size.max()).nonzero()[0])
            columns.append(left[:, k] / size[k].sqrt())
            left = left - torch.outer(columns[-1], columns[-1].conj())
    return torch.stack(columns, dim=1), own
