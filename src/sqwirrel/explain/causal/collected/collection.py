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

LEFT = 3
"""Rows that a table has at least beyond its columns."""
SAME = 1e-10
"""A column of which no more than this share of the variance is its own is a sum of others."""


@dataclass(frozen=True, eq=False, init=False)
class Collection:
    """Rows of numbers, a column for each of the `names`. Columns of a tier may be causes of those of later ones, and of
    none in its own: chemistry and lattice first, say, then couplings, then transition temperatures.
    """

    names: tuple[str, ...]
    rows: Float[np.ndarray, "row column"]
    tiers: tuple[tuple[str, ...], ...]

    def __init__(self, names: Sequence[str], rows: ArrayLike, tiers: Sequence[Sequence[str]]) -> None:
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
        if len(set(used)) < len(used) or len(tiers) < 2 or not all(tiers):
            raise InputError("tiers are two at least, none empty, and each column is in one; causes before effects")
        object.__setattr__(self, "names", used)
        object.__setattr__(self, "rows", table[:, [list(names).index(name) for name in used]])
        object.__setattr__(self, "tiers", tuple(map(tuple, tiers)))
        self._check()

    @classmethod
    def read(cls, path: Path | str, tiers: Sequence[Sequence[str]]) -> "Collection":
        """From a CSV file (UTF-8) whose first line has the names, between commas or semicolons; rows that lack a number
        of a tier are left out, and a warning says how many.
        """
        path, names = Path(path), [name for tier in tiers for name in tier]
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read '{path}': {error}; a CSV file in UTF-8 is expected") from None
        first = text.partition("\n")[0]
        table = csv.DictReader(text.splitlines(), delimiter=";" if first.count(";") > first.count(",") else ",")
        lines, known = list(table), [name.strip() for name in table.fieldnames or ()]
        if missing := [name for name in names if name not in known]:
            raise InputError(f"{path.name} has no column '{missing[0]}'; its first line names {', '.join(known)}")
        table_rows = [dict(zip(known, line.values(), strict=False)) for line in lines]
        rows = [[_number(line.get(name) or "") for name in names] for line in table_rows]
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
        return cls(names, kept, tiers)

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
            if own @ own <= SAME * max(size[k] ** 2, 1e-300):
                raise InputError(f"'{name}' is the same in every row, or a sum of other columns; leave it out")


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
