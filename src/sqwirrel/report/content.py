"""What a report says, as plain data: the same for the page and for report.json."""

import math
from collections.abc import Sequence
from typing import Any

from sqwirrel.infer import Basin, Posterior, Summary
from sqwirrel.lattice import Lattice
from sqwirrel.model.laws import Distribution, LogUniform, Normal
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.path import PAPER
from sqwirrel.report.axes import corners
from sqwirrel.report.bulk.table import described_bulk
from sqwirrel.report.identified import as_mappings, combinations
from sqwirrel.report.numbers import interval, plain, with_error
from sqwirrel.report.phonons import springs
from sqwirrel.report.result import AnyResult, BulkResult, PeakResult, Result, Whole
from sqwirrel.spectra import Peaks, QGrid, QPath, QPoints, QShells, Spectrum
from sqwirrel.spectra.measurement import Points

MEANING_OF = {
    "deviance_per_bin": "fit",
    "residual_structure": "no structure left",
    "predictive": "residuals like noise",
    "held": "held parameters",
    "seen_before": "like simulations",
    "deviance_per_peak": "fit of the peaks",
    "peaks_explained": "peaks explained",
    "bulk_described": "bulk numbers",
    "bulk_mesh": "mesh of the bulk numbers",
    "complete": "all draws made",
    "pareto_k": "weights",
    "forgotten": "moved draws",
    "emulation": "emulator like the model",
    "effective_draws": "draws",
    "quadrature": "averaging",
    "inside_prior": "inside the prior",
    "identified": "determined by the data",
    "one_basin": "one solution",
    "stable_order": "stable",
}
"""Checks in words."""


FEW = 30
"""Effective draws below which intervals are none."""


def answer(posterior: Posterior) -> dict[str, Any]:
    """The posterior in one object: what `sqwirrel infer --json` prints."""
    return {
        "parameters": parameter_rows(posterior),
        "basins": [_basin(posterior, basin) for basin in posterior.basins],
        "checks": [{"name": c.name, "passed": bool(c.passed), "value": _finite(c.value)} for c in posterior.checks],
        "abstains": posterior.abstains,
        "misfits": posterior.misfits,
        "deviance_per_bin": _finite(posterior.deviance_per_bin),
        "log_evidence": _finite(posterior.log_evidence),
        "seconds": posterior.seconds,
    }


def content(results: Whole | AnyResult | Sequence[AnyResult]) -> dict[str, Any]:
    """Everything on the page but the figures. Of several measurements `measured` is a list, each with its `name`."""
    result = Whole.of(results)
    posterior, model = result.posterior, result.results[0].experiment.model
    record, several = posterior.record, [{"name": each.label, **measured(each)} for each in result.results]
    return {
        "material": model.title,
        "model": model.name,
        "verdict": verdict(posterior, result.model_names),
        "measured": several if several[0]["name"] else measured(result.results[0]),
        **answer(posterior),
        "parameters": [_row(result, row) for row in posterior.summary()],
        "fixed": result.prior.fixed,
        "checks": [
            {
                "name": c.name,
                "words": in_check_words(c.name),
                "passed": bool(c.passed),
                "value": _finite(c.value),
                "meaning": c.meaning,
            }
            for c in sorted(posterior.checks, key=lambda check: check.passed)
        ],
        "identified": as_mappings(combinations(result)),
        **({"springs": springs.as_mapping(springs.look(model))} if isinstance(model, PhononModel) else {}),
        "draws": len(posterior.draws),
        "record": {
            "created": record.created,
            "machine": record.machine,
            "versions": dict(sorted(record.versions.items())),
            "seeds": dict(sorted(record.seeds.items())),
            "files": dict(sorted(record.files.items())),
            "seconds": dict(sorted(record.seconds.items())),
        },
        "papers": list(dict.fromkeys((*record.papers, *([PAPER] if isinstance(model, PhononModel) else [])))),
    }


