"""Collection: a table with known tiers, causes before effects."""

import csv
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from sqwirrel.errors import InputError, meant
from sqwirrel.limits import check_file, text

LEFT = 3
"""Rows that a table has at least beyond its columns."""
SAME = 1e-10
"""A column of which no more than this share of the variance is its own is a sum of others."""
PART = 1e-3
"""Of the largest weight in such a sum: columns of less are not in it."""
EVEN = 1e-13
"""What varies by no more than this share of its size varies by rounding alone."""
SIZES = 1e-100, 1e100
"""The largest number of a column is between: squares of others are no numbers."""
FAR = 20
"""Robust standard deviations beyond which a number may be none, like the -999 of some files."""
MARKS = {",": "commas", ";": "semicolons", "\t": "tabs"}
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
        if strange := [name for name in names if not name.isprintable()]:
            raise InputError(f"the name {strange[0]!r} of a column cannot be printed; rename it")
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
        """From a CSV file (UTF-8) whose first line has the names, between commas, semicolons or tabs; rows that lack a
        number of a tier are left out, and a warning says how many.
        """
        path, names = Path(path), [name for tier in tiers for name in tier]
        known, between, lines = _lines(path)
        if missing := [name for name in names if name not in known]:
            raise InputError(
                f"{path.name} has no column '{missing[0]}'; its first line names, between {between}, "
                f"{', '.join(known)}{meant(missing[0], known)}"
            )
        if twice := [name for name in names if known.count(name) > 1]:
            raise InputError(f"{path.name} has several columns '{twice[0]}'; rename them")
        places = {name: known.index(name) for name in names}
        rows = [[_number(path, k, name, line[place]) for name, place in places.items()] for k, line in lines]
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

    @property
    def remarks(self) -> tuple[str, ...]:
        """What of the rows should be looked at, a sentence each: rows that are there twice, numbers far from all."""
        found, twice = [], len(self.rows) - len(np.unique(self.rows, axis=0))
        if twice:
            found.append(
                f"{twice} of {len(self.rows)} rows repeat another in every column: if they are not measurements of "
                "their own, errors are too small."
            )
        middle = np.median(self.rows, axis=0)
        for name, values, size in zip(self.names, (self.rows - middle).T, self._spread(middle), strict=True):
            far = np.abs(values) > FAR * size if size > 0 else np.zeros(len(values), dtype=bool)
            if far.any():
                worst = np.abs(values).argmax()
                found.append(
                    f"{far.sum()} of {len(values)} numbers of '{name}' are more than {FAR} robust standard deviations "
                    f"from its median, {self.column(name)[worst]:.6g} farthest: gaps, slips, or a logarithm to take?"
                )
        return tuple(found)

    def _spread(self, middle: Float[np.ndarray, " column"]) -> Float[np.ndarray, " column"]:
        """Standard deviations that few numbers cannot change: 0 where most are the same."""
        found: Float[np.ndarray, " column"] = 1.4826 * np.median(np.abs(self.rows - middle), axis=0)
        return found

    def _check(self) -> None:
        n, p = self.rows.shape
        if not np.isfinite(self.rows).all():
            raise InputError("a number of the collection is none; leave out its row, and say why")
        if n < p + LEFT:
            raise InputError(f"{n} rows of {p} columns say nothing of causes; at least {p + LEFT} are needed")
        for name, largest in zip(self.names, np.abs(self.rows).max(0).tolist(), strict=True):
            if largest and not SIZES[0] < largest < SIZES[1]:
                raise InputError(f"'{name}' has numbers of up to {largest:g}; give it in another unit")
        centred = self.rows - self.rows.mean(0)
        size, rounding = np.linalg.norm(centred, axis=0), EVEN * np.linalg.norm(self.rows, axis=0)
        if (same := size <= rounding).any():
            raise InputError(f"'{self.names[same.argmax()]}' is the same in every row; leave it out")
        least = np.maximum(np.sqrt(SAME), rounding / size)
        if np.linalg.svd(centred / size, compute_uv=False)[-1] <= least.max():
            self._check_own(centred / size, least)

    def _check_own(self, columns: Float[np.ndarray, "row column"], least: Float[np.ndarray, " column"]) -> None:
        """Refuses a column of which the others leave no more than the `least`; says which these are."""
        for k, name in enumerate(self.names):
            others = np.delete(columns, k, axis=1)
            weights = np.abs(found := np.linalg.pinv(others) @ columns[:, k])
            if np.linalg.norm(columns[:, k] - others @ found) <= least[k]:
                names = [each for each in self.names if each != name]
                same = [each for each, weight in zip(names, weights, strict=True) if weight > PART * weights.max()]
                raise InputError(
                    f"'{name}' says the same as {' and '.join(same)}, but for units and zeros; leave one of these "
                    f"{len(same) + 1} out"
                )


def _lines(path: Path) -> tuple[list[str], str, list[tuple[int, list[str]]]]:
    """Names, what is between them, and the cells of every line that has any, with its number."""
    check_file(path)
    whole = text(path)
    if "\ufffd" in whole:
        place = whole[: whole.index("\ufffd")].count("\n") + 1
        raise InputError(f"cannot read '{path}': line {place} is not in UTF-8; a CSV file in UTF-8 is expected")
    first = next((line for line in whole.split("\n") if line.strip(" ,;\t")), "")
    mark = max(MARKS, key=first.count)
    table = csv.reader(whole.split("\n"), delimiter=mark, strict=True)
    try:
        filled = [(table.line_num, line) for line in table if any(map(str.strip, line))]
    except csv.Error as error:
        raise InputError(f"cannot read '{path}', line {table.line_num}: {error}; a CSV file is expected") from None
    if not filled:
        raise InputError(f"{path.name} is empty; a first line of names is expected, and a row of numbers in each other")
    names = [name.strip() for name in filled[0][1]]
    if names[0].startswith("#"):
        raise InputError(
            f"{path.name} starts with '{names[0]}'; a first line of names is expected: remove lines of comment, "
            "and a # before names"
        )
    count = max(k for k, name in enumerate(names, 1) if name)
    for k, line in filled:
        if len(line) < count or any(map(str.strip, line[count:])):
            raise InputError(
                f"{path.name}, line {k} has {len(line)} cells between {MARKS[mark]}, the first line names {count} "
                "columns; a cell without a number stays empty, and the decimal sign is a point"
            )
    return names[:count], MARKS[mark], filled[1:]


def _number(path: Path, k: int, name: str, cell: str) -> float:
    """What a cell says; none where it is a gap."""
    cell = cell.strip()
    if cell.lower() in GAPS:
        return float("nan")
    with suppress(ValueError):
        if np.isfinite(number := float(cell)) and "_" not in cell:
            return number
    point = " (the decimal sign is a point)" if "," in cell else ""
    raise InputError(
        f"{path.name}, line {k}: '{cell}' in column '{name}' is no number; expected one like 0.5{point}, or an empty "
        "cell where there is none"
    )


def _said(tiers: Sequence[Sequence[str]]) -> str:
    """As they are written on the command line."""
    return f"'{' > '.join(', '.join(tier) for tier in tiers)}'"
