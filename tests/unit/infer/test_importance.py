"""Importance sampling against posteriors in closed form, and the shape of Pareto tails against known ones."""

import math
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from torch import Tensor

from sqwirrel.infer.posterior import weighted_quantile
from sqwirrel.infer.refine import Optimum, basins, refine
from sqwirrel.infer.sampling.importance import (
    BLOCK,
    FEWEST,
    Weighted,
    _moments,
    importance,
    pareto_smooth,
)
from sqwirrel.infer.sampling.mixture import FREEDOM, StudentMixture
from sqwirrel.infer.target import Target
from sqwirrel.model.laws import Fixed, Normal, Uniform
from sqwirrel.model.prior import Prior
from tests.unit.infer.toy import GaussianProblem, Toy, linear, noise, spectrum

PROBLEM = GaussianProblem()
FREE = torch.tensor([[-math.inf, math.inf]] * 2).double()


def sampled(target: Target, starts: Tensor, draws: int = 4000, **options: object) -> tuple[Weighted, list[Optimum]]:
    found = basins(refine(target, starts))
    return importance(target, found, draws=draws, **{"rounds": 2, "seed": 1, **options}), found


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_gaussian_posterior_is_recovered(rounds: int) -> None:
    weighted, _ = sampled(PROBLEM.target, PROBLEM.mean[None], rounds=rounds)
    theta, weight = PROBLEM.prior.constrain(weighted.z), weighted.log_weight.exp()
    assert float(weight.sum()) == pytest.approx(1, abs=1e-9)
    assert len(weight) == 4000
    mean = weight @ theta
    away = theta - mean
    covariance = (away * weight[:, None]).T @ away
    sd = PROBLEM.covariance.diagonal().sqrt()
    # 4000 draws at an efficiency above 0.8: standard errors of 0.018 sd for a mean and 0.025 for a covariance.
    assert weighted.effective > 3200
    assert float(((mean - PROBLEM.centre) / sd).abs().max()) < 4 * 0.018
    assert float(((covariance - PROBLEM.covariance) / sd / sd[:, None]).abs().max()) < 4 * 0.025
    # Relative error of the evidence: sqrt(1 / efficiency - 1) / sqrt(4000) = 0.008.
    assert weighted.log_evidence == pytest.approx(PROBLEM.log_evidence, abs=4 * 0.008)
    assert weighted.pareto_k < 0.5


def test_a_proposal_that_is_three_times_too_narrow_is_mended_by_a_second_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules["sqwirrel.infer.sampling.importance"], "MORE", 0)
    (best,) = basins(refine(PROBLEM.target, PROBLEM.mean[None]))
    narrow = [replace(best, precision=9 * best.precision)]
    once, twice = (importance(PROBLEM.target, narrow, draws=4000, rounds=k, seed=1) for k in (1, 2))
    assert twice.effective > 1.5 * once.effective
    assert twice.log_evidence == pytest.approx(PROBLEM.log_evidence, abs=0.1)


