"""Cells of spectra: what they are told by, for each law of counting, and which of them touch."""

import pytest
import torch

from sqwirrel.explain.causal.system import Spectra
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, Instrument, Poisson, Robust
from sqwirrel.spectra import Measurement, QPath, QPoints, Spectrum

CHAIN = library.load("fm_chain")
PRIOR = Prior.from_mapping(
    {"J": {"uniform": [-2, -0.5]}, "fwhm": 0.5, "scale": {"loguniform": [50, 5000]}, "background": {"uniform": [5, 90]}}
)
MIDDLE = torch.tensor([[-1.25, 500.0, 47.5]], dtype=torch.float64)


@pytest.mark.parametrize("counting", [Poisson(), Gaussian(), Robust(4.0)])
def test_slopes_are_those_of_what_is_seen_whatever_was_measured(counting) -> None:
    """The data are far from the middle of the prior; many counts, so that both scales of counts are one."""
    points = torch.tensor([[h, 0, 0] for h in (0.2, 0.35, 0.5)], dtype=torch.float64)
    where = Measurement(QPath(CHAIN.lattice, points, torch.zeros(3, 3)), torch.linspace(0.3, 8, 31), 5.0)
    truth = Experiment(CHAIN, where, Instrument(counting=Poisson()), samples=1)
    data = truth.sample(truth.pack(J=-0.6, fwhm=0.5, scale=400, background=40), 1)
    if not counting.is_poisson:
        data = Spectrum.from_arrays(data.intensity, data.error.clamp(min=1), where)
    system = Spectra.of(Experiment(CHAIN, where, Instrument(counting=counting), samples=1), PRIOR, data)
    for k, step in enumerate((1e-5, 1e-3, 1e-4)):
        rows = MIDDLE.repeat(2, 1)
        rows[:, k] += torch.tensor([step, -step])
        seen, _ = system.see(rows)
        numeric = (seen[0] - seen[1]) / (2 * step)
        error = (numeric - system.slope(MIDDLE)[k]).norm() / numeric.norm()
        assert float(error) < 0.01


def test_scans_do_not_touch() -> None:
    q = torch.tensor([[0.2, 0, 0]] * 5 + [[0.4, 0, 0]] * 4, dtype=torch.float64)
    points = QPoints(CHAIN.lattice, q, torch.tensor([1] * 5 + [2] * 4))
    energy = torch.cat((torch.linspace(0.5, 4.5, 5), torch.linspace(1, 4, 4))).double()
    edges = torch.stack((energy - 0.1, energy + 0.1), dim=1)
    where = Measurement(points, edges, 5.0)
    experiment = Experiment(CHAIN, where, Instrument(counting=Poisson()), samples=1)
    data = experiment.sample(experiment.pack(J=-1.0, fwhm=0.5, scale=400, background=40), 1)
    pairs = {tuple(sorted(pair)) for pair in Spectra.of(experiment, PRIOR, data).neighbours.tolist()}
    assert pairs == {(0, 1), (1, 2), (2, 3), (3, 4), (5, 6), (6, 7), (7, 8)}


def test_errors_are_larger_where_the_model_misses_and_never_smaller() -> None:
    points = torch.tensor([[h, 0, 0] for h in (0.2, 0.35, 0.5)], dtype=torch.float64)
    where = Measurement(QPath(CHAIN.lattice, points, torch.zeros(3, 3)), torch.linspace(0.3, 8, 201), 5.0)
    experiment = Experiment(CHAIN, where, Instrument(counting=Robust(4.0)), samples=1)
    theta = experiment.pack(J=-1.25, fwhm=0.5, scale=500, background=47.5)
    expected = experiment.predict(theta).expected[0]
    noise = torch.distributions.StudentT(4.0)
    torch.manual_seed(1)
    draw = noise.sample(expected.shape).double()
    found = []
    for times in (0.1, 1.0, 3.0):
        data = Spectrum.from_arrays(expected + times * 5 * draw, torch.full_like(expected, 5.0), where)
        found.append(Spectra.of(experiment, PRIOR, data).excess(MIDDLE))
    assert found[0] == 1
    assert found[1] == pytest.approx(1, abs=0.08)  # 600 bins: .03
    assert found[2] > 1.5
