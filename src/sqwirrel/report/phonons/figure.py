"""The branches of a crystal along its standard path with their bands."""

from collections.abc import Iterator
from textwrap import wrap

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from sqwirrel.report.figures.style import ACCENT, BAND, INK, STYLE
from sqwirrel.report.phonons.dispersion import Dispersion
from sqwirrel.report.phonons.states import States

GAP = 0.025
"""Of the whole path, where it breaks off and goes on elsewhere."""
SHADES = {"band90": "#bdd3e8", "band68": "#7fa8cf"}
ENDED = "#dfe8f2"
SEEN, SEEN_LINE = {"band90": "#fdd9b5", "band68": "#f5b377"}, "#b35806"
IMAGINARY = -0.1
"""Energies (meV) below this are no rounding at the zone centre."""
WALL = "#333333"


@mpl.rc_context(STYLE)
def branches(found: Dispersion) -> Figure:
    """Median, 68 and 90 % of every branch and of the density of states, and those of the model's own values."""
    figure = Figure(figsize=(8.6, 4.0) if found.states else (7.2, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    if found.states is None:
        _branches(figure.add_subplot(), found)
    else:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(5, 1))
        _branches(left, found)
        _states(right, found.states)
    if found.doubt:
        figure.supxlabel("\n".join(wrap(found.doubt, 120)), fontsize=7, color=ACCENT)
    figure.legend(handles=_legend(found), loc="outside upper left", ncols=5)
    return figure


def _states(axes: Axes, found: States) -> None:
    """Of all atoms, and as neutrons see it where that is another."""
    differs = found.differ
    y, every = found.energy.numpy(), [(found.total, SHADES, BAND), *([(found.neutron, SEEN, SEEN_LINE)] * differs)]
    for levels, shades, colour in every:
        for name, shade in shades.items():
            axes.fill_betweenx(y, *levels[name].numpy(), color=shade, lw=0, alpha=0.8 if differs else 1.0)
        axes.plot(levels["median"][0].numpy(), y, color=colour, lw=1.0)
    if found.own is not None:
        for row in found.own[: 1 + differs].numpy():
            axes.plot(row, y, color=ACCENT, lw=0.9, ls="--")
    top = max(float(levels["band90"].max()) for levels, _, _ in every)
    axes.set(xlim=(0, 1.05 * top), xlabel="states (1/meV)")
    axes.locator_params(axis="x", nbins=3)
    axes.tick_params(axis="y", length=0)
    if differs:
        handles = [
            Line2D([], [], color=BAND, label="all atoms"),
            Line2D([], [], color=SEEN_LINE, label="as neutrons\nsee them"),
        ]
        axes.legend(handles=handles, loc="best", handlelength=1.0, fontsize=7)


def _branches(axes: Axes, found: Dispersion) -> None:
    places = list(_places(found))
    start = 0
    for (along, _), line in zip(places, found.lines, strict=True):
        _line(axes, found, along, slice(start, start + len(line.q)))
        start += len(line.q)
    _frame(axes, found, places)
    more = (found.widened, found.ended, found.own)
    every = [*found.levels.values(), *(each for each in more if each is not None)]
    low, high = min(float(each.min()) for each in every), max(float(each.max()) for each in every)
    axes.set(ylabel="energy (meV)", ylim=(1.08 * low if low < IMAGINARY else 0.0, 1.04 * high))
    if low < IMAGINARY:
        axes.axhline(0, color=INK, lw=0.6)


def _places(found: Dispersion) -> Iterator[tuple[torch.Tensor, bool]]:
    """Where each line is drawn, with gaps where the path breaks off; and whether one is before it."""
    gap, shift = GAP * float(found.lines[-1].along[-1]), 0.0
    for k, line in enumerate(found.lines):
        breaks = k > 0 and not line.is_joined
        shift += gap * breaks
        yield line.along + shift, breaks


def _line(axes: Axes, found: Dispersion, along: torch.Tensor, part: slice) -> None:
    x = along.numpy()
    bands = [(found.levels[name], colour) for name, colour in SHADES.items()]
    bands = [(found.ended, ENDED), *bands] if found.ended is not None else bands
    for shade, (band, colour) in enumerate(bands, 1):  # opaque: where bands cross, neither is darker
        low, high = band[:, part].numpy()
        for k in range(low.shape[1]):
            axes.fill_between(x, low[:, k], high[:, k], color=colour, lw=0, zorder=1 + shade / 10)
    axes.plot(x, found.levels["median"][0, part].numpy(), color=BAND, lw=1.0)
    if found.widened is not None:
        for edge in found.widened[:, part].numpy():
            axes.plot(x, edge, color=BAND, lw=0.7, ls=":")
    if found.own is not None:
        axes.plot(x, found.own[part].numpy(), color=ACCENT, lw=1.0, ls="--")


def _frame(axes: Axes, found: Dispersion, places: list[tuple[torch.Tensor, bool]]) -> None:
    """Corners by name; white where the path breaks off."""
    ticks, names = [float(places[0][0][0])], [found.lines[0].names[0]]
    for (along, breaks), line in zip(places, found.lines, strict=True):
        if breaks:
            before, after = ticks[-1], float(along[0])
            _gap(axes, before, after)
            ticks[-1], names[-1] = (before + after) / 2, f"{names[-1]} | {line.names[0]}"
        else:
            axes.axvline(float(along[0]), color=WALL, lw=0.7)
        ticks.append(float(along[-1]))
        names.append(line.names[1])
    axes.set_xticks(ticks, names)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(float(places[0][0][0]), float(places[-1][0][-1]))


def _gap(axes: Axes, before: float, after: float) -> None:
    """White over the frame, too, between two walls."""
    across = axes.get_xaxis_transform()
    axes.add_patch(
        Rectangle((before, -0.01), after - before, 1.02, transform=across, color="white", lw=0, zorder=4, clip_on=False)
    )
    for x in (before, after):
        axes.plot((x, x), (0, 1), transform=across, color=WALL, lw=0.7, zorder=5, clip_on=False)


def _legend(found: Dispersion) -> list[Line2D | Patch]:
    rows: list[Line2D | Patch] = [
        Line2D([], [], color=BAND, lw=1.0, label="median"),
        Patch(color=SHADES["band68"], lw=0, label="68 %"),
        Patch(color=SHADES["band90"], lw=0, label="90 %"),
    ]
    if found.ended is not None:
        rows.append(Patch(color=ENDED, lw=0, label="90 %, springs left out"))
    if found.widened is not None:
        rows.append(Line2D([], [], color=BAND, lw=0.7, ls=":", label="90 %, widened by the misfit"))
    if found.own is not None:
        rows.append(Line2D([], [], color=ACCENT, lw=1.0, ls="--", label=found.origin))
    return rows
