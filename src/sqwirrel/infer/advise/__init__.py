"""Where to measure next: for the parameters that matter, or between models that compete."""

from sqwirrel.infer.advise.candidates import Moving, Speeds
from sqwirrel.infer.advise.rivals import Probe, Rival, Separation, advise_between
from sqwirrel.infer.advise.shrink import Advice, Pick, advise, information

__all__ = [
    "Advice",
    "Moving",
    "Pick",
    "Probe",
    "Rival",
    "Separation",
    "Speeds",
    "advise",
    "advise_between",
    "information",
]
