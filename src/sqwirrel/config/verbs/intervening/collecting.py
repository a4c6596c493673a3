"""The verb for tables of which nobody intervened in anything: what they say of causes, and what they cannot."""

import csv
import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import networkx as nx

from sqwirrel.config.verbs.answers import make
from sqwirrel.errors import InputError
from sqwirrel.explain.causal.collected import Collection, adjusted, searched
from sqwirrel.explain.causal.collected.adjusted import PAPERS
from sqwirrel.explain.causal.collected.graphs import SEARCH_PAPERS, SEARCHES, is_installed
from sqwirrel.record import Record
from sqwirrel.report import figures
from sqwirrel.report.causal.collected.content import CollectionTold
from sqwirrel.report.causal.collected.graph import graph
from sqwirrel.report.pages import collected as page
from sqwirrel.whole import put, put_text

LATER = re.compile(r'>(?=(?:[^"]*"[^"]*")*[^"]*$)')
"""Between tiers; in quotes it is a letter of a name."""
UNASKED = "PC and GES were not asked (--no-search)."
UNFINISHED = "{} has not finished."


def collection_into(
    folder: Path,
    table: Path,
    tiers: str,
    effects: Sequence[str],
    progress: Callable[[str, int, int], None],
    *,
    search: bool = True,
) -> CollectionTold:
    """What a CSV file says of causes, its columns in `tiers` like "radius > angle, J > TN", causes first.

    Leaves collection.json, collection.graphml, graph.png and collection.html. PC and GES are asked if they are there,
    and `search`; what adjustment says is left before they start, and stays if they fail or are interrupted.
    """
    started, effects = time.monotonic(), tuple(name.strip() for name in effects)
    collection = Collection.read(table, _tiers(tiers))
    record = Record.start(files=[table], papers=PAPERS)
    told = CollectionTold(table.name, collection, adjusted(collection, effects), {}, record, effects=effects)
    make(folder)
    if (folder / "collection.json").exists():
        logging.getLogger("sqwirrel").warning("what '%s' held of a table is replaced", folder)
    methods = tuple(SEARCHES) if search and is_installed() else ()
    if methods or not search:
        told = replace(told, silent=tuple(map(UNFINISHED.format, methods)) or (UNASKED,))
    for k, method in enumerate(methods):
        _leave(folder, told, started)
        progress("searching", k, len(methods))
        told = _searched(told, method)
    return _leave(folder, told, started)


def _tiers(words: str) -> list[list[str]]:
    """As they are given on the command line; names in quotes may have commas and `>`."""
    if "<" in words and ">" not in words:
        raise InputError(f"--tiers '{words}': tiers are given with causes first, and '>' between")
    lines = [next(csv.reader([tier], skipinitialspace=True), []) for tier in LATER.split(words)]
    return [[name.strip() for name in line if name.strip()] for line in lines]


def _searched(told: CollectionTold, method: str) -> CollectionTold:
    """With what a search says, or why it does not."""
    others = tuple(each for each in told.silent if each != UNFINISHED.format(method))
    try:
        found = {**told.searches, method: searched(told.collection, method)}
    except Exception as error:  # of somebody else's program: of numbers that it cannot bear, and whatever else
        failed = f"{method} failed: {' '.join(str(error).split()) or type(error).__name__}."
        return replace(told, silent=(*others, failed))
    return replace(told, searches=found, silent=others, record=told.record.with_papers(SEARCH_PAPERS[method]))


def _leave(folder: Path, told: CollectionTold, started: float) -> CollectionTold:
    """All files, once all are made."""
    told = replace(told, record=told.record.with_seconds(collection=time.monotonic() - started))
    mapping, html = json.dumps(told.mapping(), indent=1, allow_nan=False), page.html(told)
    put(folder / "graph.png", lambda part: figures.save(graph(told), part))
    put(folder / "collection.graphml", lambda part: nx.write_graphml(told.graph, part))
    put_text(folder / "collection.json", mapping + "\n")
    put_text(folder / "collection.html", html)
    return told
