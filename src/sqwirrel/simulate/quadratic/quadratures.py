"""Which models have a real quadratic form H = X G(q) X in the quadratures X = (x, p), b = (x + i p) / sqrt 2.

G(-q) is always the conjugate of G(q). An inversion that takes site i to site j and G(q) to G(-q) makes it real in the
basis of x_i + x_j and i (x_i - x_j). If, besides, the local frames can be turned so that the coefficients of
b^dagger b and b^dagger b^dagger are real, x and p do not couple: so around coplanar orders with isotropic exchange,
mostly. All is found from the coefficients, never asked of the user; it is four to thirty times less work.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from sqwirrel.simulate.classical.order import local_frames
from sqwirrel.simulate.quadratic.bosons import ZERO, Elements

APART = 1e-6
"""Positions that differ by less, in fractions of the magnetic cell, are one."""
LARGEST = 2**21
"""Numbers worked on at once when the form is looked for; a larger problem is left as it is."""


class Quadratures(NamedTuple):
    """G[row, column] = sum of theta `value` wave, upper triangle; wave 2s is the cosine of phase s, 2s + 1 its sine.

    `seen` are the columns of what is seen, for the vectors `span` at each side of a spiral; if x and p are `apart`, the
    first `firsts` of them are of x; and if they add no intensity together, the form is `plain`.
    """

    firsts: int
    apart: bool
    plain: bool
    row: Int[Tensor, " entry"]
    column: Int[Tensor, " entry"]
    wave: Int[Tensor, " entry"]
    value: Float[Tensor, "parameter entry"]
    seen: Float[Tensor, "quadrature column"]
    span: Complex[Tensor, "side column part"]

    def to(self, device: torch.device) -> "Quadratures":
        """On a device."""
        return Quadratures(*self[:3], *(part.to(device) for part in self[3:]))

    def matrices(
        self, value: Float[Tensor, "batch entry"], phase: Complex[Tensor, "q source"]
    ) -> Float[Tensor, "batch q 2 site site"]:
        """K and M of coefficients for every entry."""
        n = len(self.seen) // 2
        place = (self.row // n * n + self.row % n) * n + self.column % n
        lower = (self.row // n * n + self.column % n) * n + self.row % n
        size = value[:, None] * torch.view_as_real(phase).flatten(1)[:, self.wave]
        flat = size.new_zeros(*size.shape[:2], 2 * n * n).index_add(2, place, size)
        flat = flat.index_add(2, lower, torch.where(self.row == self.column, 0.0, 1.0) * size)
        return flat.reshape(*size.shape[:2], 2, n, n)

    def columns(
        self, side: Complex[Tensor, "column 3"], form: Float[Tensor, "q quadrature"], unit: Float[Tensor, "q 3"]
    ) -> tuple[Float[Tensor, "q site part"], Float[Tensor, "q site part"]]:
        """What is seen of x and of p, perpendicular to the wavevector, as real parts whose squares add up."""
        across = torch.cat([part - (unit @ part.mT)[..., None] * unit[:, None] for part in (side.real, side.imag)], -1)
        x, p = torch.einsum("qn,nr,qrc->qnc", form, self.seen, across).chunk(2, dim=1)
        return x, p


def quadratures(
    elements: Elements,
    coefficient: Complex[Tensor, "parameter element"],
    is_real: Bool[Tensor, " source"],
    moment: Complex[Tensor, "side boson part"],
    directions: Float[Tensor, "site 3"],
    positions: Float[Tensor, "site 3"],
    kind: Int[Tensor, " site"],
) -> Quadratures | None:
    """The real quadratic form of a Hamiltonian of all operators and a fixed order; None where it has none.

    Sources of which `is_real` holds have no sine; `kind` tells sites with different form factors apart.
    """
    n = len(kind)
    if len(coefficient) * len(is_real) * 4 * n**2 > LARGEST:
        return None
    size = coefficient.abs().amax(1).clamp(min=1e-300)
    H = harmonics(elements, coefficient / size[:, None], is_real, 2 * n)
    found = _found(H, _inversions(positions, kind), list(_gauges(directions)))
    if found is None:
        return None
    basis, apart = found
    G = (basis.mH @ H @ basis).real.triu()
    wave, row, column = (G.abs() > ZERO).any(0).nonzero(as_tuple=True)
    order = row.argsort(stable=True)
    wave, row, column = wave[order], row[order], column[order]
    # the form of 2n quadratures holds each mode twice, an amplitude that of one
    seen, span = _factors(basis.mH @ moment / 2**0.5, 2 if apart else 1)
    firsts = int(seen[:n].any(0).sum()) if apart else seen.shape[1]
    cross = torch.einsum("kra,ksb->krasb", span[:, :firsts].conj(), span[:, firsts:]).imag
    plain = apart and bool((cross.abs() <= ZERO * (span.abs() ** 2).sum()).all())
    value = size[:, None] * G[:, wave, row, column]
    return Quadratures(firsts, apart, plain, row, column, wave, value, seen, span)


def harmonics(
    elements: Elements, coefficient: Complex[Tensor, "parameter element"], is_real: Bool[Tensor, " source"], n: int
) -> Complex[Tensor, "parameter wave boson boson"]:
    """H as the factors of the cosine and of the sine of every phase t: T exp(i t) + T^dagger exp(-i t)."""
    row, column, back = elements.row, elements.column, elements.source < 0
    place = torch.where(back, (~elements.source * n + column) * n + row, (elements.source * n + row) * n + column)
    size = torch.where(row == column, 0.5, 1.0) * coefficient
    T = coefficient.new_zeros(len(coefficient), len(is_real) * n**2)
    T = T.index_add(1, place, torch.where(back, size.conj(), size)).reshape(len(coefficient), -1, n, n)
    sine = torch.where(is_real[:, None, None], 0, 1j * (T - T.mH))
    return torch.stack((T + T.mH, sine), dim=2).flatten(1, 2)


def _found(
    H: Complex[Tensor, "parameter wave boson boson"],
    inversions: Iterator[tuple[Tensor, Tensor]],
    gauges: list[Tensor],
) -> tuple[Complex[Tensor, "boson quadrature"], bool] | None:
    """The basis that makes H real, if possible with x and p apart, and whether they are; tried on one mixture of H."""
    n, found = H.shape[-1] // 2, None
    weight = torch.rand(H.shape[:2], dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5
    mixture = torch.einsum("pw,pwij->ij", weight + 0j, H)
    size = mixture.abs()
    for partner, inversion in inversions:
        # b of a site goes to b^dagger of its partner: most inversions of a large cell fail here already
        turned = size[n:, n:][partner][:, partner]
        for gauge in gauges if float((size[:n, :n] - turned).abs().max()) < ZERO else ():
            basis = torch.cat((_pair(gauge[:, None] * inversion, 1j), _pair(gauge.conj()[:, None] * inversion, -1j)))
            G = basis.mH @ mixture @ basis
            if float(G.imag.abs().max()) < ZERO:
                if float(G[:n, n:].abs().max()) < ZERO:
                    return basis, True
                found = found or (basis, False)
    return found


def _pair(columns: Complex[Tensor, "site site"], factor: complex) -> Complex[Tensor, "site quadrature"]:
    """The part of x and that of p, `factor` times as large."""
    return torch.cat((columns, factor * columns), dim=1) / 2**0.5


def _gauges(directions: Float[Tensor, "site 3"]) -> Iterator[Complex[Tensor, " site"]]:
    """Phases of b that turn the local frames so that e2 comes near a common normal."""
    yield torch.ones(len(directions), dtype=torch.complex128)
    u, n = local_frames(directions)
    for normal in (torch.linalg.svd(directions).Vh[2], *torch.eye(3, dtype=n.dtype)):
        turn = (torch.linalg.cross(normal.expand_as(n), n) * u).sum(-1)
        if float(turn.abs().min()) > APART:
            yield turn / turn.abs()


def _inversions(
    positions: Float[Tensor, "site 3"], kind: Int[Tensor, " site"]
) -> Iterator[tuple[Int[Tensor, " site"], Complex[Tensor, "site site"]]]:
    """For each inversion that the sites may have: partners; (x_i + x_j) / sqrt 2, i (x_i - x_j) / sqrt 2 as columns."""
    site, one = torch.arange(len(kind)), torch.eye(len(kind)).to(positions)
    for other in positions:
        gap = (positions[0] + other - positions)[:, None] - positions
        match = ((gap - gap.round()).abs() < APART).all(-1) & (kind[:, None] == kind)
        partner = match.to(torch.int8).argmax(1)
        if bool((match.sum(1) == 1).all()):
            columns = torch.where(partner < site, -1j * (one - one[partner]), one + one[partner] + 0j)
            yield partner, columns / torch.linalg.vector_norm(columns, dim=0)


def _factors(
    vectors: Complex[Tensor, "side quadrature part"], blocks: int
) -> tuple[Float[Tensor, "quadrature column"], Complex[Tensor, "side column part"]]:
    """Vectors as few real columns times other vectors, each of the blocks of quadratures on its own."""
    columns, spans = [], []
    for part in vectors.chunk(blocks, dim=1):
        flat = part.transpose(0, 1).flatten(1)
        left, weight, right = torch.linalg.svd(torch.cat((flat.real, flat.imag), dim=1), full_matrices=False)
        rank = int((weight > ZERO * weight.max().clamp(min=1e-300)).sum())
        span = torch.complex(*(weight[:rank, None] * right[:rank]).chunk(2, dim=1))
        columns.append(left[:, :rank])
        spans.append(span.reshape(rank, len(vectors), vectors.shape[-1]).transpose(0, 1))
    seen: Tensor = torch.block_diag(*columns)  # type: ignore[no-untyped-call]
    return seen, torch.cat(spans, dim=1)
