"""Edges by search, as baselines: PC and GES of causal-learn, if it is installed (pip install sqwirrel[bench])."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

import numpy as np
from jaxtyping import Bool, Float

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.collected.collection import Collection

LEVEL = 0.01
"""Of the tests of independence of PC."""
Rows = Float[np.ndarray, "row column"]
Edges = Bool[np.ndarray, "cause effect"]


def pc_edges(rows: Rows, tier: Sequence[int], level: float = LEVEL) -> Edges:
    """Neighbours in different tiers that the PC algorithm leaves (Fisher's z), tiers told.

    P. Spirtes, C. Glymour, Soc. Sci. Comput. Rev. 9, 62 (1991), doi:10.1177/089443939100900106.
    """
    _check_installed()
    from causallearn.graph.GraphNode import GraphNode
    from causallearn.search.ConstraintBased.PC import pc
    from causallearn.utils.PCUtils.BackgroundKnowledge import BackgroundKnowledge

    names, known = [f"X{k}" for k in range(rows.shape[1])], BackgroundKnowledge()
    for name, each in zip(names, tier, strict=True):
        known.add_node_to_tier(GraphNode(name), each)
    how = {"background_knowledge": known, "node_names": names, "show_progress": False, "verbose": False}
    return _later(pc(rows, level, "fisherz", **how).G.graph, tier)


def ges_edges(rows: Rows, tier: Sequence[int]) -> Edges:
    """Neighbours in different tiers that greedy equivalence search with BIC finds; it is not told of tiers.

    D. M. Chickering, J. Mach. Learn. Res. 3, 507 (2002).
    """
    _check_installed()
    from causallearn.search.ScoreBased.GES import ges

    return _later(ges(rows)["G"].graph, tier)


SEARCHES: Mapping[str, Callable[[Rows, Sequence[int]], Edges]] = {"PC": pc_edges, "GES": ges_edges}
SEARCH_PAPERS = {
    "PC": "P. Spirtes and C. Glymour, Soc. Sci. Comput. Rev. 9, 62 (1991), doi:10.1177/089443939100900106",
    "GES": "D. M. Chickering, J. Mach. Learn. Res. 3, 507 (2002)",
}


def searched(collection: Collection, method: str = "PC") -> tuple[tuple[str, str], ...]:
    """Pairs (cause, effect) that a search finds, in columns of mean 0 and variance 1.

    Both take every common cause for recorded, too, and give no interval.
    """
    if method not in SEARCHES:
        raise InputError(f"there is no search '{method}'; there are {', '.join(SEARCHES)}")
    rows = (collection.rows - collection.rows.mean(0)) / collection.rows.std(0)
    found, names = SEARCHES[method](rows, collection.tier), collection.names
    return tuple((names[i], names[j]) for i, j in np.argwhere(found).tolist())


def _later(graph: np.ndarray, tier: Sequence[int]) -> Edges:
    """Edges of a graph from earlier tiers to later ones."""
    order = np.asarray(tier)
    found: Edges = (np.asarray(graph) != 0) & (order[:, None] < order)
    return found


def is_installed() -> bool:
    """Whether causal-learn is here."""
    return find_spec("causallearn") is not None


def _check_installed() -> None:
    if not is_installed():
        raise InputError("PC and GES are those of causal-learn, which is not here: pip install 'sqwirrel[bench]'")
