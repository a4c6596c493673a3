"""Estimators on causal regions as tables and a figure."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]


def tables(result: Result) -> str:
    """Errors, coverage, widths and refusals of every method on every set."""
    about, methods = result["map"], result["methods"]
    members = len(next(iter(methods.values()))["minutes"])
    said = (
        f"{result['rows']} simulations, {result['steps']} steps, {members} networks of each kind; {result['spectra']} "
        f"spectra in each set, {result['fits']} of them for `infer`, so that its figures are rough. The causal map has "
        f"{about['regions']} regions; the suspected peak moves, or may move, {about['regions_left_out']} of them with "
        f"{about['bins_left_out']} of {result['bins']} bins. Means over networks and over J1, J2 and D."
    )
    ratio = "Errors (root mean square) over those of `plain` where nothing is hidden"
    parts = [said, f"{ratio}:", _each(result, "error_over_plain", number)]
    parts += ["Truths in 90 % intervals, %:", _each(result, "coverage_90", _percent)]
    parts += [
        "Widths of 90 % intervals over those of `plain` where nothing is hidden:",
        _each(result, "width_over_plain", number),
        "Spectra that are refused, % (networks: check `seen_before`; `infer`: any check):",
        _each(result, "refused", _percent),
    ]
    rows = [
        (
            f"`{name}`",
            about["filters"].get(name, ""),
            ", ".join(f"{x:.2f}" for x in about["limit_over_all_bins"].get(name, ())),
            number(result["sets"]["nothing"][name]["error_over_limit"]),
            ", ".join(number(x) for x in each["minutes"]),
        )
        for name, each in methods.items()
    ]
    parts.append(
        table(
            (
                "method",
                "filters",
                "limit of J1, J2, D, over that of all bins",
                "error over the limit",
                "minutes of training",
            ),
            rows,
        )
    )
    parts.append(table(("set", "what it has that training had not"), result["kinds"].items()))
    return "\n\n".join(parts)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _each(result: Result, key: str, write: Any) -> str:
    sets = result["sets"]
    methods = next(iter(sets.values()))
    rows = [(f"`{name}`", *(write(each[name][key]) for each in sets.values())) for name in methods]
    return table(("", *sets), rows)


def draw(result: Result, axes: Axes) -> None:
    """Errors on every set."""
    sets = result["sets"]
    for k, name in enumerate(next(iter(sets.values()))):
        places = [n + 0.12 * (k - 3) for n in range(len(sets))]
        axes.plot(places, [each[name]["error_over_plain"] for each in sets.values()], "o", ms=4, label=name)
    axes.axhline(1, color="#333333", lw=0.6)
    axes.set_xticks(range(len(sets)), [name.replace(", ", ",\n") for name in sets], fontsize=7)
    axes.set(yscale="log", ylabel="error over that of plain, nothing hidden")
    axes.legend(frameon=False, fontsize=7)
