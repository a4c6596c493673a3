"""What was measured: spectra, where their bins lie, and the files they come from."""

from sqwirrel.spectra.grid import Beam, QGrid
from sqwirrel.spectra.join import join
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.peaks import Peaks
from sqwirrel.spectra.pixels import Binned, Goniometer
from sqwirrel.spectra.points import QPath, QPoints, QShells
from sqwirrel.spectra.readers import READERS, is_peaks, read, read_peaks, write, write_peaks
from sqwirrel.spectra.readers.rotation import read_rotation
from sqwirrel.spectra.spectrum import Spectrum

__all__ = [
    "READERS",
    "Beam",
    "Binned",
    "Goniometer",
    "Measurement",
    "Peaks",
    "QGrid",
    "QPath",
    "QPoints",
    "QShells",
    "Spectrum",
    "is_peaks",
    "join",
    "read",
    "read_peaks",
    "read_rotation",
    "write",
    "write_peaks",
]
