"""What pictures of many small panels share: which to show, where they stand, and what of (h, k, l, E) moves in one."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MOST = 12
COLUMNS = 4
PANEL = (2.9, 2.1)
AXES = ("h", "k", "l", "E")
UNITS = {"h": "rlu", "k": "rlu", "l": "rlu", "E": "meV"}
STILL = {"h": 0.004, "k": 0.004, "l": 0.004, "E": 0.012}
"""A coordinate that moves by less stands still: motors do not come back to their last digit."""


def evenly(items: Sequence[Any]) -> list[Any]:
    """Up to MOST of the items, evenly chosen, the first and the last among them."""
    places = np.unique(np.linspace(0, len(items) - 1, min(MOST, len(items))).round().astype(int))
    return [items[k] for k in places]


def blank_panels(count: int, title: str) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels and a title above them."""
    columns = min(COLUMNS, count)
    rows = ceil(count / columns)
    width, height = PANEL
    figure = Figure(figsize=(max(width * columns, 4.0), height * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=9.5, fontweight="bold", x=0.01, ha="left")
    return figure, [figure.add_subplot(rows, columns, k + 1) for k in range(count)]


@dataclass(frozen=True)
class Course:
    """How (h, k, l, E) goes through points: along `name` with the values `along`; `still` says in words what stands
    still, `others` what else moves. `name` is "point" where nothing moves.
    """

    name: str
    along: Float64[np.ndarray, " point"]
    still: str
    others: str

    @property
    def label(self) -> str:
        """The axis in words, with its unit."""
        return f"{self.name} ({UNITS[self.name]})" if self.name in UNITS else self.name


def course(points: Float64[np.ndarray, "point coordinate"]) -> Course:
    """What moves through points of (h, k, l) or (h, k, l, E), and what does not."""
    names = AXES[: points.shape[1]]
    span = dict(zip(names, np.ptp(points, axis=0), strict=True))
    moving = [name for name in names if span[name] > STILL[name]]
    fixed = ", ".join(
        f"{name} = {_number(np.median(points[:, k]))}{' meV' if name == 'E' else ''}"
        for k, name in enumerate(names)
        if name not in moving
    )
    if not moving:
        return Course("point", np.arange(1.0, len(points) + 1), fixed, "")
    first = max(moving, key=lambda name: round(span[name] / STILL[name]))
    others = [_beside(points, names, name, first) for name in moving if name != first]
    return Course(first, points[:, names.index(first)], fixed, ", ".join(others))


def _beside(points: Float64[np.ndarray, "point coordinate"], names: Sequence[str], name: str, first: str) -> str:
    """How another coordinate goes along with the first."""
    x, y = points[:, names.index(first)], points[:, names.index(name)]
    apart, total = np.median(y - x), np.median(y + x)
    if np.abs(y - x - apart).max() < STILL[name]:
        sign = " − " if apart < 0 else " + "
        return f"{name} = {first}" + (f"{sign}{_number(abs(apart))}" if abs(apart) > STILL[name] else "")
    if np.abs(y + x - total).max() < STILL[name]:
        return f"{name} = " + (f"{_number(total)} − {first}" if abs(total) > STILL[name] else f"−{first}")
    return f"{name} {_number(y[0])} to {_number(y[-1])}"


def _number(value: float) -> str:
    return f"{round(float(value), 3) + 0.0:g}".replace("-", "−")
