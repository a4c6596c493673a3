"""Whether intervals hold: coverage against level, and errors in units of their limit."""

import math

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sqwirrel.infer.calibration import Calibration as Found
from sqwirrel.report.figures.style import STYLE

SIZE = (8.4, 3.8)
LEVELS = np.linspace(0.02, 0.98, 49)


@mpl.rc_context(STYLE)
def calibration(found: Found) -> Figure:
    """Coverage less its level for every parameter, with what chance does (two standard deviations), and rho."""
    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    noise = 200 * np.sqrt(LEVELS * (1 - LEVELS) / len(found.trials))
    left.fill_between(100 * LEVELS, -noise, noise, color="#dddddd", lw=0)
    left.axhline(0, color="#999999", lw=0.8)
    covered = np.array([found.coverage(float(level)) for level in LEVELS])
    for k, name in enumerate(found.names):
        left.plot(100 * LEVELS, 100 * (covered[:, k] - LEVELS), lw=1.2, color=f"C{k % 10}", label=name)
    left.set(
        title=f"Coverage in {len(found.trials)} simulated measurements",
        xlabel="interval (%)",
        ylabel="truths inside, less interval (points)",
    )
    left.legend(fontsize=7, ncols=2)
    place, spread = np.arange(len(found.names)), 2 / math.sqrt(2 * len(found.trials))
    right.axvspan(1 - spread, 1 + spread, color="#dddddd", lw=0)
    right.axvline(1, color="#999999", lw=0.8)
    right.plot(found.rho, place, "o", ms=4)
    right.set_yticks(place, found.names)
    right.set(title="Error over its limit", xlabel="rho", ylim=(len(found.names) - 0.5, -0.5))
    right.set_xlim(min(0.7, *found.rho) - 0.05, max(1.3, *found.rho) + 0.05)
    return figure
