"""One self-contained page of a table that somebody else made, collection.html: what it says of causes, and cannot."""

from html import escape

from sqwirrel.report.causal.collected.content import WORDING, CollectionTold
from sqwirrel.report.causal.collected.graph import graph
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
    wide,
)

LIMITS = (
    "Hidden common causes. Whatever is not a column and moves both ends of an arrow is taken for the arrow. 'Hidden "
    "cause' in the table says how strong it would have to be to make all of it.",
    "The order. Columns of a later tier are taken to move none of an earlier one, and those of one tier none of "
    "their own. The table cannot show that either.",
    "Straight lines. A slope is the mean of what a bent law does; one that goes up and down may have none.",
    "Errors in what is held. A common cause that was recorded with noise is held only in part.",
    "Columns that few rows carry, as a dummy of one compound. The slope is then what these rows differ by, and how "
    "much rows like them scatter is taken from the others.",
    "The choice of rows. If rows are in the table because of what they came out as, or lack a number because of it, "
    "causes that have nothing to do with each other go together in it.",
)
ABOUT_EFFECTS = """Slope: what one unit of the cause adds to the effect, with the columns of its own and of earlier
tiers held, by all paths through later ones; with its 95 % interval, which knows of chance alone. Hidden cause: the
share of what is left of the cause, and of the effect, that a hidden common cause would have to explain, of both, to
make all of the slope. As strong as: between which slopes it would be if a hidden cause were as strong as the
strongest column that was held. State: told at a false discovery rate of 5 % over all arrows; fragile, if
such a hidden cause could make all of it; open, if chance could, which does not say that there is nothing. Where nothing
was held there is no column to compare with, and no arrow is called fragile. Told is no more than not undone by chance,
nor by what is as strong as what was recorded."""
ABOUT_GRAPH = """Width: the correlation of cause and effect with others held. Dashed: fragile. What is open is not
drawn, and an arrow that is not drawn is not shown to be absent."""
ABOUT_SEARCH = """PC and GES look for direct edges (edge), and connect columns through others (path); adjustment tells
the whole effect by any path. They disagree where one has an effect and the other neither edge nor path. PC was told the
tiers, GES was not. Both, too, take every common cause for recorded: that they agree is no evidence against a hidden
one."""


def html(told: CollectionTold) -> str:
    """The page."""
    limits = "".join(f"<li>{escape(each)}</li>" for each in LIMITS)
    compared = "".join(f"<p>{escape(each)}</p>" for each in told.comparison)
    remarks = "".join(f"<p>{escape(each)}</p>" for each in told.collection.remarks)
    sections = (
        section("limits", "What a table cannot show", f"<ol>{limits}</ol>"),
        section("effects", "Each cause on each effect", wide(_effects(told)) + note(ABOUT_EFFECTS)),
        pictures("lines", "The graph", [image(graph(told), "Graph of causes and effects")], ABOUT_GRAPH),
        section("searches", "What searches say", compared + (note(ABOUT_SEARCH) if told.searches else "")),
        section("table", "The table", _table(told) + remarks),
        section("record", "Where this comes from", record(told.mapping()["record"])),
        section("papers", "Papers to cite", papers(told.record.papers)),
    )
    return framed(f"{told.title}: what a table says of causes", f"{WORDING} {told.summary}", sections, passed=False)


def _effects(told: CollectionTold) -> str:
    ((heads, rows),) = told.tables
    cells = [
        ("nuisance" if edge.state == "open" else "", [*map(escape, row)])
        for edge, row in zip(told.edges, rows, strict=True)
    ]
    return table(heads, cells)


def _table(told: CollectionTold) -> str:
    tiers = {f"tier {k}": escape(", ".join(tier)) for k, tier in enumerate(told.collection.tiers, 1)}
    rows = {"rows": str(len(told.collection.rows)), "left out": f"{told.collection.left_out}, which lack a number"}
    return definitions(rows | tiers)
