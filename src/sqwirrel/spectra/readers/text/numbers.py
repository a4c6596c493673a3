"""Numbers in text: columns with or without spaces between them, and the values that stand for "not measured"."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from sqwirrel.errors import InputError
from sqwirrel.limits import check_count

UNMEASURED_BELOW = -1e19
"""Masked bins hold -1e30 (.spe, NXSPE) or -1e20 (DAVE)."""

WIDTH, PER_LINE = 10, 8
"""Columns of .spe and .par files: eight a line, of ten characters (some write more), perhaps without a space."""


def measured(values: Float64[np.ndarray, "..."], errors: Float64[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Where a bin is finite, not masked, and has an error of at least 0 (DAVE writes -1 for none)."""
    valid: Bool[np.ndarray, ...] = np.isfinite(values) & np.isfinite(errors) & (values > UNMEASURED_BELOW)
    return valid & (errors >= 0)


def block(lines: list[str], count: int, what: str, path: Path) -> Float64[np.ndarray, " number"]:
    """The `count` numbers that begin with these lines; columns of fixed width where spaces do not tell them apart."""
    check_count(count, what, path)
    try:
        quick = np.array(" ".join(lines).split(), dtype=np.float64)
    except ValueError:
        quick = np.empty(0)
    if len(quick) == count:
        return quick
    found: list[float] = []
    for line in lines:
        found += row(line, min(PER_LINE, count - len(found)), what, path)
    if len(found) != count:
        raise InputError(f"{path.name} has {len(found)} numbers in '{what}'; expected {count}")
    return np.array(found, dtype=np.float64)


def row(line: str, count: int, what: str, path: Path) -> list[float]:
    """The `count` numbers of one line."""
    line = line.rstrip()
    for cells in (line.split(), _cells(line, WIDTH), _cells(line, max(1, len(line) // max(1, count)))):
        try:
            values = [float(cell) for cell in cells]
        except ValueError:
            continue
        if len(values) == count:
            return values
    raise InputError(f"{path.name} has the line '{line.strip()[:60]}' in '{what}'; expected {count} numbers")


def _cells(line: str, width: int) -> list[str]:
    return [line[k : k + width] for k in range(0, len(line), width)]


def floats(line: str) -> list[float]:
    """The numbers of a line, none where something else is in it."""
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return []


def whole(values: Sequence[float], what: str, path: Path) -> list[int]:
    """Numbers that count something; refuses those that are not whole."""
    if not all(abs(value) < 2**53 and value == int(value) for value in values):
        raise InputError(
            f"{path.name} says that it has {' and '.join(f'{v:g}' for v in values)} {what}; expected counts"
        )
    return [int(value) for value in values]
