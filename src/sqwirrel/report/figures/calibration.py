"""Whether intervals hold, on one page: coverage, errors in units of their limit, ranks, TARP, likelihood, numbers."""

import math

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import chi2

from sqwirrel.infer.calibration import Calibration as Found
from sqwirrel.report.figures.style import STYLE

SIZE = (8.4, 9.0)
LEVELS = np.linspace(0.02, 0.98, 49)
BAND = 1.358
"""Of 20 even samples one leaves this band, over the root of their number (Kolmogorov-Smirnov)."""


@mpl.rc_context(STYLE)
def calibration(found: Found) -> Figure:
    """Coverage less its level, rho, how even the ranks are, the same of all parameters together, and the table."""
    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subfigures(3, 1, height_ratios=(3.8, 3.3, 0.55 + 0.14 * len(found.names)))
    top, middle, bottom = np.asarray(rows)
    left, right = top.subplots(1, 2, width_ratios=(3, 2))
    _coverage(left, found)
    _errors(right, found)
    left, right = middle.subplots(1, 2, sharey=True)
    ranks = np.array([trial.rank for trial in found.trials]).T
    _even(left, "Ranks of the truth", dict(zip(found.names, ranks, strict=True)))
    excess = chi2(len(found.names)).cdf([trial.excess for trial in found.trials])
    _even(
        right,
        "All parameters together",
        {"TARP": np.array([t.tarp for t in found.trials]), "2 Δ log L as χ²": excess},
    )
    left.set_ylabel("share below, less that of an even law")
    bottom.text(0.02, 0.97, _words(found), va="top", family="monospace", fontsize=7.5)
    return figure


def _coverage(axes: Axes, found: Found) -> None:
    """With what chance does (two standard deviations)."""
    noise = 200 * np.sqrt(LEVELS * (1 - LEVELS) / len(found.trials))
    axes.fill_between(100 * LEVELS, -noise, noise, color="#dddddd", lw=0)
    axes.axhline(0, color="#999999", lw=0.8)
    covered = np.array([found.coverage(float(level)) for level in LEVELS])
    for k, name in enumerate(found.names):
        axes.plot(100 * LEVELS, 100 * (covered[:, k] - LEVELS), lw=1.2, color=f"C{k % 10}", label=name)
    axes.set(
        title=f"Coverage in {len(found.trials)} simulated measurements",
        xlabel="interval (%)",
        ylabel="truths inside, less interval (points)",
    )
    axes.legend(fontsize=7, ncols=2)


def _errors(axes: Axes, found: Found) -> None:
    place, spread = np.arange(len(found.names)), 2 / math.sqrt(2 * len(found.trials))
    axes.axvspan(1 - spread, 1 + spread, color="#dddddd", lw=0)
    axes.axvline(1, color="#999999", lw=0.8)
    axes.plot(found.rho, place, "o", ms=4)
    axes.set_yticks(place, found.names)
    axes.set(title="Error over its limit", xlabel="rho", ylim=(len(found.names) - 0.5, -0.5))
    axes.set_xlim(min(0.7, *found.rho) - 0.05, max(1.3, *found.rho) + 0.05)


def _even(axes: Axes, title: str, samples: dict[str, np.ndarray]) -> None:
    """How far shares between 0 and 1 are from even, with what chance does (95 %)."""
    n = len(next(iter(samples.values())))
    axes.axhspan(-BAND / math.sqrt(n), BAND / math.sqrt(n), color="#dddddd", lw=0)
    axes.axhline(0, color="#999999", lw=0.8)
    for k, (name, each) in enumerate(samples.items()):
        axes.step(np.sort(each), (np.arange(n) + 0.5) / n - np.sort(each), lw=1.2, color=f"C{k % 10}", label=name)
    axes.set(title=title, xlabel="share", xlim=(0, 1))
    axes.legend(fontsize=7, ncols=2)


def _words(found: Found) -> str:
    """The table, the draws, the time, and what failed."""
    said = found.mapping()
    failed = said["failed_checks"]
    assert isinstance(failed, dict)
    n = len(found.trials)
    worst = sorted(failed.items(), key=lambda pair: -pair[1])[:4]
    shares = ", ".join(f"{name} {100 * count / n:.1f} %" for name, count in worst) or "none"
    return (
        f"{found}\neffective draws {100 * float(str(said['ess'])):.0f} % (median), {float(str(said['seconds'])):.2f} s "
        f"each\nchecks that failed: {shares}"
    )
