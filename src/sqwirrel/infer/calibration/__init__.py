"""Whether intervals hold: inference on simulated measurements whose truth is known."""

from sqwirrel.infer.calibration.check import check
from sqwirrel.infer.calibration.trials import Calibration, Trial

__all__ = ["Calibration", "Trial", "check"]
