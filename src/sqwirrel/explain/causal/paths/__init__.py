"""What a parameter acts through: mediation by modes and instrument, and readings of the dispersion."""

from sqwirrel.explain.causal.paths.edges import ReadingEdge, ReadingValue, edges_between, reading_edges, reading_values
from sqwirrel.explain.causal.paths.mediate import Routes, mediated, mediation, routes
from sqwirrel.explain.causal.paths.moves import Moves, moves
from sqwirrel.explain.causal.paths.readings import (
    Dispersion,
    Reading,
    band_top,
    boundary,
    gap,
    splitting,
    stiffness,
    velocity,
)
from sqwirrel.explain.causal.paths.resample import Estimate
from sqwirrel.explain.causal.paths.squares import Shares, shares

__all__ = [
    "Dispersion",
    "Estimate",
    "Moves",
    "Reading",
    "ReadingEdge",
    "ReadingValue",
    "Routes",
    "Shares",
    "band_top",
    "boundary",
    "edges_between",
    "gap",
    "mediated",
    "mediation",
    "moves",
    "reading_edges",
    "reading_values",
    "routes",
    "shares",
    "splitting",
    "stiffness",
    "velocity",
]
