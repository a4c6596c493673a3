"""Whether intervals hold: inference on simulated measurements whose truth is known."""

from sqwirrel.infer.calibration.check import Calibration, Trial, check

__all__ = ["Calibration", "Trial", "check"]
