"""Bulk numbers: what thermometers and magnetometers measure, from a model and its modes, batched and differentiable."""

from sqwirrel.simulate.bulk.found import Found, Law
from sqwirrel.simulate.bulk.high_temperature import CurieWeiss
from sqwirrel.simulate.bulk.lattice import PhononHeat, SoundVelocity
from sqwirrel.simulate.bulk.magnons import MagnonHeat, OrderedMoment

__all__ = ["CurieWeiss", "Found", "Law", "MagnonHeat", "OrderedMoment", "PhononHeat", "SoundVelocity"]
