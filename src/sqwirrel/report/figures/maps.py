"""Maps of data, model and residuals, energy cuts, and the style of all figures.

Maps of one result share their axes, and data and model their colours. Grey is not measured.
"""

from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.checks import WINDOW, smoothed
from sqwirrel.report.axes import across, place
from sqwirrel.report.result import Result
from sqwirrel.spectra import Measurement, Spectrum

STYLE: Any = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#333333",
    "xtick.direction": "out",
    "ytick.direction": "out",
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "sqwirrel",
    "savefig.dpi": 220,
}
INK, BAND, ACCENT = "#1b1b1b", "#2166ac", "#b2182b"
UNMEASURED = "#d5d5d5"
MAP_SIZE, CUT_SIZE = (4.6, 3.5), (3.6, 2.7)


@mpl.rc_context(STYLE)
def spectrum_map(spectrum: Spectrum, title: str) -> Figure:
    """A spectrum as it is."""
    return _map(
        spectrum.measurement,
        spectrum.intensity,
        spectrum.valid,
        title,
        _intensity(spectrum.intensity[spectrum.valid]),
        _unit(spectrum),
    )


@mpl.rc_context(STYLE)
def data_map(result: Result) -> Figure:
    """What was measured."""
    return _shared(result, result.spectrum.intensity, "Data")


@mpl.rc_context(STYLE)
def model_map(result: Result) -> Figure:
    """What the model at the best fit gives, where it was measured."""
    return _shared(result, result.expected, "Model, best fit")


@mpl.rc_context(STYLE)
def residual_map(result: Result) -> Figure:
    """Data minus model, bin by bin, in standard deviations."""
    return _residual(result, result.residual, 4.0, "(Data − model) / σ")


@mpl.rc_context(STYLE)
def misfit_map(result: Result) -> Figure:
    """The mean residual round each bin, in standard deviations of that mean: where the misfit sits."""
    score = smoothed(result.residual, result.valid)
    top = max(5.0, float(score[result.valid].abs().quantile(0.995)))
    return _residual(result, score, top, f"The same for {WINDOW[0]} × {WINDOW[1]} bins together")


@mpl.rc_context(STYLE)
def cut(result: Result, start: int, stop: int) -> Figure:
    """Mean over bins `start` to `stop` against energy: data with the errors of the likelihood, and predictive bands."""
    measurement, valid = result.spectrum.measurement, result.valid[start:stop]
    count, energy = valid.sum(0), measurement.energy_centres
    rows = (result.spectrum.intensity[start:stop], result.predicted[:, start:stop], result.replicas(start, stop))
    data, model, noisy = ((values * valid).sum(-2) / count for values in rows)
    error = (result.error[start:stop] ** 2).sum(0).sqrt() / count
    figure, axes = _blank(CUT_SIZE)
    _bands(axes, energy, model, noisy)
    axes.errorbar(energy.numpy(), data.numpy(), error.numpy(), fmt="o", ms=2.2, lw=0.6, color=INK, zorder=4)
    shown = count > 0
    _frame(axes, data[shown], error[shown])
    axes.set(title=place(measurement, start, stop), xlabel="energy (meV)", ylabel=_unit(result.spectrum))
    axes.set_xlim(float(energy[shown][0]), float(energy[shown][-1]))
    return figure


