"""Maps of data, model and residuals, and energy cuts.

Maps of one result share their axes, and data and model their colours. Grey is not measured.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.checks import WINDOW, smoothed
from sqwirrel.report.axes import across, place
from sqwirrel.report.figures import grid
from sqwirrel.report.figures.style import (
    INK,
    STYLE,
    UNMEASURED,
    band,
    beyond,
    blank,
    colours_of,
    frame,
    model_line,
    unit_of,
)
from sqwirrel.report.result import Result
from sqwirrel.spectra import Measurement, QGrid, Spectrum

MAP_SIZE, CUT_SIZE = (4.6, 3.5), (3.6, 2.7)
NEAR_ELASTIC = 0.15
"""Energies below this share of the largest do not set the colours."""
LINE = 0.047
"""Height of a line of text, in that of a map."""


@mpl.rc_context(STYLE)
def spectrum_map(spectrum: Spectrum, title: str) -> Figure:
    """A spectrum as it is; a grid as the map, slices or cut that its axes make it. What a translator made says so."""
    title = f"{title}, translated to {spectrum.translated}" if spectrum.translated else title
    if isinstance(spectrum.measurement.points, QGrid) and not grid.has_map(spectrum.measurement):
        return grid.line(spectrum, title)
    return _map(
        spectrum.measurement,
        spectrum.intensity,
        spectrum.valid,
        title,
        spectrum_colours(spectrum),
        unit_of(spectrum),
    )


def spectrum_colours(spectrum: Spectrum) -> tuple[Colormap, Normalize]:
    """Colours of a spectrum that the elastic line does not set."""
    return colours_of(spectrum.intensity[_inelastic(spectrum)])


def _inelastic(spectrum: Spectrum) -> Bool[Tensor, "point energy"]:
    """Measured bins away from the elastic line, which would set the colours; all of them where most are near it."""
    energy = spectrum.measurement.energy_centres.expand(spectrum.measurement.shape)
    away = spectrum.valid & (energy.abs() > NEAR_ELASTIC * energy.abs().max())
    return away if 2 * int(away.sum()) > int(spectrum.valid.sum()) else spectrum.valid


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
    score = smoothed(result.normal_residual, result.valid)
    top = max(5.0, float(score[result.valid].abs().quantile(0.995)))
    return _residual(result, score, top, f"The same for {WINDOW[0]} × {WINDOW[1]} bins together")


@mpl.rc_context(STYLE)
def ratio_map(spectrum: Spectrum, ratio: Float[Tensor, "point energy"], title: str, log_bayes: float) -> Figure:
    """The log likelihood ratio of two models in every bin of a spectrum, what it sums up to, and the log Bayes factor.

    Bins that tell less than a half are pale.
    """
    said = f"{title}: log Bayes {log_bayes:.1f}"
    label = f"log likelihood ratio per bin, {float(ratio.sum()):.1f} in all"
    return signed_map(spectrum, ratio, said, label, least=0.5)


@mpl.rc_context(STYLE)
def signed_map(
    spectrum: Spectrum, values: Float[Tensor, "point energy"], title: str, label: str, *, least: float = 1e-9
) -> Figure:
    """Values for and against in every bin of a spectrum, red and blue; values well below `least` are pale."""
    top = max(float(values[spectrum.valid].abs().quantile(0.995)), least)
    colours = (mpl.colormaps["RdBu_r"], Normalize(-top, top))
    return _map(spectrum.measurement, values, spectrum.valid, title, colours, label)


@mpl.rc_context(STYLE)
def share_map(spectrum: Spectrum, share: Float[Tensor, "point energy"], title: str) -> Figure:
    """The share of what is known of a parameter that every bin of a spectrum has told, in percent."""
    percent = 100 * share
    top = max(float(percent[spectrum.valid].max()), 1e-6)
    said = f"{title}: {float(percent.sum()):.0f} % from these bins"
    colours = (mpl.colormaps["viridis"], PowerNorm(0.5, 0, top))
    return _map(spectrum.measurement, percent, spectrum.valid, said, colours, "% of what is known, per bin")


@mpl.rc_context(STYLE)
def cut(result: Result, start: int, stop: int) -> Figure:
    """Mean over bins `start` to `stop` against energy: data with the errors of the likelihood, and predictive bands."""
    measurement, valid = result.spectrum.measurement, result.valid[start:stop]
    count, energy = valid.sum(0), measurement.energy_centres
    rows = (result.spectrum.intensity[start:stop], result.predicted[:, start:stop], result.replicas(start, stop))
    data, model, noisy = ((values * valid).sum(-2) / count for values in rows)
    error = (result.error[start:stop] ** 2).sum(0).sqrt() / count
    figure, axes = blank(CUT_SIZE)
    band(axes, energy, noisy, "#92c5de", (0.35, 0.45))
    model_line(axes, energy, model)
    axes.errorbar(energy.numpy(), data.numpy(), error.numpy(), fmt="o", ms=2.2, lw=0.6, color=INK, zorder=4)
    shown = count > 0
    frame(axes, data[shown], error[shown])
    axes.set(title=place(measurement, start, stop), xlabel="energy (meV)", ylabel=unit_of(result.spectrum))
    axes.set_xlim(float(energy[shown][0]), float(energy[shown][-1]))
    return figure


def cut_rows(result: Result, most: int = 6) -> list[tuple[int, int]]:
    """Up to `most` groups of bins, evenly over the measured ones; none where there is one energy alone."""
    if result.valid.shape[1] == 1:
        return []
    measured = result.valid.any(1).nonzero()[:, 0]
    first, last, wide = int(measured[0]), int(measured[-1]) + 1, max(1, len(measured) // 40)
    centres = np.unique(np.linspace(first, last - wide, most + 2).round().astype(int)[1:-1])
    return [(int(k), min(int(k) + wide, last)) for k in centres if bool(result.valid[k : k + wide].any())]


@mpl.rc_context(STYLE)
def save(figure: Figure, path: Path | str) -> None:
    """Writes a picture, in the format of the file's ending."""
    path = Path(path)
    if path.suffix.lstrip(".") not in figure.canvas.get_supported_filetypes():
        raise InputError(f"cannot draw '{path.name}': the name must end in .png, .svg or .pdf")
    figure.savefig(path)


