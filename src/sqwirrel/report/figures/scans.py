"""Scans as small panels: counts of one exposure against what was scanned, alone or over a model."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Bool, Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from sqwirrel.report.figures.panels import MOST, Course, blank_panels, course, evenly
from sqwirrel.report.figures.style import INK, STYLE, model_line
from sqwirrel.report.result import Result
from sqwirrel.spectra import QPoints, Spectrum

STEEP = 100
"""A scan whose highest point is so many times above its median is drawn in logarithms."""


@dataclass(frozen=True)
class Scan:
    """What was measured of a scan: its points, how they go, their exposure in that of the median one, and what a unit
    of counts then is.
    """

    number: int
    here: Bool[Tensor, " all"]
    way: Course
    exposure: Float64[np.ndarray, " point"]
    unit: str

    @property
    def still(self) -> str:
        """What stands still, and what goes along."""
        return ", ".join(filter(None, (self.way.others, self.way.still)))


@mpl.rc_context(STYLE)
def scan_panels(spectrum: Spectrum, points: QPoints, title: str) -> Figure:
    """Each scan of a spectrum of `points` by itself, at most 12 of them, evenly chosen.

    Counts are those of the median exposure of their scan, with one standard deviation (of one count where none was
    counted); what was not measured is left out. What stands still is above each panel.
    """
    numbers = _numbers(points)
    shown = evenly(numbers)
    of = f", {len(shown)} of {len(numbers)} scans" if len(shown) < len(numbers) else ""
    figure, panels = blank_panels(len(shown), f"{title}{of}")
    for number, axes in zip(shown, panels, strict=True):
        scan = _scan(spectrum, points, number)
        axes.set_title(f"scan {number}: {scan.still if scan else 'not measured'}", fontsize=7.5)
        if scan:
            _panel(axes, spectrum, scan)
    return figure


@mpl.rc_context(STYLE)
def scan_fits(result: Result, points: QPoints) -> Figure:
    """Each scan as in `scan_panels`, with the errors of the likelihood, over the model: of many scans those 12 whose
    deviance per point is largest.
    """
    spectrum = result.as_weighed
    scans = [scan for number in _numbers(points) if (scan := _scan(spectrum, points, number))]
    misfit = {scan.number: result.deviance(result.valid & scan.here[:, None]) for scan in scans}
    worst = sorted(misfit, key=lambda number: -misfit[number])[:MOST]
    chosen = [scan for scan in scans if scan.number in worst]
    of_many = f"{len(chosen)} of {len(scans)} scans, those with the largest deviance per point"
    figure, panels = blank_panels(len(chosen), of_many if len(chosen) < len(scans) else "All scans")
    for scan, axes in zip(chosen, panels, strict=True):
        order = np.argsort(scan.way.along, kind="stable")
        rows = result.predicted[:, scan.here, 0] / torch.from_numpy(scan.exposure)
        model_line(axes, torch.from_numpy(scan.way.along[order]), rows[:, order])
        title = f"scan {scan.number}, deviance per point {misfit[scan.number]:.2f}\n{scan.still}"
        axes.set_title(title, fontsize=7.5)
        _panel(axes, spectrum, scan)
    return figure


def _numbers(points: QPoints) -> list[int]:
    return list(dict.fromkeys(points.scan.tolist()))


def _scan(spectrum: Spectrum, points: QPoints, number: int) -> Scan | None:
    """A scan; none if nothing of it was measured."""
    here = (points.scan == number) & spectrum.valid[:, 0]
    if not bool(here.any()):
        return None
    energy = spectrum.measurement.energy_centres[here]
    way = course(np.concatenate([points.q[here].numpy(), energy.numpy()], axis=1))
    return Scan(number, here, way, *_exposure(spectrum, here.numpy()))


def _panel(axes: Axes, spectrum: Spectrum, scan: Scan) -> None:
    exposure = scan.exposure
    counts, error = (values[scan.here, 0].numpy() for values in (spectrum.intensity, spectrum.error))
    error = np.where((error == 0) & spectrum.is_counts, 1.0, error)
    steep = counts.max() > STEEP * max(float(np.median(counts)), 1.0)
    axes.errorbar(scan.way.along, counts / exposure, error / exposure, fmt="o", ms=2.2, lw=0.6, color=INK)
    if steep:
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(bottom=0.5)
    else:
        axes.set_ylim(bottom=min(0.0, float(counts.min())))
    axes.set_xlabel(scan.way.label, fontsize=7.5)
    axes.set_ylabel(scan.unit, fontsize=7.5)
    axes.tick_params(labelsize=7)


def _exposure(spectrum: Spectrum, here: Bool[np.ndarray, " all"]) -> tuple[Float64[np.ndarray, " point"], str]:
    """Exposure of each point in that of the median one, and what a unit of the axis then is."""
    what = "counts" if spectrum.is_counts else "intensity"
    if spectrum.measurement.exposure is None:
        return np.ones(int(here.sum())), what
    exposure = spectrum.measurement.exposure[:, 0].numpy()[here]
    middle = float(np.median(exposure))
    return exposure / middle, f"{what} per {_plain(middle)} of monitor"


def _plain(value: float) -> str:
    """Four figures without an exponent, thousands apart."""
    return f"{float(f'{value:.4g}'):,g}".replace(",", "\u202f") if value < 1e6 else f"{value:.4g}"
