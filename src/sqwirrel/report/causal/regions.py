"""Regions on the spectrum: coloured by which parameters of the model move them, and numbered."""

from collections import Counter
from math import ceil
from textwrap import fill

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sqwirrel.report.causal.tiles import Colours, Tiled, depths, is_map, named, number, outline, paint, tiled
from sqwirrel.report.causal.told import Told
from sqwirrel.report.figures.maps import spectrum_colours
from sqwirrel.report.figures.style import INK, STYLE, UNMEASURED, unit_of

PALETTE = ("#8dd3c7", "#fdb462", "#80b1d3", "#fb8072", "#b3de69", "#bc80bd", "#fccde5", "#ffed6f", "#c7a17a", "#6fa8a0")
NONE, MORE = "#f5f5f5", "#a6a6a6"
PER_ROW, SIZE, WRAP = 4, 7.0, 24


def colours(told: Told) -> list[str]:
    """The colour of each region: one for all that the same parameters of the model move, of the largest such sets."""
    shown = _shown(told)
    return [NONE if not each else shown.get(each, MORE) for each in map(told.movers, range(len(told.regions)))]


def _shown(told: Told) -> dict[tuple[str, ...], str]:
    sizes = Counter[tuple[str, ...]]()
    for region, size in enumerate(told.found.regions.sizes.tolist()):
        sizes[told.movers(region)] += size
    largest = [movers for movers, _ in sizes.most_common() if movers]
    return dict(zip(largest, PALETTE, strict=False))


@mpl.rc_context(STYLE)
def region_map(told: Told, label: str) -> Figure:
    """The regions of one spectrum: bins that touch and have the same parents; grey was not measured."""
    spectrum, of = told.spectra[label], told.of[label]
    if not is_map(spectrum.measurement):
        return _points(told, label)
    found = tiled(spectrum.measurement, of, spectrum.valid)
    colour, count = ListedColormap(colours(told)), len(told.regions)
    shades = (colour, BoundaryNorm(np.arange(count + 1) - 0.5, count))
    if len(found.tiles) == 1:
        return _beside(told, label, found, shades)
    figure, panels = _blank(PER_ROW, ceil(len(found.tiles) / PER_ROW))
    widest = depths(found)
    for axes, tile in zip(panels, found.tiles, strict=False):
        paint(axes, found, tile, shades)
        outline(axes, tile)
        number(axes, tile, widest, SIZE - 1)
    for axes in panels[len(found.tiles) :]:
        axes.set_visible(False)
    named(figure, panels, found)
    _finish(figure, told, label)
    return figure


def _beside(told: Told, label: str, found: Tiled, shades: Colours) -> Figure:
    """The regions beside the data, with the same borders."""
    spectrum = told.spectra[label]
    figure, panels = _blank(2, 1)
    (data,) = tiled(spectrum.measurement, spectrum.intensity, spectrum.valid).tiles
    paint(panels[0], found, data, spectrum_colours(spectrum))
    paint(panels[1], found, found.tiles[0], shades)
    outline(panels[0], found.tiles[0], "white")
    outline(panels[1], found.tiles[0])
    number(panels[1], found.tiles[0], depths(found), SIZE)
    panels[0].set(xlabel=found.across.label, ylabel=found.along, title="Data")
    panels[1].set(xlabel=found.across.label, title="Regions")
    _finish(figure, told, label)
    return figure


def _points(told: Told, label: str) -> Figure:
    """Points that are no picture: their intensities, one after the other, in the colours of their regions."""
    spectrum, of = told.spectra[label], told.of[label]
    figure, panels = _blank(1, 1)
    valid = spectrum.valid.flatten()
    region, values = of.flatten()[valid].numpy(), spectrum.intensity.flatten()[valid].numpy()
    place, shades = np.arange(1, len(values) + 1), np.array(colours(told))
    panels[0].vlines(place, 0, values, color="#cccccc", lw=0.4)
    panels[0].scatter(place, values, c=shades[region], s=14, edgecolor=INK, linewidth=0.3, zorder=3)
    for k in np.unique(region):
        run = np.flatnonzero(region == k)
        at = run[values[run].argmax()]
        panels[0].annotate(str(k + 1), (place[at], values[at]), xytext=(0, 4), textcoords="offset points", ha="center",
                           fontsize=SIZE)  # fmt: skip
    panels[0].set(xlabel="measured points in turn", ylabel=unit_of(spectrum))
    _finish(figure, told, label)
    return figure


def _blank(columns: int, rows: int) -> tuple[Figure, list[Axes]]:
    size = (7.4, 4.2) if columns == 1 else (10.4, 4.2) if columns == 2 else (2.6 + 2.2 * columns, 1.2 + 2.0 * rows)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)


def _finish(figure: Figure, told: Told, label: str) -> None:
    """A title, and the colours in words beside the picture."""
    said = ": ".join(filter(None, (label, "regions that one set of causes moves")))
    figure.suptitle(said[0].upper() + said[1:], fontsize=9.5, fontweight="bold", x=0.01, ha="left")
    here = {told.movers(k) for k in np.unique(told.of[label].numpy()).tolist() if k >= 0}
    shown = [(" ".join(movers), shade) for movers, shade in _shown(told).items() if movers in here]
    more = [("other sets (see the table)", MORE)] if here - {(), *_shown(told)} else []
    none = [("none of the model", NONE)] if () in here else []
    away = [] if bool(told.spectra[label].valid.all()) else [("not measured", UNMEASURED)]
    rows = [*shown, *more, *none, *away]
    patches = [Patch(facecolor=shade, edgecolor=INK, linewidth=0.4, label=fill(words, WRAP)) for words, shade in rows]
    figure.legend(handles=patches, loc="outside right upper", title="moved by", alignment="left", fontsize=7.5)
