"""Why: which bins of a spectrum an answer rests on, and where two models differ."""

from sqwirrel.explain.difference import expected_ratio
from sqwirrel.explain.influence import Influence, influence
from sqwirrel.explain.sensitivity import sensitivity

__all__ = ["Influence", "expected_ratio", "influence", "sensitivity"]
