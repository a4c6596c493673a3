"""Peaks as small panels, energies along straight lines of reciprocal space; and against the modes of a model."""

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float64
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sqwirrel.report.figures.panels import MOST, blank_panels, course
from sqwirrel.report.figures.style import ACCENT, INK, STYLE
from sqwirrel.report.result import PeakResult
from sqwirrel.spectra import Peaks

NEAR = 0.004
"""Distance (rlu) below which a wavevector lies on a line."""
CANDIDATES = 400
SIZE = (4.6, 4.4)
FARTHEST = 6.0
"""Residuals beyond this are drawn at the edge, as arrows."""


@mpl.rc_context(STYLE)
def peak_panels(peaks: Peaks, title: str) -> Figure:
    """Energies with their errors against the coordinate that moves, a panel a straight line of q, at most 12."""
    q = peaks.q.numpy()
    groups = straight(q)
    figure, panels = blank_panels(len(groups), title)
    for on, axes in zip(groups, panels, strict=True):
        way = course(q[on])
        spread = np.sqrt((peaks.q_error.numpy()[on] ** 2).sum(axis=1)).max(axis=1)
        axes.errorbar(
            way.along,
            peaks.energy.numpy()[on],
            np.where(spread > 0, 0.0, peaks.error.numpy()[on]),
            spread,
            fmt="o",
            ms=2.6,
            lw=0.7,
            color=INK,
        )
        axes.set_title(", ".join(filter(None, (way.others, way.still))), fontsize=7.5)
        axes.set_xlabel(way.label, fontsize=7.5)
        axes.set_ylabel("energy (meV)", fontsize=7.5)
        axes.set_ylim(bottom=0.0 if float(peaks.energy.min()) >= 0 else None)
        axes.tick_params(labelsize=7)
    return figure


@mpl.rc_context(STYLE)
def peak_fit(result: PeakResult) -> Figure:
    """Energies of the modes at the best fit against those measured, and the residuals in standard deviations."""
    measured, error = result.peaks.energy.numpy(), result.peaks.error.numpy()
    energy, square, stray = (part.numpy() for part in result.explained)
    away = np.sign(measured - energy) * np.sqrt(square)
    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    span = [float(min(measured.min(), energy.min())), float(max(measured.max(), energy.max()))]
    above.plot(span, span, color="#999999", lw=0.8)
    for outlier, style in ((False, {"color": INK}), (True, {"color": ACCENT, "mfc": "none"})):
        on = (stray > 0.5) == outlier
        above.errorbar(measured[on], energy[on], xerr=error[on], fmt="o", ms=3.2, lw=0.7, **style)
        beyond = on & (np.abs(away) > FARTHEST)
        below.plot(measured[on & ~beyond], away[on & ~beyond], "o", ms=3.2, **style)
        for sign, marker in ((1, "^"), (-1, "v")):
            far = beyond & (np.sign(away) == sign)
            below.plot(measured[far], np.full(int(far.sum()), sign * FARTHEST), marker, ms=4, **style)
    below.axhline(0, color="#999999", lw=0.8, zorder=0)
    above.set(title="Peaks", ylabel="model (meV)")
    below.set(xlabel="measured (meV)", ylabel="residual (σ)", ylim=(-FARTHEST - 0.7, FARTHEST + 0.7))
    return figure


def straight(q: Float64[np.ndarray, "peak 3"]) -> list[Bool[np.ndarray, " peak"]]:
    """Which peaks lie on each of a few straight lines that hold them all, the longest line first.

    Candidates are the lines through neighbours in the table; a corner is on both of its lines.
    """
    distinct = q[np.sort(np.unique(q.round(6), axis=0, return_index=True)[1])]
    steps = np.diff(distinct, axis=0)
    chosen = np.unique(np.linspace(0, max(len(steps) - 1, 0), min(len(steps), CANDIDATES)).astype(int))
    lines = [_on_line(q, distinct[k], steps[k]) for k in chosen]
    left = np.ones(len(q), dtype=bool)
    groups: list[Bool[np.ndarray, " peak"]] = []
    while left.any() and lines and len(groups) < MOST:
        best = max(lines, key=lambda on: int((on & left).sum()))
        if not (best & left).any():
            break
        groups.append(best)
        left &= ~best
    return groups or [left]


def _on_line(
    q: Float64[np.ndarray, "peak 3"], start: Float64[np.ndarray, "3"], step: Float64[np.ndarray, "3"]
) -> Bool[np.ndarray, " peak"]:
    along = step / np.linalg.norm(step)
    offset = q - start
    return np.asarray(np.linalg.norm(offset - (offset @ along)[:, None] * along, axis=1) < NEAR)
