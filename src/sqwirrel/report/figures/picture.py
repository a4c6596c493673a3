"""Which picture fits what: of what a file holds, and of data and model where there is no map."""

from matplotlib.figure import Figure

from sqwirrel.report.figures import grid
from sqwirrel.report.figures.maps import spectrum_map
from sqwirrel.report.figures.peaks import peak_panels
from sqwirrel.report.figures.scans import scan_fits, scan_panels
from sqwirrel.report.result import Result
from sqwirrel.spectra import Peaks, QGrid, QPoints, Spectrum


def picture(found: Spectrum | Peaks, title: str) -> Figure:
    """A map of a spectrum, panels of scans or of peaks."""
    if isinstance(found, Peaks):
        return peak_panels(found, title)
    points = found.measurement.points
    return scan_panels(found, points, title) if isinstance(points, QPoints) else spectrum_map(found, title)


def fit_lines(result: Result) -> Figure | None:
    """Points with errors over the model: panels of scans, or the line that a grid with one wide axis is; none of what
    is a map.
    """
    match result.spectrum.measurement.points:
        case QPoints() as points:
            return scan_fits(result, points)
        case QGrid() if not grid.has_map(result.spectrum.measurement):
            return grid.line(result.as_weighed, "Data and model", result.predicted)
    return None
