"""How regions move: a chain's band goes as 4 |J| S (1 - cos), its intensity not at all."""

import pytest
import torch

from sqwirrel.explain.causal.paths import moves
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.spectra import Measurement, QPath

CHAIN = library.load("fm_chain")


def test_the_chain_moves_as_its_dispersion() -> None:
    points = torch.tensor([[h, 0, 0] for h in (0.3, 0.5)], dtype=torch.float64)
    where = Measurement(QPath(CHAIN.lattice, points, torch.zeros(3, 3)), torch.linspace(0, 8, 321), 0.1)
    experiment = Experiment(CHAIN, where, Instrument(counting=Poisson()), samples=1)
    theta = experiment.pack(J=-1.0, fwhm=0.5, scale=50, background=5)
    prior = Prior.from_mapping(
        {
            "J": {"uniform": [-2, -0.5]},
            "fwhm": 0.5,
            "scale": {"loguniform": [5, 500]},
            "background": {"uniform": [1, 9]},
        }
    )
    system = Spectra.of(experiment, prior, experiment.sample(theta, 1))
    of = torch.arange(2).repeat_interleave(320)
    found = moves(system, of, torch.tensor([-1.0, 50, 5], dtype=torch.float64), ["J"])
    law = 2 * (1 - torch.cos(2 * torch.pi * points[:, 0]))
    torch.testing.assert_close(found.energy, law, rtol=1e-3, atol=0)
    torch.testing.assert_close(found.shift[:, 0], -law, rtol=1e-3, atol=0)
    assert found.width.tolist() == pytest.approx([0.5 / 2.3548] * 2, rel=0.02)
    torch.testing.assert_close(found.growth[:, 0], torch.zeros(2).double(), rtol=0, atol=1e-3)
    torch.testing.assert_close(found.broadening[:, 0], torch.zeros(2).double(), rtol=0, atol=1e-2)
