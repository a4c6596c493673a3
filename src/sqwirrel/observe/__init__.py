"""From modes to a spectrum: what an instrument makes of the excitations of a model."""

from sqwirrel.observe.background import (
    ConstantBackground,
    ElasticBackground,
    PlanarBackground,
    SlopedBackground,
    SmoothBackground,
    TemplateBackground,
)
from sqwirrel.observe.counting import Gaussian, Poisson, Robust
from sqwirrel.observe.covariance.files import read_covariance, read_spectrometer
from sqwirrel.observe.covariance.resolution import EllipsoidResolution
from sqwirrel.observe.covariance.spectrometer import Reflector, Spectrometer
from sqwirrel.observe.covariance.table import CovarianceTable
from sqwirrel.observe.experiment import Experiment
from sqwirrel.observe.instrument import Instrument
from sqwirrel.observe.joint import Joint
from sqwirrel.observe.momentum import AngularQWidth, ConstantQWidth
from sqwirrel.observe.peaks import PeakExperiment
from sqwirrel.observe.resolution import (
    GaussianResolution,
    OffsetResolution,
    PolynomialResolution,
    TableResolution,
    TailedResolution,
)

__all__ = [
    "AngularQWidth",
    "ConstantBackground",
    "ConstantQWidth",
    "CovarianceTable",
    "ElasticBackground",
    "EllipsoidResolution",
    "Experiment",
    "Gaussian",
    "GaussianResolution",
    "Instrument",
    "Joint",
    "OffsetResolution",
    "PeakExperiment",
    "PlanarBackground",
    "Poisson",
    "PolynomialResolution",
    "Reflector",
    "Robust",
    "SlopedBackground",
    "SmoothBackground",
    "Spectrometer",
    "TableResolution",
    "TailedResolution",
    "TemplateBackground",
    "read_covariance",
    "read_spectrometer",
]
