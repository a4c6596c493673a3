"""The benchmarks on measured crystals as tables and figures."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, posterior, table

Result = dict[str, Any]
APART = 90.0
"""Counts between the base lines of two scans."""


def la2nio4(result: Result) -> str:
    """Answer, variations and noise of the slice."""
    heads = ("refitted", "J1, meV", "J2, meV", "deviance per bin")
    rows = [
        (row["name"], *(_pair(row["parameters"].get(name)) for name in ("J1", "J2")), f"{row['deviance_per_bin']:.3f}")
        for row in result["variations"]
    ]
    noise = [
        (f"{row['from_mev']} to {row['to_mev']}", *(number(row[key]) for key in ("mean", "variance", "ratio")))
        for row in result["noise"]
    ]
    parts = (
        _la2nio4_words(result),
        posterior(result),
        "What hangs on what the file does not say; best fits with Cramér–Rao limits:",
        table(heads, rows),
        "Scatter of bins without signal:",
        table(("energies, meV", "mean", "variance", "ratio"), noise),
    )
    return "\n\n".join(parts)


def _la2nio4_words(result: Result) -> str:
    bare = ", ".join(
        f"{name} {value[0]:.2f} [{value[1]:.2f}, {value[2]:.2f}]" for name, value in result["bare"].items()
    )
    edge = ", ".join(f"{number(found['median'])} meV at {q}" for q, found in result["zone_boundary"].items())
    failed = ", ".join(check["name"] for check in result["checks"] if not check["passed"]) or "none"
    return (
        f"Bare constants (meV, 68 %): {bare}. Zone boundary: {edge}. {len(result['basins'])} basin(s); failed checks: "
        f"{failed}. {number(result['seconds'])} s, {number(result['peak_memory_gb'])} GB."
    )


def _pair(value: list[float] | None) -> str:
    return "held" if value is None else f"{value[0]:.2f} ± {value[1]:.2f}"


def draw_la2nio4(result: Result, axes: Axes) -> None:
    """J1 in each variation."""
    rows = [row for row in result["variations"] if "J1" in row["parameters"]]
    for k, row in enumerate(rows):
        value, error = row["parameters"]["J1"]
        axes.errorbar([value], [k], xerr=[error], fmt="o", ms=4, color="#2166ac")
    for value in result["published"]["J1"]:
        axes.axvline(value * result["renormalisation"], color="#b2182b", lw=0.8)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=7)
    axes.set(xlabel="J1 of linear theory (meV); lines: published, renormalised", ylim=(len(rows) - 0.5, -0.5))


def nitio3(result: Result) -> str:
    """Answer beside the two published sets."""
    heads = ("parameter", "median", "68 %", "limit", "published", "refined elsewhere", "unit")
    rows = [
        (
            f"`{row['name']}`",
            number(row["median"]),
            " to ".join(map(number, row["interval68"])),
            number(row["limit"]),
            *(result[key].get(row["name"], "") for key in ("published", "refined")),
            row["unit"],
        )
        for row in result["parameters"]
    ]
    gap, mosaic = result["gap"], result["sample_mosaic"]
    failed = ", ".join(check["name"] for check in result["checks"] if not check["passed"]) or "none"
    said = (
        f"{result['points']} points of triple-axis scans at 1.4 K. Gap at (0 0 3/2): {number(gap['median'])} meV "
        f"[68 %: {number(gap['low'])}, {number(gap['high'])}], published {result['published']['gap']}. "
        f"Mosaic of the sample from rocking curves: {number(mosaic[0])} and {number(mosaic[1])} minutes. "
        f"Deviance per point {number(result['deviance_per_bin'])}: errors are statistical only. "
        f"{len(result['basins'])} basins, of which one has all of the probability; failed checks: {failed}. "
        f"{number(result['seconds'])} s."
    )
    return f"{said}\n\n{table(heads, rows)}"


def draw_nitio3(result: Result, axes: Axes) -> None:
    """Counts and expectation of some scans, one above the other."""
    for k, scan in enumerate(result["scans"]):
        shift, colour = APART * k, f"C{k % 10}"
        axes.plot(scan["energy"], [shift + x for x in scan["counts"]], "o", ms=2.5, mfc="none", color=colour)
        axes.plot(scan["energy"], [shift + x for x in scan["expected"]], lw=1, color=colour)
        place = ", ".join(f"{x + 0.0:g}" for x in scan["q"])
        axes.text(0.52, shift + 12, f"({place})", fontsize=7, color=colour)
    axes.set(xlabel="energy transfer (meV)", ylabel=f"counts per minute of monitor, shifted by {APART:g}")


PCSMO = (
    "The limit is what the frame's own noise leaves to any model with its mirrors: the root of its mean "
    "correlation with its mirror images. Few points lower the correlation by 0.01, at 25 meV by 0.02. The rest is "
    "in data and models: in the 50 meV row the correlation within a window is 0.80 to 0.87 below 23 meV, 0.64 to "
    "0.72 above. There the frame is not alike in h and k (its correlation with its transpose is 0.52 to 0.57, "
    "with its mirror images 0.69 to 0.73), as twins of equal weight make it. The mask that was published with the "
    "frame lies mirrored in each tile: laid without that, 2488 of its 19 311 pixels had intensities and pixels in "
    "gaps between detectors counted as measured zeros, which took 0.02 from the 50 meV row."
)
"""What bounds the correlations, from `benchmarks.pcsmo_frame` and its residuals window by window."""


def pcsmo(result: Result) -> str:
    """Correlation of the simulated with the measured frame, an incident energy a row."""
    few, many = result["samples"]
    heads = ("E_i, meV", "Goodenough", "dimer", f"Goodenough, {many} points", f"dimer, {many} points", "limit")
    heads = (*heads, "Goodenough, hot pixels in", "dimer, hot pixels in", "pixels", "hot")
    keys = ("goodenough_correlation", "dimer_correlation", "goodenough_correlation_dense", "dimer_correlation_dense")
    keys = (*keys, "limit", "goodenough_correlation_all", "dimer_correlation_all")
    columns = [[f"{x:.3f}" for x in result[key]] for key in keys]
    counts = [[str(x) for x in result[key]] for key in ("pixels", "hot_pixels")]
    energies = [number(x) for x in result["incident_energies"]]
    said = (
        f"Published constants of either model, scale and background per incident energy. Set-up "
        f"{number(result['seconds_setup'])} s, {number(result['seconds_per_frame'])} s a frame, "
        f"{number(result['seconds_per_frame_in_batch'])} s a frame in a batch of 100, on {result['threads']} threads, "
        f"with {few} quadrature points a pixel. {PCSMO}"
    )
    return f"{said}\n\n{table(heads, list(zip(energies, *columns, *counts, strict=True)))}"


def draw_pcsmo(result: Result, axes: Axes) -> None:
    """Correlations against the incident energy."""
    energies = result["incident_energies"]
    for model, colour in (("goodenough", "#2166ac"), ("dimer", "#b2182b")):
        axes.plot(energies, result[f"{model}_correlation"], "o-", color=colour, label=f"{model}")
        axes.plot(energies, result[f"{model}_correlation_all"], "o--", mfc="none", color=colour, label="hot pixels in")
    axes.set(xlabel="incident energy (meV)", ylabel="correlation", ylim=(0.4, 1.0))
    axes.legend(frameon=False, fontsize=7, ncols=2)
