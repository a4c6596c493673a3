"""Tables of exchange constants, bond by bond, in the convention of whoever wrote them."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.limits import check_file, text_lines
from sqwirrel.model import symmetry
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.files import tb2j
from sqwirrel.model.symmetry import Ends

CONVENTIONS = {"ours": (1.0, False), "spinw": (1.0, False), "tb2j": (-2.0, True), "unit": (-1.0, True)}
"""What turns an entry into S_i . J . S_j, each bond once: a factor, and whether spins are unit vectors."""
ROUNDING = 2e-3
"""meV: what the digits of a file leave open."""
SAME = 0.01
"""Relative difference of a bond and its reverse that counts as the numerical error of a calculation."""
ELEMENTS = tuple(f"J{a}{b}" for a in "xyz" for b in "xyz")
FARTHEST = 10**6
"""Cells that a bond may reach over."""
PLACE = ("i", "j", "n1", "n2", "n3")


class Table(NamedTuple):
    """Bonds of the chemical cell, each once, from site `i` to `j` moved by `offset`; matrices as in the file, meV."""

    i: Int64[Tensor, " bond"]
    j: Int64[Tensor, " bond"]
    offset: Int64[Tensor, "bond 3"]
    matrix: Float[Tensor, "bond 3 3"]


def read(path: Path, crystal: Crystal) -> Table:
    """A table in either format; sites of a CSV are those of the crystal by label, of TB2J by position."""
    check_file(path)
    whole = "\n".join(text_lines(path))
    rows = tb2j.bonds(whole, crystal, path) if tb2j.MARK in whole else _csv(whole, crystal, path)
    return _once(rows, crystal, path)


def ours(table: Table, convention: object, spins: Float[Tensor, " site"]) -> Float[Tensor, "bond 3 3"]:
    """The matrices M of sum over bonds S_i . M . S_j; `spins` are the lengths on the sites of the crystal."""
    if str(convention) not in CONVENTIONS:
        raise InputError(
            f"the convention of a table of exchange is one of {', '.join(CONVENTIONS)}, got {convention!r}"
        )
    factor, unit = CONVENTIONS[str(convention)]
    scale = spins[table.i] * spins[table.j] if unit else torch.ones(len(table.i), dtype=torch.float64)
    return factor * table.matrix / scale[:, None, None]


def _once(rows: list[tuple[Ends, Tensor]], crystal: Crystal, path: Path) -> Table:
    """Each bond once, the mean of both directions where both are there and agree."""
    found: dict[Ends, Tensor] = {}
    for bond, matrix in rows:
        if bond in found:
            raise InputError(f"'{path}' lists the bond {_spell(bond, crystal)} twice")
        found[bond] = matrix
    kept: dict[Ends, Tensor] = {}
    for bond, matrix in found.items():
        back = found.get(symmetry.reverse(bond), matrix.T).T
        if float((matrix - back).abs().max()) > ROUNDING + SAME * float(matrix.abs().max()):
            raise InputError(
                f"'{path}': the bond {_spell(bond, crystal)} has {matrix.tolist()}, and its reverse the transpose of "
                f"{back.tolist()}; these must be equal"
            )
        if symmetry.reverse(bond) not in kept:
            kept[bond] = (matrix + back) / 2
    if not kept:
        raise InputError(f"'{path}' lists no exchange")
    i, j, offset = (torch.tensor(part) for part in zip(*kept, strict=True))
    return Table(i, j, offset, torch.stack(list(kept.values())))


def _spell(bond: Ends, crystal: Crystal) -> str:
    return f"{crystal.sites[bond[0]].label} to {crystal.sites[bond[1]].label} {list(bond[2])}"


def _csv(text: str, crystal: Crystal, path: Path) -> list[tuple[Ends, Tensor]]:
    """Columns i, j (labels of sites), n1, n2, n3 (the cell of j), and J or Jxx, Jxy, ..., Jzz."""
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    try:
        heads = [head.strip() for head in reader.fieldnames or ()]
        reader.fieldnames = heads
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"'{path}', line {reader.line_num}: {error}") from None
    values = next((names for names in (("J",), ELEMENTS) if sorted(heads) == sorted((*PLACE, *names))), None)
    if values is None:
        raise InputError(
            f"'{path}' must be the exchange.out of TB2J, or have the columns i,j,n1,n2,n3,J or ...,Jxx,...,Jzz"
        )
    sites = {site.label: k for k, site in enumerate(crystal.sites)}
    return [_row(row, values, sites, f"'{path}', line {n}") for n, row in rows]


def _row(
    row: Mapping[str, str], values: tuple[str, ...], sites: Mapping[str, int], where: str
) -> tuple[Ends, Float[Tensor, "3 3"]]:
    ends = [(row[end] or "").strip() for end in ("i", "j")]
    for end in ends:
        if end not in sites:
            raise InputError(f"{where}: there is no site '{end}'; the model has {', '.join(sites)}")
    try:
        a, b, c = (int(row[name]) for name in PLACE[2:])
        J = torch.tensor([float(row[name]) for name in values], dtype=torch.float64)
    except (TypeError, ValueError):
        a, b, c, J = 0, 0, 0, torch.full((1,), torch.nan)
    if not bool(J.isfinite().all()) or max(abs(a), abs(b), abs(c)) > FARTHEST:
        raise InputError(f"{where}: n1, n2 and n3 must be whole numbers, {' '.join(values)} finite numbers")
    matrix = J * torch.eye(3).to(J) if len(J) == 1 else J.reshape(3, 3)
    return (sites[ends[0]], sites[ends[1]], (a, b, c)), matrix
