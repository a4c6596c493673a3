"""The benchmark of trained networks as a table and a figure."""

from statistics import median
from typing import Any

from matplotlib.axes import Axes

from generators.calibrated import whole
from generators.tables import number, table

Result = dict[str, Any]
MARKERS = "osv^D<>"
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
        f"posterior. {whole(result)}wrong basin {100 * result['wrong_basin']:.2f} %, effective draws "
        f"{100 * result['ess']:.0f} %. Failed checks, of all spectra: {failed}. Simulated at the "
        f"literature's J1 = 0.657, J2 = 0.006 meV (a published network: 0.676, 0.014): {answers} meV."
    )
    return f"{said}\n\n{table(heads, rows)}"


def integrated(result: Result) -> str:
    """Errors of a plain CNN over the limit of energy-integrated maps, and the answers where the literature is right."""
    rows = [
        (
            f"`{name}`",
            *(number(result[key][k]) for key in ("rho", "rmse", "limit", "prior_sd", "median_error_over_limit")),
        )
        for k, name in enumerate(result["names"])
    ]
    there = result["literature"]
    cnn, own = there["cnn"], there["infer"]
    answers = "; ".join(
        f"{name}: CNN {cnn[name]:.4f}, `infer` {own[name]['median']:.4f} [{own[name]['interval68'][0]:.4f}, "
        f"{own[name]['interval68'][1]:.4f}], limit {there['limit'][name]:.4f}"
        for name in ("J1", "J2", "D")
    )
    said = (
        f"A plain CNN ({result['weights']} weights, {result['minutes']:.1f} minutes, {result['simulations']} "
        f"simulations) on {result['n']} simulated maps of (h, k) integrated from 1 to 8 meV; the limit is that of "
        "these maps and of the width of the prior. Simulated at J1 = 0.657, J2 = 0.006, D = -0.00615 meV (the "
        f"published network, on a measurement: 0.676, 0.014): {answers}."
    )
    heads = ("parameter", "rho", "rms error", "rms limit", "sd of prior", "median of |error| / limit")
    return f"{said}\n\n{table(heads, rows)}"


def surrogate(result: Result) -> str:
    """Error, speed and bias of emulators."""
    cases = {name: each for name, each in result.items() if isinstance(each, dict) and "fresh_error" in each}
    heads = ("quantity", *cases)
    shown = {
        "simulations": lambda case: str(case["simulations"]),
        "cutting and training (s)": lambda case: number(case["seconds"]["cutting and training"]),
        "error it states (rms, 99 %; noise a bin)": lambda case: ", ".join(map(number, case["stated_error"])),
        "error on fresh spectra (rms, median, 99 %)": lambda case: ", ".join(map(number, case["fresh_error"].values())),
        "ms a spectrum, simulator and emulator": lambda case: _both(case["milliseconds"], "spectrum"),
        "the same with derivatives": lambda case: _both(case["milliseconds"], "with derivatives"),
        "best fit of the bare emulator (rms, largest; sd)": lambda case: _shift(case["posteriors"], "bare_shift"),
        "median of `infer` (rms, largest; sd)": lambda case: _shift(case["posteriors"], "shift"),
        "`emulation` failed": lambda case: _failed(case["posteriors"]),
        "s of `infer`, simulator and emulator (median)": lambda case: _seconds(case["posteriors"]),
    }
    return table(heads, [(name, *(show(case) for case in cases.values())) for name, show in shown.items()])


def _both(case: Result, key: str) -> str:
    return ", ".join(number(case[name][key]) for name in ("simulator", "emulator"))


def _shift(posteriors: list[Result], key: str) -> str:
    if not posteriors:
        return ""
    every = [abs(x) for each in posteriors for x in each[key]]
    return f"{number((sum(x * x for x in every) / len(every)) ** 0.5)}, {number(max(every))}"


def _failed(posteriors: list[Result]) -> str:
    if not posteriors:
        return ""
    return f"{sum('emulation' in each['failed']['emulator'] for each in posteriors)} of {len(posteriors)}"


def _seconds(posteriors: list[Result]) -> str:
    if not posteriors:
        return ""
    return ", ".join(number(median(each["seconds"][name] for each in posteriors)) for name in ("simulator", "emulator"))


def _covered(each: Result, levels: list[str], k: int) -> list[str]:
    return [f"{100 * each['coverage'][level][k]:.1f}" if "coverage" in each else "" for level in levels]


def draw(result: Result, axes: Axes) -> None:
    """Coverage less its level, every parameter a line with its own marker."""
    levels = [float(level) for level in result["coverage"]]
    for k, name in enumerate(result["names"]):
        axes.plot([], [], MARKERS[k], ms=3, color="#333333", label=name)
    for name, each in {"infer": result, **result["methods"]}.items():
        for k in range(len(result["names"]) if "coverage" in each else 0):
            away = [100 * each["coverage"][f"{level:g}"][k] - level for level in levels]
            axes.plot(levels, away, f"{MARKERS[k]}-", ms=3, lw=0.8, color=COLOURS[name], label=name if k == 0 else None)
    axes.axhline(0, color="#333333", lw=0.6)
    axes.set(xlabel="interval (%)", ylabel="truths inside, less interval (points)")
    axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
