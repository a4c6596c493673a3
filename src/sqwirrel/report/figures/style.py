"""What all pictures share: style, colours of an intensity, the range of an axis."""

from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from torch import Tensor

from sqwirrel.spectra import Spectrum

STYLE: Any = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#333333",
    "xtick.direction": "out",
    "ytick.direction": "out",
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "sqwirrel",
    "savefig.dpi": 220,
}
INK, BAND, ACCENT = "#1b1b1b", "#2166ac", "#b2182b"
UNMEASURED = "#d5d5d5"


def colours_of(*values: Float[Tensor, " bin"]) -> tuple[Colormap, Normalize]:
    """Colours from the 1st to the 99th percentile of all values, so that a hot bin hides nothing."""
    ends = torch.stack([torch.quantile(each, each.new_tensor([0.01, 0.99])) for each in values])
    lo, hi = float(ends[:, 0].min()), float(ends[:, 1].max())
    return mpl.colormaps["viridis"], Normalize(min(lo, 0.0) if lo < 0.2 * hi else lo, hi if hi > lo else lo + 1)


def unit_of(spectrum: Spectrum) -> str:
    """What the values of a spectrum are."""
    return "counts" if spectrum.is_counts else "intensity (arb. units)"


def beyond(shown: np.ma.MaskedArray[Any, Any], norm: Normalize) -> Literal["neither", "both", "min", "max"]:
    """Which ends of the colours hide values beyond them."""
    low, high = norm(shown.min()) < 0, norm(shown.max()) > 1
    below, above = bool(low), bool(high)
    if below == above:
        return "both" if below else "neither"
    return "min" if below else "max"


def blank(size: tuple[float, float]) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def frame(axes: Axes, data: Tensor, error: Tensor) -> None:
    """An intensity axis that the well-measured data set, not a bin with a wild error."""
    good = (error <= 4 * error.median()) | (error <= data.abs() / 3)
    lo, hi = min(0.0, float(data[good].min())), float((data + error)[good].max())
    axes.set_ylim(lo - 0.04 * (hi - lo), hi + 0.05 * (hi - lo))


def band(axes: Axes, x: Tensor, rows: Float[Tensor, "row place"], colour: str, alphas: tuple[float, float]) -> None:
    """Where 95 and 68 % of the rows are, the wider one paler."""
    for level, alpha in zip((0.95, 0.68), alphas, strict=True):
        lo, hi = torch.quantile(rows, rows.new_tensor([(1 - level) / 2, (1 + level) / 2]), dim=0)
        axes.fill_between(x.numpy(), lo.numpy(), hi.numpy(), color=colour, alpha=alpha, lw=0)


def model_line(axes: Axes, x: Tensor, rows: Float[Tensor, "draw place"]) -> None:
    """The model over posterior draws: its median, 68 and 95 %."""
    band(axes, x, rows, BAND, (0.5, 0.9))
    axes.plot(x.numpy(), rows.median(0).values.numpy(), color=BAND, lw=1.0)
