"""What was measured: spectra, where their bins lie, and the files they come from."""

from sqwirrel.spectra.measurement import Measurement, QPath, QShells
from sqwirrel.spectra.spectrum import Spectrum

__all__ = ["Measurement", "QPath", "QShells", "Spectrum"]
