"""The inverse map: which region fixes which parameter, as a matrix and on the spectrum."""

from math import ceil

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from sqwirrel.report.causal.tiles import is_map, named, outline, paint, tiled
from sqwirrel.report.causal.told import Told
from sqwirrel.report.figures.style import INK, STYLE

MOST, PER_ROW, PANELS = 30, 3, 9
"""Regions in the matrix, peaks, bulk numbers and those that matter most; panels in a row, and at all."""
COLOURS, LEAST, FACTOR = "YlGnBu", 1.05, 3.0
TICKS = (1, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000, 10000)
"""Factors below `LEAST` are not written out; the scale of colours ends at `FACTOR` at least."""


@mpl.rc_context(STYLE)
def inverse_matrix(told: Told) -> Figure:
    """How many times larger the error of each parameter is without a region, and from this region alone."""
    without = told.found.inverse.inflation[:, told.columns]
    alone = told.found.inverse.alone[:, told.columns] / told.found.inverse.sigma[told.columns]
    rows = torch.tensor(sorted(told.foremost(without.max(1).values, MOST)))
    height = 1.5 + 0.19 * len(rows)
    figure = Figure(figsize=(min(2.2 + 0.74 * len(told.names), 14), height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    _matrix(panels[0], told, without[rows], "Without the region: error ×")
    _matrix(panels[1], told, alone[rows], "From the region alone: error ×")
    panels[0].set_yticks(range(len(rows)), [told.regions[k] for k in rows.tolist()])
    return figure


def _matrix(axes: Axes, told: Told, values: Float[Tensor, "region cause"], title: str) -> None:
    shown = values.clamp(min=1).numpy()
    axes.imshow(shown, cmap=COLOURS, norm=_scale(values), aspect="auto")
    axes.set_xticks(range(len(told.names)), told.names, rotation=90)
    axes.set_title(title)
    for (i, j), value in np.ndenumerate(shown):
        if value >= LEAST:
            dark = _scale(values)(value) > 0.55
            axes.text(j, i, _short(value), ha="center", va="center", fontsize=6, color="white" if dark else INK)
    axes.axvline(sum(name in told.models for name in told.names) - 0.5, color=INK, lw=0.8)


def _scale(values: Tensor) -> LogNorm:
    return LogNorm(1, _top(values))


def _top(values: Tensor) -> float:
    return max(FACTOR, float(values.max()))


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}" if value < 1000 else "≥ 1k"


@mpl.rc_context(STYLE)
def inverse_maps(told: Told, label: str) -> Figure | None:
    """For each parameter of the model, how many times larger its error is without each region, on the spectrum.

    None where the bins are no single picture.
    """
    spectrum = told.spectra[label]
    names = [name for name in told.names if name in told.models][:PANELS]
    if not names or not is_map(spectrum.measurement):
        return None
    regions = tiled(spectrum.measurement, told.of[label], spectrum.valid)
    if len(regions.tiles) > 1:
        return None
    rows = ceil(len(names) / PER_ROW)
    columns = ceil(len(names) / rows)
    figure = Figure(figsize=(1.0 + 2.5 * columns, 0.8 + 2.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    factor = told.found.inverse.inflation[:, [told.found.names.index(name) for name in names]]
    for k, (axes, name) in enumerate(zip(panels, names, strict=False)):
        values = torch.where(spectrum.valid, factor[told.of[label].clamp(min=0), k], torch.nan)
        (tile,) = tiled(spectrum.measurement, values, spectrum.valid).tiles
        mesh = paint(axes, regions, tile, (mpl.colormaps[COLOURS], _scale(factor)))
        outline(axes, regions.tiles[0])
        axes.set_title(name, fontweight="bold", fontsize=9)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    named(figure, panels, regions)
    ticks = [each for each in TICKS if each <= _top(factor)]
    bar = figure.colorbar(mesh, ax=panels, label="error without the region, ×", ticks=ticks)
    bar.ax.set_yticklabels([f"{each:g}" for each in ticks])
    bar.minorticks_off()
    return figure
