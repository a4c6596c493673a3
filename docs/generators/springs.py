"""Force constants from measured powder maps: three methods beside published branches."""

from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes

from generators.tables import table

Result = dict[str, Any]
METHODS = {"direct": "direct fit", "network": "network alone", "network_and_likelihood": "network, then likelihood"}
SETS = {
    "al_5k": "Al, MARI 5 K",
    "al_5k_far": "Al, MARI 5 K, far springs",
    "al_5k_simulated": "simulated like Al, MARI 5 K",
    "al_5k_far_simulated": "simulated, far springs",
    "al_300k": "Al, ARCS 300 K",
    "si_300k": "Si, MARI 300 K",
    "si_300k_far": "Si, MARI 300 K, springs to fifth neighbours",
    "si_300k_no_can": "Si, MARI 300 K, without its can",
    "si_300k_dft": "Si, MARI 300 K, a factor on first-principles force constants",
}
HEAD = (
    "map",
    "method",
    "branches off by, meV",
    "%",
    "over the zone, meV",
    "%",
    "90 % band holds, %",
    "widened",
    "as springs end",
    "deviance a bin",
    "s",
    "rings",
)


def tables(result: Result) -> str:
    """A row for each map and method."""
    rows = [
        (
            SETS.get(name, name),
            METHODS[method],
            f"{one['dispersion_error_meV']:.2f}",
            f"{one['dispersion_error_percent']:.1f}",
            f"{one['zone_error_meV']:.2f}",
            f"{one['zone_error_percent']:.1f}",
            f"{100 * one['band_coverage']:.0f}",
            f"{100 * one['band_coverage_widened']:.0f}" if "band_coverage_widened" in one else "",
            f"{100 * one['band_coverage_ended']:.0f}" if "band_coverage_ended" in one else "",
            f"{one['deviance_per_bin']:.2f}" if "deviance_per_bin" in one else "",
            f"{one['seconds']:.2g}",
            ", ".join(f"`{check}`" for check in one.get("failed", [])),
        )
        for name, method, one in _every(result)
    ]
    least = ", ".join(f"{SETS.get(k, k)} {one['least_error_meV']:.2f} meV" for k, one in result["sets"].items())
    held = ", ".join(
        f"{SETS[k]} {one['published_held']['deviance_per_bin']:.2f}"
        for k, one in result["sets"].items()
        if k in ("al_5k", "al_300k", "si_300k")
    )
    corners = ", ".join(
        f"{SETS.get(name, name)}, {METHODS[method]}, {one['corners_meV']:.2f} meV ({100 * one['corners_held']:.0f} %)"
        for name, method, one in _every(result)
        if "corners_meV" in one
    )
    said = (
        "Branches of the median beside those of published force constants, on average over paths along G-X, X-G and "
        "G-L and over the zone. Springs that reach so far can be no closer along the path than, fitted to the branches "
        f"themselves: {least}. Deviance a bin with published force constants held: {held}. Silicon beside energies of "
        f"a single crystal at the zone centre, X and L (share of them in the 90 % bands): {corners}; "
        "the first-principles force constants themselves "
        f"{result['sets']['si_300k']['corners_of_published_meV']:.2f} meV."
    )
    return f"{said}\n\n{table(HEAD, rows)}"


def draw(result: Result, axes: Axes) -> None:
    """Distances by map and method, the least possible ones as lines."""
    colours = {"direct": "#333333", "network": "#b2182b", "network_and_likelihood": "#2166ac"}
    places = {name: k for k, name in enumerate(result["sets"])}
    for k, (method, words) in enumerate(METHODS.items()):
        found = [(places[name] + 0.2 * (k - 1), one) for name, each, one in _every(result) if each == method]
        x, y = [place for place, _ in found], [one["dispersion_error_meV"] for _, one in found]
        axes.bar(x, y, width=0.18, color=colours[method], label=words)
    seen = [(places[name] + 0.2 * (list(METHODS).index(each) - 1), one) for name, each, one in _every(result)]
    known = [(x, one["corners_meV"]) for x, one in seen if "corners_meV" in one]
    axes.plot(*zip(*known, strict=True), "D", color="#fdae61", mec="k", ms=4, label="Si, beside a crystal at Γ, X, L")
    least = [one["least_error_meV"] for one in result["sets"].values()]
    axes.hlines(least, [k - 0.35 for k in places.values()], [k + 0.35 for k in places.values()], "k", lw=0.8)
    axes.set_xticks(list(places.values()), [name.replace("_", "\n") for name in places])
    axes.set(ylabel="mean distance of branches (meV)")
    axes.legend(frameon=False)


def _every(result: Result) -> Iterator[tuple[str, str, Result]]:
    for name, one in result["sets"].items():
        for method in METHODS:
            if method in one:
                yield name, method, one[method]
