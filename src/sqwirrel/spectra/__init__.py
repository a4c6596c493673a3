"""What was measured: spectra, where their bins lie, and the files they come from."""

from sqwirrel.spectra.grid import Beam, QGrid
from sqwirrel.spectra.join import join
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.points import QPath, QPoints, QShells
from sqwirrel.spectra.readers import READERS, read, write
from sqwirrel.spectra.spectrum import Spectrum

__all__ = [
    "READERS",
    "Beam",
    "Measurement",
    "QGrid",
    "QPath",
    "QPoints",
    "QShells",
    "Spectrum",
    "join",
    "read",
    "write",
]
