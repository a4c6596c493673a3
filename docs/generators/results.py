"""Benchmark results as tables and figures, from the JSON that each benchmark saved; what is not there is left out."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from generators import (
    calibrated,
    causes,
    causes_measured,
    contests,
    crystals,
    latents,
    learning,
    maps,
    matches,
    peaks,
    powder,
    predict,
    springs,
    steering,
)
from generators.tables import number, posterior, table

Result = dict[str, Any]


@dataclass(frozen=True)
class Drawing:
    """How the result of one benchmark is shown: its title, its tables, and its figure."""

    title: str
    tables: Callable[[Result], str]
    draw: Callable[[Result, Axes], None]
    size: tuple[float, float] = (6.0, 3.4)
    made: str = ""
    """The command, where it is not that of a module in `benchmarks`."""


def page(results: Path, pictures: Path) -> str:
    """A section for each result, known ones first drawn, others as a list of their numbers."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))}
    order = [name for name in DRAWINGS if name in found] + [name for name in found if name not in DRAWINGS]
    return "\n".join(_section(name, found[name], pictures) for name in order) or "No benchmark result is here.\n"


def _section(name: str, result: Result, pictures: Path) -> str:
    drawing = DRAWINGS.get(name, Drawing(f"Benchmark `{name}`", flat, _nothing))
    parts = [f"## {drawing.title}", _provenance(drawing.made or f"python -m benchmarks.{name}", result)]
    try:
        parts.append(drawing.tables(result))
        parts.append(_picture(name, drawing, result, pictures))
    except (KeyError, TypeError, IndexError, ValueError):  # a result of another version: its numbers without a drawing
        parts.append(flat(result))
    return "\n\n".join(part for part in parts if part) + "\n"


def _provenance(command: str, result: Result) -> str:
    record = result.get("record", {})
    versions = ", ".join(f"{key} {value}" for key, value in record.get("versions", {}).items())
    seeds = ", ".join(f"{key} {value}" for key, value in record.get("seeds", {}).items())
    words = [f"`{command}`", record.get("created", "")[:10]]
    words += [record.get("machine", ""), result.get("processor", "")]
    words += [versions, f"seeds: {seeds}" if seeds else "", "**quick run**" if result.get("quick") else ""]
    return "Made by " + "; ".join(word for word in words if word) + ". " + result.get("remark", "")


