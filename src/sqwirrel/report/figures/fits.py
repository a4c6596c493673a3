"""Peaks against the modes of a model."""

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sqwirrel.report.figures.style import ACCENT, INK, STYLE
from sqwirrel.report.result import PeakResult

SIZE = (4.6, 4.4)
MOST = 6.0
"""Residuals beyond this are drawn at the edge, as arrows."""


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
        beyond = on & (np.abs(away) > MOST)
        below.plot(measured[on & ~beyond], away[on & ~beyond], "o", ms=3.2, **style)
        for sign, marker in ((1, "^"), (-1, "v")):
            far = beyond & (np.sign(away) == sign)
            below.plot(measured[far], np.full(int(far.sum()), sign * MOST), marker, ms=4, **style)
    below.axhline(0, color="#999999", lw=0.8, zorder=0)
    above.set(title="Peaks", ylabel="model (meV)")
    below.set(xlabel="measured (meV)", ylabel="residual (σ)", ylim=(-MOST - 0.7, MOST + 0.7))
    return figure
