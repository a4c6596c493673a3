"""Posteriors of simulated tables of peaks cover the truth as often as they say: two modes in a field, with outliers.

The default run has 24 tables, the slow one 240.
"""

import pytest
import scipy.stats
import torch
from torch import Tensor

from sqwirrel.infer import Settings, infer
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, LogUniform, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import PeakExperiment
from sqwirrel.spectra import Peaks

RB = library.load("rb2mnf4")
Q = [[0.5 + 0.05 * k, 0.5, 0] for k in (1, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9)]
Q += [[0.5 - 0.05 * k, 0.5 - 0.05 * k, 0] for k in (1, 2, 2, 4, 5, 6, 8)]
N = len(Q)
WHERE = Peaks(RB.lattice, Q, [5.0] * N, [0.1] * N, temperature=5, field=(0, 0, 4.0), search=[[0.2, 9.0]] * N)
EXPERIMENT = PeakExperiment(RB, WHERE)
PRIOR = Prior(
    J1=Uniform(0.4, 0.9, "meV"), J2=Fixed(0.0056), D=Uniform(-0.04, -0.005, "meV"), outliers=LogUniform(0.01, 0.2)
)


def coverage(tables: int) -> tuple[Tensor, Tensor, list[bool]]:
    """Ranks and pulls of J1, D and the probability of outliers; whether the weights could be trusted."""
    ranks, pulls, trusted = [], [], []
    for k, truth in enumerate(PRIOR.sample(tables, 77)):
        full = torch.stack((truth[0], torch.tensor(0.0056).double(), truth[1], truth[2]))[None]
        answer = infer(EXPERIMENT, PRIOR, EXPERIMENT.sample(full, 1000 + k), Settings(draws=300, seed=500 + k))
        weight = answer.log_weight.exp()
        ranks.append(weight @ (answer.draws < truth).double())
        pulls.append((weight @ answer.draws - truth) / answer.covariance.diagonal().sqrt())
        trusted += [check.passed for check in answer.checks if check.name == "pareto_k"]
    return torch.stack(ranks), torch.stack(pulls), trusted


def check(found: tuple[Tensor, Tensor, list[bool]], chance: float = 1e-4) -> None:
    """Every statement to within what a right posterior exceeds with probability `chance`."""
    ranks, pulls, trusted = found
    n = len(ranks)
    for column in ranks.T:
        assert scipy.stats.kstest(column.numpy(), "uniform").pvalue > chance
    lo, hi = (scipy.stats.chi2(n).ppf(level) / n for level in (chance / 2, 1 - chance / 2))
    # a posterior cut off by the prior, or of few peaks, is no normal law: 30 % of room
    assert 0.7 * lo < float(pulls[:, :2].square().mean(0).min())
    assert float(pulls[:, :2].square().mean(0).max()) < 1.3 * hi
    assert sum(trusted) > 0.9 * n


def test_peaks_cover_the_truth() -> None:
    check(coverage(24))


@pytest.mark.slow
def test_many_tables_of_peaks_cover_the_truth() -> None:
    check(coverage(240))
