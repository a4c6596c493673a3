"""Maps of one measurement in rows: best fits of rivals and what each leaves, and what a translation changed."""

from sqwirrel.report.figures.rivals.cuts import is_map
from sqwirrel.report.figures.rivals.fits import rival_fits
from sqwirrel.report.figures.rivals.matched import matched_maps

__all__ = ["is_map", "matched_maps", "rival_fits"]
