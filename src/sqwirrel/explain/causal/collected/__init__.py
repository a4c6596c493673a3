"""Tables that somebody else made, of materials or of simulations: nobody intervened, so that causes are assumptions.

What is known is the order: which columns are there before others. Edges are adjusted for what is recorded, and each
says how strong a common cause that is not would have to be to make it alone.
"""

from sqwirrel.explain.causal.collected.adjusted import Collected, CollectedEdge, Hidden, adjusted, marginal
from sqwirrel.explain.causal.collected.collection import Collection
from sqwirrel.explain.causal.collected.graphs import ges_edges, pc_edges, searched

__all__ = [
    "Collected",
    "CollectedEdge",
    "Collection",
    "Hidden",
    "adjusted",
    "ges_edges",
    "marginal",
    "pc_edges",
    "searched",
]
