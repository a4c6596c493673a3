"""A spectrum as one picture or several side by side, and where regions and their numbers stand in it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from sqwirrel.report.axes import Across, across
from sqwirrel.report.figures import grid
from sqwirrel.report.figures.style import INK, UNMEASURED
from sqwirrel.spectra import Measurement, QGrid, QPoints

Colours = tuple[Colormap, Normalize]
Region = Shaped[np.ndarray, "x y"]
Pixels = np.ma.MaskedArray[Any, Any]
DEEP = 0.022
"""A number stands where its region is so wide, as a share of the picture, and at its widest place anyhow."""


class Tile(NamedTuple):
    """One picture: edges of its bins, values (masked where nothing was measured), and what it is of."""

    x: Float[np.ndarray, " edge"]
    y: Float[np.ndarray, " edge"]
    values: Pixels
    name: str


class Tiled(NamedTuple):
    """Pictures that share their axes."""

    tiles: list[Tile]
    across: Across
    along: str


def is_map(measurement: Measurement) -> bool:
    """Whether bins are pixels of a picture."""
    points = measurement.points
    return not isinstance(points, QPoints) and (not isinstance(points, QGrid) or grid.has_map(measurement))


def tiled(measurement: Measurement, values: Tensor, valid: Bool[Tensor, "point energy"]) -> Tiled:
    """Values of a spectrum that `is_map`; at most twelve slices of a grid."""
    if isinstance(measurement.points, QGrid):
        slices = grid.Slices.of(measurement, valid)
        one, two = slices.sides
        cuts = zip(slices.cut(values.double(), valid), slices.names, strict=True)
        return Tiled(
            [Tile(one.edges, two.edges, cut, name) for cut, name in cuts],
            Across(torch.from_numpy(one.edges), one.label),
            two.label,
        )
    axis = across(measurement)
    laid = np.ma.masked_array(values.numpy(), ~valid.numpy())
    return Tiled([Tile(axis.edges.numpy(), measurement.energy.numpy(), laid, "")], axis, "energy (meV)")


def paint(axes: Axes, found: Tiled, tile: Tile, colours: Colours) -> QuadMesh:
    """One picture; grey is not measured."""
    mesh = axes.pcolormesh(tile.x, tile.y, tile.values.T, cmap=colours[0], norm=colours[1], rasterized=True)
    axes.set_facecolor(UNMEASURED)
    axes.set_title(tile.name, fontsize=7.5, fontweight="normal")
    if found.across.ticks:
        stacked = [name.replace(" ", "\n") for name in found.across.names]  # panels are narrow
        axes.set_xticks(found.across.ticks, stacked, linespacing=0.95)
    return mesh


def named(figure: Figure, panels: Sequence[Axes], found: Tiled) -> None:
    """Labels of the axes that all panels share."""
    if len(panels) == 1:
        panels[0].set(xlabel=found.across.label, ylabel=found.along)
        return
    figure.supxlabel(found.across.label, fontsize=9)
    figure.supylabel(found.along, fontsize=9)


def outline(axes: Axes, tile: Tile, colour: str = INK) -> None:
    """Lines between regions."""
    values, x, y = tile.values.filled(-1), tile.x, tile.y
    i, j = np.nonzero(_differ(values[1:], values[:-1]))
    upright = [((x[a + 1], y[b]), (x[a + 1], y[b + 1])) for a, b in zip(i, j, strict=True)]
    i, j = np.nonzero(_differ(values[:, 1:], values[:, :-1]))
    level = [((x[a], y[b + 1]), (x[a + 1], y[b + 1])) for a, b in zip(i, j, strict=True)]
    axes.add_collection(LineCollection([*upright, *level], colors=colour, linewidths=0.45))


def _differ(one: Region, other: Region) -> Bool[np.ndarray, "x y"]:
    apart: Bool[np.ndarray, "x y"] = (one != other) & (one >= 0) & (other >= 0)
    return apart


def number(axes: Axes, tile: Tile, widest: dict[int, float], size: float, kind: str = "") -> None:
    """The number of every region of a picture where it is widest, if that is wide or its widest place of all."""
    for region in shown(tile):
        depth, place = deepest(tile, region)
        if depth > DEEP or depth >= widest[region]:
            label = axes.text(
                *place, f"{kind}{region + 1}", ha="center", va="center", fontsize=size, color=INK, zorder=5
            )
            label.set_path_effects([withStroke(linewidth=1.6, foreground="white")])


def shown(tile: Tile) -> list[int]:
    """The regions in a picture."""
    numbers: list[int] = np.unique(tile.values.compressed()).astype(int).tolist()
    return numbers


def depths(found: Tiled) -> dict[int, float]:
    """How wide each region is where it is widest."""
    widest: dict[int, float] = {}
    for tile in found.tiles:
        for region in shown(tile):
            widest[region] = max(widest.get(region, 0.0), deepest(tile, region)[0])
    return widest


def deepest(tile: Tile, region: int) -> tuple[float, tuple[float, float]]:
    """How far from its border the innermost bin of a region is, as a share of the picture, and where that is."""
    inside = np.pad(tile.values.filled(-1) == region, 1)
    steps = [1 / side for side in tile.values.shape]
    depth = distance_transform_edt(inside, sampling=steps)[1:-1, 1:-1]
    i, j = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(depth[i, j]), (float(tile.x[i : i + 2].mean()), float(tile.y[j : j + 2].mean()))
