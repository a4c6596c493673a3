"""Tables of peaks: which modes they may belong to, and how likely they are."""

from sqwirrel.observe.peaks.experiment import PeakExperiment, PeakSlope

__all__ = ["PeakExperiment", "PeakSlope"]
