"""Whether the data are described: deviance, structure of the residuals, peaks that nothing explains."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.infer.posterior import Check
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import BulkTerm, PeaksTerm, SpectrumTerm, Term

DEVIANCE = 1.25
"""Deviance per bin, over that of data that follow the law, above which the model does not describe the data."""
WINDOW = (7, 13)
"""Bins along |Q| and energy, or in the `planes` of a grid, whose residuals are averaged in the search for misfit."""
MISFIT = 5.0
"""Standard deviations at which a mean residual counts as structure; chance reaches it in one map of some thousand."""
PEAK_DEVIANCE = 4.0
"""Standard deviations of its expectation by which the mean square residual of peaks may exceed 1."""
BULK, ROUGH = 4.0, 0.3
"""Standard deviations by which a bulk number may miss its model, and how much of one its mesh may."""
STRAY_PEAKS = 0.2
"""Share of a table's peaks that may be outliers."""


def fit_checks(target: Target, theta: Float[Tensor, " parameter"]) -> tuple[float, list[Check]]:
    """Deviance per bin at `theta`, whether each term is described, and where the largest misfit sits."""
    full, deviance, found = target.full(theta[None]), 0.0, []
    for term in target.terms:
        own = target.own(term, full)
        total, checks = _checks(term, own)
        deviance += total
        found += labelled(checks, term)
    return deviance / sum(term.size for term in target.terms), found


def _checks(term: Term, theta: Float[Tensor, "1 own"]) -> tuple[float, list[Check]]:
    match term:
        case SpectrumTerm():
            return _spectrum_checks(term, theta)
        case PeaksTerm():
            return _peak_checks(term, theta)
        case BulkTerm():
            return _bulk_checks(term, theta)
    raise TypeError(f"nothing checks the fit of a {type(term).__name__}")


def labelled(checks: list[Check], term: Term) -> list[Check]:
    """Checks of one term, under its label where there is one."""
    return [replace(each, name=f"{each.name}_{term.label}") for each in checks] if term.label else checks


def _spectrum_checks(term: SpectrumTerm, theta: Float[Tensor, "1 own"]) -> tuple[float, list[Check]]:
    deviance, typical = float(term.deviance(theta)), term.experiment.instrument.counting.typical
    most = typical * max(DEVIANCE, 1 + PEAK_DEVIANCE * (2 / term.size) ** 0.5)
    per_bin, (largest, where) = deviance / term.size, _misfit(term, theta)
    return deviance, [
        Check(
            "deviance_per_bin",
            per_bin <= most,
            per_bin,
            f"residual deviance per bin, at most {most:.2f} for a model that describes the data",
        ),
        Check(
            "residual_structure",
            abs(largest) <= MISFIT,
            largest,
            f"largest mean residual of {where[0]}, in its standard deviations, at most {MISFIT}; at {where[1]}",
        ),
    ]


def _peak_checks(term: PeaksTerm, theta: Float[Tensor, "1 own"]) -> tuple[float, list[Check]]:
    """The deviance here is the square of the residuals of the peaks that modes explain."""
    _, square, stray = term.explained(theta)
    known = (1 - stray).sum().clamp(min=1e-12)
    deviance, share = float((square * (1 - stray)).sum() / known), float(stray.mean())
    most = 1 + PEAK_DEVIANCE * (2 / float(known)) ** 0.5
    return deviance * term.size, [
        Check(
            "deviance_per_peak",
            deviance <= most,
            deviance,
            f"mean square of the residuals of the peaks that modes explain, in standard deviations, at most {most:.2f}",
        ),
        Check(
            "peaks_explained",
            share <= STRAY_PEAKS,
            share,
            f"share of the peaks that no mode explains, at most {STRAY_PEAKS}; {_worst(term, stray)}",
        ),
    ]


def _worst(term: PeaksTerm, stray: Float[Tensor, " peak"]) -> str:
    """The peaks that are outliers more probably than not."""
    rows = (stray > 0.5).nonzero()[:, 0].tolist()
    named = [f"{term.peaks.energy[k]:.2f} meV at {tuple(round(x, 3) for x in term.peaks.q[k].tolist())}" for k in rows]
    return f"outliers are {', '.join(named[:3])}{' and others' if len(rows) > 3 else ''}" if rows else "none stands out"


def _bulk_checks(term: BulkTerm, theta: Float[Tensor, "1 own"]) -> tuple[float, list[Check]]:
    away, found = term.residual(theta)[0], term.experiment.predict(theta)
    worst, rough = int(away.abs().argmax()), found.rough[0] / term.bulk.error
    far, least = float(away[worst]), int(rough.argmax())
    named, mesh = term.bulk.numbers[worst], term.bulk.numbers[least].name
    return float(away.square().sum()), [
        Check(
            "bulk_described",
            abs(far) <= BULK,
            far,
            f"largest residual of the bulk numbers, in standard deviations, at most {BULK:g}: {named.name}, which the "
            f"model has at {float(found.value[0, worst]):.4g} {named.unit}",
        ),
        Check(
            "bulk_mesh",
            float(rough[least]) <= ROUGH,
            float(rough[least]),
            f"change of a bulk number with its mesh, in standard deviations, at most {ROUGH:g}: {mesh}",
        ),
    ]


def smoothed(
    residual: Float[Tensor, "*plane row column"],
    valid: Bool[Tensor, "*plane row column"],
    window: tuple[int, int] = WINDOW,
) -> Float[Tensor, "*plane row column"]:
    """Mean residual of the window round each valid bin, in standard deviations of that mean; 0 elsewhere."""
    kernel = torch.ones(1, 1, *window, dtype=residual.dtype)
    pair = torch.stack((residual * valid, valid.to(residual.dtype)))
    flat, reach = pair.flatten(0, -3)[:, None], [n // 2 for n in window]
    total, count = torch.nn.functional.conv2d(flat, kernel, padding=reach).view_as(pair)
    return torch.where(valid, total / count.clamp(min=1).sqrt(), 0.0)


def _misfit(term: SpectrumTerm, theta: Float[Tensor, "1 own"]) -> tuple[float, tuple[str, str]]:
    """The largest smoothed residual, of how much it is the mean, and where that lies."""
    measurement = term.experiment.measurement
    planes = measurement.planes
    score = smoothed(term.residual(theta).take(planes), term.observed.valid.take(planes))
    plane, *middle = (int(k) for k in torch.unravel_index(score.abs().argmax(), score.shape))
    rows, columns = (slice(max(0, k - n // 2), k + n // 2 + 1) for k, n in zip(middle, WINDOW, strict=True))
    near, n = planes[plane, rows, columns], measurement.shape[1]
    first, last = int(near.min()) // n, int(near.max()) // n + 1
    low, high = int((near % n).min()), int((near % n).max()) + 1
    edges = measurement.energy[first:last] if measurement.is_scan else measurement.energy[[low, high]]
    count = int(term.observed.valid.take(near).sum())
    what = f"{count} points of scans" if measurement.is_scan else f"{WINDOW[0]} x {WINDOW[1]} bins"
    lowest, highest = (round(float(edge), 2) + 0.0 for edge in (edges.min(), edges.max()))
    where = f"{measurement.points.describe(first, last)}, {lowest:.2f} to {highest:.2f} meV"
    return float(score[plane, *middle]), (what, where)
