"""A grid of a crystal as a picture: what is drawn follows from the axes that have more than one bin.

One axis of Q and energies, or two axes and one energy, are a map; one axis alone is a cut with error bars; two axes
and more are slices along the first two, at most `MOST` of them, evenly over the others. Grey is not measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from torch import Tensor

from sqwirrel.report.figures.style import INK, STYLE, UNMEASURED, beyond, blank, frame, model_line, unit_of
from sqwirrel.spectra import Measurement, QGrid, Spectrum

MOST, PER_ROW, SMALLEST = 12, 4, 1e-8
LETTERS = ("h", "k", "l")


@dataclass(frozen=True, eq=False)
class Side:
    """One of four axes: bin edges, a label, and the same for one bin of it."""

    edges: Float[np.ndarray, " edge"]
    label: str
    symbol: str
    unit: str

    def window(self, k: int) -> str:
        """Bin `k` in words."""
        words = f"{self.symbol} = {self.edges[k] + 0.0:.4g} to {self.edges[k + 1] + 0.0:.4g}{self.unit}"
        return words.replace("-", "−")


@dataclass(frozen=True, eq=False)
class Slices:
    """How a grid is cut into pictures along two of its axes, `sides`: the places of the others that are shown, their
    `names`, and what of the others stands still.
    """

    sides: tuple[Side, Side]
    names: list[str]
    held: list[str]
    shape: tuple[int, ...]
    order: tuple[int, ...]
    places: list[tuple[int, ...]]

    @classmethod
    def of(cls, measurement: Measurement, valid: Bool[Tensor, "point energy"]) -> "Slices":
        """Those of a grid that `has_map`: at most `MOST`, in which something was measured."""
        points = measurement.points
        assert isinstance(points, QGrid)
        sides, shape = all_sides(measurement, points), _shape(measurement, points)
        wide = _wide(shape)
        shown = wide if 3 in wide and len(wide) == 2 else wide[:2]
        rest = [n for n in range(4) if n not in shown]
        laid = valid.numpy().reshape(shape).transpose(*rest, *shown)
        places = _chosen(laid.reshape(-1, *(shape[n] for n in shown)), [shape[n] for n in rest])
        names = [
            "\n".join(sides[n].window(k) for n, k in zip(rest, place, strict=True) if shape[n] > 1) for place in places
        ]
        pair = (sides[shown[0]], sides[shown[1]])
        return cls(pair, names, _held(sides, rest, points), tuple(shape), (*rest, *shown), places)

    def cut(
        self, values: Float[Tensor, "point energy"], valid: Bool[Tensor, "point energy"]
    ) -> list[np.ma.MaskedArray[Any, Any]]:
        """The pictures of some values, masked where nothing was measured."""
        laid, used = (each.numpy().reshape(self.shape).transpose(self.order) for each in (values, valid))
        return [np.ma.masked_array(laid[place], ~used[place]) for place in self.places]


def has_map(measurement: Measurement) -> bool:
    """Whether a grid has two axes at least with more than one bin."""
    return isinstance(measurement.points, QGrid) and len(_wide(_shape(measurement, measurement.points))) > 1


@mpl.rc_context(STYLE)
def maps(
    measurement: Measurement,
    values: Float[Tensor, "point energy"],
    valid: Bool[Tensor, "point energy"],
    title: str,
    colours: tuple[Colormap, Normalize],
    label: str,
) -> Figure:
    """One map, or slices side by side, of values on a grid that `has_map`."""
    slices = Slices.of(measurement, valid)
    said = _title(title, slices.held)
    return _slices(slices.cut(values, valid), slices.names, slices.sides, said, (*colours, label))


@mpl.rc_context(STYLE)
def line(spectrum: Spectrum, title: str, predicted: Float[Tensor, "draw point energy"] | None = None) -> Figure:
    """Intensity with its errors along the only axis of a grid with several bins, or along energy, over what a model
    has `predicted`.
    """
    measurement, points = spectrum.measurement, spectrum.measurement.points
    assert isinstance(points, QGrid)
    sides = all_sides(measurement, points)
    shown = (_wide(_shape(measurement, points)) or [3])[0]
    figure, axes = blank((4.6, 3.3))
    valid, side = spectrum.valid.ravel(), sides[shown]
    data, error = (each.ravel()[valid] for each in (spectrum.intensity, spectrum.error))
    centres = ((side.edges[1:] + side.edges[:-1]) / 2)[valid.numpy()]
    if predicted is not None:
        model_line(axes, torch.from_numpy(centres), predicted.flatten(1)[:, valid])
    axes.errorbar(centres, data.numpy(), error.numpy(), fmt="o", ms=2.6, lw=0.7, color=INK)
    frame(axes, data, error)
    axes.set(xlabel=side.label, ylabel=unit_of(spectrum), xlim=(side.edges[0], side.edges[-1]))
    held = _held(sides, [n for n in range(4) if n != shown], points)
    axes.set_title(_title(title, held), fontsize=8.5, fontweight="normal")
    return figure


def _shape(measurement: Measurement, points: QGrid) -> list[int]:
    return [*points.shape, measurement.shape[1]]


def _wide(shape: Sequence[int]) -> list[int]:
    return [n for n, count in enumerate(shape) if count > 1]


def _title(title: str, held: Sequence[str]) -> str:
    """The title, and below it what was held, two in a line."""
    return "\n".join([title, *(", ".join(held[n : n + 2]) for n in range(0, len(held), 2))])


def all_sides(measurement: Measurement, points: QGrid) -> list[Side]:
    """The axes of Q, and energy."""
    labels = [_direction(points, n) for n in range(3)]
    q = [
        Side(e.numpy(), f"{label} (rlu)", letter, "")
        for e, label, letter in zip(points.edges, labels, LETTERS, strict=True)
    ]
    return [*q, Side(measurement.energy.numpy(), "energy (meV)", "E", " meV")]


def _direction(points: QGrid, n: int) -> str:
    """An axis as (h, h, 0), with what the origin adds to it."""
    pairs = zip(points.axes[n].tolist(), points.origin.tolist(), strict=True)
    return f"({', '.join(_component(factor, LETTERS[n], offset) for factor, offset in pairs)})"


def _component(factor: float, letter: str, offset: float) -> str:
    size = f"{abs(factor):.3g}"
    moving = "" if size == "0" else f"{'' if size == '1' else size}{letter}"
    if not moving or abs(offset) < 5e-4:
        return f"{'−' if moving and factor < 0 else ''}{moving or f'{offset + 0.0:.3g}'}"
    return f"{offset:.3g} {'−' if factor < 0 else '+'} {moving}"


def _held(sides: Sequence[Side], rest: Sequence[int], points: QGrid) -> list[str]:
    """What was integrated over, and what the letters in the titles of slices stand for."""
    words = []
    for n in rest:
        name = sides[n].label.removesuffix(" (rlu)")
        is_one = len(sides[n].edges) == 2
        if n == 2 and points.beam is not None:
            words.append(f"{name} from the beam")
        elif is_one:
            words.append(sides[n].window(0) if n == 3 else f"{sides[n].window(0)} in {name}")
        elif n < 3:
            words.append(f"{sides[n].symbol} in {name}")
    return words


def _chosen(valid: Bool[np.ndarray, "tile one two"], shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Places of up to `MOST` tiles with a measured bin, evenly over all of those."""
    measured = np.flatnonzero(valid.any(axis=(1, 2)))
    wanted = measured[np.unique(np.linspace(0, len(measured) - 1, min(MOST, len(measured))).round().astype(int))]
    return [tuple(int(k) for k in np.unravel_index(each, shape)) for each in wanted]


