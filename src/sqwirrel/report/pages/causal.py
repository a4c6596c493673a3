"""One self-contained page of a causal map, causal.html: what moves what, and which part of a spectrum fixes what."""

import math
from html import escape
from pathlib import Path

from sqwirrel.report.causal.graph import graph
from sqwirrel.report.causal.inverse import inverse_maps, inverse_matrix
from sqwirrel.report.causal.regions import region_map
from sqwirrel.report.causal.told import WORDING, Told, placed
from sqwirrel.report.causal.zoom import zoom_map
from sqwirrel.report.content import described
from sqwirrel.report.numbers import plain
from sqwirrel.report.pages import asked
from sqwirrel.report.pages.markup import (
    definitions,
    framed,
    image,
    note,
    papers,
    pictures,
    record,
    section,
    table,
    typeset,
    wide,
)
from sqwirrel.whole import put_text

ABOUT_CAUSES = """In each pair of simulations one parameter alone was moved; where from and where to, and where all
others stood in this pair, was drawn evenly from these ranges. So d′, parents and slopes are means over the ranges, and
not of the best fit alone. Where everything moves everything, a smaller width (causal.width, causal.times) shows what is
special; where nothing has parents, a larger one. Parents are told from a change of so many standard deviations of a bin
on (the threshold, where fewest bins are in doubt). Lost: interventions left out, as the magnetic order was unstable on
one side. Error: what these bins leave of each parameter (one standard deviation) with all others free, and with all
others known. Grey: not of the model."""
ABOUT_REGIONS = """Bins that touch and have the same parents are one region; small regions went to the neighbour with
the longest common border that has all parents which they tell by themselves (d′ above 3); where there is none they
stay. Border: how probable it is that neighbours across it have other parents, over designs like this one. Colours:
which parameters of the model are parents, whatever those of the instrument are; regions of one colour differ in these,
or do not touch. The table has all parents. Grey was not measured."""
ABOUT_ZOOM = """The tree joins, again and again, the two touching regions that causes move most alike; what touches
nothing joins last. A join stands where it loses so many standard deviations, if all its bins are taken to be moved by
their joint root mean squares (never below an earlier join). A leaf is a region and how many smaller joins it has taken
in, with the parents of the region. Dotted: where the maps cut the tree. Regions of one colour are one in the first map;
these colours and numbers (Z) are not those of the regions above. Beside the maps: d′ of the parameters of the model
that whole regions tell best. Where data have gaps, pieces that touch nothing are regions, too: maps have as many
more."""
ABOUT_GRAPH = """An arrow is there if an intervention on the parameter can be told from the region alone with more than
three standard deviations (d′) with a probability of at least 0.975, is not where that is at most 0.025, and is
undecided (dashed) between. Widths grow with the logarithm of d′. Parameters of the instrument are grey. Many bins that
each move too little for a parent tell much together: arrows may lead to a region without parents, and it may fix a
parameter. Score: 1 if every arrow is decided, 0 if none is. Causal relevance index: how probable an arrow is on
average; it grows with how many there are."""
ABOUT_EDGES = """d′: by how many standard deviations a matched filter tells an intervention on the parameter (column)
from the region (row) alone. In brackets: undecided; a dot: absent. Intervals and probabilities are in causal.json."""
ABOUT_INVERSE = """How many times larger the error of a parameter is without a region, and from the region alone, all
other parameters free; to linear order, at the best fit, or without one at the middle. Where a region says nothing, its
error alone is that of the prior. A region that a parameter moves may still say nothing of it, if another parameter
moves it alike. Factors below 1.05 are not written out."""
ABOUT_REGIMES = """Where a parameter has several rows, which regions answer to it depends on its value. Regions with a
probability of at least one half are listed."""


def write(folder: Path, told: Told) -> Path:
    """Writes causal.html into `folder`; says where it is."""
    put_text(folder / "causal.html", html(told))
    return folder / "causal.html"


