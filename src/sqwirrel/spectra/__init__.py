"""What was measured: spectra, where their bins lie, and the files they come from."""

from sqwirrel.spectra.measurement import Measurement, QPath, QShells
from sqwirrel.spectra.readers import READERS, read, write
from sqwirrel.spectra.spectrum import Spectrum

__all__ = ["READERS", "Measurement", "QPath", "QShells", "Spectrum", "read", "write"]
