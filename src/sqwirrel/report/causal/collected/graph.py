"""The graph of a collection: tiers from left to right, arrows as wide as cause and effect go together."""

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from sqwirrel.explain.causal.collected import CollectedEdge
from sqwirrel.report.causal.collected.content import CollectionTold
from sqwirrel.report.figures.style import ACCENT, BAND, INK, STYLE, blank

WIDE, STEP, ROW = 3.2, 2.0, 0.42
"""Width of an arrow of correlation 1, points; inches from tier to tier, and from column to column of one."""
LETTER, LONGEST, BOW = 0.07, 20, 0.35
"""Inches of a letter, the letters of a name that are shown, and inches above names for arrows that pass a tier."""


@mpl.rc_context(STYLE)
def graph(told: CollectionTold) -> Figure:
    """Solid arrows are told, dashed ones fragile; open ones are not drawn."""
    tiers = told.collection.tiers
    height = ROW * max(3, *map(len, tiers))
    figure, axes = blank((STEP * len(tiers), height + 0.8 + BOW))
    places = {
        name: (STEP * k, height * (1 - (row + 0.5) / len(tier)))
        for k, tier in enumerate(tiers)
        for row, name in enumerate(tier)
    }
    for edge in sorted(told.found.told, key=lambda edge: abs(edge.partial)):
        _arrow(axes, edge, places)
    for name, place in places.items():
        box = {"fc": "w", "ec": INK, "lw": 0.5}
        axes.annotate(_short(name), place, ha="center", va="center", zorder=4, bbox=box, parse_math=False)
    axes.set(title="What goes with what, others held; nobody intervened", ylim=(0, height + BOW))
    axes.set_xlim(-STEP / 2, STEP * (len(tiers) - 0.5))
    axes.axis("off")
    _legend(axes)
    return figure


def _arrow(axes: Axes, edge: CollectedEdge, places: dict[str, tuple[float, float]]) -> None:
    """From the right of a name to the left of another; round the names of tiers between."""
    (x, y), (to_x, to_y) = places[edge.cause], places[edge.effect]
    ends = (x + _half(edge.cause), y), (to_x - _half(edge.effect), to_y)
    bow = 0.0 if to_x - x < 1.5 * STEP else -0.2 if y >= to_y else 0.2
    axes.add_patch(
        FancyArrowPatch(*ends, connectionstyle=f"arc3,rad={bow}", arrowstyle="-|>", mutation_scale=9, shrinkA=0,
                        shrinkB=0, lw=0.3 + WIDE * abs(edge.partial), color=BAND if edge.slope > 0 else ACCENT,
                        ls="-" if edge.state == "told" else (0, (4, 2)), alpha=0.35 + 0.6 * abs(edge.partial), zorder=2)
    )  # fmt: skip


def _half(name: str) -> float:
    return LETTER * len(_short(name)) / 2 + 0.09


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[1 - LONGEST // 2 :]}"


def _legend(axes: Axes) -> None:
    lines = [
        Line2D([], [], color=BAND, lw=1.6, label="more of one, more of the other"),
        Line2D([], [], color=ACCENT, lw=1.6, label="more of one, less of the other"),
        Line2D([], [], color=INK, lw=1.2, ls=(0, (4, 2)), label="fragile"),
    ]
    axes.legend(handles=lines, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3)
