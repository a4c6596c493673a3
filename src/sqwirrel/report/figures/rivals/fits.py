"""Best fits of rivals beside the data: what was measured, what each gives, and what each leaves.

Data and fits share their colours, and so do all residuals. What the next would leave if the best were right and there
were no noise stands beside what it leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import matplotlib as mpl
import torch
from jaxtyping import Bool, Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sqwirrel.infer.checks import WINDOW, smoothed
from sqwirrel.report.figures.grid import labelled
from sqwirrel.report.figures.rivals.cuts import Colours, Cuts
from sqwirrel.report.figures.style import STYLE, beyond, colours_of, unit_of
from sqwirrel.report.result import Result
from sqwirrel.spectra import Measurement

PER_BAND = 10
"""Slices in a row."""
SIGMA, MANY = 4.0, 5.0
"""Ends of the colours of residuals, and the least of those that are averaged, standard deviations."""
SINGLE, SLICE = (2.75, 2.35), (1.2, 1.2)
"""Width and height of a panel."""
PART = 8
"""Averages are over this part of an axis, or less."""
LETTERS = 15
"""Letters of a name that stand beside a small panel."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One quantity on all bins, its name, and its colours with their label."""

    name: str
    values: Float[Tensor, "point energy"]
    colours: Colours
    label: str


@mpl.rc_context(STYLE)
def rival_fits(results: Mapping[str, Result]) -> Figure:
    """Data, best fits and residuals of rivals by name, the best first, of one spectrum that is a map."""
    first = next(iter(results.values()))
    cuts = Cuts.of(first.spectrum.measurement, first.valid)
    rows = _layers(results)
    return layered(cuts, [*rows, _averaged(results, rows[1])])


def layered(cuts: Cuts, rows: Sequence[Sequence[Layer]]) -> Figure:
    """Rows of layers, those of one row in the same colours: a map each, or a strip of slices."""
    return _single(cuts, rows) if len(cuts.names) == 1 else _sliced(cuts, rows)


def _layers(results: Mapping[str, Result]) -> list[list[Layer]]:
    """Data and fits; the difference of the best two and all residuals."""
    first, *others = results.values()
    one, other = list(results)[:2]
    values = [first.spectrum.intensity, *(each.expected for each in results.values())]
    colours, unit = colours_of(*(each[first.valid] for each in values)), unit_of(first.spectrum)
    signed = (mpl.colormaps["RdBu_r"], Normalize(-SIGMA, SIGMA))
    left = [others[0].left_of(first.expected), *(each.residual for each in results.values())]
    names = [f"{one} − {other}", *(f"data − {name}" for name in results)]
    return [
        [Layer(name, each, colours, unit) for name, each in zip(["data", *results], values, strict=True)],
        [Layer(name, each, signed, "standard deviations") for name, each in zip(names, left, strict=True)],
    ]


def _averaged(results: Mapping[str, Result], row: Sequence[Layer]) -> list[Layer]:
    """Residuals averaged over windows, in which a misfit below the noise is seen: as a normal law would have them, so
    that those of robust data have the unit that is stated.
    """
    first, *others = results.values()
    measurement, valid = first.spectrum.measurement, first.valid
    whose = (others[0], *results.values())
    values = [averaged(measurement, of.as_normal(each.values), valid) for of, each in zip(whose, row, strict=True)]
    top = max(MANY, *(float(each[valid].abs().quantile(0.995)) for each in values[1:]))
    colours = (mpl.colormaps["RdBu_r"], Normalize(-top, top))
    rows, columns = window_for(measurement)
    label = f"standard deviations of the mean\nof {rows} × {columns} bins (across × up)"
    return [Layer(f"{layer.name}, averaged", each, colours, label) for layer, each in zip(row, values, strict=True)]