def _picture(name: str, drawing: Drawing, result: Result, pictures: Path) -> str:
    if drawing.draw is _nothing:
        return ""
    figure = Figure(figsize=drawing.size, layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    drawing.draw(result, figure.add_subplot())
    figure.savefig(pictures / f"{name}.png")
    return f"![{drawing.title}](generated/{name}.png)"


def _nothing(result: Result, axes: Axes) -> None:
    del result, axes


def flat(result: Result) -> str:
    """Every number of a result beside its dotted name; rows of single runs are left out."""
    return table(("quantity", "value"), [(f"`{key}`", value) for key, value in _leaves(result, "") if key])


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if (place, key) not in {("", "record"), ("", "rows"), ("", "benchmark")}:
                yield from _leaves(inner, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for k, inner in enumerate(value):
            yield from _leaves(inner, f"{place}.{inner.get('name', k) if isinstance(inner, dict) else k}")
    else:
        yield place, _in_words(value)


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _references(result: Result) -> str:
    heads = ("file", "case", "energy, meV", "intensity, of the largest", "left out")
    rows = [
        (f"`{row['file']}`", row["case"], f"{row['energy_mev']:.1e}", _share(row), row["left_out"])
        for row in result["rows"]
    ]
    return f"Largest deviations; intensities are summed over modes of one energy.\n\n{table(heads, rows)}"


def _share(row: Result) -> str:
    share = row["intensity_of_largest"]
    return "-" if share is None else f"{share:.1e}"


SPEED_COLUMNS = (
    "*ours*: a solver made from the model, and its call without gradients (compiled). *call*: the call alone, with "
    "what does not depend on the parameters kept. *differentiable*: the same with gradients enabled, forward only. "
    "*gradient*: the differentiable call and one backward pass."
)


def _speed(result: Result) -> str:
    keys = ("pyspinw_us", "ours_us", "call_us", "differentiable_us", "differentiable_call_us", "gradient_us")
    heads = ("case", "sublattices", "structure", *(key[:-3].replace("_", " ") for key in keys), "ratio", "energy")
    rows = [
        (f"`{row['case']}`", row["sublattices"], row["structure"], *(number(row[key]) for key in keys), *_compared(row))
        for row in result["rows"]
    ]
    said = f"Unit: {result['unit']}; *ratio* is pyspinw over *ours*; *energy* is the largest difference in meV."
    return f"{said}\n\n{SPEED_COLUMNS}\n\n{table(heads, rows)}\n\n{_more_speed(result)}"


def _compared(row: Result) -> tuple[str, str]:
    return number(row["ratio"]), f"{row['largest_energy_difference']:.1e}"


def _more_speed(result: Result) -> str:
    lines = [
        f"- Many Hamiltonians, `{row['case']}`: {row['hamiltonians']} of them at {row['q']} wavevectors, "
        f"{number(row['ours_ms'])} ms a spectrum, {number(row['ratio'])} times faster than pyspinw."
        for row in result["training"]
    ]
    lines += [
        f"- A broadened spectrum of `{row['case']}` and its derivatives: {number(row['ratio'])} times the broadened "
        "spectrum alone (compiled)."
        for row in result["gradient"]
    ]
    lines.append(f"- Two threads against one, 16 sublattices: {number(result['threads']['ratio'])} times faster.")
    if memory := result["memory"]:
        lines.append(f"- {memory['q']} wavevectors of 16 sublattices: {number(memory['resident_gb'])} GB resident.")
    return "\n".join(lines)


def _draw_speed(result: Result, axes: Axes) -> None:
    rows = sorted(result["rows"], key=lambda row: (row["sublattices"], row["pyspinw_us"]))
    ticks = range(len(rows))
    for key, mark, colour in (
        ("pyspinw_us", "s", "#b2182b"),
        ("differentiable_us", "^", "#92c5de"),
        ("ours_us", "o", "#2166ac"),
    ):
        label = {"ours_us": "Sqwirrel", "differentiable_us": "Sqwirrel, differentiable"}.get(key, "pyspinw")
        axes.plot(ticks, [row[key] for row in rows], mark, color=colour, label=label)
    axes.set_yscale("log")
    axes.set_xticks(ticks, [f"{row['case']}\n{row['sublattices']}" for row in rows])
    axes.set(xlabel="case and number of sublattices", ylabel="µs per q (one thread)")
    axes.legend(frameon=False)


def _large(result: Result) -> str:
    heads = ("structure", "sublattices", "operators", "Lanczos", "all modes", "pyspinw", "ratio", "error")
    rows = [
        (
            *(row[key] for key in ("structure", "sublattices", "operators")),
            *(number(row[key]) if key in row else "" for key in ("lanczos_us", "exact_us", "pyspinw_us", "ratio")),
            f"{row['error']:.1e}",
        )
        for row in result["rows"]
    ]
    said = (
        f"Unit: {result['unit']}; *Lanczos* for a resolution of {100 * result['width']:g} % of the highest energy, "
        "*all modes* by the compiled path; *ratio* is of these two; *error* is the largest difference of their "
        "broadened spectra, relative to the largest value at a wavevector. Error 0: all modes were found here, too."
    )
    return f"{said}\n\n{table(heads, rows)}"


def _draw_large(result: Result, axes: Axes) -> None:
    for key, colour, label in (
        ("pyspinw_us", "#b2182b", "pyspinw"),
        ("exact_us", "#92c5de", "all modes"),
        ("lanczos_us", "#2166ac", "Lanczos"),
    ):
        for structure, line in (("collinear", "o--"), ("general", "o-")):
            rows = [row for row in result["rows"] if row["structure"] == structure and key in row]
            points = [row["sublattices"] for row in rows], [row[key] for row in rows]
            axes.plot(*points, line, color=colour, label=label if line == "o-" else None)
    axes.set(xscale="log", yscale="log", xlabel="sublattices (dashed: collinear)", ylabel="µs per q (one thread)")
    sizes = sorted({row["sublattices"] for row in result["rows"]})
    axes.set_xticks(sizes, labels=[str(size) for size in sizes])
    axes.set_xticks([], minor=True)
    axes.legend(frameon=False)


def _coverage(result: Result) -> str:
    rows = [
        (
            f"`{row['name']}`",
            *(f"{row['coverage'][level]:.3f}" for level in ("68", "90")),
            number(row["rho"]),
            number(row["median_error_over_limit"]),
        )
        for row in result["parameters"]
    ]
    heads = ("parameter", "truths in 68 %", "truths in 90 %", "rms error / rms limit", "median error / limit")
    failed = ", ".join(f"{name} {count}" for name, count in result["failed_checks"].items()) or "none"
    head = f"{result['spectra']} spectra, {number(result['seconds_per_spectrum'])} s each; failed checks: {failed}."
    said = (
        "*limit* is the Cramér–Rao bound; the last column is 1 for a normal error at the limit. "
        "Bands in the figure: one binomial standard deviation round the nominal share."
    )
    return f"{head} {said}\n\n{table(heads, rows)}"


def _draw_coverage(result: Result, axes: Axes) -> None:
    names, n = [p["name"] for p in result["parameters"]], result["spectra"]
    for level, colour in (("68", "#2166ac"), ("90", "#b2182b")):
        p = int(level) / 100
        half = (p * (1 - p) / n) ** 0.5
        axes.axhspan(p - half, p + half, color=colour, alpha=0.15, lw=0)
        shares = [row["coverage"][level] for row in result["parameters"]]
        axes.plot(shares, "o", color=colour, ms=4, label=f"{level} % interval")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    axes.set(ylabel="share of truths inside", ylim=(0, 1.02))
    axes.legend(frameon=False, loc="lower right")


def _mnf2(result: Result) -> str:
    return f"{_mnf2_words(result)}\n\n{posterior(result)}"


def _mnf2_words(result: Result) -> str:
    (top, gap), starts = (result[key] for key in ("band_top", "gap")), result["random_starts"]
    failed = ", ".join(check["name"] for check in result["checks"] if not check["passed"]) or "none"
    per_bin = next(check["value"] for check in result["checks"] if check["name"] == "deviance_per_bin")
    return (
        f"Highest mode at (1/2 1/2 1/2): {number(top['median'])} meV "
        f"[68 %: {number(top['low'])}, {number(top['high'])}], published {result['published']['band_top'][0]}; "
        f"gap at (1 0 0): {number(gap['median'])} meV. Deviance per bin {number(per_bin)}; failed checks: {failed}. "
        f"{starts[0]['starts']} of {sum(o['starts'] for o in starts)} prior draws that nobody selected end in the best "
        f"basin. {number(result['seconds'])} s, {number(result['peak_memory_gb'])} GB."
    )


def _draw_mnf2(result: Result, axes: Axes) -> None:
    rows = [row for row in result["parameters"] if row["name"] in ("J1", "J2", "J3", "D")]
    for k, row in enumerate(rows):
        for interval, width in (("interval95", 2.0), ("interval68", 5.0)):
            axes.plot([end - row["median"] for end in row[interval]], [k, k], color="#2166ac", lw=width)
        known = result["published"].get(row["name"], [])
        axes.plot([value - row["median"] for value in known], [k] * len(known), "x", color="#b2182b")
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.axvline(0, color="#333333", lw=0.6)
    axes.set(
        xlabel="difference from the median (meV); bars 68 and 95 %, crosses published", ylim=(len(rows) - 0.5, -0.5)
    )


def _quadrature(result: Result) -> str:
    said = (
        f"How far other quadrature points move the best fit, in standard deviations of each parameter (over "
        f"{result['sets']} sets of points, root mean square over {result['truths']} simulated spectra)."
    )
    rows = [(kind, *(f"{x:.2f}" for x in shift)) for kind, shift in result["shift"].items()]
    return f"{said}\n\n{table(('points a cell', *(f'`{name}`' for name in result['names'])), rows)}"


def _hostile(result: Result) -> str:
    rows = [(name, row["n"], row["read"], row["refused"]) for name, row in result["by_format"].items()]
    said = (
        f"{result['n']} files: {result['tracebacks']} ended in anything but a spectrum or one sentence, "
        f"{result['hangs']} took more than 5 s, peak of the resident memory {result['peak_mb']} MB. A file that is "
        "damaged where nothing can tell, in a measured number, is read."
    )
    return f"{said}\n\n{table(('format', 'files', 'read', 'refused'), rows)}"


DRAWINGS = {
    "references": Drawing(
        "Published spectra of other programs",
        _references,
        _nothing,
        made="pytest tests/reference --deviations benchmarks/results/references.json",
    ),
    "mnf2": Drawing("MnF2 powder map", _mnf2, _draw_mnf2, (6.0, 2.6)),
    "la2nio4": Drawing("La2NiO4 single-crystal slice", crystals.la2nio4, crystals.draw_la2nio4, (6.0, 3.4)),
    "nitio3": Drawing("NiTiO3 triple-axis scans", crystals.nitio3, crystals.draw_nitio3, (6.4, 5.0)),
    "pcsmo_frame": Drawing("PCSMO frame, nothing fitted", crystals.pcsmo, crystals.draw_pcsmo, (5.0, 3.0)),
    "pcsmo_discrimination": Drawing("Which model of PCSMO: networks", contests.told, contests.draw_told, (4.6, 3.6)),
    "pcsmo_evidence": Drawing("Which model of PCSMO: evidence", contests.weighed, _nothing),
    "pcsmo_cleaned": Drawing(
        "Cleaned frames of PCSMO",
        contests.cleaned,
        _nothing,
        made="python -m benchmarks.pcsmo_cleaned --minutes 8 --posterior raw linear autoencoder restored translator",
    ),
    "attribution": Drawing("Where networks for PCSMO look", contests.looked, _nothing),
    "bi2fe4o9": Drawing("Bi2Fe4O9 powder maps and peaks together", maps.tables, maps.draw, (6.0, 3.4)),
    "mnf2_coverage": Drawing("Coverage on simulated MnF2-like measurements", _coverage, _draw_coverage, (6.0, 3.8)),
    "rb2mnf4_posterior": Drawing("Networks on Rb2MnF4-like spectra", learning.tables, learning.draw),
    "la2nio4_thinned": Drawing("La2NiO4 thinned to few counts", calibrated.thinned, calibrated.draw_thinned),
    "pcsmo_posterior": Drawing(
        "Six parameters, twins and phonons: PCSMO-like maps", calibrated.trials, calibrated.draw_trials
    ),
    "misspecification": Drawing("Wrong models of the measurement", calibrated.wrong, _nothing),
    "rb2mnf4_integrated": Drawing(
        "A plain network on energy-integrated maps of Rb2MnF4",
        learning.integrated,
        _nothing,
        made="python -m benchmarks.rb2mnf4_posterior --integrated --spectra 100",
    ),
    "surrogate": Drawing(
        "Emulators against their simulators",
        learning.surrogate,
        _nothing,
        made="python -m benchmarks.surrogate --cases map powder pcsmo",
    ),
    "causal": Drawing("Causal maps of systems with known causes", causes.tables, causes.draw, (6.4, 4.0)),
    "causal_measured": Drawing(
        "Causal maps of measured spectra", causes_measured.tables, causes_measured.draw, (4.4, 3.6)
    ),
    "causal_saliency": Drawing("The causal graph against saliency", causes_measured.saliency, _nothing),
    "causal_predict": Drawing("Networks on causal regions, hidden nuisances", predict.tables, predict.draw, (7.0, 4.0)),
    "steering": Drawing("A triple-axis spectrometer steered in silico", steering.tables, steering.draw, (6.4, 4.0)),
    "phonon_latents": Drawing("Latents of powder phonon maps", latents.tables, latents.draw, (5.6, 3.6)),
    "match": Drawing(
        "Translators of maps against a known truth",
        matches.tables,
        matches.draw,
        (6.0, 3.0),
        made="python -m benchmarks.match --minutes 50 --kinds instrument",
    ),
    "match_kinds": Drawing(
        "The same for all kinds of translators, four minutes of training each",
        matches.tables,
        _nothing,
        made="python -m benchmarks.match --minutes 4",
    ),
    "match_varied": Drawing(
        "The same, with a background of its own in every map",
        matches.tables,
        _nothing,
        made="python -m benchmarks.match --varied --kinds instrument",
    ),
    "match_routes": Drawing(
        "From maps with artefacts to constants and a verdict, route by route",
        matches.routes,
        matches.draw_routes,
        (6.0, 3.0),
        made="python -m benchmarks.match_routes --minutes 50 --likelihood 30",
    ),
    "match_domain": Drawing("What a translator refuses", matches.domain, _nothing),
    "match_techniques": Drawing(
        "Translators of other kinds of images",
        matches.techniques,
        _nothing,
        made="python -m benchmarks.match_techniques --minutes 3",
    ),
    "match_measured": Drawing("Translators of maps that were left out", matches.measured, _nothing),
    "quadrature": Drawing("Noise of the powder average on MnF2", _quadrature, _nothing),
    "phonon_powder": Drawing("Powder maps of phonons against Euphonic", powder.tables, powder.draw),
    "phonon_measured": Drawing("Force constants from measured powder maps", springs.tables, springs.draw, (6.4, 3.4)),
    "peak_tables": Drawing("Measured tables of peaks", peaks.tables, peaks.draw, (5.0, 4.4)),
    "spinwave": Drawing("Speed of spin waves against pyspinw", _speed, _draw_speed),
    "large_cells": Drawing("Speed of large disordered cells", _large, _draw_large),
    "hostile_files": Drawing("Damaged and malicious files", _hostile, _nothing),
}
"""Results that are drawn, in the order of the page."""
