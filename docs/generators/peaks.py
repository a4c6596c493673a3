"""The benchmark `peak_tables` as tables and a figure."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]


def tables(result: Result) -> str:
    """A paragraph and a table for each material."""
    return "\n\n".join(_material(each) for each in result["materials"])


def _material(found: Result) -> str:
    names = [row["name"] for row in found["parameters"]]
    rows = []
    for row in found["parameters"]:
        known = [_known(each, row["name"]) for each in found["published"].values()]
        rows.append((f"`{row['name']}`", number(row["median"]), " to ".join(map(number, row["interval68"])), *known))
    heads = ("parameter", "median", "68 %", *(f"{who} (away)" for who in found["published"]))
    together = ", ".join(f"{who} {each['together']:.1f}" for who, each in found["published"].items())
    failed = ", ".join(check["name"] for check in found["checks"] if not check["passed"]) or "none"
    basins = "; ".join(_basin(basin, names) for basin in found["basins"][:10])
    said = (
        f"**{found['title']}** (`{found['name']}`). Distance in standard deviations, all parameters together: "
        f"{together}. "
        f"Failed checks: {failed}. {number(found['seconds'])} s. Basins, with their probabilities: "
        f"{basins}. {found['remark']}"
    )
    return f"{said}\n\n{table(heads, rows)}"


def _known(published: Result, name: str) -> str:
    return (
        f"{number(published['values'][name])} ({published['away'][name]:+.1f})" if name in published["values"] else ""
    )


def _basin(basin: Result, names: list[str]) -> str:
    kept = [
        f"{x:.2f}"
        for x, name in zip(basin["theta"], names, strict=True)
        if name not in ("outliers", "peak_width_extra")
    ]
    return f"({', '.join(kept)}) {basin['probability']:.2g}"


def draw(result: Result, axes: Axes) -> None:
    """Measured energies against those of the lines that the peaks belong to."""
    colours = ("#2166ac", "#b2182b", "#1b7837", "#762a83")
    for found, colour in zip(result["materials"], colours, strict=False):
        for stray, mark in ((False, "o"), (True, "x")):
            rows = [row for row in found["peaks"] if (row["stray"] > 0.5) == stray]
            points = [row["model"] for row in rows], [row["model"] + row["away"] for row in rows]
            axes.plot(*points, mark, ms=4, mfc="none", color=colour, label=None if stray else found["name"])
    axes.axline((1, 1), (30, 30), color="#333333", lw=0.6)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="energy of the line, meV (x: a peak of no line)",
        ylabel="measured energy, meV",
    )
    axes.legend(frameon=False)
