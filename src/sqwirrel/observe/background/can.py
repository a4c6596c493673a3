"""The can: phonons of what holds a powder and is seen with it, an aluminium can or the walls of a cryostat."""

from dataclasses import replace

import torch

from sqwirrel.errors import InputError
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe.background.template import CAN, TemplateBackground
from sqwirrel.observe.experiment import Experiment
from sqwirrel.observe.instrument import Instrument
from sqwirrel.observe.resolution import GaussianResolution
from sqwirrel.spectra import Measurement, QShells, Spectrum

SAMPLES = 256
"""Points that the average over directions takes in each shell of |Q|: it is calculated once."""


def with_can(instrument: Instrument, model: PhononModel, measurement: Measurement, fwhm: float) -> Instrument:
    """The instrument, with a powder of `model` as it is times `background_can` under what it has as background.

    Lines are `fwhm` meV wide at all energies, and as wide as a shell in |Q|. What `instrument` says of k_f / k_i and of
    several phonons holds for the can, too; an offset of energies, a tail, a response along |Q|, and what
    scatters in the sample and in the can, are left out. Of a sample of phonons background_can / scale is the number of
    atoms of the can that the beam sees for each of its own. Raises InputError for crystals.
    """
    if not isinstance(measurement.points, QShells):
        raise InputError(
            "a can is calculated for powder maps; for a crystal, measure it (background kind = 'measured')"
        )
    where, width = replace(measurement, exposure=None), float(measurement.points.edges.diff().median())
    plain = Instrument(GaussianResolution(), flux_factor=instrument.flux_factor, multiphonon=instrument.multiphonon)
    experiment = Experiment(model, where, plain, samples=SAMPLES)
    with torch.no_grad():
        level = experiment(experiment.pack(fwhm=fwhm, fwhm_q=width, scale=1.0, background=0.0))[0]
    if not float(level.max()) > 0:
        raise InputError(f"a can of {model.name} scatters nothing in these bins; leave it out")
    seen = Spectrum.from_arrays(level, torch.ones_like(level), where)
    return replace(instrument, background=TemplateBackground(seen, instrument.background, CAN))
