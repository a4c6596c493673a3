"""What tables of a config file have in common."""

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sqwirrel.errors import InputError


class Section(BaseModel):
    """A table of a config file: unknown keys are refused, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def listed(given: object, like: str = "{ J1 = 0.66 }") -> object:
    """A table or a list of tables, as a list."""
    rows = (given,) if isinstance(given, Mapping) else given
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) and row for row in rows):
        raise InputError(f"expected a table, like {like}, or a list of tables")
    return rows


def fitting(name: str) -> list[Path]:
    """The files that a pattern fits, in the order of their names (run2 before run10), or the one file of that name."""
    path = Path(name)
    if path.exists() or not any(sign in name for sign in "*?["):
        return [path]
    home = Path(path.anchor)
    found = sorted((each for each in home.glob(str(path.relative_to(home))) if each.is_file()), key=_counted)
    if not found:
        raise InputError(f"[measurement] file = '{name}' fits no file; check the pattern")
    return found


def _counted(path: Path) -> list[tuple[int, str]]:
    """A name in pieces, in which numbers are compared as such."""
    pieces = re.split(r"(\d+)", str(path))
    return [(int(each) if each.isdecimal() else 0, each) for each in pieces]
