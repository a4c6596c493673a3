"""The graph of a causal map: causes on the left, regions on the right, arrows as wide as their effect is large."""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sqwirrel.report.causal.regions import colours
from sqwirrel.report.causal.told import Told
from sqwirrel.report.figures.style import INK, STYLE, blank

SHADES = ("#1b6ca8", "#c4452d", "#2f8f4e", "#7a4ea3", "#c98a00", "#0e8f8f", "#a8326e", "#6b6b00")
NUISANCE = "#8c8c8c"
MOST, WIDE = 16, 3.2
"""Regions that are shown, peaks and bulk numbers and those that most is seen in, and the width of the strongest arrow,
points.
"""


@mpl.rc_context(STYLE)
def graph(told: Told) -> Figure:
    """Solid arrows are there, dashed ones are undecided; those of nuisances are grey and thin."""
    seen = told.found.edges.state >= 0
    causes = [k for k in told.columns if bool(seen[:, k].any())]
    shown = told.foremost(told.found.edges.effect.square().sum(1), MOST)
    rows = _untangled(told, causes, [k for k in shown if bool(seen[k].any())])
    height = max(len(rows), len(causes), 6)
    figure, axes = blank((7.4, 0.9 + 0.2 * height))
    left, right = _spread(len(causes)), _spread(len(rows))
    _arrows(axes, told, dict(zip(causes, left, strict=True)), dict(zip(rows, right, strict=True)))
    for cause, y in zip(causes, left, strict=True):
        name = told.found.names[cause]
        axes.annotate(name, (0, y), xytext=(-6, 0), textcoords="offset points", ha="right", va="center",
                      color=_shade(told, name), fontweight="bold" if name in told.models else "normal")  # fmt: skip
    _regions(axes, told, rows, right)
    of = f", {len(rows)} of {len(told.regions)} regions" if len(rows) < len(told.regions) else ""
    axes.set(title=f"What moves what{of}", xlim=(-0.16, 1.42), ylim=(1.03, -0.03))
    axes.axis("off")
    _legend(axes)
    return figure


def _regions(axes: Axes, told: Told, rows: list[int], right: list[float]) -> None:
    shades = colours(told)
    for k, y in zip(rows, right, strict=True):
        axes.plot(1, y, "s", ms=6, mfc=shades[k], mec=INK, mew=0.5, zorder=4)
        label, place = next(iter(told.places(k).items()))
        words = f"{f'{told.regions[k]}  {label}'.rstrip()}, {_said(place)}"
        axes.annotate(
            words.replace("-", "−"), (1, y), xytext=(8, 0), textcoords="offset points", va="center", fontsize=7.5
        )


def _said(place: Mapping[str, Any]) -> str:
    """Where a region is, or what a single one is."""
    if "what" in place:
        return str(place["what"])
    low, high = place["energy"]
    return f"{place['bins']} bins, {low:.3g} to {high:.3g} meV"


def _arrows(axes: Axes, told: Told, left: dict[int, float], right: dict[int, float]) -> None:
    edges, state = told.found.edges, told.found.edges.state
    top = float(edges.effect.max())
    way = np.linspace(0, 1, 40)
    bend = way**2 * (3 - 2 * way)
    for cause, start in sorted(left.items(), key=lambda each: told.found.names[each[0]] in told.models):
        name = told.found.names[cause]
        for region, stop in right.items():
            if int(state[region, cause]) < 0:
                continue
            strength = math.log1p(float(edges.effect[region, cause])) / math.log1p(top)
            wide = WIDE if name in told.models else WIDE / 2
            axes.plot(way, start + (stop - start) * bend, color=_shade(told, name), lw=0.3 + wide * strength**2,
                      ls="-" if int(state[region, cause]) > 0 else (0, (4, 3)), solid_capstyle="butt",
                      alpha=0.15 + 0.7 * strength**2 if name in told.models else 0.35)  # fmt: skip


def _legend(axes: Axes) -> None:
    lines = [
        Line2D([], [], color=INK, lw=2.4, label="large effect"),
        Line2D([], [], color=INK, lw=0.6, label="small effect"),
        Line2D([], [], color=INK, lw=1.2, ls=(0, (4, 3)), label="undecided"),
        Line2D([], [], color=NUISANCE, lw=1.2, label="not of the model"),
    ]
    axes.legend(handles=lines, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=4)


def _untangled(told: Told, causes: list[int], rows: list[int]) -> list[int]:
    """Regions in the order of the causes that move them, which crosses fewest arrows (barycentres)."""
    effect: Float[torch.Tensor, "region cause"] = told.found.edges.effect[:, causes].log1p()
    middle = (effect * torch.arange(len(causes))).sum(1) / effect.sum(1).clamp(min=1e-9)
    return sorted(rows, key=lambda k: float(middle[k]))


def _spread(count: int) -> list[float]:
    """Even places from the top to the bottom."""
    return [(k + 0.5) / count for k in range(count)]


def _shade(told: Told, name: str) -> str:
    return SHADES[told.models.index(name) % len(SHADES)] if name in told.models else NUISANCE
