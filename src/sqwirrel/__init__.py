"""Parameters of a magnetic Hamiltonian or of a crystal's springs, with error bars, from measured neutron spectra."""

__version__ = "0.1.0.dev0"

from sqwirrel.errors import InputError
from sqwirrel.explain.causes import causal_map
from sqwirrel.infer import Posterior, Settings, infer
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, LogUniform, Normal, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe import (
    AngularQWidth,
    ConstantBackground,
    ConstantQWidth,
    Experiment,
    Gaussian,
    GaussianResolution,
    Instrument,
    Joint,
    PeakExperiment,
    PlanarBackground,
    Poisson,
    PolynomialResolution,
    SlopedBackground,
    TableResolution,
    TailedResolution,
)
from sqwirrel.report import figures
from sqwirrel.simulate import SpinWaves
from sqwirrel.spectra import (
    Beam,
    Measurement,
    Peaks,
    QGrid,
    QPath,
    QPoints,
    QShells,
    Spectrum,
    join,
    read,
    read_peaks,
    write,
)

__all__ = [
    "AngularQWidth",
    "Beam",
    "ConstantBackground",
    "ConstantQWidth",
    "Experiment",
    "Fixed",
    "Gaussian",
    "GaussianResolution",
    "InputError",
    "Instrument",
    "Joint",
    "Lattice",
    "LogUniform",
    "Measurement",
    "Normal",
    "PeakExperiment",
    "Peaks",
    "PlanarBackground",
    "Poisson",
    "PolynomialResolution",
    "Posterior",
    "Prior",
    "QGrid",
    "QPath",
    "QPoints",
    "QShells",
    "Settings",
    "SlopedBackground",
    "Spectrum",
    "SpinModel",
    "SpinWaves",
    "TableResolution",
    "TailedResolution",
    "Uniform",
    "causal_map",
    "figures",
    "infer",
    "join",
    "library",
    "read",
    "read_peaks",
    "write",
]
