"""Excitation modes of a model: energies and intensities, batched over Hamiltonians and wavevectors."""

from sqwirrel.simulate.domains import Domains
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.spinwave import SpinWaves

__all__ = ["Domains", "Modes", "SpinWaves"]