def verdict(posterior: Posterior, names: tuple[str, ...]) -> str:
    """One sentence: the answer, or first what is wrong with it."""
    rows = [row for row in posterior.summary() if row.name in names] or posterior.summary()
    values = ", ".join(f"{row.name} = {_value(row)}" for row in rows)
    failed = [in_check_words(check.name) for check in posterior.checks if not check.passed]
    count = len(posterior.checks)
    if posterior.abstains:
        return (
            f"No answer: the model does not describe these data ({', '.join(failed)}). The best it can do, with errors "
            f"that do not cover the misfit: {values}."
        )
    if failed:
        only = "; the errors are statistical and do not cover the misfit" if posterior.misfits else ""
        said = f"{len(failed)} of {count} checks failed ({', '.join(failed)}); with that in mind: {values}{only}."
        return f"{said} {few_draws(posterior)}".strip()
    return f"{values}; all {count} checks passed."


def few_draws(posterior: Posterior) -> str:
    """What intervals of few effective draws are worth; nothing if there are enough."""
    few = [check.value for check in posterior.checks if check.name == "effective_draws" and check.value < FEW]
    return f"Intervals rest on {few[0]:.0f} effective draws, and are none: ask for more ([infer] draws)." if few else ""


def in_check_words(name: str) -> str:
    """A check in words, with the measurement that it is of in brackets."""
    known = _asked(name)
    words, label = MEANING_OF.get(known, known), name[len(known) + 1 :]
    return f"{words} ({label})" if label else words


def _asked(name: str) -> str:
    """The question of a check, without the label of a measurement."""
    return next((known for known in MEANING_OF if name == known or name.startswith(f"{known}_")), name)


def measured(result: AnyResult) -> dict[str, Any]:
    """What was measured, and which part of it was used."""
    files = result.posterior.record.files
    if isinstance(result, BulkResult):
        return described_bulk(result)
    said = described_peaks(result.peaks) if isinstance(result, PeakResult) else described(result.spectrum)
    return {
        "file": result.file,
        "sha256": files.get(result.file, ""),
        **said,
        **_under(result),
        "instrument": dict(result.told) if isinstance(result, Result) else {},
        "used": {
            key: value for key, value in result.used.items() if key not in {"temperature", "field", "incident_energy"}
        },
    }


def _under(result: AnyResult) -> dict[str, bool]:
    """Whether what several phonons scatter is in the model; nothing is said of models that have none."""
    if not isinstance(result, Result) or not isinstance(result.experiment.model, PhononModel):
        return {}
    return {"multiphonon": result.experiment.instrument.multiphonon}


def described(spectrum: Spectrum) -> dict[str, Any]:
    """A spectrum in numbers: kind, ranges, conditions, counts, how many bins are unmeasured, zero or without error."""
    measurement, valid = spectrum.measurement, spectrum.valid
    return {
        **_where(measurement.points),
        "energy_range": list(measurement.range),
        "bins": list(measurement.shape),
        "temperature": measurement.temperature,
        "field": measurement.field.tolist(),
        "incident_energy": measurement.incident_energy,
        "final_energy": measurement.final_energy,
        "intensity": "counts" if spectrum.is_counts else "reduced, arbitrary units",
        **({"translated": f"to {spectrum.translated}: not measured"} if spectrum.translated else {}),
        "bins_measured": int(valid.sum()),
        "bins_unmeasured": int((~valid).sum()),
        "bins_zero": int((valid & (spectrum.intensity == 0)).sum()),
        "bins_without_error": int((valid & (spectrum.error == 0)).sum()),
    }


def described_peaks(peaks: Peaks) -> dict[str, Any]:
    """A table of peaks in numbers: how many at how many wavevectors, ranges, conditions."""
    return {
        "kind": "peaks of modes in a single crystal",
        "peaks": len(peaks),
        "wavevectors": len(set(map(tuple, peaks.q.tolist()))),
        "energy_range": [float(peaks.energy.min()), float(peaks.energy.max())],
        "error_range": [float(peaks.error.min()), float(peaks.error.max())],
        "found_by_scans_of_q": int((peaks.q_error != 0).any(-1).any(-1).sum()),
        "temperature": peaks.temperature,
        "field": peaks.field.tolist(),
        **_cell(peaks.lattice),
    }


