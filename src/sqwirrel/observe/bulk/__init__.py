"""Bulk numbers as data: the experiment that predicts them."""

from sqwirrel.observe.bulk.experiment import BulkExperiment

__all__ = ["BulkExperiment"]
