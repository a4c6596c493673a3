"""A map before and after its translation, and what was changed."""

import matplotlib as mpl
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sqwirrel.infer.matching import Matched
from sqwirrel.report.figures.rivals.cuts import Cuts
from sqwirrel.report.figures.rivals.fits import Layer, layered
from sqwirrel.report.figures.style import STYLE, colours_of, unit_of


@mpl.rc_context(STYLE)
def matched_maps(found: Matched) -> Figure:
    """Before and after, each in its own colours, and the change; the title says that it was translated."""
    valid, change = found.spectrum.valid, found.change
    cuts, unit = Cuts.of(found.spectrum.measurement, valid), unit_of(found.source)
    before, after = (colours_of(each.intensity[valid]) for each in (found.source, found.spectrum))
    top = max(float(change[valid].abs().quantile(0.995)), 1e-9)
    to = found.spectrum.translated
    figure = layered(
        cuts,
        [
            [Layer("before", found.source.intensity, before, unit)],
            [Layer(f"translated to {to}", found.spectrum.intensity, after, unit)],
            [Layer("change", change, (mpl.colormaps["RdBu_r"], Normalize(-top, top)), f"change of {unit}")],
        ],
    )
    doubts = "\nDOUBTS of its training: see the numbers" if found.doubts else ""
    figure.suptitle(f"Translated to {to}, no measurement{doubts}", fontsize=9.5, fontweight="bold", x=0.01, ha="left")
    return figure
