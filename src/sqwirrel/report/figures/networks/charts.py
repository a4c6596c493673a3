"""Charts of features: which spectra a network holds alike, and what it sees and says in each part of the chart."""

from collections.abc import Sequence

import matplotlib as mpl
from jaxtyping import Bool, Float, Int
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import Tensor

from sqwirrel.explain.networks import Atlas
from sqwirrel.report.figures.networks.sheet import Plane, both_ways
from sqwirrel.report.figures.style import INK, STYLE, blank
from sqwirrel.spectra import Measurement

RIVALS = ("#b2182b", "#2166ac", "#1b7837", "#b35806", "#762a83", "#636363")
"""The first is red and the second blue, as in maps of what speaks for one and for the other."""


@mpl.rc_context(STYLE)
def chart(
    places: Float[Tensor, "image two"],
    rival: Int[Tensor, " image"],
    names: Sequence[str],
    measured: Float[Tensor, "star two"] | None = None,
) -> Figure:
    """Simulated spectra, each in the colour of the rival that made it, and stars where measured ones lie among them."""
    figure, axes = blank((4.8, 3.7))
    for k, name in enumerate(names):
        here = places[rival == k]
        axes.plot(here[:, 0], here[:, 1], "o", ms=2.8, alpha=0.7, mew=0, color=RIVALS[k % len(RIVALS)], label=name)
    if measured is not None:
        axes.plot(measured[:, 0], measured[:, 1], "*", ms=13, color="#ffd92f", mec=INK, mew=0.8, label="measured")
    axes.set(title="Spectra that the network holds alike lie near each other", xticks=[], yticks=[])
    axes.set(xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@mpl.rc_context(STYLE)
def atlas_map(
    found: Atlas,
    measurement: Measurement,
    valid: Bool[Tensor, "point energy"],
    pair: tuple[int, int],
    names: Sequence[str],
) -> Figure:
    """The mean spectrum in every cell of a chart; frames say which of two rivals it is taken for."""
    rows, columns = (len(edge) - 1 for edge in (found.edges[1], found.edges[0]))
    plane = Plane.of(measurement)
    intensity = plane.pictures(found.images[:, 0].double(), valid)
    colours = both_ways(intensity)
    odds = found.odds[:, pair[0]] - found.odds[:, pair[1]]
    frames = ScalarMappable(Normalize(-(top := max(1.0, float(odds.abs().max()))), top), "RdBu_r")
    figure = Figure(figsize=(2.2 + 0.95 * columns, 1.2 + 0.85 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat:
        axes.set_axis_off()
    shades = frames.to_rgba(odds.numpy())
    for (column, row), picture, shade, count in zip(found.cell.tolist(), intensity, shades, found.count, strict=True):
        axes = panels[rows - 1 - row, column]
        axes.set_axis_on()
        mesh = plane.draw(axes, picture, colours)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=shade, linewidth=3)
        number = axes.text(0.97, 0.95, str(int(count)), transform=axes.transAxes, ha="right", va="top", fontsize=6.5)
        number.set(color="white", path_effects=[withStroke(linewidth=1.5, foreground=INK)])
    one, other = (names[k] for k in pair)
    _titled(figure, plane, len(found.images))
    figure.colorbar(mesh, ax=list(panels.flat), fraction=0.03).set_label(
        "intensity as the network sees it\n(in units of its error)"
    )
    figure.colorbar(frames, ax=list(panels.flat), fraction=0.03).set_label(f"frames: log odds, {one} : {other}")
    return figure


def _titled(figure: Figure, plane: Plane, cells: int) -> None:
    across, up = plane.ends()
    said = f"Mean spectra in {cells} cells of the chart, with how many each is of"
    figure.suptitle(said, fontsize=9.5, fontweight="bold", x=0.01, ha="left")
    averaged = f"; {plane.averaged}" if plane.averaged else ""
    figure.supxlabel(f"in each cell: across {across}; up {up}{averaged}", fontsize=8)
