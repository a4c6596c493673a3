"""The graph of a collection: arrows as they were found, names where they are."""

from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch

from sqwirrel.explain.causal.collected import Collection, adjusted
from sqwirrel.record import Record
from sqwirrel.report.causal.collected.content import CollectionTold, as_strong
from sqwirrel.report.causal.collected.graph import LONGEST, graph
from sqwirrel.report.pages import collected as page


def told(names: Sequence[str] = ("a", "x", "y")) -> CollectionTold:
    """What a does to y through x is not all of it; x lowers y, by less than another a could make."""
    a, x, y = np.random.default_rng(5).standard_normal((3, 2000))
    x = 0.9 * a + x
    collection = Collection(names, np.stack((a, x, y + 3 * a - 0.3 * x), 1), [[name] for name in names])
    return CollectionTold("t.csv", collection, adjusted(collection), {}, Record.start())


@pytest.fixture(scope="module")
def found() -> CollectionTold:
    return told()


def test_arrows_are_as_wide_as_they_are_strong_and_dashed_if_fragile(found) -> None:
    arrows = [each for each in graph(found).axes[0].patches if isinstance(each, FancyArrowPatch)]
    drawn = sorted(((each.get_linewidth(), each.get_linestyle() != "-") for each in arrows), reverse=True)
    by_strength = sorted(found.found.told, key=lambda edge: -abs(edge.partial))
    assert [dashed for _, dashed in drawn] == [edge.state == "fragile" for edge in by_strength] == [False, False, True]
    assert len({each.get_edgecolor() for each in arrows}) == 3  # two alike, but paler where weaker


def test_names_that_are_long_keep_both_ends_and_are_escaped() -> None:
    long = told(("<a>", "the first of two columns, 1", "y"))
    words = [each.get_text() for each in graph(long).axes[0].texts]
    assert words == ["<a>", "the first …olumns, 1", "y"]
    assert max(map(len, words)) <= LONGEST
    html = page.html(long)
    assert "&lt;a&gt;" in html
    assert "<a>" not in html


def test_what_a_twin_of_a_recorded_cause_leaves_is_said(found) -> None:
    edge = found.found.of("x", "y")
    low, high = edge.hidden.between
    assert low < 0 < high
    assert as_strong(edge) == f"a: {low:.2f} to {high:.2f}"
    assert as_strong(found.found.of("a", "x")) == "-"