def _shared(result: Result, values: Tensor, title: str) -> Figure:
    colours = colours_of(result.spectrum.intensity[result.valid], result.expected[result.valid])
    return _map(result.spectrum.measurement, values, result.valid, title, colours, unit_of(result.spectrum))


def _residual(result: Result, values: Tensor, top: float, title: str) -> Figure:
    colours = (mpl.colormaps["RdBu_r"], Normalize(-top, top))
    return _map(result.spectrum.measurement, values, result.valid, title, colours, "standard deviations")


def _map(
    measurement: Measurement,
    values: Float[Tensor, "point energy"],
    valid: Bool[Tensor, "point energy"],
    title: str,
    colours: tuple[Colormap, Normalize],
    label: str,
) -> Figure:
    if grid.has_map(measurement):
        return grid.maps(measurement, values, valid, title, colours, label)
    figure = Figure(figsize=MAP_SIZE)
    FigureCanvasAgg(figure)
    axis = across(measurement)
    bottom = 0.135 + LINE * max((name.count("\n") for name in axis.names), default=0)
    axes = figure.add_axes((0.135, bottom, 0.67, 0.925 - bottom))
    shown = np.ma.masked_array(values.numpy(), ~valid.numpy()).T
    edges = (axis.edges.numpy(), measurement.energy.numpy())
    mesh = axes.pcolormesh(*edges, shown, cmap=colours[0], norm=colours[1], rasterized=True)
    axes.set_facecolor(UNMEASURED)
    axes.set(title=title, xlabel=axis.label, ylabel="energy (meV)")
    if axis.ticks:
        axes.set_xticks(axis.ticks, axis.names)
        axes.grid(axis="x", color="white", lw=0.5, alpha=0.6)
    beside = figure.add_axes((0.83, bottom, 0.025, 0.925 - bottom))
    bar = figure.colorbar(mesh, cax=beside, extend=beyond(shown, colours[1]), ticks=MaxNLocator(6, steps=[1, 2, 5, 10]))
    grid.labelled(bar, colours[1], label)
    return figure
