"""Rivals beside each other: their best fits and what each leaves of the data."""

from sqwirrel.report.figures.rivals.cuts import is_map
from sqwirrel.report.figures.rivals.fits import rival_fits

__all__ = ["is_map", "rival_fits"]
