"""What parameters act through: shares of energies, intensities, thermal factors and the instrument, by region."""

from math import ceil

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from sqwirrel.explain.causal.edges import PRESENT
from sqwirrel.explain.causal.paths import Shares
from sqwirrel.report.causal.more import REST
from sqwirrel.report.causal.told import Told
from sqwirrel.report.figures.style import INK, STYLE

PER_ROW, ROWS = 3, 12
"""Panels in a row, and regions of a parameter that are shown: those that it moves most."""


@mpl.rc_context(STYLE)
def route_matrix(told: Told) -> Figure | None:
    """A panel for each parameter; None if paths were not asked for, or nothing acts."""
    chosen = {name: rows for name in told.more.routes if (rows := moved(told, name))}
    if not chosen:
        return None
    columns = min(PER_ROW, len(chosen))
    lines, deep = ceil(len(chosen) / columns), max(map(len, chosen.values()))
    figure = Figure(figsize=(0.8 + 3.0 * columns, (1.3 + 0.19 * deep) * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes, (name, rows) in zip(panels, chosen.items(), strict=False):
        _panel(axes, told, name, rows)
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    return figure


def moved(told: Told, name: str) -> list[int]:
    """Regions of spectra that a parameter is there for, the one that it moves most first."""
    effect, state = (
        each[:, told.found.names.index(name)] for each in (told.found.edges.effect, told.found.edges.state)
    )
    order = effect.argsort(descending=True).tolist()
    alone = {k for label in told.singles for k in told.of[label].tolist()}
    return [k for k in order if int(state[k]) == PRESENT and k not in alone][:ROWS]


def table_of(shares: Shares) -> tuple[tuple[str, ...], Float[Tensor, "region path"]]:
    """Paths and what only several together do, and their shares in each region."""
    return (*shares.paths, REST), torch.cat((shares.alone.value.T, shares.rest.value[:, None]), dim=1)


def _panel(axes: Axes, told: Told, name: str, rows: list[int]) -> None:
    heads, every = table_of(told.more.routes[name])
    values = every[rows].numpy()
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            words = f"{round(100 * value) + 0:d} %".replace("-", "−")
            axes.text(j, i, words, ha="center", va="center", fontsize=6.5, color="white" if value > 0.8 else INK)
    axes.set_xticks(range(len(heads)), heads, rotation=35, ha="right")
    axes.set_yticks(range(len(rows)), [told.regions[k] for k in rows])
    axes.tick_params(length=0)
    axes.set_title(name, fontweight="bold", fontsize=9)
