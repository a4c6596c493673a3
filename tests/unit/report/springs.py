"""A small finished result of a crystal with springs, made without any sampling."""

import torch

from sqwirrel.infer import Basin, Check, Posterior
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.prior import Prior
from sqwirrel.observe import ConstantBackground, Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.report.result import Result
from sqwirrel.spectra import Measurement, QShells

REST = {"fwhm": 2.0, "fwhm_q": 0.1, "scale": 1.0, "background": 0.1}


def aluminium() -> PhononModel:
    """Published springs, all eight shells."""
    return library.load("al_80k")


def rock_salt() -> PhononModel:
    """Two elements, springs to third neighbours and no values of their own."""
    cell = [5.64] * 3 + [90] * 3
    return born_von_karman(Crystal.from_spacegroup(cell, 225, {"Na": [0, 0, 0], "Cl": [0.5, 0.5, 0.5]}), 4.1)


def phonons_of(model: PhononModel, values: dict[str, float], spread: float = 0.1, *, misfits: bool = False) -> Result:
    """A result whose posterior is a normal law of this width (N/m) round values; all others are fixed."""
    measurement = Measurement(QShells(torch.linspace(2.0, 4.0, 6)), torch.linspace(6.0, 42.0, 19), 80.0)
    experiment = Experiment(
        model, measurement, Instrument(GaussianResolution(), ConstantBackground(), Poisson()), samples=2
    )
    fixed = {**REST, **{name: value for name, value in model.defaults.items() if name not in values}}
    spectrum = experiment.sample(experiment.pack(**values, **fixed), seed=1)
    centre = torch.tensor(list(values.values()), dtype=torch.float64)
    n, wide = len(centre), {name: [value - 20, value + 20] for name, value in values.items()}
    noise = torch.randn(300, n, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    anchor = experiment.pack(**values, **fixed)
    posterior = Posterior(
        names=tuple(values),
        units=("N/m",) * n,
        priors=("",) * n,
        draws=centre + spread * noise,
        log_weight=torch.full((300,), -torch.log(torch.tensor(300.0)).item(), dtype=torch.float64),
        limit=torch.full((n,), spread, dtype=torch.float64),
        basins=(Basin(centre, -10.0, 3, 1.0),),
        checks=(Check("predictive", not misfits, 1.1, "how it fits"),),
        log_evidence=-123.4,
        deviance_per_bin=1.1,
        seconds=2.0,
        anchor=torch.cat((anchor, torch.full_like(anchor, 0.1))),
        widening=torch.full((n,), 3.0, dtype=torch.float64),
        record=Record.start(seeds={"infer": 1}),
    )
    prior = Prior.from_mapping({**{name: {"uniform": ends} for name, ends in wide.items()}, **fixed})
    return Result(posterior, spectrum, experiment, prior, "powder.h5")
