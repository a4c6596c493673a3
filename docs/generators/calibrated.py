"""Benchmarks of calibration: many simulated or thinned measurements, right or wrong models, as tables and figures."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]


def trials(result: Result) -> str:
    """Error over the limit and coverage, parameter by parameter."""
    levels = list(result["coverage"])
    rows = [
        (f"`{name}`", number(result["rho"][k]), *(f"{100 * result['coverage'][level][k]:.1f}" for level in levels))
        for k, name in enumerate(result["names"])
    ]
    failed = ", ".join(f"{name} {count}" for name, count in result["failed_checks"].items()) or "none"
    said = (
        f"{result['n']} simulated maps that nothing was tuned on; {whole(result)}wrong basin "
        f"{100 * result['wrong_basin']:.1f} %, effective draws {100 * result['ess']:.0f} %, median "
        f"{number(result['seconds'])} s on {result['threads']} core. Failed checks, of all maps: {failed}."
    )
    return f"{said}\n\n{table(('parameter', 'rho', *(f'in {level} %' for level in levels)), rows)}"


def whole(result: Result) -> str:
    """R and what posteriors expect of it; nothing for results from before, when R was measured in other coordinates."""
    if "R_expected" not in result:
        return ""
    return f"R = {result['R']:.3f} ± {result['R_error']:.3f} (the posteriors expect {result['R_expected']:.3f}), "


def draw_trials(result: Result, axes: Axes) -> None:
    """Coverage less its level, every parameter a line."""
    levels = [float(level) for level in result["coverage"]]
    for k, name in enumerate(result["names"]):
        away = [100 * result["coverage"][f"{level:g}"][k] - level for level in levels]
        axes.plot(levels, away, "os"[k // 10] + "-", ms=3, lw=0.8, color=f"C{k % 10}", label=name)
    axes.axhline(0, color="#333333", lw=0.6)
    noise = [100 * (level / 100 * (1 - level / 100) / result["n"]) ** 0.5 for level in levels]
    axes.fill_between(levels, [-2 * x for x in noise], [2 * x for x in noise], color="#dddddd", lw=0, zorder=0)
    axes.set(xlabel="interval (%)", ylabel="truths inside, less interval (points)")
    axes.set_title("grey: two standard deviations of chance", fontsize=8)
    axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


def thinned(result: Result) -> str:
    """A row for each level of counts."""
    heads = (
        "counts round",
        "counts",
        "right basin",
        "rho J, J'",
        "bias over limit",
        "limit, meV",
        "90 % intervals hold, J, J'",
        "widened",
        "seconds",
    )
    rows = [
        (
            law,
            f"{row['counts']}",
            f"{100 * row['right_basin']:.1f} %",
            ", ".join(number(x) for x in row["rho"]),
            ", ".join(f"{x:.2f}" for x in row["bias"]),
            ", ".join(number(x) for x in row["limit"].values()),
            *(shares(row[name]) for name in ("coverage_90", "coverage_90_widened")),
            number(row["seconds"]),
        )
        for law, level in (("the data", "levels"), ("the model", "control"))
        for row in result[level]
    ]
    best, n, control = result["whole"], result["levels"][0]["redraws"], result["control"][0]["redraws"]
    said = (
        f"{n} redraws a level round the measured intensities, {control} round those of the model, against the answer "
        f"of the whole data with the same model (J = {best['J1']:.2f}, J' = {best['J2']:.2f} meV; "
        f"{result['remark']}). A share of 90 % is known to {30 / n**0.5:.1f} points, of the model's to "
        f"{30 / control**0.5:.1f}. The model is not quite what was measured: to first order, of many "
        f"counts round the data, 90 % intervals as wide as the likelihood hold {shares(result['expected'])}. Widened "
        "ones have the scatter of the residuals (`Posterior.widened`). "
        "The published network ends in a wrong basin up to 12 000 counts."
    )
    return f"{said}\n\n{table(heads, rows)}"


def shares(every: list[float]) -> str:
    """In per cent."""
    return ", ".join(f"{100 * x:.1f} %" for x in every)


def draw_thinned(result: Result, axes: Axes) -> None:
    """Root mean square error against counts, and the limit."""
    counts = [row["counts"] for row in result["levels"]]
    for name, colour, label in (("J1", "#2166ac", "J"), ("J2", "#b2182b", "J'")):
        found = [row["rmse"][name] for row in result["levels"]]
        noise = [x / (2 * row["redraws"]) ** 0.5 for x, row in zip(found, result["levels"], strict=True)]
        axes.errorbar(counts, found, noise, fmt="o", ms=3, capsize=2, color=colour, label=label)
        axes.loglog(counts, [row["limit"][name] for row in result["levels"]], "-", lw=0.8, color=colour)
    axes.set(xscale="log", yscale="log", xlabel="counts", ylabel="error (points) and its limit (lines), meV")
    for axis, ticks in ((axes.xaxis, counts), (axes.yaxis, (0.15, 0.2, 0.3, 0.5, 0.7, 1.0))):
        axis.set_ticks(ticks, [f"{each:g}" for each in ticks])
        axis.set_ticks([], minor=True)
    axes.legend(frameon=False)


def wrong(result: Result) -> str:
    """Alarm and coverage of every way to be wrong."""
    heads = (
        "magnetic counts",
        "wrong in",
        "AUROC",
        "alarm rings",
        "no answer",
        "90 % intervals hold",
        "widened",
        "where silent",
        "rms pull",
    )
    rows = [
        (
            level.removesuffix(" counts"),
            kind,
            f"{each['auroc']:.2f}",
            f"{100 * each['rings']:.0f} %",
            f"{100 * each['abstains']:.0f} %",
            f"{100 * each['coverage_90']:.0f} %",
            f"{100 * each['coverage_90_widened']:.0f} %",
            "" if each["coverage_90_silent"] is None else f"{100 * each['coverage_90_silent']:.0f} %",
            f"{each['rms_pull']:.1f}",
        )
        for level, kinds in result["levels"].items()
        for kind, each in kinds.items()
    ]
    said = (
        f"{result['n']} maps of every kind and level. The alarm rings if `predictive`, `held` or `residual_structure` "
        "fails; AUROC is that of the largest of them against maps of the right model."
    )
    return f"{said}\n\n{table(heads, rows)}"
