"""Scans as small panels: counts of one exposure against what was scanned."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sqwirrel.report.figures.maps import INK, STYLE
from sqwirrel.report.figures.panels import blank_panels, course, evenly
from sqwirrel.spectra import QPoints, Spectrum

STEEP = 100
"""A scan whose highest point is so many times above its median is drawn in logarithms."""


@mpl.rc_context(STYLE)
def scan_panels(spectrum: Spectrum, points: QPoints, title: str) -> Figure:
    """Each scan of a spectrum of `points` by itself, at most 12 of them, evenly chosen.

    Counts are those of the median exposure of their scan, with one standard deviation (of one count where none was
    counted); what was not measured is left out. What stands still is above each panel.
    """
    numbers = list(dict.fromkeys(points.scan.tolist()))
    shown = evenly(numbers)
    of = f", {len(shown)} of {len(numbers)} scans" if len(shown) < len(numbers) else ""
    figure, panels = blank_panels(len(shown), f"{title}{of}")
    for number, axes in zip(shown, panels, strict=True):
        _panel(axes, spectrum, points, number)
    return figure


def _panel(axes: Axes, spectrum: Spectrum, points: QPoints, number: int) -> None:
    here = (points.scan == number) & spectrum.valid[:, 0]
    energy = spectrum.measurement.energy_centres[here]
    axes.set_title(f"scan {number}: not measured", fontsize=7.5)
    if not bool(here.any()):
        return
    way = course(np.concatenate([points.q[here].numpy(), energy.numpy()], axis=1))
    exposure, unit = _exposure(spectrum, here.numpy())
    counts, error = (values[here, 0].numpy() for values in (spectrum.intensity, spectrum.error))
    error = np.where((error == 0) & spectrum.is_counts, 1.0, error)
    steep = counts.max() > STEEP * max(float(np.median(counts)), 1.0)
    axes.errorbar(way.along, counts / exposure, error / exposure, fmt="o", ms=2.2, lw=0.6, color=INK)
    if steep:
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(bottom=0.5)
    else:
        axes.set_ylim(bottom=min(0.0, float(counts.min())))
    axes.set_title(f"scan {number}: {', '.join(filter(None, (way.others, way.still)))}", fontsize=7.5)
    axes.set_xlabel(way.label, fontsize=7.5)
    axes.set_ylabel(unit, fontsize=7.5)
    axes.tick_params(labelsize=7)


def _exposure(spectrum: Spectrum, here: np.ndarray) -> tuple[np.ndarray, str]:
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
