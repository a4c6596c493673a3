"""Networks on causal regions as tables and a figure."""

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]
Cell = Callable[[Result], str]


def tables(result: Result) -> str:
    """Errors, coverage, widths and refusals of every method on every set."""
    about, plain = result["map"], result["sets"]["nothing"]["plain"]["rms"]
    members = len(next(iter(result["methods"].values()))["minutes"])
    said = (
        f"{result['rows']} simulations, {result['steps']} steps, {members} network(s) of each kind, of which means are "
        f"told; {result['spectra']} spectra in each set, {result['fits']} of them for `infer`, so that its figures are "
        f"rough. The causal map has {about['regions']} regions; the suspected peak moves, or may move, "
        f"{about['regions_left_out']} of them with {about['bins_left_out']} of {result['bins']} bins. Errors of "
        f"`plain` where nothing is hidden are {_three(result['plain_over_limit'])} times the Cramér–Rao limit of J1, "
        "J2 and D."
    )

    def ratio(each: Result) -> str:
        return _three([mine / its for mine, its in zip(each["rms"], plain, strict=True)])

    parts = {
        "Errors of J1, J2, D (root mean square) over those of `plain` where nothing is hidden": ratio,
        "Truths of J1, J2, D in 90 % intervals, %": lambda each: _percent(each["coverage_90_each"]),
        "Widths of 90 % intervals over those of `plain` where nothing is hidden, geometric mean": lambda each: number(
            each["width_over_plain"]
        ),
        "Spectra refused, % (networks: check `seen_before`; `infer`: any check)": lambda each: _percent(
            [each["refused"]]
        ),
    }
    found = [f"{words}:\n\n{_each(result, write)}" for words, write in parts.items()]
    kinds = table(("set", "what it has that training had not"), result["kinds"].items())
    return "\n".join((f"{said}\n", *found, _networks(result), kinds))


def _networks(result: Result) -> str:
    about = result["map"]
    rows = [
        (
            f"`{name}`",
            about["filters"].get(name, ""),
            ", ".join(f"{x:.2f}" for x in about["limit_over_all_bins"].get(name, ())),
            _three(each["minutes"]),
        )
        for name, each in result["methods"].items()
    ]
    return table(("network", "filters", "limit of J1, J2, D over that of all bins", "minutes of training"), rows)


def _three(values: list[float]) -> str:
    return ", ".join(f"{x:.2g}" if x < 10 else f"{x:.0f}" for x in values)


def _percent(shares: list[float]) -> str:
    return ", ".join(f"{100 * share:.0f}" for share in shares)


def _each(result: Result, write: Cell) -> str:
    """A row for every set, a column for every method."""
    sets = result["sets"]
    names = list(next(iter(sets.values())))
    return table(
        ("", *(f"`{name}`" for name in names)), [(s, *(write(row[n]) for n in names)) for s, row in sets.items()]
    )


def draw(result: Result, axes: Axes) -> None:
    """Errors on every set, geometric means over the parameters."""
    sets = result["sets"]
    for k, name in enumerate(next(iter(sets.values()))):
        places = [n + 0.1 * (k - 2.5) for n in range(len(sets))]
        axes.plot(places, [each[name]["error_over_plain"] for each in sets.values()], "o", ms=4, label=name)
    axes.axhline(1, color="#333333", lw=0.6)
    axes.set_xticks(range(len(sets)), [name.replace(", ", ",\n") for name in sets], fontsize=7)
    axes.set(yscale="log", ylabel="error over that of plain, nothing hidden")
    axes.legend(frameon=False, fontsize=7)