def window_for(measurement: Measurement) -> tuple[int, int]:
    """The window of the checks, or an odd number of bins up to an eighth of an axis, so that averages show where."""
    sides = zip(WINDOW, measurement.planes.shape[1:], strict=True)
    rows, columns = (min(most, 2 * (side // (2 * PART)) + 1) for most, side in sides)
    return rows, columns


def averaged(
    measurement: Measurement, residual: Float[Tensor, "point energy"], valid: Bool[Tensor, "point energy"]
) -> Float[Tensor, "point energy"]:
    """The mean over a window round each bin, in its standard deviations, on the planes of a measurement."""
    planes, found = measurement.planes, torch.zeros(residual.numel(), dtype=residual.dtype)
    found[planes.flatten()] = smoothed(residual.take(planes), valid.take(planes), window_for(measurement)).flatten()
    return found.reshape(residual.shape)


def _single(cuts: Cuts, rows: Sequence[Sequence[Layer]]) -> Figure:
    """A column for the data and for each rival."""
    figure, panels = _blank(len(rows), len(rows[0]), SINGLE)
    for row, layers in zip(panels, rows, strict=True):
        for axes, layer in zip(row, layers, strict=True):
            mesh = cuts.draw(axes, cuts.cut(layer.values)[0], layer.colours)
            axes.set_title(layer.name, fontsize=8.5)
        _bar(figure, mesh, row, layers, cuts)
    return _labelled(figure, cuts)


def _sliced(cuts: Cuts, rows: Sequence[Sequence[Layer]]) -> Figure:
    """A column for each slice, in bands of at most `PER_BAND`; a row for each quantity."""
    count, high = len(cuts.names), sum(map(len, rows))
    bands = ceil(count / PER_BAND)
    wide = ceil(count / bands)
    figure, panels = _blank(bands * high, wide, SLICE)
    for band in range(bands):
        here, first = slice(band * wide, min(count, (band + 1) * wide)), band * high
        for axes, name in zip(panels[first], cuts.names[here], strict=False):
            axes.set_title(name, fontsize=6.7, fontweight="normal", loc="center")
        for layers in rows:
            _strip(figure, panels[first : first + len(layers)], layers, cuts, here)
            first += len(layers)
    return _labelled(figure, cuts)


def _strip(figure: Figure, panels: Any, layers: Sequence[Layer], cuts: Cuts, here: slice) -> None:
    """Some slices of layers of the same colours, a row for each."""
    for row, layer in zip(panels, layers, strict=True):
        pictures = cuts.cut(layer.values)[here]
        for axes, picture in zip(row, pictures, strict=False):
            mesh = cuts.draw(axes, picture, layer.colours)
            axes.tick_params(labelsize=6.5)
        for axes in row[len(pictures) :]:
            axes.set_visible(False)
        name = layer.name.replace(" − ", "\n− ").replace(", ", "\n")
        size = min(8.0, 8 * LETTERS / max(map(len, name.split("\n"))))
        row[0].set_ylabel(name, fontsize=size, fontweight="bold")
    _bar(figure, mesh, panels, layers, cuts)


def _blank(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    figure = Figure(figsize=(1.3 + size[0] * columns, 0.7 + size[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)


def _bar(figure: Figure, mesh: Any, panels: Any, layers: Sequence[Layer], cuts: Cuts) -> None:
    """The colours of some rows of panels."""
    shown = [picture for layer in layers for picture in cuts.cut(layer.values)]
    ends = {beyond(each, layers[0].colours[1]) for each in shown} - {"neither"}
    extend = "neither" if not ends else ends.pop() if len(ends) == 1 else "both"
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10])
    bar = figure.colorbar(mesh, ax=list(panels.flat), extend=extend, ticks=ticks, aspect=12 * len(panels), pad=0.01)
    labelled(bar, layers[0].colours[1], layers[0].label)


def _labelled(figure: Figure, cuts: Cuts) -> Figure:
    figure.supxlabel(cuts.labels[0] + (f"; {cuts.held}" if cuts.held else ""), fontsize=9)
    figure.supylabel(cuts.labels[1], fontsize=9)
    return figure
