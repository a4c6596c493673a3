"""Symmetry algebra: how operations x -> W x + t move sites and bonds, and which matrices they leave unchanged.

W and t act on fractional coordinates (columns); R is the Cartesian matrix of W. Spins are axial, so det R drops out of
S . J . S and a bond carries J to R J R^T, or to R J^T R^T when the operation reverses it. The matrices that a bond
permits are the fixed points of its stabiliser: the range of the group average (Dimmock, Phys. Rev. 130, 1337 (1963)).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError

SITE_TOLERANCE = 0.02
"""Copies of a site nearer than this, A, are one site: rounded coordinates in files differ by so much."""

SHELL_TOLERANCE = 1e-3
"""Bonds whose lengths differ by less than this, A, are one shell."""

Ends = tuple[int, int, tuple[int, int, int]]
"""A directed bond: from site i to site j of the cell moved by an offset."""


@dataclass(frozen=True, eq=False)
class BondOrbit:
    """All bonds that symmetry makes of one: each bond once, from site `i` to `j` of the cell moved by `offset`.

    The first bond is the representative: a matrix J on it is R J R^T on bond k, with R = `rotation`[k].
    `allowed` spans the exchange matrices that symmetry permits on the representative; `distance` in A.
    """

    name: str
    distance: float
    i: Int64[Tensor, " bond"]
    j: Int64[Tensor, " bond"]
    offset: Int64[Tensor, "bond 3"]
    rotation: Float[Tensor, "bond 3 3"]
    allowed: Float[Tensor, "basis 3 3"]


@dataclass(frozen=True, eq=False)
class Action:
    """What a list of operations does to sites: operation o takes site s to `image`[o, s] + `shift`[o, s] cells.

    `W` acts on fractional, `R` on Cartesian coordinates.
    """

    W: Int64[Tensor, "operation 3 3"]
    R: Float[Tensor, "operation 3 3"]
    image: Int64[Tensor, "operation site"]
    shift: Int64[Tensor, "operation site 3"]

    def images(self, bond: Ends) -> list[Ends]:
        """The bond after each operation."""
        i, j, offset = bond
        moved = self.W @ torch.tensor(offset) + self.shift[:, j] - self.shift[:, i]
        ends = zip(self.image[:, i].tolist(), self.image[:, j].tolist(), moved.tolist(), strict=True)
        return [(a, b, (n[0], n[1], n[2])) for a, b, n in ends]


def action(
    positions: Float[Tensor, "site 3"],
    rotations: Int64[Tensor, "operation 3 3"],
    translations: Float[Tensor, "operation 3"],
    vectors: Float[Tensor, "3 3"],
) -> Action:
    """How operations permute the sites of a crystal; refused if one leads to a place without a site."""
    moved = torch.einsum("oab,sb->osa", rotations.to(positions), positions) + translations[:, None]
    image, shift, found = locate(moved, positions, vectors)
    if not bool(found.all()):
        operation, site = (~found).nonzero()[0].tolist()
        raise InputError(
            f"symmetry operation {operation} moves site {site} to {spell(moved[operation, site])}, where there is no "
            "site; give every symmetry copy, or a space group that has this operation not"
        )
    return Action(rotations, cartesian(rotations, vectors), image, shift)


def locate(
    points: Float[Tensor, "*batch 3"], sites: Float[Tensor, "site 3"], vectors: Float[Tensor, "3 3"]
) -> tuple[Int64[Tensor, "*batch"], Int64[Tensor, "*batch 3"], Bool[Tensor, "*batch"]]:
    """The site at each point, the cell it lies in, and whether there is one within the tolerance; all fractional."""
    gap = points[..., None, :] - sites
    distance = torch.linalg.vector_norm((gap - gap.round()) @ vectors, dim=-1)
    nearest = distance.argmin(-1)
    cell = (points - sites[nearest]).round().to(torch.int64)
    return nearest, cell, distance.amin(-1) < SITE_TOLERANCE


def cartesian(
    rotations: Int64[Tensor, "operation 3 3"], vectors: Float[Tensor, "3 3"]
) -> Float[Tensor, "operation 3 3"]:
    """R = A^T W A^-T made orthogonal (a cell from a file fits its group only to the digits given)."""
    R = vectors.T @ rotations.to(vectors) @ torch.linalg.inv(vectors.T)
    U, _, V = torch.linalg.svd(R)
    return torch.matmul(U, V)


def expand_site(
    position: Float[Tensor, "3"],
    rotations: Int64[Tensor, "operation 3 3"],
    translations: Float[Tensor, "operation 3"],
    vectors: Float[Tensor, "3 3"],
) -> Float[Tensor, "copy 3"]:
    """All symmetry copies of a position, in [0, 1), first the given one, moved onto its special position."""
    moved = rotations.to(position) @ position + translations
    gap = moved - position
    here = torch.linalg.vector_norm((gap - gap.round()) @ vectors, dim=-1) < SITE_TOLERANCE
    exact = position + (gap - gap.round())[here].mean(0)
    copies: list[Tensor] = []
    for point in wrap(rotations.to(position) @ exact + translations):
        gaps = [float(torch.linalg.vector_norm((d - d.round()) @ vectors)) for d in (point - c for c in copies)]
        if all(gap >= SITE_TOLERANCE for gap in gaps):
            copies.append(point)
    return torch.stack(copies)


def wrap(x: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Fractional coordinates in [0, 1), a rounding error below 1 being 0."""
    x = x - torch.floor(x)
    return torch.where((x > 1 - 1e-7) | (x < 1e-7), 0.0, x)


