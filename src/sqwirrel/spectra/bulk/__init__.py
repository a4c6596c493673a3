"""Bulk numbers: what was measured of a sample as a whole, each with its error and under which conditions."""

from sqwirrel.spectra.bulk.numbers import UNITS, Bulk, BulkNumber

__all__ = ["UNITS", "Bulk", "BulkNumber"]
