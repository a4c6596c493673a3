"""The benchmark of causal maps as tables and a figure."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]


def tables(result: Result) -> str:
    """What maps of each size found; what each method found; the systems."""
    said = (
        f"{result['systems']} systems of {len(result['kinds'])} kinds whose causes are known, {result['designs']} "
        f"independent designs of each size. True d' are those of {result['pairs_of_truth']} pairs of another seed; "
        "nothing is true where a cause cannot reach a region by construction. *Near*: edges whose true d' is within "
        "10 % of 3. Foreground: cells that a cause moves by more than 0.6 standard deviations."
    )
    kinds = table(("system", "what it is"), [(f"`{name}`", words) for name, words in result["kinds"].items()])
    return f"{said}\n\n{_maps(result['maps'])}\n{_methods(result)}\n{kinds}"


ROWS = {
    "impossible edges that are not absent": ("impossible_edges", "impossible"),
    "edges of dummies that are not absent": ("dummy_edges", "dummies"),
    "decided edges on the wrong side": ("shd", "edges"),
    "undecided edges": ("undecided", "edges"),
    "near edges": ("near", "edges"),
}
SHARES = {
    "95 % intervals that hold the true d', %": "ci_coverage",
    "the same, d' above 3, %": "ci_coverage_told",
    "true d' below the interval, %": "ci_below",
    "adjusted Rand index, all, %": "ari_all",
    "adjusted Rand index, foreground, %": "ari_foreground",
}


def _maps(maps: Result) -> str:
    rows = [(name, *(f"{each[key]} of {each[of]}" for each in maps.values())) for name, (key, of) in ROWS.items()]
    rows += [(name, *(f"{100 * each[key]:.1f}" for each in maps.values())) for name, key in SHARES.items()]
    rows.append(("seconds of a map, median (longest)", *(_seconds(each) for each in maps.values())))
    return table(("", *(f"{pairs} pairs" for pairs in maps)), rows)


def _seconds(each: Result) -> str:
    return f"{number(each['seconds'])} ({number(each['seconds_most'])})"


def _methods(result: Result) -> str:
    heads = (
        "pairs",
        "method",
        "impossible",
        "dummies",
        "missed",
        "do() in the window",
        "anywhere",
        "sizes in the window",
        "anywhere",
        "seconds",
    )
    rows = [
        (
            pairs,
            name,
            *(f"{row[key]} of {row[of]}" for key, of in COUNTED),
            *("" if row[key] is None else number(row[key]) for key in ERRORS),
            number(row["seconds"]),
        )
        for pairs, methods in result["methods"].items()
        for name, row in methods.items()
    ]
    left = "".join(f" {name} was left out: {why}." for name, why in result["left_out"].items())
    said = (
        "Methods on the regions of the first map, with as many simulations: edges found where none is possible, edges "
        "of dummies, edges missed whose true d' is above 3; errors of what held-out interventions do to the sum over "
        "each region, and of the size of the change of all its cells, over the changes themselves (medians over "
        "systems; 1 for who says that nothing changes). Pairs with the confounder are left out. Correlations, PC and "
        "GES have observational draws in which the confounder draws all other causes along." + left
    )
    return f"{said}\n\n{table(heads, rows)}\n{_regression(result['methods'])}\n"


COUNTED = (("impossible_edges", "impossible"), ("dummy_edges", "dummies"), ("missed", "told"))
ERRORS = ("do_error_inside", "do_error_outside", "size_error_inside", "size_error_outside")
ALIKE = 1.1
"""Errors within 10 % are as good."""


def _regression(methods: Result) -> str:
    """Whether interventions were needed for predictions."""
    said = []
    for pairs, rows in methods.items():
        ours, hidden, recorded = (
            rows[name]["do_error_inside"]
            for name in (
                "causal map",
                "partial correlation, confounder hidden",
                "partial correlation, confounder recorded",
            )
        )
        word = "as good as" if recorded <= ALIKE * ours else "worse than"
        said.append(
            f"{pairs} pairs: where all confounders are recorded, regression predicts interventions {word} "
            f"interventions do ({number(recorded)} for {number(ours)}); where one is hidden its error is "
            f"{number(hidden)}; that of derivatives at the middle is {number(rows['saliency']['do_error_inside'])}."
        )
    return " ".join(said)


def draw(result: Result, axes: Axes) -> None:
    """False edges and missed ones of every method, with most pairs."""
    rows = list(result["methods"].values())[-1]
    for k, row in enumerate(rows.values()):
        false = (row["impossible_edges"] + row["dummy_edges"]) / (row["impossible"] + row["dummies"])
        axes.barh(k - 0.2, 100 * false, 0.36, color="#b2182b", label="found where none is possible" if not k else "")
        missed = 100 * row["missed"] / row["told"]
        axes.barh(k + 0.2, missed, 0.36, color="#2166ac", label="missed" if not k else "")
    axes.set_yticks(range(len(rows)), list(rows), fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel="share of edges, %")
    axes.legend(frameon=False)
