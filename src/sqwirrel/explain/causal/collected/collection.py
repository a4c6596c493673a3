"""Collection: a table with known tiers, causes before effects."""

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from sqwirrel.errors import InputError, meant
from sqwirrel.limits import check_file

LEFT = 3
"""Rows that a table has at least beyond its columns."""
SAME = 1e-10
"""A column of which no more than this share of the variance is its own is a sum of others."""
EVEN = 1e-13
"""What varies by no more than this share of its size varies by rounding alone."""
GAPS = ("", "-", "na", "n/a", "nan", "none", "null")
"""What is written where there is no number."""


@dataclass(frozen=True, eq=False, init=False)
class Collection:
    """Rows of numbers, a column for each of the `names`. Columns of a tier may be causes of those of later ones, and of
    none in its own: chemistry and lattice first, say, then couplings, then transition temperatures. Rows that were
    `left_out` lacked a number.
    """

    names: tuple[str, ...]
    rows: Float[np.ndarray, "row column"]
    tiers: tuple[tuple[str, ...], ...]
    left_out: int

    def __init__(
        self, names: Sequence[str], rows: ArrayLike, tiers: Sequence[Sequence[str]], left_out: int = 0
    ) -> None:
        """From a table; columns that no tier names are not used."""
        table = np.asarray(rows, dtype=float)
        if table.ndim != 2 or table.shape[1] != len(names) or len(set(names)) < len(names):
            raise InputError(
                f"a collection has one column for each of its names, and these differ; got {len(names)} names and an "
                f"array of the shape {table.shape}"
            )
        used = tuple(name for tier in tiers for name in tier)
        if unknown := [name for name in used if name not in names]:
            raise InputError(f"a tier names '{unknown[0]}', the table has {', '.join(names)}{meant(unknown[0], names)}")
        if twice := [name for name in used if used.count(name) > 1]:
            raise InputError(f"'{twice[0]}' is named twice in the tiers; each column is in one of them")
        if len(tiers) < 2 or not all(tiers):
            raise InputError(f"tiers are two at least, none empty, causes before effects; got {_said(tiers)}")
        object.__setattr__(self, "names", used)
        object.__setattr__(self, "rows", table[:, [list(names).index(name) for name in used]])
        object.__setattr__(self, "tiers", tuple(map(tuple, tiers)))
        object.__setattr__(self, "left_out", left_out)
        self._check()

    @classmethod
    def read(cls, path: Path | str, tiers: Sequence[Sequence[str]]) -> "Collection":
        """From a CSV file (UTF-8) whose first line has the names, between commas or semicolons; rows that lack a number
        of a tier are left out, and a warning says how many.
        """
        path, names = Path(path), [name for tier in tiers for name in tier]
        known, lines = _lines(path)
        if missing := [name for name in names if name not in known]:
            raise InputError(
                f"{path.name} has no column '{missing[0]}'; its first line names {', '.join(known)}"
                f"{meant(missing[0], known)}"
            )
        if twice := [name for name in names if known.count(name) > 1]:
            raise InputError(f"{path.name} has several columns '{twice[0]}'; rename them")
        places = {name: known.index(name) for name in names}
        rows = [[_number(path, k, name, line, place) for name, place in places.items()] for k, line in lines]
        kept = [row for row in rows if np.isfinite(row).all()]
        if not kept:
            raise InputError(f"{path.name} has no row with a number in each of {', '.join(names)}; leave columns out")
        if len(kept) < len(rows):
            logging.getLogger("sqwirrel").warning(
                "%d of %d rows of %s lack a number and are left out: what is left may be a selection",
                len(rows) - len(kept),
                len(rows),
                path.name,
            )
        return cls(list(places), kept, tiers, len(rows) - len(kept))

    @property
    def tier(self) -> tuple[int, ...]:
        """The tier of each column."""
        return tuple(k for k, tier in enumerate(self.tiers) for _ in tier)

    def column(self, name: str) -> Float[np.ndarray, " row"]:
        """One of them."""
        found: Float[np.ndarray, " row"] = self.rows[:, self.names.index(name)]
        return found

    def _check(self) -> None:
        n, p = self.rows.shape
        if not np.isfinite(self.rows).all():
            raise InputError("a number of the collection is none; leave out its row, and say why")
        if n < p + LEFT:
            raise InputError(f"{n} rows of {p} columns say nothing of causes; at least {p + LEFT} are needed")
        scaled = self.rows - self.rows.mean(0)
        size = np.linalg.norm(scaled, axis=0)
        for k, name in enumerate(self.names):
            others = np.delete(scaled, k, axis=1) / np.where(np.delete(size, k) > 0, np.delete(size, k), 1.0)
            own = scaled[:, k] - others @ (np.linalg.pinv(others) @ scaled[:, k])
            if own @ own <= max(SAME * size[k] ** 2, (EVEN * np.linalg.norm(self.rows[:, k])) ** 2, 1e-300):
                raise InputError(f"'{name}' is the same in every row, or a sum of other columns; leave it out")


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Names, and the cells of every line that has any, with its number."""
    check_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        table = csv.reader(text.splitlines(), delimiter=";" if first.count(";") > first.count(",") else ",")
        filled = [(table.line_num, line) for line in table if any(map(str.strip, line))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read '{path}': {error}; a CSV file in UTF-8 is expected") from None
    if not filled:
        raise InputError(f"{path.name} is empty; a first line of names is expected, and a row of numbers in each other")
    return [name.strip() for name in filled[0][1]], filled[1:]


def _number(path: Path, k: int, name: str, line: list[str], place: int) -> float:
    """What a cell says; none where it is a gap."""
    cell = line[place].strip() if place < len(line) else ""
    try:
        return float("nan" if cell.lower() in GAPS else cell)
    except ValueError:
        raise InputError(
            f"{path.name}, line {k}: '{cell}' in column '{name}' is no number; expected one like 0.5, or an empty cell "
            "where there is none"
        ) from None


def _said(tiers: Sequence[Sequence[str]]) -> str:
    """As they are written on the command line."""
    return f"'{' > '.join(', '.join(tier) for tier in tiers)}'"
