"""Many maps of one measurement side by side, on its own axes.

A grid of a crystal is shown along its two longest axes, the mean over the others. Grey is not measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.report.axes import across
from sqwirrel.report.figures.grid import all_sides
from sqwirrel.report.figures.style import STYLE, UNMEASURED, beyond
from sqwirrel.spectra import Measurement, QGrid, QPoints

PER_ROW, MOST = 6, 48
BOTH = 0.25
"""Values below 0 by this share of the largest make colours for both signs."""
Maps = Float[Tensor, "map point energy"]
Valid = Bool[Tensor, "point energy"]
Colours = tuple[Colormap, Normalize]


@dataclass(frozen=True, eq=False)
class Plane:
    """Two axes to draw on (edges and labels), named ticks of the first, and what was averaged over."""

    edges: tuple[Float[np.ndarray, " column_edge"], Float[np.ndarray, " row_edge"]]
    labels: tuple[str, str]
    ticks: tuple[tuple[float, ...], tuple[str, ...]]
    shape: tuple[int, ...]
    shown: tuple[int, int]
    averaged: str = ""

    @classmethod
    def of(cls, measurement: Measurement) -> "Plane":
        """That on which a measurement is drawn."""
        points = measurement.points
        if isinstance(points, QPoints):
            raise InputError("single points make no map; give a measurement along |Q|, a path or a grid")
        if isinstance(points, QGrid):
            return _of_grid(measurement, points)
        axis = across(measurement)
        words = axis.label if len(axis.ticks) in (0, 2, 3) else "length of the path (1/Å)"  # corners have no room
        edges, labels = (axis.edges.numpy(), measurement.energy.numpy()), (words, "energy (meV)")
        return cls(edges, labels, (axis.ticks, axis.names), measurement.shape, (0, 1))

    def pictures(self, values: Maps, valid: Valid) -> np.ma.MaskedArray[Any, Any]:
        """Maps as (map, column, row), masked where nothing was measured."""
        mask = np.broadcast_to(~valid.numpy(), values.shape)
        held = np.ma.masked_array(values.numpy(), mask).reshape(-1, *self.shape)
        rest = tuple(1 + n for n in range(len(self.shape)) if n not in self.shown)
        return held.mean(axis=rest) if rest else held

    def draw(self, axes: Axes, picture: np.ma.MaskedArray[Any, Any], colours: Colours) -> Any:
        """One map."""
        mesh = axes.pcolormesh(*self.edges, picture.T, cmap=colours[0], norm=colours[1], rasterized=True)
        axes.set_facecolor(UNMEASURED)
        return mesh

    def label(self, axes: Axes) -> None:
        """Ticks with their names, few enough for a small map."""
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(3))
        if (count := len(self.ticks[0])) in (2, 3):
            names = self.ticks[1] if count == 2 else [name.replace(" ", "\n") for name in self.ticks[1]]
            axes.set_xticks(self.ticks[0], names)
        axes.tick_params(labelsize=6)

    def ends(self) -> tuple[str, str]:
        """What the two axes are and where they end, in words."""
        spans = [f"{edges[0] + 0.0:.3g} to {edges[-1] + 0.0:.3g}".replace("-", "−") for edges in self.edges]
        if self.ticks[1]:
            spans[0] = f"{self.ticks[1][0]} to {self.ticks[1][-1]}".replace("\n", " ")
        return f"{self.labels[0]}, {spans[0]}", f"{self.labels[1]}, {spans[1]}"


def _of_grid(measurement: Measurement, points: QGrid) -> Plane:
    sides, shape = all_sides(measurement, points), (*points.shape, measurement.shape[1])
    one, two = sorted(sorted(range(4), key=lambda n: -shape[n])[:2])
    rest = [sides[n].symbol for n in range(4) if n not in (one, two) and shape[n] > 1]
    words = f"mean over {' and '.join(rest)}" if rest else ""
    pair = (sides[one], sides[two])
    edges, labels = (pair[0].edges, pair[1].edges), (pair[0].label, pair[1].label)
    return Plane(edges, labels, ((), ()), shape, (one, two), words)


@mpl.rc_context(STYLE)
def sheet(measurement: Measurement, values: Maps, valid: Valid, names: Sequence[str], title: str, label: str) -> Figure:
    """Up to `MOST` maps with a name each on one scale: red and blue if there are values well below 0."""
    if len(values) != len(names) or not len(values):
        raise InputError(f"every map needs a name; got {len(values)} maps and {len(names)} names")
    plane, kept = Plane.of(measurement), slice(0, MOST)
    pictures = plane.pictures(values[kept], valid)
    figure, panels = _panels(len(pictures))
    colours = both_ways(pictures)
    lowest = len(pictures) - panels.shape[1]
    for k, (axes, picture, name) in enumerate(zip(panels.flat, pictures, names[kept], strict=False)):
        mesh = plane.draw(axes, picture, colours)
        plane.label(axes)
        axes.tick_params(labelbottom=k >= lowest)
        axes.set_title(name, fontsize=7.5, fontweight="normal")
    for axes in panels.flat[len(pictures) :]:
        axes.set_visible(False)
    left = f"\n{len(values) - MOST} more are not shown" if len(values) > MOST else ""
    said = f"{title}, {plane.averaged}" if plane.averaged else title
    figure.suptitle(said + left, fontsize=9.5, fontweight="bold", x=0.01, ha="left")
    figure.supxlabel(plane.labels[0], fontsize=9)
    figure.supylabel(plane.labels[1], fontsize=9)
    shrink, extend = min(1.0, 3 / len(panels)), beyond(pictures, colours[1])
    bar = figure.colorbar(mesh, ax=list(panels.flat), extend=extend, shrink=shrink, fraction=0.04, ticks=MaxNLocator(5))
    bar.set_label(label)
    return figure


def both_ways(pictures: np.ma.MaskedArray[Any, Any]) -> Colours:
    """Colours that are white at 0 for what has both signs, from the lowest up for what is hardly below 0."""
    values = pictures.compressed()
    low, high = (float(each) for each in np.quantile(values, [0.005, 0.995]))
    top = max(-low, high, 1e-9)
    if low < -BOTH * top:
        return mpl.colormaps["RdBu_r"], Normalize(-top, top)
    return mpl.colormaps["viridis"], Normalize(min(low, 0.0), top)


def _panels(count: int) -> tuple[Figure, Any]:
    columns = min(PER_ROW, count)
    rows = ceil(count / columns)
    figure = Figure(figsize=(1.6 + 1.35 * columns, 1.1 + 1.25 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
