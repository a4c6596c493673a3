"""The verb for tables of which nobody intervened in anything: what they say of causes, and what they cannot."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import networkx as nx

from sqwirrel.config.verbs.answers import make
from sqwirrel.explain.causal.collected import Collection, adjusted, searched
from sqwirrel.explain.causal.collected.adjusted import PAPERS
from sqwirrel.explain.causal.collected.graphs import SEARCH_PAPERS, SEARCHES, is_installed
from sqwirrel.record import Record
from sqwirrel.report import figures
from sqwirrel.report.causal.collected.content import CollectionTold
from sqwirrel.report.causal.collected.graph import graph
from sqwirrel.report.pages import collected as page
from sqwirrel.whole import put, put_text


def collection_into(
    folder: Path, table: Path, tiers: str, effects: Sequence[str], progress: Callable[[str, int, int], None]
) -> CollectionTold:
    """What a CSV file says of causes, its columns in `tiers` like "radius > angle, J > TN", causes first.

    Leaves collection.json, collection.graphml, graph.png and collection.html. PC and GES are asked if they are there.
    """
    started = time.monotonic()
    named = [[name.strip() for name in tier.split(",") if name.strip()] for tier in tiers.split(">")]
    collection = Collection.read(table, named)
    record = Record.start(files=[table], papers=PAPERS)
    found, searches = adjusted(collection, effects), {}
    for k, method in enumerate(SEARCHES if is_installed() else ()):
        progress("searching", k, len(SEARCHES))
        searches[method] = searched(collection, method)
    record = record.with_papers(*(SEARCH_PAPERS[method] for method in searches))
    told = CollectionTold(
        table.name, collection, found, searches, record.with_seconds(collection=time.monotonic() - started)
    )
    make(folder)
    put_text(folder / "collection.json", json.dumps(told.mapping(), indent=1, allow_nan=False) + "\n")
    put(folder / "collection.graphml", lambda part: nx.write_graphml(told.graph, part))
    put(folder / "graph.png", lambda part: figures.save(graph(told), part))
    page.write(folder, told)
    return told
