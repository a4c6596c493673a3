"""A posterior of points of scans, from start to end."""

from pathlib import Path

import pytest
import torch

from sqwirrel.infer import Settings, infer
from sqwirrel.infer.checks import fit_checks
from sqwirrel.infer.target import Target
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.report.pages import answer as page
from sqwirrel.report.result import Result
from sqwirrel.spectra import Measurement, QPoints, Spectrum

TRUTH = {"J": -1.1, "fwhm": 0.5, "scale": 300.0, "background": 3.0}
PRIOR = Prior(J=Uniform(-2, -0.5), fwhm=Uniform(0.1, 2), scale=Uniform(10, 1000), background=Fixed(3.0))


@pytest.fixture
def experiment() -> Experiment:
    """Scans of energy at h = 0.25 and 0.4, from 1.0 to 4.5 meV in steps of 0.1, each point counted longer."""
    model = library.load("fm_chain")
    energy = torch.linspace(1.0, 4.5, 36, dtype=torch.float64).repeat(2)
    q = torch.tensor([[0.25, 0, 0], [0.4, 0, 0]], dtype=torch.float64).repeat_interleave(36, dim=0)
    points = QPoints(model.lattice, q, [1] * 36 + [2] * 36)
    exposure = torch.linspace(1, 2, 72, dtype=torch.float64)[:, None]
    where = Measurement(points, energy[:, None].expand(-1, 2), 2.0, final_energy=14.7, exposure=exposure)
    return Experiment(model, where, Instrument(counting=Poisson()), samples=4)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it
def test_scans_give_back_the_exchange_they_were_drawn_with(experiment: Experiment, tmp_path: Path) -> None:
    measured = experiment.sample(experiment.pack(**TRUTH), seed=3)
    posterior = infer(experiment, PRIOR, measured, Settings(screen=64, starts=2, draws=200))
    J = posterior.summary()[posterior.names.index("J")]
    assert J.interval95[0] < -1.1 < J.interval95[1]
    assert J.interval95[1] - J.interval95[0] < 0.1
    assert posterior.passed
    assert "<dd>2 scans</dd>" in page.write(tmp_path, Result(posterior, measured, experiment, PRIOR)).read_text()


@pytest.mark.parametrize(("first", "h", "energies"), [(0, "0.25", "1.00 to 1.60"), (50, "0.40", "2.40 to 3.00")])
def test_the_misfit_is_where_it_was_planted(experiment: Experiment, first: int, h: str, energies: str) -> None:
    """Fifteen counts too many in seven points in a row, beside the line."""
    measured = experiment.sample(experiment.pack(**TRUTH), seed=3)
    counts = measured.intensity.clone()
    counts[first : first + 7] += 15
    spoiled = Spectrum.from_arrays(counts, counts.sqrt(), measured.measurement, is_counts=True)
    target = Target.of(experiment, PRIOR, spoiled)
    theta = torch.tensor([TRUTH[name] for name in target.names], dtype=torch.float64)
    found = {check.name: check for check in fit_checks(target, theta)[1]}["residual_structure"]
    assert not found.passed
    assert found.meaning.startswith("largest mean residual of 7 points of scans, ")
    assert found.meaning.endswith(f"at q ({h}, 0.00, 0.00) to ({h}, 0.00, 0.00) rlu, {energies} meV")


def test_no_minus_stands_before_a_zero() -> None:
    points = QPoints(library.load("fm_chain").lattice, [[-0.001, 0, 0.5], [-0.0, 0, -0.5]])
    assert points.describe(0, 2) == "q (0.00, 0.00, 0.50) to (0.00, 0.00, -0.50) rlu"
