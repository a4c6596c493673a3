"""The figures of a page: of each measurement data, model, residuals and cuts, or peaks against their modes."""

from collections.abc import Sequence
from html import escape

from sqwirrel.report import figures
from sqwirrel.report.bulk.table import ABOUT, bulk_rows
from sqwirrel.report.pages.markup import image, note, pictures, section, table, wide
from sqwirrel.report.result import DRAWS, AnyResult, BulkResult, PeakResult, Result

ABOUT_MAPS = """One pair of axes for all; data and model share their colours, from the 1st to the 99th percentile. Grey
was not measured or not used. Residuals are in standard deviations, as the likelihood counts them: noise is salt and
pepper in the first map and rarely beyond ±4 in the second; what the model misses stands out there. Red: more was
measured than the model gives."""
ABOUT_CUTS = f"""Points: data with the standard deviations that the likelihood uses. Dark blue: 68 and 95 % of the model
alone, over {DRAWS} posterior draws. Light blue: 68 and 95 % of what a new measurement would give, counting noise
included. Bins beside badly covered ones have large errors, because the likelihood takes the variance of reduced data
from neighbours."""
ABOUT_LINES = f"""Points: data with the standard deviations that the likelihood uses. Blue: the model at the points that
were measured, its median and 68 and 95 % over {DRAWS} posterior draws. About the deviance see the checks: near 1 per
point is expected of a model that describes counts that are not small."""
ABOUT_PEAKS = """Above: energies of the modes at the best fit against those measured; where it is not known which mode a
peak is, the mean, weighed with the probability of that. Below: measured minus model, in standard
deviations, those of the errors with what is added to them. Open red: no mode explains the
peak, more probably than not; it takes no part."""


def sections(results: Sequence[AnyResult]) -> str:
    """The sections of the page that show data."""
    spectra = [each for each in results if isinstance(each, Result)]
    peaks = [each for each in results if isinstance(each, PeakResult)]
    lines = {each: figure for each in spectra if (figure := figures.fit_lines(each))}
    maps = [_under(each, _maps(each)) for each in spectra if each not in lines]
    cuts = [_under(each, _cuts(each)) for each in spectra if each not in lines and figures.cut_rows(each)]
    fits = [_under(each, image(figure, "Data and model")) for each, figure in lines.items()]
    modes = [_under(each, image(figures.peak_fit(each), "Peaks measured and of the model")) for each in peaks]
    bulk = [_under(each, wide(table(*bulk_rows(each)))) for each in results if isinstance(each, BulkResult)]
    return (
        pictures("maps", "Data, model and residuals", maps, ABOUT_MAPS)
        + pictures("cuts", "Energy cuts", cuts, ABOUT_CUTS)
        + pictures("lines", "Data and model", fits, ABOUT_LINES)
        + pictures("peaks", "Peaks", modes, ABOUT_PEAKS)
        + (section("bulk", "Bulk numbers", "".join(bulk) + note(ABOUT)) if bulk else "")
    )


def _under(result: AnyResult, shown: str) -> str:
    """Figures under the name of the measurement, where there are several."""
    return f"<h3>{escape(result.label)}</h3>{shown}" if result.label else shown


def _maps(result: Result) -> str:
    maps = (figures.data_map, figures.model_map, figures.residual_map, figures.misfit_map)
    names = ("data", "model at the best fit", "residuals", "smoothed residuals")
    return "".join(image(draw(result), f"Map of the {name}") for draw, name in zip(maps, names, strict=True))


def _cuts(result: Result) -> str:
    cuts = [figures.cut(result, start, stop) for start, stop in figures.cut_rows(result)]
    return "".join(image(cut, f"Energy cut {k}") for k, cut in enumerate(cuts, 1))
