"""The picture of what a file holds."""

from matplotlib.figure import Figure

from sqwirrel.report.figures.maps import spectrum_map
from sqwirrel.report.figures.peaks import peak_panels
from sqwirrel.report.figures.scans import scan_panels
from sqwirrel.spectra import Peaks, QPoints, Spectrum


def picture(found: Spectrum | Peaks, title: str) -> Figure:
    """A map of a spectrum, panels of scans or of peaks."""
    if isinstance(found, Peaks):
        return peak_panels(found, title)
    points = found.measurement.points
    return scan_panels(found, points, title) if isinstance(points, QPoints) else spectrum_map(found, title)