def bond_orbits(
    act: Action,
    positions: Float[Tensor, "site 3"],
    kinds: tuple[str, ...],
    vectors: Float[Tensor, "3 3"],
    longest: float,
) -> list[BondOrbit]:
    """All bonds up to `longest`, A, by shell ("1", "2", ...) and, where a shell has several orbits, "3a", "3b"."""
    orbits = []
    for number, (distance, shell) in enumerate(_shells(positions, vectors, longest), 1):
        found = list(_split(act, sorted(shell, key=lambda bond: _key(bond, positions, kinds, vectors))))
        for k, (bonds, rotation, basis) in enumerate(found):
            name = str(number) if len(found) == 1 else f"{number}{_letter(k)}"
            orbits.append(_orbit(name, distance, bonds, rotation, basis))
    return orbits


def orbit(act: Action, name: str, distance: float, first: Ends) -> BondOrbit:
    """The orbit of which a bond is the first, under a name."""
    return _orbit(name, distance, *next(_split(act, [first])))


def _orbit(name: str, distance: float, bonds: list[Ends], rotation: Tensor, allowed: Tensor) -> BondOrbit:
    i, j, offset = (torch.tensor(part) for part in zip(*bonds, strict=True))
    return BondOrbit(name, distance, i, j, offset, rotation, allowed)


def _shells(
    positions: Float[Tensor, "site 3"], vectors: Float[Tensor, "3 3"], longest: float
) -> Iterator[tuple[float, list[Ends]]]:
    """Directed bonds by length, both directions of each; a shell ends where lengths jump by the tolerance."""
    # A cell translation n is within reach of all pairs if |n_a| <= (longest + |x_i - x_j|) / spacing of planes a.
    reach = torch.ceil(longest * torch.linalg.vector_norm(torch.linalg.inv(vectors), dim=0)).to(torch.int64) + 1
    offset = torch.cartesian_prod(*(torch.arange(-n, n + 1) for n in reach.tolist()))
    gap = positions[None, :, None] - positions[:, None, None] + offset
    length = torch.linalg.vector_norm(gap @ vectors, dim=-1)
    i, j, n = ((length > SITE_TOLERANCE) & (length <= longest + SHELL_TOLERANCE)).nonzero(as_tuple=True)
    lengths, order = length[i, j, n].sort()
    cuts = (lengths.diff() > SHELL_TOLERANCE).nonzero()[:, 0] + 1
    for part in torch.tensor_split(order, cuts) if len(order) else ():
        cells = offset[n[part]].tolist()
        ends = zip(i[part].tolist(), j[part].tolist(), cells, strict=True)
        yield float(length[i[part], j[part], n[part]].mean()), [(a, b, (c[0], c[1], c[2])) for a, b, c in ends]


def _key(
    bond: Ends, positions: Float[Tensor, "site 3"], kinds: tuple[str, ...], vectors: Float[Tensor, "3 3"]
) -> tuple[list[str], list[float], list[float]]:
    """Orders bonds by what they are, not by the order of sites: kinds, place of the first end, direction (+x first)."""
    i, j, offset = bond
    step = (positions[j] + torch.tensor(offset) - positions[i]) @ vectors
    place = [round(x, 4) for x in wrap(positions[i]).tolist()]
    return sorted((kinds[i], kinds[j])), place, [round(-x, 3) + 0.0 for x in step.tolist()]


def _split(act: Action, shell: list[Ends]) -> Iterator[tuple[list[Ends], Tensor, Tensor]]:
    """Orbits of a shell: bonds (each once, as an image of the first), their rotations, and the allowed matrices."""
    left = dict.fromkeys(shell)
    while left:
        first = next(iter(left))
        images = act.images(first)
        chosen: dict[Ends, int] = {}
        for operation, bond in enumerate(images):
            if bond not in chosen and reverse(bond) not in chosen:
                chosen[bond] = operation
        for bond in chosen:
            left.pop(bond, None)
            left.pop(reverse(bond), None)
        # The identity need not come first among the operations; the representative does come first here.
        bonds = sorted(chosen, key=lambda bond, first=first: bond != first)  # type: ignore[misc]
        keeps = torch.tensor([bond == first for bond in images])
        turns = torch.tensor([bond == reverse(first) for bond in images])
        yield bonds, act.R[[chosen[bond] for bond in bonds]], invariant(act.R[keeps], act.R[turns])