def cut_rows(result: Result, most: int = 6) -> list[tuple[int, int]]:
    """Up to `most` groups of bins, evenly over the measured ones."""
    measured = result.valid.any(1).nonzero()[:, 0]
    first, last, wide = int(measured[0]), int(measured[-1]) + 1, max(1, len(measured) // 40)
    centres = np.unique(np.linspace(first, last - wide, most + 2).round().astype(int)[1:-1])
    return [(int(k), min(int(k) + wide, last)) for k in centres if bool(result.valid[k : k + wide].any())]


@mpl.rc_context(STYLE)
def save(figure: Figure, path: Path) -> None:
    """Writes a picture, in the format of the file's ending."""
    if path.suffix.lstrip(".") not in figure.canvas.get_supported_filetypes():
        raise InputError(f"cannot draw '{path.name}': the name must end in .png, .svg or .pdf")
    figure.savefig(path)


def _shared(result: Result, values: Tensor, title: str) -> Figure:
    colours = _intensity(result.spectrum.intensity[result.valid], result.expected[result.valid])
    return _map(result.spectrum.measurement, values, result.valid, title, colours, _unit(result.spectrum))


def _residual(result: Result, values: Tensor, top: float, title: str) -> Figure:
    colours = (mpl.colormaps["RdBu_r"], Normalize(-top, top))
    return _map(result.spectrum.measurement, values, result.valid, title, colours, "standard deviations")


def _intensity(*values: Float[Tensor, " bin"]) -> tuple[Colormap, Normalize]:
    """Colours from the 1st to the 99th percentile of all values, so that a hot bin hides nothing."""
    ends = torch.stack([torch.quantile(each, each.new_tensor([0.01, 0.99])) for each in values])
    lo, hi = float(ends[:, 0].min()), float(ends[:, 1].max())
    return mpl.colormaps["viridis"], Normalize(min(lo, 0.0) if lo < 0.2 * hi else lo, hi if hi > lo else lo + 1)


def _map(
    measurement: Measurement,
    values: Float[Tensor, "point energy"],
    valid: Bool[Tensor, "point energy"],
    title: str,
    colours: tuple[Colormap, Normalize],
    label: str,
) -> Figure:
    figure = Figure(figsize=MAP_SIZE)
    FigureCanvasAgg(figure)
    axes, axis = figure.add_axes((0.135, 0.135, 0.67, 0.79)), across(measurement)
    shown = np.ma.masked_array(values.numpy(), ~valid.numpy()).T
    edges = (axis.edges.numpy(), measurement.energy.numpy())
    mesh = axes.pcolormesh(*edges, shown, cmap=colours[0], norm=colours[1], rasterized=True)
    axes.set_facecolor(UNMEASURED)
    axes.set(title=title, xlabel=axis.label, ylabel="energy (meV)")
    if axis.ticks:
        axes.set_xticks(axis.ticks, axis.names)
        axes.grid(axis="x", color="white", lw=0.5, alpha=0.6)
    beside = figure.add_axes((0.83, 0.135, 0.025, 0.79))
    bar = figure.colorbar(
        mesh, cax=beside, extend=_beyond(shown, colours[1]), ticks=MaxNLocator(6, steps=[1, 2, 5, 10])
    )
    bar.set_label(label)
    return figure


def _beyond(shown: np.ma.MaskedArray[Any, Any], norm: Normalize) -> Literal["neither", "both", "min", "max"]:
    """Which ends of the colours hide values beyond them."""
    low, high = norm(shown.min()) < 0, norm(shown.max()) > 1
    below, above = bool(low), bool(high)
    if below == above:
        return "both" if below else "neither"
    return "min" if below else "max"


def _bands(
    axes: Axes, energy: Tensor, model: Float[Tensor, "draw energy"], noisy: Float[Tensor, "replica energy"]
) -> None:
    """68 and 95 % of the model alone (dark), and of noisy data that it predicts (light)."""
    for values, colour, alphas in ((noisy, "#92c5de", (0.35, 0.45)), (model, BAND, (0.5, 0.9))):
        for level, alpha in zip((0.95, 0.68), alphas, strict=True):
            lo, hi = torch.quantile(values, values.new_tensor([(1 - level) / 2, (1 + level) / 2]), dim=0)
            axes.fill_between(energy.numpy(), lo.numpy(), hi.numpy(), color=colour, alpha=alpha, lw=0)
    axes.plot(energy.numpy(), model.median(0).values.numpy(), color=BAND, lw=1.0)


def _frame(axes: Axes, data: Tensor, error: Tensor) -> None:
    """An intensity axis that the well-measured data set, not a bin with a wild error."""
    good = (error <= 4 * error.median()) | (error <= data.abs() / 3)
    lo, hi = min(0.0, float(data[good].min())), float((data + error)[good].max())
    axes.set_ylim(lo - 0.04 * (hi - lo), hi + 0.05 * (hi - lo))


def _blank(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _unit(spectrum: Spectrum) -> str:
    return "counts" if spectrum.is_counts else "intensity (arb. units)"
