"""Causes in the measured spectrum: what would have been measured, whether parameters are the same everywhere, and which
cause is missing.

A map of interventions is causal in the simulator by construction; it is causal for the material only as far as the
tests of this folder pass on its data.
"""

from sqwirrel.explain.causal.measured.counterfactual import Counterfactual, counterfactual
from sqwirrel.explain.causal.measured.invariance import Deviation, Invariance, invariance, parts_by
from sqwirrel.explain.causal.measured.missing import Finding, Missing, missing
from sqwirrel.explain.causal.measured.objections import Objections, halves, objections

__all__ = [
    "Counterfactual",
    "Deviation",
    "Finding",
    "Invariance",
    "Missing",
    "Objections",
    "counterfactual",
    "halves",
    "invariance",
    "missing",
    "objections",
    "parts_by",
]
