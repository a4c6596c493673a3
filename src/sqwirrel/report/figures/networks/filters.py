"""What filters are and answer to: weights, answers on the axes of the data, and whether they live."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float32
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from sqwirrel.explain.networks import Health
from sqwirrel.explain.networks.features import CHANNEL_NAMES, DEAD, TURNED
from sqwirrel.report.figures.networks.sheet import sheet
from sqwirrel.report.figures.style import ACCENT, BAND, STYLE
from sqwirrel.spectra import Measurement


def activation_sheet(
    measurement: Measurement,
    answers: Float32[Tensor, "unit point energy"],
    valid: Bool[Tensor, "point energy"],
    layer: str,
) -> Figure:
    """Where in a spectrum every unit of a layer answers."""
    names = [f"unit {k}" for k in range(len(answers))]
    return sheet(measurement, answers, valid, names, f"Answers of {layer} to one spectrum", "answer")


def image_sheet(
    measurement: Measurement,
    images: Float32[Tensor, "image point energy"],
    valid: Bool[Tensor, "point energy"],
    names: list[str],
    title: str,
) -> Figure:
    """Images in standard deviations from the mean one: those that a unit answers to most, found or made."""
    return sheet(measurement, images, valid, names, title, "standard deviations\nfrom the mean image")


@mpl.rc_context(STYLE)
def filter_sheet(weights: Float32[Tensor, "unit channel row column"]) -> Figure:
    """The weights of the first filters, a column for each; a row for each thing they look at."""
    units, channels, high, wide = weights.shape
    figure = Figure(figsize=(1.6 + 0.28 * units, 0.75 + 0.28 * channels), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    framed = np.full((channels * (high + 1) - 1, units * (wide + 1) - 1), np.nan)
    for channel in range(channels):
        for unit in range(units):
            top, left = channel * (high + 1), unit * (wide + 1)
            framed[top : top + high, left : left + wide] = weights[unit, channel].numpy()
    size = float(weights.abs().max())
    mesh = axes.imshow(framed, cmap="RdBu_r", norm=Normalize(-size, size), interpolation="nearest")
    axes.set_xticks(np.arange(0, units, 2) * (wide + 1) + (wide - 1) / 2, [str(k) for k in range(0, units, 2)])
    axes.set_yticks(np.arange(channels) * (high + 1) + (high - 1) / 2, CHANNEL_NAMES[:channels])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(title=f"First filters: {high} × {wide} weights of each unit", xlabel="unit")
    figure.colorbar(mesh, ax=axes, pad=0.01, aspect=12, shrink=0.9).set_label("weight")
    return figure


@mpl.rc_context(STYLE)
def health_figure(health: Mapping[str, Health]) -> Figure:
    """Filters by layer: how much they vary between spectra, and how far training has turned them."""
    figure = Figure(figsize=(2.3 * len(health) + 0.8, 2.7), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(health), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (name, each) in zip(panels, health.items(), strict=True):
        bad = (each.dead | each.untrained).numpy()
        turned, variation = each.cosine.arccos().rad2deg().numpy(), each.variation.clamp(min=DEAD / 3).numpy()
        for where, colour in ((~bad, BAND), (bad, ACCENT)):
            axes.plot(turned[where], variation[where], "o", ms=3, color=colour)
        axes.axhline(DEAD, color="#777777", lw=0.7, ls="--")
        axes.axvline(float(np.degrees(np.arccos(TURNED))), color="#777777", lw=0.7, ls="--")
        axes.set_yscale("log")
        axes.set_title(f"{name}: {int(each.dead.sum())} dead, {int(each.untrained.sum())} untrained", fontsize=8.5)
    panels[0].set(ylabel="variation between spectra\n(median filter = 1)", xlim=(0, None))
    figure.supxlabel("angle by which training turned the filter (degrees)", fontsize=9)
    return figure
