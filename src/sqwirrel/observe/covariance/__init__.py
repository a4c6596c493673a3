"""Resolution in momentum and energy together: covariances of (h, k, l, E), computed or from a table."""

from sqwirrel.observe.covariance.cooper_nathans import Volumes, covariance, volumes
from sqwirrel.observe.covariance.ellipsoid import Split, bragg_fwhm, split, vanadium_fwhm
from sqwirrel.observe.covariance.files import read_covariance, read_spectrometer
from sqwirrel.observe.covariance.mosaic import mosaic_of
from sqwirrel.observe.covariance.spectrometer import Reflector, Spectrometer
from sqwirrel.observe.covariance.spurions import spurious
from sqwirrel.observe.covariance.table import CovarianceTable

__all__ = [
    "CovarianceTable",
    "Reflector",
    "Spectrometer",
    "Split",
    "Volumes",
    "bragg_fwhm",
    "covariance",
    "mosaic_of",
    "read_covariance",
    "read_spectrometer",
    "split",
    "spurious",
    "vanadium_fwhm",
    "volumes",
]
