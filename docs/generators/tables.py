"""Tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A pipe table; a bar in a cell is escaped, a line break becomes a space."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def number(value: float) -> str:
    """Three significant digits, without a power of ten up to a million."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def posterior(result: dict[str, Any]) -> str:
    """Parameters of a result beside what was published."""
    published = result["published"]
    rows = [
        (
            f"`{row['name']}`",
            number(row["median"]),
            " to ".join(map(number, row["interval68"])),
            number(row["limit"]),
            ", ".join(map(str, published.get(row["name"], []))),
            row["unit"],
        )
        for row in result["parameters"]
    ]
    return table(("parameter", "median", "68 %", "limit", "published", "unit"), rows)
