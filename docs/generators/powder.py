"""Powder maps of phonons against Euphonic, at equal error."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import table

Result = dict[str, Any]
CASES = {"al": "Al", "si": "Si", "nacl": "NaCl", "quartz": "quartz"}
HEAD = (
    "crystal",
    "error",
    "ours, s",
    "set-up, s",
    "Euphonic, s",
    "ratio",
    "with set-up",
    "us a point, ours",
    "Euphonic",
)


def tables(result: Result) -> str:
    """A row for each crystal and error, and what the converged maps are worth."""
    rows = [
        (
            CASES[row["case"]],
            f"{100 * at['error']:.0f} %",
            f"{at['seconds']:.3f}",
            f"{at['set_up_s']:.2f}",
            f"{at['euphonic_seconds']:.1f}",
            f"{at['ratio']:.0f}",
            f"{at['ratio_with_set_up']:.0f}",
            f"{row['ours_us_per_point']:.2f}",
            f"{row['euphonic_us_per_point']:.0f}",
        )
        for row in result["rows"]
        for at in row["at"]
    ]
    exact = ", ".join(
        f"{CASES[row['case']]} {100 * row['converged_scatter']:.1f} % ({100 * row['euphonic'][-1]['error']:.1f} %)"
        for row in result["rows"]
    )
    said = (
        "Root mean square errors of maps of 60 x 80 bins, relative to a converged map; one thread each. The set-up is "
        "made once for a crystal and a measurement; it is in every map of Euphonic. Scatter of the converged maps, and "
        f"how far the best map of Euphonic is from them: {exact}. {{sets}} sets of force constants of Al in one call: "
        "{seconds_each:.3f} s each, at {percent:.0f} %."
    )
    batch = result["batch"]
    return f"{said.format(**batch, percent=100 * batch['error'])}\n\n{table(HEAD, rows)}"


def draw(result: Result, axes: Axes) -> None:
    """Error against time: lines with points are ours, dashed ones are of Euphonic."""
    for k, row in enumerate(result["rows"]):
        for side, style in (("ours", "o-"), ("euphonic", "s--")):
            seconds, error = ([one[key] for one in row[side]] for key in ("seconds", "error"))
            label = CASES[row["case"]] if side == "ours" else None
            axes.loglog(seconds, error, style, color=f"C{k}", markersize=3, label=label)
    for style, words in (("o-", "Sqwirrel"), ("s--", "Euphonic")):
        axes.plot([], [], style, color="k", markersize=3, label=words)
    axes.set(xlabel="seconds a map, one thread", ylabel="relative error of a map")
    axes.legend(frameon=False, ncols=2)
