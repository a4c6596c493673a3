"""A map as if it came from the other of two domains, with what that changed: never a measurement."""

from sqwirrel.infer.matching.match import Matched, match
from sqwirrel.infer.matching.numbers import Numbers

__all__ = ["Matched", "Numbers", "match"]
