"""A small finished result: a ferromagnetic chain, made without any sampling."""

import pytest
import torch

from sqwirrel.infer import Basin, Check, Posterior
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.report.result import Result
from sqwirrel.spectra import Measurement, QPath

TRUTH = {"J": -1.0, "fwhm": 0.4, "scale": 50.0, "background": 2.0}


def result_of(*, passed: bool, truth: bool) -> Result:
    """A result whose posterior is a normal law round the truth; J and fwhm are free."""
    model = library.load("fm_chain")
    q = torch.zeros(9, 3, dtype=torch.float64)
    q[:, 0] = torch.linspace(0.1, 0.9, 9)
    points = QPath(model.lattice, q, torch.zeros(3, 3))
    measurement = Measurement(points, torch.linspace(0.5, 5, 31, dtype=torch.float64), 5.0)
    experiment = Experiment(model, measurement, Instrument(counting=Poisson()), samples=1)
    spectrum = experiment.sample(experiment.pack(**TRUTH), seed=3).exclude(0.5, 0.9)
    noise = torch.randn(300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    draws = torch.tensor([-1.0, 0.4], dtype=torch.float64) + noise * torch.tensor([0.004, 0.02], dtype=torch.float64)
    posterior = Posterior(
        names=("J", "fwhm"),
        units=("meV", "meV"),
        priors=("", ""),
        draws=draws,
        log_weight=torch.full((300,), -torch.log(torch.tensor(300.0)).item(), dtype=torch.float64),
        limit=torch.tensor([0.004, 0.02], dtype=torch.float64),
        basins=(
            Basin(torch.tensor([-1.0, 0.4], dtype=torch.float64), -10.0, 3, 1.0),
            Basin(torch.tensor([-0.7, 0.9], dtype=torch.float64), -90.0, 1, 0.0),
        ),
        checks=(Check("deviance_per_bin", passed, 1.1, "how <well> it fits"), Check("one_basin", True, 1.0, "alone")),
        log_evidence=-123.4,
        deviance_per_bin=1.1,
        seconds=2.0,
        anchor=torch.cat((experiment.pack(**TRUTH), torch.full((1, 4), 0.1, dtype=torch.float64))),
        widening=torch.ones(2, dtype=torch.float64),
        record=Record.start(seeds={"infer": 1}, papers=["A. Author, doi:10.1/x", "B. Writer, arXiv:1507.02646"]),
    )
    prior = Prior.from_mapping(
        {"J": {"uniform": [-2, -0.1]}, "fwhm": {"uniform": [0.1, 1]}, "scale": 50.0, "background": 2.0}
    )
    return Result(posterior, spectrum, experiment, prior, "chain.h5", {"rebin": {"q": 2}}, TRUTH if truth else {})


@pytest.fixture
def good() -> Result:
    """All checks passed, truth known."""
    return result_of(passed=True, truth=True)


@pytest.fixture
def bad() -> Result:
    """A check failed, truth unknown."""
    return result_of(passed=False, truth=False)
