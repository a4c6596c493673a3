"""Detector pixels of a crystal that was turned step by step, and the grid of bins that is made of them."""

from sqwirrel.spectra.pixels.binning import Binned, Binning
from sqwirrel.spectra.pixels.goniometer import Goniometer
from sqwirrel.spectra.pixels.run import Run

__all__ = ["Binned", "Binning", "Goniometer", "Run"]
