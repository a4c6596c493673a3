"""The tree of regions beside the map with few of them."""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.cluster.hierarchy import dendrogram

from sqwirrel.explain.causal.edges import TOLD
from sqwirrel.explain.causal.zoom import Coarse
from sqwirrel.report.causal.regions import PALETTE
from sqwirrel.report.causal.tiles import depths, is_map, number, outline, paint, shown, tiled
from sqwirrel.report.causal.told import Told
from sqwirrel.report.figures.style import INK, STYLE

LEAVES, NAMED, ROWS = 30, 3, 16
"""Leaves of the tree, parameters that a coarse region is named with, and coarse regions named, at most."""
TALL, TREE, MAP = 5.8, 5.6, 5.4
"""Height, and widths of the tree and of the maps (inches)."""
SIZE = 7.0


@mpl.rc_context(STYLE)
def zoom_map(told: Told, label: str) -> Figure | None:
    """The tree of all regions, and one spectrum with few of them (of several slices the one that has most), in the
    colours of the first of these maps; None of a single region.
    """
    if len(told.regions) < 2:
        return None
    first = told.found.coarse(told.counts[0]).of.tolist()
    maps = told.counts if is_map(told.spectra[label].measurement) else ()
    figure = Figure(figsize=(TREE + (MAP if maps else 0), TALL), layout="constrained")
    FigureCanvasAgg(figure)
    left, *right = figure.subfigures(1, 1 + bool(maps), squeeze=False, width_ratios=[TREE, MAP][: 1 + bool(maps)])[0]
    _tree(left.subplots(), told, first)
    for axes, count in zip(right[0].subplots(len(maps), squeeze=False).flat if right else (), maps, strict=True):
        _map(axes, told, label, count, first)
    return figure


def shade(coarse: int) -> str:
    """The colour of a region of the first map."""
    return PALETTE[coarse % len(PALETTE)]


def _tree(axes: Axes, told: Told, first: list[int]) -> None:
    """Joins to the left, each as far as what it loses; the lowest are not drawn where leaves are many."""
    joins, count = told.found.linkage, len(told.regions)
    members = [[k] for k in range(count)]
    for a, b in joins[:, :2].astype(int).tolist():
        members.append(members[a] + members[b])
    drawn = dendrogram(joins, LEAVES, "lastp", no_plot=True, link_color_func=_link(first, members))
    leaves = drawn["leaves"]
    least = max(float(joins[max(count - len(leaves), 0), 2]), 1e-3) / 2
    along, across = np.maximum(drawn["dcoord"], least), np.array(drawn["icoord"]) / 10 - 0.5
    axes.add_collection(LineCollection(list(np.stack((along, across), -1)), colors=drawn["color_list"], linewidths=1.6))
    shades = [shade(first[members[each][0]]) for each in leaves]
    axes.scatter(
        [least] * len(leaves),
        range(len(leaves)),
        c=shades,
        s=22,
        marker="s",
        edgecolor=INK,
        linewidth=0.4,
        clip_on=False,
        zorder=3,
    )
    for few in (each for each in told.counts if 1 < each < count):
        axes.axvline(np.sqrt(joins[count - few - 1, 2] * joins[count - few, 2]), color=INK, lw=0.7, ls=":")
    axes.set(xscale="log", xlim=(1.2 * max(joins[-1, 2], least), least), ylim=(len(leaves) - 0.5, -0.5))
    axes.set(xlabel="lost by joining (standard deviations)")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.tick_right()
    axes.set_yticks(range(len(leaves)), [_leaf(told, members[each]) for each in leaves], fontsize=SIZE)
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "right", "top"]].set_visible(False)
    part = f" (the last {len(leaves) - 1} of {count - 1} joins)" if len(leaves) < count else ""
    axes.set_title(f"Tree of {count} regions{part}")


def _link(first: list[int], members: list[list[int]]) -> Callable[[int], str]:
    """The colour of a join: of its regions, if they are one in the first map."""

    def colour(join: int) -> str:
        ones = {first[k] for k in members[join]}
        return shade(ones.pop()) if len(ones) == 1 else INK

    return colour


def _leaf(told: Told, members: list[int]) -> str:
    """The region that most is seen in, how many are with it, and the parameters of the model that move its bins."""
    first = max(members, key=lambda k: float(told.found.edges.effect[k].square().sum()))
    more = f" +{len(members) - 1}" if len(members) > 1 else ""
    return f"{told.regions[first]}{more}  {' '.join(told.movers(first)) or '-'}"


def _map(axes: Axes, told: Told, label: str, count: int, first: list[int]) -> None:
    spectrum, coarse = told.spectra[label], told.found.coarse(count)
    found = tiled(spectrum.measurement, told.coarse(label, count), spectrum.valid)
    tile = max(found.tiles, key=lambda each: len(shown(each)))
    shades = [shade(first[int((coarse.of == k).nonzero()[0, 0])]) for k in range(len(coarse.effect))]
    paint(axes, found, tile, (ListedColormap(shades), BoundaryNorm(np.arange(len(shades) + 1) - 0.5, len(shades))))
    outline(axes, tile)
    number(axes, tile, depths(found._replace(tiles=[tile])), SIZE, "Z")
    said = ", ".join(filter(None, (f"{len(shades)} regions", label, tile.name)))
    axes.set(xlabel=found.across.label, ylabel=found.along)
    axes.set_title(said, fontsize=9.5, fontweight="bold")
    here = shown(tile)
    rows = [Patch(fc=shades[k], ec=INK, lw=0.4, label=f"Z{k + 1}  {_named(told, coarse, k)}") for k in here[:ROWS]]
    title = f"d′ of the largest {ROWS}" if len(here) > ROWS else "d′"
    axes.legend(
        handles=rows, loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=SIZE, title=title, alignment="left"
    )


def _named(told: Told, coarse: Coarse, region: int) -> str:
    """The parameters of the model that a coarse region tells best, with d'."""
    effect = {name: float(coarse.effect[region, told.found.names.index(name)]) for name in told.models}
    best = sorted((name for name in effect if effect[name] > TOLD), key=lambda name: -effect[name])
    return ", ".join(f"{name} {effect[name]:.3g}" for name in best[:NAMED]) or "none of the model"