def reverse(bond: Ends) -> Ends:
    """The same bond from its other end."""
    i, j, (a, b, c) = bond
    return j, i, (-a, -b, -c)


def _letter(k: int) -> str:
    """Letters a to z, then aa, ab, ..."""
    return (_letter(k // 26 - 1) if k >= 26 else "") + chr(ord("a") + k % 26)


def invariant(keeps: Float[Tensor, "keep 3 3"], turns: Float[Tensor, "turn 3 3"]) -> Float[Tensor, "basis 3 3"]:
    """Basis, in reduced echelon form, of the J with J = R J R^T for all `keeps` and J = R J^T R^T for all `turns`."""
    transpose = torch.eye(9, dtype=torch.float64).reshape(3, 3, 9).transpose(0, 1).reshape(9, 9)
    maps = [torch.kron(R, R) for R in keeps] + [torch.kron(R, R) @ transpose for R in turns]
    return echelon(torch.stack(maps).mean(0).T).reshape(-1, 3, 3)


def echelon(rows: Float[Tensor, "row column"]) -> Float[Tensor, "rank column"]:
    """Reduced row echelon form without the zero rows (entries below 1e-6 are zero)."""
    rows, rank = rows.clone(), 0
    for column in range(rows.shape[1]):
        if rank == len(rows) or float(rows[rank:, column].abs().max()) < 1e-6:
            continue
        pivot = rank + int(rows[rank:, column].abs().argmax())
        rows[[rank, pivot]] = rows[[pivot, rank]]
        rows[rank] /= rows[rank, column].clone()
        others = torch.arange(len(rows)) != rank
        rows[others] -= rows[others, column, None] * rows[rank]
        rank += 1
    return torch.where(rows.abs() < 1e-9, 0.0, rows)[:rank]


def contains(basis: Float[Tensor, "basis 3 3"], matrix: Float[Tensor, "3 3"]) -> bool:
    """Whether the matrix is a combination of the basis, to 1e-6 of its size."""
    target = matrix.reshape(9, 1)
    rest = target - (A := basis.reshape(-1, 9).T) @ torch.linalg.lstsq(A, target).solution if len(basis) else target
    return bool(torch.linalg.vector_norm(rest) <= 1e-6 * torch.linalg.vector_norm(target))


def antisymmetric(basis: Float[Tensor, "basis 3 3"]) -> Float[Tensor, "part 3"]:
    """Basis of the vectors D with D . (S_i x S_j) among the matrices S_i . J . S_j."""
    D = torch.stack((basis[:, 1, 2], basis[:, 2, 0], basis[:, 0, 1]), -1)
    transposed = torch.stack((basis[:, 2, 1], basis[:, 0, 2], basis[:, 1, 0]), -1)
    return echelon(D - transposed)


def traceless(basis: Float[Tensor, "basis 3 3"]) -> Float[Tensor, "part 3 3"]:
    """Basis of the symmetric matrices without trace among these: exchange beside Heisenberg and D."""
    symmetric = (basis + basis.mT) / 2
    trace = symmetric.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    return echelon((symmetric - trace / 3 * torch.eye(3).to(basis)).reshape(-1, 9)).reshape(-1, 3, 3)


def pattern(basis: Float[Tensor, "basis 3 3"], names: Sequence[str] = "abcdefghi") -> str:
    """The general matrix in letters or names, as [[a, b, 0], [b, a, 0], [0, 0, c]]."""
    return f"[{', '.join(vector_pattern(basis[:, row], names) for row in range(3))}]"


def vector_pattern(basis: Float[Tensor, "basis 3"], names: Sequence[str] = "abcdefghi") -> str:
    """The general vector in letters or names, as [a, -a, 0]."""
    return f"[{', '.join(_entry(weights, names) for weights in basis.T.tolist())}]"


def _entry(weights: list[float], names: Sequence[str]) -> str:
    terms = [(w, names[k]) for k, w in enumerate(weights) if w]
    space = " " if any(len(name) > 1 for name in names) else ""
    sizes = ["" if abs(abs(w) - 1) < 1e-6 else f"{abs(w):.3g}{space}" for w, _ in terms]
    signs = [f"{space}{'-' if w < 0 else '+'}{space}" for w, _ in terms]
    text = "".join(f"{sign}{size}{x}" for sign, size, (_, x) in zip(signs, sizes, terms, strict=True))
    return text.removeprefix(f"{space}+{space}").replace(f"{space}-{space}", "-", text.startswith(f"{space}-")) or "0"


def spell(x: Float[Tensor, "3"]) -> str:
    """Fractional coordinates for a message."""
    return "(" + ", ".join(f"{value:.4g}" for value in x.tolist()) + ")"
