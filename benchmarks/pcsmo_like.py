"""A simulated map like those of PCSMO, small enough to be inferred a thousand times: what two benchmarks share.

42 points of a path through the (h, k) plane of the high-temperature cell at L = 2, 30 energies from 4 to 94 meV; six
parameters of the Goodenough model, two twins, phonons, a flat background, counts.
"""

from itertools import pairwise

import torch

from benchmarks.pcsmo_frame import CELL, TEMPERATURE, TWIN
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, Poisson, TemplateBackground
from sqwirrel.spectra import Measurement, QPath, Spectrum

CORNERS = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.25, 0.25]]
TRUE = {"twin_2": 0.8, "fwhm": 5.0, "scale": 1500.0, "background": 0.5, "background_measured": 0.5}
"""Besides the published constants."""
PRIOR = {
    "JF1": {"uniform": [-16.0, -7.0]},
    "JA": {"uniform": [0.5, 3.0]},
    "Jperp": {"uniform": [0.3, 2.0]},
    "JF2": {"uniform": [-3.0, 0.0]},
    "JF3": {"uniform": [0.0, 3.0]},
    "D": {"uniform": [0.01, 0.3]},
    "twin_2": {"uniform": [0.3, 2.0]},
    "fwhm": {"uniform": [3.0, 8.0]},
    "scale": {"loguniform": [300.0, 5000.0]},
    "background": {"uniform": [0.0, 2.0]},
    "background_measured": {"uniform": [0.0, 2.0]},
}


def measurement(third: float = 2.0) -> Measurement:
    """The bins, at one L."""
    corner = torch.tensor([[*each, third] for each in CORNERS], dtype=torch.float64)
    steps = torch.linspace(0, 1, 15, dtype=torch.float64)[:-1, None]
    q = torch.cat([torch.lerp(a, b, steps) for a, b in pairwise(corner)])
    path = QPath(CELL, q, torch.zeros(3, 3))
    return Measurement(path, torch.linspace(4, 94, 31, dtype=torch.float64), TEMPERATURE)


def phonons(where: Measurement) -> Spectrum:
    """An acoustic and an optic branch, 22 and 40 meV at most, as strong as (1 + h^2 + k^2) / E; mean 1."""
    q, energy = where.points.q[:, :2], where.energy_centres
    away = (torch.pi * q).sin().norm(dim=1)[:, None]
    branches = (22.0 * away / 2**0.5, 40.0 - 3.0 * away)
    shape = sum(torch.exp(-0.5 * ((energy - each) / 2.5) ** 2) / each.clamp(min=5.0) for each in branches)
    found = shape * (1 + (q**2).sum(1))[:, None]
    return Spectrum.from_arrays(found / found.mean(), torch.zeros_like(found), where)


def simulator(third: float = 2.0, *, twins: bool = True, leak: bool = True) -> Experiment:
    """What sees it, perhaps at another L, without the second twin or without phonons."""
    where, model = measurement(third), library.load("pcsmo_goodenough")
    how = {"background": TemplateBackground(phonons(where))} if leak else {}
    instrument = Instrument(GaussianResolution(), counting=Poisson(), **how)
    return Experiment(model, where, instrument, twins=TWIN if twins else None)


def prior(experiment: Experiment, **held: float) -> Prior:
    """That of the parameters that an experiment has, some of them held."""
    known = {name: PRIOR[name] for name in experiment.names}
    return Prior.from_mapping({**known, **held})