def _where(points: Points) -> dict[str, Any]:
    match points:
        case QShells(edges):
            return {"kind": "powder map of |Q| and energy", "q_range": [float(edges[0]), float(edges[-1])]}
        case QPath():
            return {"kind": "path through a single crystal", "corners": list(corners(points))}
        case QGrid(lattice, axes, edges, origin, beam):
            where = {"axes": axes.tolist(), "axis_ranges": [[float(each[0]), float(each[-1])] for each in edges]}
            moved = {"origin": origin.tolist()} if bool(origin.any()) else {}
            held = {} if beam is None else {"beam": beam.direction.tolist()}
            kind = {"kind": "grid in a single crystal", "grid": list(points.shape)}
            return {**kind, **where, **moved, **held, **_cell(lattice)}
        case QPoints(lattice, _, scan):
            return {"kind": "points of scans in a single crystal", "scans": len(set(scan.tolist())), **_cell(lattice)}


def _cell(lattice: Lattice) -> dict[str, Any]:
    return {"cell": [lattice.a, lattice.b, lattice.c, lattice.alpha, lattice.beta, lattice.gamma]}


def parameter_rows(posterior: Posterior) -> list[dict[str, Any]]:
    """The parameters of `answer`."""
    return [_parameter(row) for row in posterior.summary()]


def _parameter(row: Summary) -> dict[str, Any]:
    return {
        "name": row.name,
        "unit": row.unit,
        "median": row.median,
        "interval68": list(row.interval68),
        "interval95": list(row.interval95),
        "limit": _finite(row.limit),
        "widening": _finite(row.widening),
    }


def _row(result: Whole, row: Summary) -> dict[str, Any]:
    """A parameter with its role, its prior in words, and how far from the truth it is, if that is known."""
    role = "model" if row.name in result.model_names else "nuisance"
    known = {**_parameter(row), "role": role, "prior": prior_in_words(result.prior.free[row.name])}
    if row.name not in result.truth:
        return known
    truth, sd = result.truth[row.name], _sd(row)
    return known | {"truth": truth, "pull": (row.median - truth) / sd if sd > 0 else None}


def prior_in_words(distribution: Distribution) -> str:
    """A distribution in a table: its kind and its numbers."""
    if isinstance(distribution, Normal):
        return f"normal {plain(distribution.mean)} ± {plain(distribution.sd)}"
    kind = "log-uniform" if isinstance(distribution, LogUniform) else "uniform"
    return f"{kind} {plain(distribution.bounds[0])} to {plain(distribution.bounds[1])}"


def in_words(row: dict[str, Any]) -> dict[str, str]:
    """A parameter of `content` as a table shows it."""
    lo, hi = row["interval68"]
    sd = (hi - lo) / 2
    shown = {
        "name": row["name"],
        "value": f"{with_error(row['median'], sd)} {row['unit']}".strip(),
        "interval68": interval(lo, hi),
        "interval95": interval(*row["interval95"]),
        "prior": row.get("prior", ""),
        "limit": plain(row["limit"]) if row["limit"] is not None else "none",
        "widening": f"× {row['widening']:.1f}" if row["widening"] is not None else "–",
    }
    if "truth" in row:
        shown["truth"] = with_error(row["truth"], sd).partition("(")[0]
        shown["pull"] = f"{round(row['pull'], 1) + 0.0:+.1f} σ" if row["pull"] is not None else "–"
    return shown


def _value(row: Summary) -> str:
    return f"{with_error(row.median, _sd(row))} {row.unit}".strip()


def _sd(row: Summary) -> float:
    """Half of the 68 % interval."""
    return (row.interval68[1] - row.interval68[0]) / 2


def _basin(posterior: Posterior, basin: Basin) -> dict[str, Any]:
    return {
        "parameters": dict(zip(posterior.names, basin.theta.tolist(), strict=True)),
        "log_posterior": _finite(basin.log_posterior),
        "starts": basin.starts,
        "probability": basin.probability,
    }


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return float(value) if math.isfinite(value) else None