def _slices(
    tiles: Sequence[np.ma.MaskedArray[Any, Any]],
    names: Sequence[str],
    sides: tuple[Side, Side],
    title: str,
    colours: tuple[Colormap, Normalize, str],
) -> Figure:
    """Maps side by side, on one scale."""
    columns = min(PER_ROW, len(tiles))
    rows = ceil(len(tiles) / columns)
    size = (4.9, 3.9) if len(tiles) == 1 else (1.1 + 2.1 * columns, 1.1 + 1.9 * rows)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    colour, norm, unit = colours
    for axes, tile, name in zip(panels.flat, tiles, names, strict=False):
        mesh = axes.pcolormesh(sides[0].edges, sides[1].edges, tile.T, cmap=colour, norm=norm, rasterized=True)
        axes.set_facecolor(UNMEASURED)
        axes.set_title(name, fontsize=8, fontweight="normal")
    for axes in panels.flat[len(tiles) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=8.5, x=0.02, ha="left")
    figure.supxlabel(sides[0].label, fontsize=9)
    figure.supylabel(sides[1].label, fontsize=9)
    extend = beyond(np.ma.stack(list(tiles)), norm)
    bar = figure.colorbar(mesh, ax=list(panels.flat), extend=extend, ticks=MaxNLocator(6, steps=[1, 2, 5, 10]))
    labelled(bar, norm, unit)
    return figure


def labelled(bar: Colorbar, norm: Normalize, label: str) -> None:
    """A label for a colour bar, with the power of ten of very small and large values: long numbers push it out."""
    top = max(abs(float(norm.vmin or 0)), abs(float(norm.vmax or 0)))
    order = floor(log10(top)) if top > SMALLEST else 0
    if not -2 < order < 4:
        bar.formatter = FuncFormatter(lambda value, _: f"{value / 10.0**order:.3g}".replace("-", "−"))
        label = f"$10^{{{order}}}$ {label}"
    bar.set_label(label)
