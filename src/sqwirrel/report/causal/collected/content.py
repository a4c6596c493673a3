"""What a collection says of causes, as plain data: the same for the page, the table and collection.json."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import networkx as nx

from sqwirrel.explain.causal.collected import Collected, CollectedEdge, Collection
from sqwirrel.record import Record
from sqwirrel.report.numbers import interval, to

WORDING = (
    "Observational: nobody intervened. An arrow is causal only if the tiers are in the right order and every common "
    "cause of its two ends is a column that is held. A hidden one (a confounder) can make an arrow, hide one, or turn "
    "its sign, and no table can show that there is none."
)
UNSEARCHED = "PC and GES were not asked: they are those of causal-learn (pip install 'sqwirrel[bench]')."
DIFFERING = {True: "has no path where an arrow is told:", False: "has one where none is told:"}


@dataclass(frozen=True, eq=False)
class CollectionTold:
    """Edges that were `found` in a collection, those of each of the `searches`, and sentences on searches that did not
    say anything.
    """

    title: str
    collection: Collection
    found: Collected
    searches: Mapping[str, tuple[tuple[str, str], ...]]
    record: Record
    silent: tuple[str, ...] = (UNSEARCHED,)
    effects: tuple[str, ...] = ()

    @cached_property
    def edges(self) -> tuple[CollectedEdge, ...]:
        """By effect, strongest first."""
        order = self.collection.names.index
        return tuple(sorted(self.found.edges, key=lambda edge: (order(edge.effect), -abs(edge.partial))))

    @cached_property
    def paths(self) -> dict[str, set[tuple[str, str]]]:
        """Pairs that each search connects, by an edge or through other columns; it looks for direct edges alone."""
        return {method: set(nx.transitive_closure(nx.DiGraph(edges)).edges) for method, edges in self.searches.items()}

    def by(self, method: str, edge: CollectedEdge) -> str:
        """What a search says of an edge, in a word."""
        pair = (edge.cause, edge.effect)
        return "edge" if pair in self.searches[method] else "path" if pair in self.paths[method] else "-"

    def disagreed(self, method: str) -> tuple[CollectedEdge, ...]:
        """Edges that are told and of which a search has not even a path, and the other way round."""
        return tuple(edge for edge in self.edges if edge.told == (self.by(method, edge) == "-"))

    @property
    def graph(self) -> nx.DiGraph:
        """All columns, and edges that are told or fragile."""
        graph = nx.DiGraph()
        for name, tier in zip(self.collection.names, self.collection.tier, strict=True):
            graph.add_node(name, tier=tier)
        for edge in self.found.told:
            low, high = edge.interval95
            graph.add_edge(edge.cause, edge.effect, slope=edge.slope, low=low, high=high, partial=edge.partial,
                           robustness=edge.robustness, rate=edge.rate, state=edge.state)  # fmt: skip
        return graph

    @property
    def summary(self) -> str:
        """Rows, edges, and how many of them a hidden cause could undo."""
        count, fragile = len(self.found.edges), sum(edge.state == "fragile" for edge in self.edges)
        left = f" ({self.collection.left_out} more lack a number)" if self.collection.left_out else ""
        return (
            f"{len(self.collection.rows)} rows{left}: {len(self.found.told)} of {count} possible arrows are told, "
            f"{fragile} of them fragile."
        )

    @property
    def comparison(self) -> list[str]:
        """Where the searches and adjustment say different things, a sentence for each search."""
        return [*(f"{method} {self._differing(method)}." for method in self.searches), *self.silent]

    def _differing(self, method: str) -> str:
        pairs = {
            told: [f"{edge.cause} → {edge.effect}" for edge in self.disagreed(method) if edge.told == told]
            for told in (True, False)
        }
        parts = [f"{words} {', '.join(pairs[told])}" for told, words in DIFFERING.items() if pairs[told]]
        return "; ".join(parts) or "agrees on every arrow"

    @property
    def printed(self) -> tuple[tuple[tuple[list[str], list[list[str]]], ...], str]:
        """Tables, and what is said last on a screen."""
        return self.tables, "\n".join((self.summary, *self.collection.remarks, *self.comparison, WORDING))

    @property
    def tables(self) -> tuple[tuple[list[str], list[list[str]]], ...]:
        """Heads and rows: each cause, each effect, the slope, and what a hidden cause would have to be."""
        heads = ["cause", "effect", "slope", "95 %", "hidden cause", "state", "as strong as", *self.searches]
        return ((heads, [self._row(edge) for edge in self.edges]),)

    def _row(self, edge: CollectedEdge) -> list[str]:
        low, high = edge.interval95
        slope, share = to(edge.slope, (high - low) / 4), f"{100 * edge.robustness:.0f} %"
        searches = (self.by(method, edge) for method in self.searches)
        return [edge.cause, edge.effect, slope, interval(low, high), share, edge.state, as_strong(edge), *searches]

    def mapping(self) -> dict[str, Any]:
        """All of it as one object."""
        searches = {
            method: {
                "edges": [list(pair) for pair in pairs],
                "disagrees": [[edge.cause, edge.effect] for edge in self.disagreed(method)],
            }
            for method, pairs in self.searches.items()
        }
        return {
            "wording": WORDING,
            "title": self.title,
            "rows": len(self.collection.rows),
            "left_out": self.collection.left_out,
            "remarks": list(self.collection.remarks),
            "tiers": [list(tier) for tier in self.collection.tiers],
            "effects": list(self.effects),
            "edges": [{**asdict(edge), "state": edge.state, "robustness": edge.robustness} for edge in self.edges],
            "searches": searches,
            "silent": list(self.silent),
            "record": json.loads(self.record.to_json()),
        }


def as_strong(edge: CollectedEdge) -> str:
    """The slopes that a hidden cause as strong as a column held leaves, in words."""
    if edge.hidden is None:
        return "-"
    low, high = edge.hidden.between
    error = max((edge.interval95[1] - edge.interval95[0]) / 4, (high - low) / 20)
    return f"{edge.hidden.like}: {' to '.join(to(end, error) for end in (low, high))}"
