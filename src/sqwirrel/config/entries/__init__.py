"""Sections of `[measurements]` that are no spectra."""

from sqwirrel.config.entries.bulk import BulkEntry
from sqwirrel.config.entries.peaks import PeaksEntry

__all__ = ["BulkEntry", "PeaksEntry"]
