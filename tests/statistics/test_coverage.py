"""Posteriors of simulated measurements cover the truth as often as they say, and are as sharp as the data allow.

A ferromagnetic chain along a path with Poisson counts and four parameters, drawn anew for every spectrum. Importance draws
have a seed of their own for every spectrum: shared ones shift all posteriors alike, by 1 / sqrt(draws) of their width, which
400 spectra notice. The default run has 40 spectra, the slow one 400.
"""

from typing import NamedTuple

import pytest
import scipy.stats
import torch
from torch import Tensor

from sqwirrel.infer import Settings, infer
from sqwirrel.infer.averages import Averages
from sqwirrel.model import library
from sqwirrel.model.laws import Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, Instrument, Poisson
from sqwirrel.observe.counting import Counting
from sqwirrel.spectra import Measurement, QPath, Spectrum

CHAIN = library.load("fm_chain")


class Case(NamedTuple):
    """Where is measured, and the prior that truths are drawn from."""

    where: Measurement
    prior: Prior


def path(points: list[float], bins: int) -> Measurement:
    q = torch.tensor([[h, 0, 0] for h in points], dtype=torch.float64)
    energy = torch.linspace(0.5, 6, bins + 1, dtype=torch.float64)
    return Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), energy, 5.0)


def prior(scale: tuple[float, float], background: tuple[float, float]) -> Prior:
    nuisances = {"fwhm": Uniform(0.3, 0.7, "meV"), "scale": Uniform(*scale), "background": Uniform(*background)}
    return Prior(J=Uniform(-1.3, -0.7, "meV"), **nuisances)


SHARP = Case(path([0.15, 0.25, 0.35, 0.5], 33), prior((100, 300), (2, 12)))
"""Three bins per width, and neighbouring points with modes elsewhere."""
SMOOTH = Case(path([0.30, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 0.37], 99), prior((30, 100), (1, 4)))
"""Nine bins per width, and neighbouring points that look alike."""


class Coverage(NamedTuple):
    """Row by row for each spectrum: rank of the truth in the posterior, its pull, and error over Cramer-Rao limit."""

    rank: Tensor
    pull: Tensor
    error: Tensor
    deviance: Tensor


def coverage(spectra: int, counting: Counting, case: Case = SHARP) -> Coverage:
    experiment = Experiment(CHAIN, case.where, Instrument(counting=counting), samples=1)
    counts = Experiment(CHAIN, case.where, Instrument(counting=Poisson()), samples=1)
    truths = case.prior.sample(spectra, 11)
    averages = Averages.of(experiment, counts.sample(truths[:1], 0))
    rows = []
    for k, truth in enumerate(truths):
        measured = counts.sample(truth[None], 1000 + k)
        if not counting.is_poisson:  # what a reduction makes of counts: errors from the counts of each bin
            measured = Spectrum.from_arrays(measured.intensity, measured.error, case.where)
        answer = infer(averages, case.prior, measured, Settings(screen=64, starts=2, draws=200, seed=k))
        weight = answer.log_weight.exp()
        pull = (weight @ answer.draws - truth) / answer.covariance.diagonal().sqrt()
        rank = weight @ (answer.draws < truth).double()
        error = (answer.median - truth).abs() / answer.limit
        rows.append((rank, pull, error, torch.tensor([answer.deviance_per_bin]).double()))
    return Coverage(*(torch.stack(column) for column in zip(*rows, strict=True)))


def check(found: Coverage, *, chance: float = 1e-4) -> None:
    """Every statement to within what a right posterior exceeds with probability `chance`, for each of four parameters."""
    n = len(found.rank)
    for half, level in ((0.34, 0.68), (0.475, 0.95)):
        inside = ((found.rank - 0.5).abs() < half).sum(0)
        law = scipy.stats.binom(n, level)
        # 200 weighted draws put the ends of an interval 2 % off at most.
        low, high = law.ppf(chance) - 0.02 * n, law.ppf(1 - chance) + 0.02 * n
        assert all(low <= count <= high for count in inside.tolist()), (level, inside.tolist(), low, high)
    law = scipy.stats.chi2(n)
    square = (found.pull**2).sum(0)
    assert all(law.ppf(chance) <= x <= law.ppf(1 - chance) * 1.05 for x in square.tolist()), (square / n).tolist()
    assert float(found.pull.mean(0).abs().max()) < scipy.stats.norm.ppf(1 - chance / 2) / n**0.5
    # |error| of a normal law at the limit has the median 0.6745; its standard error is 0.79 / sqrt(n) of that.
    ratio = found.error.median(0).values / 0.6745
    reach = scipy.stats.norm.ppf(1 - chance) * 1.17 / n**0.5
    assert float((ratio - 1).abs().max()) < reach, ratio.tolist()
    for column in found.rank.T:
        assert scipy.stats.kstest(column.numpy(), "uniform").pvalue > chance


def test_poisson_posteriors_cover() -> None:
    found = coverage(40, Poisson())
    check(found)
    assert float(found.deviance.mean()) == pytest.approx(1, abs=0.1)  # small counts raise it by a few per cent


@pytest.mark.slow
def test_poisson_posteriors_cover_to_a_few_per_cent() -> None:
    check(coverage(400, Poisson()))


def check_reduced(found: Coverage) -> None:
    """Weights from neighbours are not those of the expectation, so coverage is asked for only roughly."""
    n = len(found.pull)
    inside = ((found.rank - 0.5).abs() < 0.34).double().mean(0)
    assert bool(((inside > 0.55) & (inside < 0.80)).all()), inside.tolist()
    assert float(found.pull.mean(0).abs().max()) < 0.1 + 4 / n**0.5
    assert float(found.pull.std(0).max()) < 1.3


@pytest.mark.slow
@pytest.mark.parametrize("case", [SHARP, SMOOTH], ids=["sharp", "smooth"])
def test_gaussian_posteriors_of_reduced_counts_cover(case: Case) -> None:
    """With the variance of the neighbours alone, pulls in the sharp case have a standard deviation of 1.8 to 2.0."""
    check_reduced(coverage(200, Gaussian(), case))
