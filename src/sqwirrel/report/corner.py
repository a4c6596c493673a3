"""The posterior of the model's parameters, one by one and in pairs, with the Cramer-Rao ellipse of the best fit."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

from sqwirrel.report.figures.style import ACCENT, BAND, INK, STYLE
from sqwirrel.report.result import AnyResult, Whole

Array = Float[np.ndarray, "..."]
TRUTH = "#d95f02"
LEVELS = (0.95, 0.68)
GRID = 64
MOST = 8
"""Parameters that still make a readable figure."""


@mpl.rc_context(STYLE)
def corner(results: Whole | AnyResult | Sequence[AnyResult]) -> Figure:
    """Weighted draws, 68 and 95 % contours, the truth if there is one, and the 68 % Cramer-Rao ellipse."""
    result = Whole.of(results)
    wanted = result.model_names
    columns = [k for k, name in enumerate(result.posterior.names) if name in wanted][:MOST] or [0]
    n = len(columns)
    figure = Figure(figsize=(1.2 + 1.75 * n, 1.0 + 1.65 * n), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(n, n, squeeze=False)
    for row, a in enumerate(columns):
        for column, b in enumerate(columns):
            _panel(grid[row, column], result, a, b)
            _label(grid[row, column], result, (a, b), left=column == 0, bottom=row == n - 1)
    return figure


def left_out(whole: Whole) -> str:
    """What the figure does not show."""
    n = len(set(whole.model_names) & set(whole.posterior.names))
    return f" The first {MOST} of {n} parameters are shown; the table has all." if n > MOST else ""


def _panel(axes: Axes, result: Whole, row: int, column: int) -> None:
    if row == column:
        _single(axes, result, row)
    elif row > column:
        _pair(axes, result, column, row)
    else:
        axes.set_visible(False)


def _single(axes: Axes, result: Whole, k: int) -> None:
    x, weight = result.posterior.draws[:, k].numpy(), result.posterior.log_weight.exp().numpy()
    lo, hi = _range(result, k)
    line = np.linspace(lo, hi, 200)
    density = gaussian_kde(x, weights=weight)(line)
    axes.plot(line, density, color=BAND, lw=1.2)
    for level, alpha in ((0.025, 0.2), (0.16, 0.35)):
        ends = [float(result.posterior.quantile(q)[k]) for q in (level, 1 - level)]
        inside = (line >= ends[0]) & (line <= ends[1])
        axes.fill_between(line, density, where=list(inside), color=BAND, alpha=alpha, lw=0)
    sd = float(result.limit_covariance[k, k].sqrt())
    top = density.max()
    if np.isfinite(sd) and sd > 0:
        bell = np.exp(-((line - float(result.best[k])) ** 2) / (2 * sd**2)) / (sd * np.sqrt(2 * np.pi))
        axes.plot(line, bell, color=ACCENT, lw=0.9, ls="--")
        top = max(top, bell.max())
    _mark(axes, result, (k,))
    axes.set(xlim=(lo, hi), ylim=(0, 1.12 * top), yticks=[])


def _pair(axes: Axes, result: Whole, a: int, b: int) -> None:
    draws, weight = result.posterior.draws[:, [a, b]].numpy().T, result.posterior.log_weight.exp().numpy()
    ends = (_range(result, a), _range(result, b))
    axes.scatter(
        draws[0], draws[1], s=np.clip(4 * weight / weight.max(), 0.05, 4), color=INK, alpha=0.25, lw=0, rasterized=True
    )
    x, y = (np.linspace(lo, hi, GRID) for lo, hi in ends)
    density = gaussian_kde(draws, weights=weight)(np.stack(np.meshgrid(x, y)).reshape(2, -1)).reshape(GRID, GRID)
    axes.contourf(x, y, density, levels=[*_heights(density), density.max()], colors=["#92c5de", BAND], alpha=0.55)
    ellipse = _ellipse(result, a, b)
    axes.plot(*ellipse, color=ACCENT, lw=0.9, ls="--")
    _mark(axes, result, (a, b))
    axes.set(xlim=ends[0], ylim=ends[1])


def _ellipse(result: Whole, a: int, b: int) -> Array:
    """Where the Cramer-Rao normal law holds 68 %: chi2 = -2 log 0.32 for two parameters."""
    covariance = result.limit_covariance[[a, b]][:, [a, b]].numpy()
    value, axis = np.linalg.eigh(covariance)
    turn = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack((np.cos(turn), np.sin(turn))) * np.sqrt(-2 * np.log(1 - 0.68))
    return np.asarray(result.best[[a, b]].numpy()[:, None] + axis @ (np.sqrt(value.clip(0))[:, None] * circle))


def _heights(density: Array) -> list[float]:
    """Densities above which 95 and 68 % of the probability lie."""
    sorted_ = np.sort(density.ravel())[::-1]
    share = sorted_.cumsum() / sorted_.sum()
    return [float(sorted_[np.searchsorted(share, level)]) for level in LEVELS]


def _range(result: Whole, k: int) -> tuple[float, float]:
    """The 99.7 % interval, the best fit with its limit, and the truth, with room; nothing beyond the prior."""
    inner = [float(result.posterior.quantile(q)[k]) for q in (0.003, 0.997)]
    name, best = result.posterior.names[k], float(result.best[k])
    reach = min(1.7 * float(result.limit_covariance[k, k].sqrt()), inner[1] - inner[0])
    seen = [*inner, best - reach, best + reach, *([result.truth[name]] if name in result.truth else [])]
    lo, hi, (least, most) = min(seen), max(seen), result.prior.free[name].bounds
    return max(lo - 0.1 * (hi - lo), least), min(hi + 0.1 * (hi - lo), most)


def _mark(axes: Axes, result: Whole, columns: tuple[int, ...]) -> None:
    for k, draw in zip(columns, (axes.axvline, axes.axhline), strict=False):
        name = result.posterior.names[k]
        if name in result.truth:
            draw(result.truth[name], color=TRUTH, lw=1.1)


def _label(axes: Axes, result: Whole, pair: tuple[int, int], *, left: bool, bottom: bool) -> None:
    """Names and units along the rim; the diagonal has no scale of its own."""
    names = [
        f"{result.posterior.names[k]}" + (f" ({unit})" if (unit := result.posterior.units[k]) else "") for k in pair
    ]
    axes.tick_params(labelsize=7)
    axes.locator_params(nbins=4)
    axes.tick_params(axis="x", labelrotation=40)
    if bottom:
        axes.set_xlabel(names[1])
    else:
        axes.set_xticklabels([])
    if left and pair[0] != pair[1]:
        axes.set_ylabel(names[0])
    else:
        axes.set_yticklabels([])
