"""The lattice of a Hamiltonian, found in the magnetic cell that it is given in, and lattices that fit a wavevector."""

import math
from fractions import Fraction
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Int64
from torch import Tensor

from sqwirrel.model.spin import SpinModel

CLOSE = 1e-6
"""Fractional coordinates that differ by less are equal."""
LARGEST = 12
"""A wavevector is commensurate if this many cells at most hold a period along each direction."""
Matrix = Complex[Tensor, "site 3 site 3"]


class Unit(NamedTuple):
    """The smallest cell that repeats the Hamiltonian by lattice translations of the chemical cell and of the magnetic.

    Rows of `cell` are chemical; `sites` of the magnetic cell stand for all; `kind` says which of them each copies.
    """

    cell: Float[Tensor, "3 3"]
    sites: Int64[Tensor, " kind"]
    kind: Int64[Tensor, " site"]


def unit(model: SpinModel, exchange: Matrix) -> Unit:
    """The unit of a model whose exchange matrix at a wavevector in no special position is `exchange`."""
    shifts = [(t, to) for t, to in _shifts(model) if _keeps(exchange, to)]
    images = torch.stack([to for _, to in shifts])
    sites, kind = torch.unique(images.amin(0), return_inverse=True)
    generators = torch.stack([t for t, _ in shifts]) @ model.supercell
    around = whole(2) @ model.supercell
    cell = shortest((generators[:, None] + around).flatten(0, 1), model.lattice.vectors)
    return Unit(cell, sites, kind)


def fraction(x: Float[Tensor, "3"]) -> list[Fraction]:
    """Simple fractions near three numbers."""
    return [Fraction(value).limit_denominator(LARGEST) for value in x.tolist()]


def period(x: list[Fraction]) -> int:
    """Cells after which a wave of this wavevector, fractions of reciprocal lattice vectors, repeats."""
    return math.lcm(*(part.denominator for part in x))


def holding(cell: Float[Tensor, "3 3"], x: list[Fraction], vectors: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    """The smallest supercell of `cell` in which a wave repeats: rows, chemical."""
    if period(x) == 1:
        return cell
    combos = whole(period(x))
    turns = combos @ torch.tensor([float(part) for part in x], dtype=torch.float64)
    return shortest(combos[(turns - turns.round()).abs() < CLOSE] @ cell, vectors)


def cosets(cell: Float[Tensor, "3 3"], supercell: Float[Tensor, "3 3"]) -> Float[Tensor, "copy 3"]:
    """Translations of `cell`, chemical, that differ modulo `supercell`, shortest first."""
    count = round(abs(float(torch.linalg.det(supercell) / torch.linalg.det(cell))))
    steps = whole(count) @ cell
    steps = steps[(steps.norm(dim=-1) - 1e-3 * steps.sum(-1)).argsort(stable=True)]
    inside = steps @ torch.linalg.inv(supercell)
    inside = (inside - (inside + CLOSE).floor()).mul(1 / CLOSE).round()
    found: dict[tuple[float, ...], Tensor] = {}
    for key, step in zip(inside.tolist(), steps, strict=True):
        found.setdefault(tuple(key), step)
    return torch.stack(list(found.values()))


def shortest(candidates: Float[Tensor, "candidate 3"], vectors: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    """The three shortest translations that span space, a basis of their lattice (Minkowski), right-handed."""
    length = (candidates @ vectors).norm(dim=-1)
    nice = length + 1e-6 * (candidates < -CLOSE).sum(-1) + 1e-7 * candidates @ torch.arange(3.0).to(candidates)
    rows: list[Tensor] = []
    for k in nice.argsort(stable=True).tolist():
        trial = torch.stack([*rows, candidates[k]])
        if length[k] > CLOSE and int(torch.linalg.matrix_rank(trial, rtol=CLOSE)) == len(trial):
            rows.append(candidates[k])
        if len(rows) == 3:
            break
    rows.sort(key=lambda row: int(row.abs().argmax()))
    cell = torch.stack(rows)
    return cell if float(torch.linalg.det(cell)) > 0 else cell[[1, 0, 2]]


def _shifts(model: SpinModel) -> list[tuple[Tensor, Tensor]]:
    """Chemical translations, fractions of the magnetic cell, that permute the sites, and where each site goes."""
    found = []
    for to in range(len(model.positions)):
        t = model.positions[to] - model.positions[0]
        chemical = (t + whole(1)) @ model.supercell
        gap = model.positions[:, None] + t - model.positions
        near = ((gap - gap.round()) @ model.supercell).norm(dim=-1) < 1e-4
        if bool(((chemical - chemical.round()).abs() < 1e-4).all(-1).any()) and bool((near.sum(1) == 1).all()):
            found.append((t, near.int().argmax(1)))
    return found


def _keeps(exchange: Matrix, to: Int64[Tensor, " site"]) -> bool:
    moved = exchange[to][:, :, to]
    return bool((moved - exchange).abs().max() <= CLOSE * exchange.abs().max())


def whole(reach: int) -> Float[Tensor, "n 3"]:
    """All vectors of whole numbers up to `reach`, small ones first."""
    steps = sorted(range(-reach, reach + 1), key=abs)
    return torch.tensor(list(product(steps, repeat=3)), dtype=torch.float64)
