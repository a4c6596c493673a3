"""Tables in text that others wrote, by column, and the numbers in their headers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from sqwirrel.errors import InputError


@dataclass(frozen=True)
class Table:
    """The words of a table by row, the lower-case names of its columns, and where in the file each row stands."""

    path: Path
    names: tuple[str, ...]
    rows: tuple[list[str], ...]
    numbers: tuple[int, ...]

    @classmethod
    def of(
        cls, path: Path, names: Sequence[str], rows: Iterable[tuple[int, str]], separator: str | None = None
    ) -> "Table":
        """A table of `rows` (line number, line); each must have a word for every name."""
        words, numbers = [], []
        for number, line in rows:
            row = [word.strip() for word in line.split(separator)]
            if len(row) != len(names):
                raise InputError(
                    f"line {number} of {path.name} has {len(row)} values for {len(names)} columns; it may be truncated"
                )
            words.append(row)
            numbers.append(number)
        return cls(path, tuple(name.lower() for name in names), tuple(words), tuple(numbers))

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, names: Iterable[str]) -> str | None:
        """The first of `names` that the table has as a column."""
        return next((name for name in names if name in self.names), None)

    def column(self, name: str) -> Float64[np.ndarray, " row"]:
        """The finite numbers of a column."""
        return np.array([self._number(k, name, self._at(name)) for k in range(len(self))], dtype=np.float64)

    def sensor(self, name: str) -> Float64[np.ndarray, " row"]:
        """The numbers of a column, NaN where it holds something else: a sensor that was not read."""
        at = self._at(name)
        return np.array([_lenient(row[at]) for row in self.rows], dtype=np.float64)

    def _at(self, name: str) -> int:
        return self.names.index(name)

    def _number(self, row: int, name: str, at: int) -> float:
        word = self.rows[row][at]
        value = _lenient(word)
        if not isfinite(value):
            raise InputError(
                f"line {self.numbers[row]} of {self.path.name} has '{word[:20]}' in the column '{name}'; "
                "expected a number"
            )
        return value


def value(word: str, what: str, path: Path) -> float:
    """A finite number of a header; `what` is its name there."""
    number = _lenient(word)
    if not isfinite(number):
        raise InputError(f"{path.name} has {what} = '{word.strip()[:20]}'; expected a number")
    return number


def values(words: Sequence[str], count: int, what: str, path: Path) -> list[float]:
    """`count` finite numbers of a header."""
    if len(words) != count:
        raise InputError(f"{path.name} has {len(words)} numbers for {what}; expected {count}")
    return [value(word, what, path) for word in words]


def _lenient(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")