def test_a_covariance_that_is_wrong_in_many_directions_is_mended_round_by_round() -> None:
    """20 parameters with a normal posterior; the proposal is wrong by factors of three in variance."""
    names = tuple("abcdefghijklmnopqrst")
    experiment, A = linear(names)
    prior = Prior(**dict.fromkeys(names, Normal(0, 1)), scale=Fixed(1), background=Fixed(0))
    y = noise(40, 3)
    target = Target.of(experiment, prior, spectrum(experiment, y, 1.0))
    root = torch.linalg.cholesky(A.T @ A + torch.eye(20))
    turn = torch.linalg.qr(torch.randn(20, 20, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    wrong = root @ turn @ torch.diag(torch.exp(1.1 * noise(20, 2))) @ turn.T @ root.T
    start = Optimum(torch.cholesky_solve((A.T @ y)[:, None], root)[:, 0], 0.0, wrong, wrong)
    weighted = importance(target, [start], draws=3000, rounds=6, seed=1)
    assert weighted.effective > 0.1 * len(weighted.z)
    assert weighted.pareto_k < 0.6
    width = (weighted.log_weight.exp() @ ((weighted.z - start.z) @ root) ** 2).sqrt()
    assert float((width - 1).abs().max()) < 0.25
    law = torch.distributions.MultivariateNormal(torch.zeros_like(y), A @ A.T + torch.eye(40))
    assert weighted.log_evidence == pytest.approx(float(law.log_prob(y)), abs=4 * weighted.log_evidence_error)
    assert 0.01 < weighted.log_evidence_error < 0.3


def test_information_that_counts_assignments_as_known_is_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets of peaks are those with parameters that the prior is expected to decide."""
    (best,) = basins(refine(PROBLEM.target, PROBLEM.mean[None]))
    narrow = [replace(best, precision=9 * best.precision)]
    monkeypatch.setattr(sys.modules["sqwirrel.infer.sampling.importance"], "MORE", 0)
    plain = importance(PROBLEM.target, narrow, draws=4000, rounds=1, seed=1)
    monkeypatch.setattr(Target, "assumed", {"outliers"})
    wider = importance(PROBLEM.target, narrow, draws=4000, rounds=1, seed=1)
    assert wider.effective > 2 * plain.effective
    assert wider.log_evidence == pytest.approx(PROBLEM.log_evidence, abs=0.1)


def test_two_modes_have_the_right_probabilities() -> None:
    """y = a^2 with a prior that leans to one side; the odds of the two signs by quadrature."""
    experiment = Toy(("a",), lambda theta: theta**2 * torch.ones(10), 10)
    prior = Prior(a=Normal(0.4, 1.5), scale=Fixed(1), background=Fixed(0))
    y = torch.full((10,), 4.0).double() + 0.5 * noise(10, 1)
    target = Target.of(experiment, prior, spectrum(experiment, y, 1.0))

    def density(a: float) -> float:
        law = scipy.stats.norm(a**2, 1.0)
        return math.exp(law.logpdf(y.numpy()).sum() + scipy.stats.norm(0.4, 1.5).logpdf(a) + 15)

    plus, minus = scipy.integrate.quad(density, 0, 6)[0], scipy.integrate.quad(density, -6, 0)[0]
    weighted, found = sampled(target, torch.tensor([[1.0], [-1.0]]).double())
    assert len(found) == 2
    share = float(weighted.log_weight.exp()[weighted.z[:, 0] > prior.unconstrain(torch.zeros(1, 1).double())[0]].sum())
    # 4000 draws, about half of them at each mode: 0.012 with weights.
    assert share == pytest.approx(plus / (plus + minus), abs=0.04)
    assert 0.6 < plus / (plus + minus) < 0.8
    assert weighted.log_evidence == pytest.approx(math.log(plus + minus) - 15, abs=0.04)


def test_a_mode_far_poorer_than_the_best_gets_its_small_share() -> None:
    """Two basins 4 apart in log posterior: exp(-4) of the odds, though each was proposed often enough."""
    experiment = Toy(("a",), lambda theta: theta**2 * torch.ones(10), 10)
    prior = Prior(a=Normal(2, 1.0), scale=Fixed(1), background=Fixed(0))
    target = Target.of(experiment, prior, spectrum(experiment, torch.full((10,), 1.0).double(), 0.3))
    weighted, found = sampled(target, torch.tensor([[1.5], [-1.5]]).double(), draws=3000)
    assert len(found) == 2
    share = float(weighted.log_weight.exp()[prior.constrain(weighted.z)[:, 0] < 0].sum())
    # Laplace: exp(-(9 - 1) / 2) / (1 + ...), a few per cent off for the curvature of a^2.
    assert share == pytest.approx(math.exp(-4) / (1 + math.exp(-4)), rel=0.2)


@pytest.mark.parametrize("bound", ["cut", "free"])
def test_a_posterior_cut_off_by_the_prior_is_recovered(bound: str) -> None:
    """The data put a at -0.3 +- 0.5 and the prior at 0 or above: a truncated normal law, with its quantiles."""
    experiment = Toy(("a",), lambda theta: theta * torch.ones(25), 25)
    lo = 0.0 if bound == "cut" else -20.0
    prior = Prior(a=Uniform(lo, 20), scale=Fixed(1), background=Fixed(0))
    target = Target.of(experiment, prior, spectrum(experiment, torch.full((25,), -0.3).double(), 2.5))
    weighted, _ = sampled(target, torch.tensor([[1.0]]).double())
    law = scipy.stats.truncnorm((lo + 0.3) / 0.5, (20 + 0.3) / 0.5, loc=-0.3, scale=0.5)
    theta, weight = prior.constrain(weighted.z), weighted.log_weight.exp()
    assert weighted.effective > 1000
    for level in (0.025, 0.16, 0.5, 0.84, 0.975):
        found = float(weighted_quantile(theta, weight, level))
        # Standard error of a level estimated from 1000 draws, at most 0.016.
        assert law.cdf(found) == pytest.approx(level, abs=4 * (level * (1 - level) / 1000) ** 0.5)
    mass = scipy.stats.norm(-0.3, 0.5).cdf(20) - scipy.stats.norm(-0.3, 0.5).cdf(lo)
    best = float(
        target.log_posterior(prior.unconstrain(torch.tensor([[0.5]]).double()))
        - prior.log_density(prior.unconstrain(torch.tensor([[0.5]]).double()))
    )
    evidence = best - scipy.stats.norm(-0.3, 0.5).logpdf(0.5) + math.log(mass / (20 - lo))
    assert weighted.log_evidence == pytest.approx(evidence, abs=0.1)


def test_a_valley_that_leans_on_an_end_is_straight_to_the_proposals() -> None:
    """a + b is known to .002, a - b to .04, both from 0 to 1, and the truth has a at .99: bent in z, cut off in a."""
    rows = torch.tensor([[500.0, 500.0], [25.0, -25.0]]).double()
    experiment = Toy(("a", "b"), lambda theta: theta @ rows.T, 2)
    prior = Prior(a=Uniform(0, 1), b=Uniform(0, 1), scale=Fixed(1), background=Fixed(0))
    target = Target.of(experiment, prior, spectrum(experiment, rows @ torch.tensor([0.99, 0.5]).double(), 1.0))
    found = [sampled(target, torch.tensor([[0.9, 0.4]]).double(), draws=600, seed=seed)[0] for seed in range(20)]
    assert {len(weighted.z) for weighted in found} == {600}
    assert min(weighted.effective for weighted in found) > 350
    assert max(weighted.pareto_k for weighted in found) < 0.7
    # Along a of the peak, to a part in 400 (b follows within .002): a normal law about .99 of width .02, cut off at 1.
    law = scipy.stats.truncnorm(-np.inf, 0.5, loc=0.99, scale=0.02 * math.sqrt(1 + 1 / 400))
    for level in (0.05, 0.5, 0.95):
        quantiles = [float(weighted_quantile(prior.constrain(w.z), w.log_weight.exp(), level)[0]) for w in found]
        share = np.mean(law.cdf(quantiles))
        # 20 runs with at least 350 effective draws each.
        assert share == pytest.approx(level, abs=4 * (level * (1 - level) / 7000) ** 0.5)


def test_student_mixture_is_a_normalised_density() -> None:
    root = torch.tensor([[[1.0, 0.0], [0.5, 0.3]], [[0.4, 0.0], [-0.2, 2.0]]]).double()
    centre = torch.tensor([[0.0, 0.0], [3.0, 1.0]]).double()
    mixture = StudentMixture(torch.tensor([0.3, 0.7]).double(), centre, root, FREE)
    z = torch.tensor([[0.2, 0.1], [4.0, -2.0], [9.0, 9.0]]).double()
    laws = [
        scipy.stats.multivariate_t(c.numpy(), (r @ r.T).numpy(), df=FREEDOM) for c, r in zip(centre, root, strict=True)
    ]
    expected = np.log(0.3 * laws[0].pdf(z.numpy()) + 0.7 * laws[1].pdf(z.numpy()))
    # The shares are float32 literals.
    assert mixture.log_prob(z).tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_a_mixture_in_a_box_is_normalised_there_and_stays_inside() -> None:
    box = torch.tensor([[-0.5, 0.2], [-math.inf, 1.0]]).double()
    root = torch.tensor([[[1.0, 0.0], [0.5, 0.3]]]).double()
    mixture = StudentMixture(torch.ones(1).double(), torch.zeros(1, 2).double(), root, box)
    draws = mixture.sample(2000, torch.Generator().manual_seed(1))
    assert draws.shape == (2000, 2)
    assert bool(((draws > box[:, 0]) & (draws < box[:, 1])).all())
    x, y = torch.linspace(-0.5, 0.2, 141).double(), torch.linspace(-60, 1, 24_401).double()
    value = mixture.log_prob(torch.cartesian_prod(x, y)).exp().reshape(141, -1)
    # 8192 draws tell the share inside, here .26, to 2 %.
    assert float(torch.trapezoid(torch.trapezoid(value, y), x)) == pytest.approx(1, abs=0.06)


def test_student_draws_have_the_covariance_of_their_law() -> None:
    root = torch.tensor([[[1.0, 0.0], [0.5, 0.3]]]).double()
    mixture = StudentMixture(torch.ones(1).double(), torch.tensor([[2.0, -1.0]]).double(), root, FREE)
    z = mixture.sample(40_000, torch.Generator().manual_seed(3))
    expected = root[0] @ root[0].T * FREEDOM / (FREEDOM - 2)
    # 40 000 draws: 0.5 % of a standard deviation, 0.9 % of a variance.
    assert torch.allclose(z.mean(0), mixture.centre[0], atol=0.025)
    assert torch.allclose(torch.cov(z.T), expected, rtol=0.04, atol=0.01)


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_pareto_shape_of_a_known_tail(shape: float) -> None:
    """Weights with P(w > x) ~ x^(-1 / k): mean over 20 samples of 4000; one has an error of (1 + k) / sqrt(190) = 0.1."""
    found = []
    for seed in range(20):
        u = torch.rand(4000, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        _, k = pareto_smooth(-shape * u.log())
        found.append(k)
    assert np.mean(found) == pytest.approx(shape, abs=0.1)


def test_smoothing_keeps_the_order_the_bulk_and_the_mean_of_the_tail() -> None:
    u = torch.rand(4000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    raw = -0.5 * u.log()
    smoothed, _ = pareto_smooth(raw)
    tail = math.ceil(3 * math.sqrt(4000))
    order = raw.argsort()
    assert torch.equal(smoothed[order[:-tail]], raw[order[:-tail]])
    assert bool((smoothed[order].diff() >= 0).all())
    assert float(smoothed.max()) <= float(raw.max())
    assert float(smoothed.exp().mean()) == pytest.approx(2, rel=0.05)  # of x^-0.5


def test_smoothing_at_the_ends_of_its_domain() -> None:
    few = torch.randn(10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert pareto_smooth(few)[1] == math.inf
    equal, k = pareto_smooth(torch.zeros(100).double())
    assert (k, equal.tolist()) == (0.0, [0.0] * 100)
    close = -0.009 * torch.rand(100, generator=torch.Generator().manual_seed(1), dtype=torch.float64) ** 9
    assert pareto_smooth(close)[1] == 0
    holes = torch.randn(400, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    holes[::3] = -math.inf
    smoothed, k = pareto_smooth(holes)
    assert k < 0.7
    assert bool((smoothed[::3] == -math.inf).all())


def test_effective_sample_size() -> None:
    def size(weight: list[float]) -> float:
        log_weight = torch.tensor(weight).double().log()
        return Weighted(torch.zeros(len(weight), 1).double(), log_weight, 0.0, 0.0).effective

    assert size([0.25] * 4) == pytest.approx(4)
    assert size([1.0, 0.0]) == pytest.approx(1)
    assert size([0.5, 0.25, 0.25]) == pytest.approx(1 / 0.375)


def test_unstable_draws_have_no_weight() -> None:
    experiment = Toy(("a",), lambda theta: theta * torch.ones(25), 25, stable=lambda theta: theta[:, 0] > 0)
    prior = Prior(a=Normal(0, 10), scale=Fixed(1), background=Fixed(0))
    target = Target.of(experiment, prior, spectrum(experiment, torch.full((25,), 0.1).double(), 1.0))
    weighted, _ = sampled(target, torch.tensor([[0.5]]).double())
    theta, weight = prior.constrain(weighted.z)[:, 0], weighted.log_weight.exp()
    assert bool((theta < 0).any())
    assert float(weight[theta < 0].sum()) == 0
    law = scipy.stats.truncnorm(-0.1 / 0.2, 60, loc=0.1, scale=0.2)
    assert float(weight @ theta) == pytest.approx(law.mean(), abs=0.02)


def stop_at(done: int) -> Callable[[int, int], None]:
    def progress(k: int, _: int) -> None:
        if k >= done:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("done", [FEWEST, 2 * BLOCK + 500])
def test_an_interruption_leaves_the_draws_made_so_far(done: int) -> None:
    """In the first and in the second of two rounds of 500; the weights are those of the law that the draws came from."""
    weighted, _ = sampled(PROBLEM.target, PROBLEM.mean[None], draws=1000, progress=stop_at(done))
    assert done <= len(weighted.z) < done + 2 * BLOCK
    assert len(weighted.log_weight) == len(weighted.z)
    # At least 50 draws: the evidence to 0.5 / sqrt(50).
    assert weighted.log_evidence == pytest.approx(PROBLEM.log_evidence, abs=0.28)


def test_an_interruption_before_that_is_one() -> None:
    with pytest.raises(KeyboardInterrupt):
        sampled(PROBLEM.target, PROBLEM.mean[None], progress=stop_at(1))


def test_seeds_repeat() -> None:
    one, other, third = (sampled(PROBLEM.target, PROBLEM.mean[None], draws=100, seed=s)[0] for s in (1, 1, 2))
    assert torch.equal(one.z, other.z)
    assert not torch.equal(one.z, third.z)


def test_a_component_whose_draws_have_next_to_no_weight_is_kept() -> None:
    """Weights whose squares are zero in double precision."""
    mixture = StudentMixture(torch.ones(1).double(), torch.zeros(1, 2).double(), torch.eye(2).double()[None], FREE)
    share, centre, root = _moments(mixture, 0, torch.rand(50, 2).double(), torch.full((50,), 1e-200).double())
    assert float(share) == pytest.approx(0.02)
    assert torch.equal(centre, mixture.centre[0])
    assert torch.equal(root, mixture.root[0])
