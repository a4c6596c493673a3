"""A posterior of points of scans, from start to end."""

import torch

from sqwirrel.infer import Settings, infer
from sqwirrel.model import library
from sqwirrel.model.prior import Fixed, Prior, Uniform
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.spectra import Measurement, QPoints


def test_scans_give_back_the_exchange_they_were_drawn_with() -> None:
    model = library.load("fm_chain")
    energy = torch.linspace(1.0, 4.5, 36, dtype=torch.float64).repeat(2)
    q = torch.tensor([[0.25, 0, 0], [0.4, 0, 0]], dtype=torch.float64).repeat_interleave(36, dim=0)
    exposure = torch.linspace(1, 2, 72, dtype=torch.float64)[:, None]
    where = Measurement(
        QPoints(model.lattice, q), energy[:, None].expand(-1, 2), 2.0, final_energy=14.7, exposure=exposure
    )
    experiment = Experiment(model, where, Instrument(counting=Poisson()), samples=1)
    measured = experiment.sample(experiment.pack(J=-1.1, fwhm=0.5, scale=300.0, background=3.0), seed=3)
    prior = Prior(J=Uniform(-2, -0.5), fwhm=Uniform(0.1, 2), scale=Uniform(10, 1000), background=Fixed(3.0))
    posterior = infer(experiment, prior, measured, Settings(screen=64, starts=2, draws=200))
    J = posterior.summary()[posterior.names.index("J")]
    assert J.interval95[0] < -1.1 < J.interval95[1]
    assert J.interval95[1] - J.interval95[0] < 0.1
    where_it_is = next(check.meaning for check in posterior.checks if check.name == "residual_structure")
    assert "meV" in where_it_is
