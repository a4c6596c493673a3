"""What the data say: from measured spectra and peaks to a posterior."""

from sqwirrel.infer.averages import Settings
from sqwirrel.infer.inference import infer
from sqwirrel.infer.posterior import Basin, Check, Posterior, Summary
from sqwirrel.infer.terms import Data, Simulator

__all__ = ["Basin", "Check", "Data", "Posterior", "Settings", "Simulator", "Summary", "infer"]
