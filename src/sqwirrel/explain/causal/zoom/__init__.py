"""Fewer regions: those of a map joined two at a time, as a tree."""

from sqwirrel.explain.causal.zoom.tree import Coarse, coarse, linkage, pieces

__all__ = ["Coarse", "coarse", "linkage", "pieces"]
