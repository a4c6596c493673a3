"""What in a spectrum speaks for one rival against another: a map, maps by several methods, curves that test them."""

from collections.abc import Mapping

import matplotlib as mpl
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from sqwirrel.explain.networks import Curve
from sqwirrel.report.figures.maps import signed_map
from sqwirrel.report.figures.networks.sheet import sheet
from sqwirrel.report.figures.style import STYLE
from sqwirrel.spectra import Spectrum

LINES = ("#2166ac", "#b2182b", "#1b7837", "#b35806", "#762a83", "#636363")
DASHES = ("-", (0, (4, 2)))


def attribution_map(
    spectrum: Spectrum, values: Float[Tensor, "point energy"], one: str, other: str, method: str
) -> Figure:
    """What speaks for rival `one` (red) and for rival `other` (blue) in every bin of a spectrum."""
    total = f"{float(values.sum()):+.1f}".replace("-", "−")
    return signed_map(
        spectrum, values, f"For {one} (+), for {other} (−): {method}", f"log odds per bin, {total} in all"
    )


def attribution_maps(spectrum: Spectrum, maps: Mapping[str, Float[Tensor, "point energy"]], title: str) -> Figure:
    """Maps by name, the physical one among them, each in units of its own largest value."""
    top = [each[spectrum.valid].abs().max().clamp(min=1e-12) for each in maps.values()]
    values = torch.stack([(each / size).double() for each, size in zip(maps.values(), top, strict=True)])
    names = [name.replace("_", " ") for name in maps]
    return sheet(spectrum.measurement, values, spectrum.valid, names, title, "relative to the largest")


@mpl.rc_context(STYLE)
def exchange_curves(deleted: Mapping[str, Curve], inserted: Mapping[str, Curve], one: str, other: str) -> Figure:
    """How the log odds fall as the bins of the largest attribution are replaced by those of the mean image, and rise as
    they are put in, by the name of each attribution: the mean over images.
    """
    figure = Figure(figsize=(7.2, 3.1), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    _curves(left, deleted, "Deletion: lower is better")
    _curves(right, inserted, "Insertion: higher is better")
    left.set(xlabel="share of bins taken out (%)", ylabel=f"log odds, {one} : {other}")
    right.set(xlabel="share of bins put in (%)")
    return figure


def _curves(axes: Axes, curves: Mapping[str, Curve], title: str) -> None:
    for k, (name, curve) in enumerate(curves.items()):
        area = f"{float(curve.area.mean()):.1f}".replace("-", "−")
        label, colour = f"{name.replace('_', ' ')}, mean {area}", LINES[k % len(LINES)]
        axes.plot(100 * curve.share, curve.score.mean(0), label=label, color=colour, lw=1.3, ls=DASHES[k % 2])
    axes.axhline(0, color="#999999", lw=0.6, zorder=0)
    axes.set(title=title, xlim=(0, 100))
    axes.legend(fontsize=7)
