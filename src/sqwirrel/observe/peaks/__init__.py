"""Tables of peaks: which modes they may belong to, and how likely they are."""

from sqwirrel.observe.peaks.experiment import EXTRA, OUTLIERS, PeakExperiment, PeakSlope

__all__ = ["EXTRA", "OUTLIERS", "PeakExperiment", "PeakSlope"]
