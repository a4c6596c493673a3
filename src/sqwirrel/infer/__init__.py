"""What the data say: from a measured spectrum to a posterior."""

from sqwirrel.infer.inference import Settings, infer
from sqwirrel.infer.posterior import Basin, Check, Posterior, Summary

__all__ = ["Basin", "Check", "Posterior", "Settings", "Summary", "infer"]
