"""A measurement as pictures: one of a powder or a path, slices of a grid."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from torch import Tensor

from sqwirrel.report.axes import across
from sqwirrel.report.figures.grid import Slices, has_map
from sqwirrel.report.figures.style import UNMEASURED
from sqwirrel.spectra import Measurement, QGrid, QPoints

Picture = np.ma.MaskedArray[Any, Any]
Colours = tuple[Colormap, Normalize]


def is_map(measurement: Measurement) -> bool:
    """Whether it has two axes or more: not single points, nor a line through a grid."""
    return not isinstance(measurement.points, QGrid | QPoints) or has_map(measurement)


@dataclass(frozen=True, eq=False)
class Cuts:
    """Pictures of a measurement: `names` (empty of a single one), edges and labels of their two axes, named ticks of
    the first, words on what stands still, and how values are `cut` into them.
    """

    names: list[str]
    edges: tuple[Float[np.ndarray, " column_edge"], Float[np.ndarray, " row_edge"]]
    labels: tuple[str, str]
    ticks: tuple[tuple[float, ...], tuple[str, ...]]
    held: str
    cut: Callable[[Tensor], list[Picture]]

    @classmethod
    def of(cls, measurement: Measurement, valid: Bool[Tensor, "point energy"]) -> "Cuts":
        """Of a measurement that is a map."""
        if has_map(measurement):
            slices = Slices.of(measurement, valid)
            first, second = slices.sides
            edges, labels = (first.edges, second.edges), (first.label, second.label)
            held = ", ".join(slices.held)
            return cls(slices.names, edges, labels, ((), ()), held, lambda values: slices.cut(values, valid))
        axis = across(measurement)
        edges, labels = (axis.edges.numpy(), measurement.energy.numpy()), (axis.label, "energy (meV)")
        masked, names = ~valid.numpy(), tuple("\n".join(map(_short, name.split())) for name in axis.names)
        return cls([""], edges, labels, (axis.ticks, names), "", lambda x: [np.ma.masked_array(x.numpy(), masked)])

    def draw(self, axes: Axes, picture: Picture, colours: Colours) -> Any:
        """One picture."""
        axes.set_facecolor(UNMEASURED)
        if self.ticks[0]:
            axes.set_xticks(*self.ticks)
        return axes.pcolormesh(*self.edges, picture.T, cmap=colours[0], norm=colours[1], rasterized=True)


def _short(coordinate: str) -> str:
    """To two decimals: there is no room for more below a small panel."""
    return f"{round(float(coordinate), 2) + 0.0:g}"
