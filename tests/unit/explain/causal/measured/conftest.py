"""A chain on a path of a few points, where nothing is averaged: its fit costs a tenth of a second."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sqwirrel.infer import Posterior, Settings, infer
from sqwirrel.infer.refine import refine
from sqwirrel.infer.target import Target
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, LogUniform, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.spectra import Measurement, QPath, Spectrum

CHAIN = library.load("fm_chain")
POINTS = torch.tensor([[h, 0, 0] for h in (0.1, 0.17, 0.25, 0.33, 0.41, 0.5)], dtype=torch.float64)
QUICK = Settings(screen=64, starts=2, draws=100, seed=2)


class Chain:
    """The chain, its prior, and fits of what it makes."""

    def __init__(self) -> None:
        self.where = Measurement(
            QPath(CHAIN.lattice, POINTS, torch.zeros(3, 3)), torch.linspace(0.3, 5.3, 41, dtype=torch.float64), 5.0
        )
        self.instrument = Instrument(counting=Poisson())
        self.experiment = Experiment(CHAIN, self.where, self.instrument, samples=1)
        self.truth = self.experiment.pack(J=-1.0, fwhm=0.5, scale=150, background=6)
        self.prior = Prior(
            J=Uniform(-2, -0.2, "meV"), fwhm=Fixed(0.5), scale=LogUniform(1, 1e4), background=Uniform(0, 50)
        )
        self.rival = Hypothesis(self.experiment, self.prior)

    def fit(self, data: Spectrum) -> tuple[Target, Tensor]:
        """Where the posterior has its maximum."""
        target = Target.of(self.experiment, self.prior, data)
        start = torch.tensor([[-1.0, 150, 6]], dtype=torch.float64)
        return target, self.prior.constrain(refine(target, start)[0].z[None])

    def infer(self, data: Spectrum) -> Posterior:
        return infer(self.experiment, self.prior, data, QUICK)

    def at_the_truth(self, data: Spectrum) -> Posterior:
        """A posterior that knows the truth."""
        theta = self.truth[0, [0, 2, 3]]
        found = self.infer(data)
        basin = replace(found.basins[0], theta=theta)
        return replace(found, draws=theta[None], log_weight=torch.zeros(1).double(), basins=(basin,))


@pytest.fixture(scope="session")
def chain() -> Chain:
    return Chain()


@pytest.fixture
def counts(chain: Chain) -> Callable[[Tensor], Spectrum]:
    """Counts, whole or not, on the bins of the chain."""
    return lambda n: Spectrum.from_arrays(n, n.clamp(min=0).sqrt(), chain.where, is_counts=True)
