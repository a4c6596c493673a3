"""The benchmark of trained networks as a table and a figure."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]
COLOURS = {"infer": "#2166ac", "flow": "#b2182b", "ensemble": "#1b7837"}


def tables(result: Result) -> str:
    """Errors over the limit and coverage of each method, and the answer where the literature is right."""
    levels = list(result["coverage"])
    heads = ("parameter", "method", "rho", *(f"in {level} %" for level in levels))
    methods = {"infer": result, **result["methods"]}
    rows = [
        (f"`{parameter}`", name, number(each["rho"][k]), *_covered(each, levels, k))
        for k, parameter in enumerate(result["names"])
        for name, each in methods.items()
    ]
    found = result["literature"]["found"]
    answers = ", ".join(
        f"{name} {row['median']:.4f} [{row['interval68'][0]:.4f}, {row['interval68'][1]:.4f}]"
        for name, row in found.items()
        if name in ("J1", "J2", "D")
    )
    failed = ", ".join(f"{name} {count}" for name, count in result["failed_checks"].items()) or "none"
    said = (
        f"{result['n']} simulated spectra that nothing was tuned on; {result['simulations']} training simulations, "
        f"{result['training_minutes']:.1f} minutes of training, median {number(result['seconds'])} s from spectrum to "
        f"posterior. R = {result['R']:.3f}; wrong basin {100 * result['wrong_basin']:.2f} %, effective draws "
        f"{100 * result['ess']:.0f} %. Failed checks, of all spectra: {failed}. Simulated at the "
        f"literature's J1 = 0.657, J2 = 0.006 meV (a published network: 0.676, 0.014): {answers} meV."
    )
    return f"{said}\n\n{table(heads, rows)}"


def _covered(each: Result, levels: list[str], k: int) -> list[str]:
    return [f"{100 * each['coverage'][level][k]:.1f}" if "coverage" in each else "" for level in levels]


def draw(result: Result, axes: Axes) -> None:
    """Coverage less its level, every parameter a line."""
    levels = [float(level) for level in result["coverage"]]
    for name, each in {"infer": result, **result["methods"]}.items():
        for k in range(len(result["names"]) if "coverage" in each else 0):
            away = [100 * each["coverage"][f"{level:g}"][k] - level for level in levels]
            axes.plot(levels, away, "o-", ms=3, lw=0.8, color=COLOURS[name], label=name if k == 0 else None)
    axes.axhline(0, color="#333333", lw=0.6)
    axes.set(xlabel="interval (%)", ylabel="truths inside, less interval (points)")
    axes.legend(frameon=False)
