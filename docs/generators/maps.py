"""The benchmark `bi2fe4o9` as tables and a figure."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]
MARKS = {"le": "#b2182b", "beauvois": "#1b7837", "beauvois_exchanged": "#762a83", "median": "#2166ac"}

WORDS = {
    "le": "Le et al.",
    "beauvois": "Beauvois et al.",
    "beauvois_exchanged": "the same, J44 and Jc exchanged",
    "median": "median of the posterior",
}


def tables(result: Result) -> str:
    """Answer beside the published sets, and how far each of them lies from each measurement."""
    return "\n\n".join((_words(result), _parameters(result), DEVIANCES, _deviances(result), _basins(result)))


def _words(result: Result) -> str:
    failed = [check for check in result["checks"] if not check["passed"]]
    named = ", ".join(f"{check['name']} ({number(check['value'])})" for check in failed) or "none"
    bins = ", ".join(f"{label} {n}" for label, n in result["bins"].items())
    unseen = ", ".join(label for label in result["bins"] if label not in result["fitted"]) or "none"
    seconds = number(result["seconds"])
    return f"Bins or peaks: {bins}; not fitted, to test on: {unseen}. {seconds} s. Failed checks: {named}."


def _parameters(result: Result) -> str:
    published = result["published"]
    rows = [
        (
            f"`{row['name']}`",
            number(row["median"]),
            " to ".join(map(number, row["interval68"])),
            " to ".join(map(number, row["interval95"])),
            number(row["limit"]),
            *(known.get(row["name"], "") for known in published.values()),
            row["unit"],
        )
        for row in result["parameters"]
    ]
    return table(("parameter", "median", "68 %", "95 %", "limit", *published, "unit"), rows)


DEVIANCES = (
    "Deviance of each measurement alone at each set of the six constants, all nuisances at their best; root mean "
    "square distance of the peaks from the nearest mode, in the errors of the table; the flat modes at (1/2, 1/2, 0):"
)


def _deviances(result: Result) -> str:
    sets, deviance, peaks = MARKS, result["deviance"], result["against_peaks"]
    rows = [(label, *(number(known[name]) for name in sets)) for label, known in deviance.items()]
    rows.append(("sum", *(number(sum(known[name] for known in deviance.values())) for name in sets)))
    rows.append(("peaks, rms", *(number(peaks[name]["rms"]) for name in sets)))
    rows.append(("flat modes, meV", *(number(peaks[name]["flat"]) for name in sets)))
    return table(("", *(name.replace("_", ", ") for name in sets)), rows)


def _basins(result: Result) -> str:
    names = list(result["published"]["le"])
    heads = ("basin", *names, "log posterior", "probability", "starts")
    rows = [
        (k, *(number(basin[name]) for name in names), f"{basin['log_posterior']:.1f}", *_share(basin))
        for k, basin in enumerate(result["basins"], 1)
    ]
    return f"Basins found:\n\n{table(heads, rows)}"


def _share(basin: Result) -> tuple[str, str]:
    return f"{basin['probability']:.2g}", str(basin["starts"])


def draw(result: Result, axes: Axes) -> None:
    """Deviance of each measurement at each set, over the number of its bins or peaks."""
    labels = list(result["deviance"])
    for name, colour in MARKS.items():
        each = [result["deviance"][label][name] / result["bins"][label] for label in labels]
        axes.plot(each, "o", color=colour, label=WORDS[name])
    said = [f"map,\n{label[2:]} meV" if label.startswith("ei") else "peaks,\nIN20" for label in labels]
    axes.set_xticks(range(len(labels)), said)
    axes.set(ylabel="deviance per bin or peak, nuisances fitted", yscale="log")
    ticks = (0.4, 0.6, 1, 2, 4, 6)
    axes.set_yticks(ticks, [f"{each:g}" for each in ticks])
    axes.set_yticks([], minor=True)
    axes.legend(frameon=False, fontsize=7)
