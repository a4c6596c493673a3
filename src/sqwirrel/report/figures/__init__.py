"""One function a figure: maps of data, model and residuals, energy cuts, pictures of grids, scans and peaks, and plans.

Maps of one result share their axes, and data and model their colours. Grey is not measured.
"""

from sqwirrel.report.figures.advice import advice
from sqwirrel.report.figures.calibration import calibration
from sqwirrel.report.figures.maps import (
    cut,
    cut_rows,
    data_map,
    misfit_map,
    model_map,
    ratio_map,
    residual_map,
    save,
    share_map,
    spectrum_map,
)
from sqwirrel.report.figures.peaks import peak_fit, peak_panels
from sqwirrel.report.figures.picture import fit_lines, picture
from sqwirrel.report.figures.scans import scan_panels
from sqwirrel.report.figures.style import STYLE

__all__ = [
    "STYLE",
    "advice",
    "calibration",
    "cut",
    "cut_rows",
    "data_map",
    "fit_lines",
    "misfit_map",
    "model_map",
    "peak_fit",
    "peak_panels",
    "picture",
    "ratio_map",
    "residual_map",
    "save",
    "scan_panels",
    "share_map",
    "spectrum_map",
]
