"""Checks that every posterior carries: fit, sampling, quadrature, identifiability."""

from sqwirrel.infer.checks.draws import (
    QUADRATURE,
    average_checks,
    average_error,
    basin_check,
    complete_check,
    parameter_checks,
    sampling_checks,
    seen_check,
)
from sqwirrel.infer.checks.emulation import emulation_checks
from sqwirrel.infer.checks.fit import WINDOW, fit_checks, smoothed
from sqwirrel.infer.checks.misfit import misfit_checks, widening

__all__ = [
    "QUADRATURE",
    "WINDOW",
    "average_checks",
    "average_error",
    "basin_check",
    "complete_check",
    "emulation_checks",
    "fit_checks",
    "misfit_checks",
    "parameter_checks",
    "sampling_checks",
    "seen_check",
    "smoothed",
    "widening",
]