def html(told: Told) -> str:
    """The page."""
    maps = [image(region_map(told, label), "Map of the regions") for label in told.spectra]
    inverse = [image(figure, "Maps of errors") for label in told.spectra if (figure := inverse_maps(told, label))]
    trees = [image(figure, "Tree of regions") for label in told.spectra if (figure := zoom_map(told, label))]
    matrix = image(inverse_matrix(told), "Errors without a region, and from it alone")
    sections = (
        section(
            "causes",
            "What was moved",
            f"<p>{typeset(escape(told.about))}</p>" + wide(_causes(told)) + note(ABOUT_CAUSES),
        ),
        pictures("lines", "Regions", maps, ABOUT_REGIONS),
        pictures("lines", "Fewer regions", trees, ABOUT_ZOOM),
        section("parents", "Regions and their parents", wide(_regions(told))),
        pictures("lines", "The graph", [image(graph(told), "Graph of causes and regions")], ABOUT_GRAPH),
        section("edges", "Every arrow", wide(_edges(told)) + note(ABOUT_EDGES)),
        pictures("lines", "Which region fixes which parameter", [matrix, *inverse], ABOUT_INVERSE),
        *asked.sections(told),
        section("regimes", "Regimes", wide(_regimes(told)) + note(ABOUT_REGIMES)),
        section("measured", "The bins", _measured(told)),
        section("record", "Where this comes from", record(told.mapping()["record"])),
        section("papers", "Papers to cite", papers(told.record.papers)),
    )
    return framed(
        f"{told.title}: what moves what", f"{WORDING} {told.tests} {told.summary}", sections, passed=told.passed
    )


def _causes(told: Told) -> str:
    rows = []
    for cause in told.mapping()["causes"]:
        low, high = map(plain, told.ends(cause["name"]))
        unit = f" {cause['unit']}" if cause["unit"] else ""
        cells = [
            escape(cause["name"]),
            f"{low} to {high}{escape(unit)}",
            f"{cause['threshold']:.2g}",
            str(cause["lost_interventions"]),
            plain(cause["sigma"]),
            plain(cause["sigma_others_known"]),
            f"~{told.fixing(cause['name'])}",
        ]
        rows.append(("" if cause["of_model"] else "nuisance", cells))
    heads = ["", "moved between", "threshold", "lost", "error", "others known", "error grows without"]
    return table(heads, rows)


def _regions(told: Told) -> str:
    rows = []
    for k, name in enumerate(told.regions):
        for label, place in told.places(k).items():
            momenta, energies = placed(place)
            where = [escape(label)] if len(told.of) > 1 else []
            parents = escape(", ".join(told.parents(k))) or "none"
            sure = float(told.found.regions.sure[k])
            border = "" if math.isnan(sure) else f"{sure:.2f}"
            rows.append(("", [name, *where, str(place["bins"]), momenta, energies, border, f"~{parents}"]))
    return table(["", *(["data"] if len(told.of) > 1 else []), "bins", "momentum", "energy", "border", "parents"], rows)


def _edges(told: Told) -> str:
    state, effect = told.found.edges.state, told.found.edges.effect
    rows = [
        ("", [name, *(_effect(float(effect[r, k]), int(state[r, k])) for k in told.columns)])
        for r, name in enumerate(told.regions)
    ]
    return table(["", *map(escape, told.names)], rows)


def _effect(effect: float, state: int) -> str:
    return "·" if state < 0 else f"{effect:.3g}" if state > 0 else f"({effect:.2g})"


def _regimes(told: Told) -> str:
    rows = []
    for name in told.names:
        for k, each in enumerate(told.found.regimes[name]):
            active = [told.regions[r] for r in each.active.nonzero()[:, 0].tolist()]
            said = ", ".join(active) if len(active) < len(told.regions) else "all regions"
            unit = f" {told.units[name]}" if told.units[name] else ""
            kind = "" if name in told.models else "nuisance"
            cells = [escape(name) if k == 0 else "", f"{plain(each.low)} to {plain(each.high)}{escape(unit)}"]
            rows.append((kind, [*cells, f"~{said or 'none'}"]))
    return table(["", "between", "regions that answer"], rows)


def _measured(told: Told) -> str:
    parts = []
    for label, spectrum in told.spectra.items():
        said = described(spectrum)
        low, high = map(plain, said["energy_range"])
        rows = {
            "kind": f"{said['kind']}, {' × '.join(map(str, said['bins']))} bins; {said['intensity']}",
            "energy transfer": f"{low} to {high} meV",
            "temperature": "" if said["temperature"] is None else f"{said['temperature']:g} K",
            "bins measured": str(said["bins_measured"]),
        }
        parts.append((f"<h3>{escape(label)}</h3>" if label else "") + definitions(rows))
    for label, names in told.singles.items():
        listed = "".join(f"<li>{escape(name)}</li>" for name in names)
        parts.append(f"<h3>{escape(label)}</h3><ul>{listed}</ul>")
    return "".join(parts)
