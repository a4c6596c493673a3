"""What would have been measured after an action, beside what was."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sqwirrel.explain.causal.measured import Counterfactual
from sqwirrel.report.axes import place
from sqwirrel.report.causal.tiles import Pixels, Tile, Tiled, is_map, paint, tiled
from sqwirrel.report.figures.maps import spectrum_colours
from sqwirrel.report.figures.style import BAND, INK, STYLE, blank, unit_of
from sqwirrel.spectra import Measurement, QGrid, Spectrum


@mpl.rc_context(STYLE)
def acted_map(spectrum: Spectrum, acted: Counterfactual, label: str) -> Figure:
    """What was measured, what would have been, the difference, and the cut through it where most changes, with the
    95 % interval. Of several slices the one where most changes.
    """
    if not is_map(spectrum.measurement):
        return _points(spectrum, acted, label)
    shown = _Shown.of(spectrum, acted, label)
    figure = Figure(figsize=(9.4, 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(2, 2).flat)
    shades = spectrum_colours(spectrum)
    top = max(float(np.abs(shown.change.compressed()).max(initial=0.0)), 1e-9)
    pictures = (
        ("Measured", shown.was.values, shades, unit_of(spectrum)),
        (f"After {acted.action}".replace("-", "−"), shown.now.values, shades, unit_of(spectrum)),
        ("Change", shown.change, (mpl.colormaps["RdBu_r"], Normalize(-top, top)), unit_of(spectrum)),
    )
    for axes, (title, values, colours, unit) in zip(panels, pictures, strict=False):
        mesh = paint(axes, shown.tiles, shown.was._replace(values=values), colours)
        axes.set(xlabel=shown.tiles.across.label, ylabel=shown.tiles.along)
        axes.set_title(title)
        figure.colorbar(mesh, ax=axes, label=unit)
        if title == "Change":
            axes.axvline(float(shown.was.x[shown.column : shown.column + 2].mean()), color=INK, lw=0.6, ls=":")
    _cut(panels[3], shown, unit_of(spectrum))
    said = ", ".join(filter(None, (label, shown.was.name)))
    figure.suptitle(said, fontsize=9.5, fontweight="bold", x=0.01, ha="left")
    return figure


class _Shown(NamedTuple):
    """The picture in which most changes: before, after, the ends of the interval, and the column of the cut."""

    tiles: Tiled
    was: Tile
    now: Tile
    ends: tuple[Tile, Tile]
    column: int
    where: str

    @property
    def change(self) -> Pixels:
        """After less before."""
        change: Pixels = self.now.values - self.was.values
        return change

    @classmethod
    def of(cls, spectrum: Spectrum, acted: Counterfactual, label: str) -> "_Shown":
        rows = (spectrum.intensity, acted.spectra[label].intensity, *acted.interval95[label])
        was, now, low, high = (tiled(spectrum.measurement, each, spectrum.valid) for each in rows)
        size = [np.abs(b.values - a.values) for a, b in zip(was.tiles, now.tiles, strict=True)]
        error = tiled(spectrum.measurement, spectrum.error.clamp(min=_least(spectrum)), spectrum.valid)
        size = [each / other.values for each, other in zip(size, error.tiles, strict=True)]
        k = int(np.argmax([float((each**2).sum() or 0) for each in size]))
        column = int(np.argmax((size[k].filled(0) ** 2).sum(1)))
        ends = low.tiles[k], high.tiles[k]
        return cls(was, was.tiles[k], now.tiles[k], ends, column, _where(spectrum.measurement, was, k, column))


def _least(spectrum: Spectrum) -> float:
    """Errors below this, of bins without counts, are none."""
    return float(spectrum.error[spectrum.valid & (spectrum.error > 0)].median()) / 10


def _where(measurement: Measurement, shown: Tiled, k: int, column: int) -> str:
    """A column of a picture in words."""
    if not isinstance(measurement.points, QGrid):
        return place(measurement, column, column + 1)
    middle = float(shown.tiles[k].x[column : column + 2].mean())
    return f"{shown.across.label} = {middle:.3g}".replace("-", "−")


def _cut(axes: Axes, shown: _Shown, unit: str) -> None:
    tile, at = shown.was, shown.column
    y = (tile.y[1:] + tile.y[:-1]) / 2
    low, high = (each.values[at].filled(np.nan) for each in shown.ends)
    axes.fill_between(y, low, high, color=BAND, alpha=0.4, lw=0, label="95 % interval", step="mid")
    axes.step(y, shown.now.values[at].filled(np.nan), where="mid", color=BAND, lw=1.2, label="after the action")
    axes.plot(y, tile.values[at].filled(np.nan), "o", ms=2.5, color=INK, label="measured")
    axes.set(xlabel=shown.tiles.along, ylabel=unit)
    axes.set_title(f"Cut at {shown.where}")
    axes.legend(frameon=False)


def _points(spectrum: Spectrum, acted: Counterfactual, label: str) -> Figure:
    """Points that are no picture, one after the other."""
    figure, axes = blank((7.4, 4.2))
    valid = spectrum.valid
    values = spectrum.intensity[valid].numpy()
    place = np.arange(1, len(values) + 1)
    low, high = (each[valid].numpy() for each in acted.interval95[label])
    axes.fill_between(place, low, high, color=BAND, alpha=0.4, lw=0, step="mid", label="95 % interval")
    now = acted.spectra[label].intensity[valid].numpy()
    axes.step(place, now, where="mid", color=BAND, lw=1.2, label=f"after {acted.action}")
    axes.plot(place, values, "o", ms=3, color=INK, label="measured")
    axes.set(xlabel="measured points in turn", ylabel=unit_of(spectrum), title=label)
    axes.legend(frameon=False)
    return figure
