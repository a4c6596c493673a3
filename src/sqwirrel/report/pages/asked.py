"""Sections of the page of a causal map that hold what else was asked about causes."""

from html import escape

from matplotlib.figure import Figure

from sqwirrel.explain.causal.measured import Objections
from sqwirrel.report.causal.acted import acted_map
from sqwirrel.report.causal.more import candidate_rows, part_rows, reading_rows
from sqwirrel.report.causal.routes import route_matrix
from sqwirrel.report.causal.told import Told
from sqwirrel.report.pages.markup import image, note, pictures, section, table, wide

ABOUT_PARTS = """A cause has one strength wherever it is asked for. Each part of the data, and all the rest, estimate
the parameters (one step from the best fit, nuisances free); p for the whole part, corrected for the number of parts.
Below 0.01 the parameters of that part are others: the model, or the instrument, is wrong somewhere. Halves are cut
where either tells about as much of the parameters of the model."""
ABOUT_CANDIDATES = """Whether the residual of the best fit asks for a cause that the model lacks (score test, all free
parameters following; p corrected for the number of candidates). A value is one step from zero: fit again before you
quote it. Where an instrument does alike, the term is no discovery. A residual of something that is no candidate asks
for what is nearest to it."""
ABOUT_ROUTES = """Of what an intervention changes in a region (rows: those that the parameter moves most), the share
that each path alone makes: energies of the modes, their intensities, thermal factors, the instrument. Together: what
is left; negative where paths undo each other. 95 % intervals are in causal.json."""
ABOUT_READINGS = """Numbers of the dispersion, and what the parameters do to them over the interventions of this map.
Effect: root of half the mean squared change. Slope: mean derivative. Power: mean derivative of the logarithms, 1 where
the reading is proportional to the parameter. 95 % intervals in brackets."""
ABOUT_ACTED = """What would have been measured, had the parameters been set so, with everything else as it was: the
noise is that which was measured. The band is what the posterior leaves open. What the model misses goes along
unchanged."""


def sections(told: Told) -> list[str]:
    """Those that were asked for."""
    found = [] if told.more.objections is None else _objections(told.more.objections)
    figure = route_matrix(told)
    found += [] if figure is None else [_shown("paths", "What parameters act through", [figure], ABOUT_ROUTES)]
    if told.more.readings:
        rows = [("", [escape(cell) for cell in row]) for row in reading_rows(told.more.readings, told.units)]
        every = wide(table(["", "parameter", "effect", "slope", "power"], rows))
        found.append(section("readings", "What moves the dispersion", every + note(ABOUT_READINGS)))
    if told.more.acted is not None:
        maps = [acted_map(told.spectra[label], told.more.acted, label) for label in told.more.acted.spectra]
        found.append(_shown("acted", f"What would have been measured: {told.more.acted.action}", maps, ABOUT_ACTED))
    if told.more.refused:
        found.append(section("refused", "What could not be asked", "".join(map(_paragraph, told.more.refused))))
    return found


def _objections(found: Objections) -> list[str]:
    parts, candidates = part_rows(found), candidate_rows(found)
    heads = ["part", "p", "parameter", "there", "the rest", "apart"]
    every = [section("parts", "The same everywhere?", _table(heads, parts) + note(ABOUT_PARTS))] if parts else []
    if candidates:
        heads = ["candidate", "what it is", "pull", "p", "value", "alike"]
        content = _table(heads, candidates) + note(ABOUT_CANDIDATES)
        every.append(section("candidates", "Is a cause missing?", content))
    return every


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return wide(table(heads, [("", [escape(cell) for cell in row]) for row in rows]))


def _shown(name: str, title: str, figures: list[Figure], about: str) -> str:
    return pictures("lines", escape(title), [image(figure, title) for figure in figures], about).replace(
        'id="lines"', f'id="{name}"'
    )


def _paragraph(sentence: str) -> str:
    return f"<p>{escape(sentence)}</p>"
