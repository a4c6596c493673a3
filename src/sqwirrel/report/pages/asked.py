"""Sections of the page of a causal map that hold what else was asked about causes."""

import math
from html import escape

from matplotlib.figure import Figure

from sqwirrel.explain.causal.edges import PRESENT
from sqwirrel.explain.causal.measured import Objections
from sqwirrel.explain.causal.paths import Moves
from sqwirrel.report.causal.acted import acted_map
from sqwirrel.report.causal.more import candidate_rows, part_rows, reading_rows, value_rows
from sqwirrel.report.causal.routes import route_matrix
from sqwirrel.report.causal.told import Told
from sqwirrel.report.numbers import plain
from sqwirrel.report.pages.markup import image, note, pictures, section, table, wide

ABOUT_PARTS = """A cause has one strength wherever it is asked for. Each part of the data, and all the rest, estimate
the parameters (one step from the best fit, nuisances free); p for the whole part, corrected for the number of parts
and of cuts. Below 0.01 the parameters of that part are others: the model, or the instrument, is wrong somewhere.
Halves are cut where either tells about as much of the parameters of the model."""
ABOUT_CANDIDATES = """Whether the residual of the best fit asks for a cause that the model lacks (score test, all free
parameters following; p corrected for the number of candidates). A value is one step from zero: fit again before you
quote it. Where an instrument does alike, the term is no discovery. A residual of something that is no candidate asks
for what is nearest to it."""
ABOUT_ROUTES = """Of what an intervention changes in a region (rows: those that the parameter moves most; squares of
changes in standard deviations, which a line that moves by more than its width fills), the share that each path alone
makes: energies of the modes, their intensities, thermal factors, the instrument. Together: what is left; negative where
paths undo each other. 95 % intervals are in causal.json."""
ABOUT_READINGS = """Numbers of the dispersion, to first order where the map was made; below, what the parameters do to
them over the interventions of this map, all parameters anywhere in their ranges. Effect: root of half the mean squared
change. Slope: mean derivative. Power: mean derivative of the logarithms, 1 where the reading is proportional to the
parameter; none where the parameter changes its sign. All are means over the interventions; 95 % intervals in brackets
are those of these means."""
ABOUT_ACTED = """What would have been measured, had the parameters been set so, with everything else as it was: the
noise is that which was measured. The band is what the posterior leaves open. What the model misses goes along
unchanged."""


ABOUT_MOVES = """Of the signal in the bins of a region, background apart, and of those parameters whose arrow is there:
shift of its mean energy (meV), growth (of the logarithm of its intensity) and broadening (of the standard deviation of
its energies, meV), each for one unit of the parameter; derivatives at the best fit, or without one at the middle. What
leaves a region through its border counts as lost; regions with less than a thousandth of the signal are left out."""


def sections(told: Told) -> list[str]:
    """Those that were asked for."""
    found = [] if told.more.moves is None else [_moves(told, told.more.moves)]
    found += [] if told.more.objections is None else _objections(told.more.objections)
    figure = route_matrix(told)
    found += [] if figure is None else [_shown("paths", "What parameters act through", [figure], ABOUT_ROUTES)]
    if told.more.readings:
        found.append(_readings(told))
    if told.more.acted is not None:
        maps = [acted_map(told.spectra[label], told.more.acted, label) for label in told.more.acted.spectra]
        found.append(_shown("acted", f"What would have been measured: {told.more.acted.action}", maps, ABOUT_ACTED))
    if told.more.refused:
        found.append(section("refused", "What could not be asked", "".join(map(_paragraph, told.more.refused))))
    return found


def _readings(told: Told) -> str:
    seen = [float(end) for each in told.spectra.values() for end in each.measurement.energy.aminmax()]
    where = "at the best fit" if told.settings["about"] == "posterior" else "at the middle of the prior"
    here = _table(["", where, "one unit adds there", ""], value_rows(told.more.values, told.units, seen))
    rows = reading_rows(told.more.readings, told.units)
    every = _table(["", "parameter", "effect", "slope", "power"], rows)
    return section("readings", "What moves the dispersion", here + every + note(ABOUT_READINGS))


def _moves(told: Told, moves: Moves) -> str:
    heads, rows = ["", "mean energy", *map(escape, told.models)], []
    for k, region in enumerate(told.regions):
        cells = [_moved(told, moves, k, name) for name in told.models]
        if any(cells) and math.isfinite(float(moves.energy[k])):
            rows.append(("", [region, f"{plain(round(float(moves.energy[k]), 3))} meV", *cells]))
    return section("moves", "How regions move", wide(table(heads, rows)) + note(ABOUT_MOVES)) if rows else ""


def _moved(told: Told, moves: Moves, region: int, name: str) -> str:
    if int(told.found.edges.state[region, told.found.names.index(name)]) != PRESENT:
        return ""
    k = told.models.index(name)
    every = [float(each[region, k]) for each in (moves.shift, moves.growth, moves.broadening)]
    return ", ".join("–" if math.isnan(x) else f"{x:+.3g}" for x in every)


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
