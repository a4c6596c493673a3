"""Moved draws against posteriors that are known on a grid, where weights of importance sampling fail."""

import sys

import pytest
import torch
from torch import Tensor

from sqwirrel.infer.refine import basins, refine
from sqwirrel.infer.sampling.importance import Weighted, importance
from sqwirrel.infer.sampling.moving import CHAINS, FORGOTTEN, moved
from sqwirrel.infer.target import Target
from sqwirrel.model.laws import Fixed, Normal, Uniform
from sqwirrel.model.prior import Prior
from tests.unit.infer.toy import GaussianProblem, Toy, spectrum


def banana() -> tuple[Target, Toy, Prior]:
    """a + b^2 is known to 0.1, a to 1: a crescent whose curvature at its top says nothing of its ends."""
    toy = Toy(("a", "b"), lambda theta: (theta[:, :1] + theta[:, 1:] ** 2).expand(-1, 4), 4)
    prior = Prior(a=Normal(0, 1), b=Uniform(-2, 2), scale=Fixed(1), background=Fixed(0))
    data = spectrum(toy, torch.ones(4).double(), 0.2)
    return Target.of(toy, prior, data), toy, prior


def on_a_grid(target: Target) -> tuple[Tensor, Tensor]:
    """Mean and covariance of z."""
    axis = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    weight = torch.softmax(target.log_posterior(z), 0)
    mean = weight @ z
    return mean, ((z - mean) * weight[:, None]).T @ (z - mean)


def test_a_crescent_is_filled() -> None:
    target, _, _ = banana()
    found = basins(refine(target, target.prior.sample(16, seed=3)))
    weighted = importance(target, found, draws=500, rounds=1, seed=1)
    draws = moved(target, weighted, found, draws=4000, moves=50, seed=1)
    mean, covariance = on_a_grid(target)
    sd = covariance.diagonal().sqrt()
    assert len(draws.z) >= 4000
    # 64 chains that forgot: at least 64 independent draws, some thousand at best.
    assert float(((draws.z.mean(0) - mean) / sd).abs().max()) < 4 * 0.125
    assert torch.allclose(draws.z.std(0), sd, rtol=0.25)


def test_kernels_follow_a_crescent_that_moments_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    target, _, _ = banana()
    found = basins(refine(target, target.prior.sample(16, seed=3)))
    mean, covariance = on_a_grid(target)
    runs = [importance(target, found, draws=1000, rounds=2, seed=seed) for seed in range(1, 12)]
    more = sorted(runs, key=lambda weighted: weighted.pareto_k)[5]
    monkeypatch.setattr(sys.modules["sqwirrel.infer.sampling.importance"], "MORE", 0)
    few = [importance(target, found, draws=1000, rounds=2, seed=seed).pareto_k for seed in range(1, 12)]
    assert sorted(few)[5] > more.pareto_k + 0.05
    assert more.pareto_k < 1
    assert 1000 < len(more.z) <= 2500
    weight = more.log_weight.exp()
    # Proposals that follow the draws that were made are a little too sure of them.
    assert float(((weight @ more.z - mean) / covariance.diagonal().sqrt()).abs().max()) < 0.25


def test_a_normal_law_is_kept() -> None:
    problem = GaussianProblem()
    found = basins(refine(problem.target, problem.mean[None]))
    weighted = importance(problem.target, found, draws=500, rounds=1, seed=1)
    draws = moved(problem.target, weighted, found, draws=4000, moves=20, seed=1)
    theta, sd = problem.prior.constrain(draws.z), problem.covariance.diagonal().sqrt()
    assert draws.remembered is not None
    assert draws.remembered < FORGOTTEN
    # Trajectories are of about a quarter of a turn, and 4000 draws of them better than 1000 independent ones.
    assert float(((theta.mean(0) - problem.centre) / sd).abs().max()) < 4 / 1000**0.5
    assert torch.allclose(torch.cov(theta.T) / sd / sd[:, None], problem.covariance / sd / sd[:, None], atol=0.15)


def test_draws_that_all_sit_at_one_place_move_away_from_it() -> None:
    problem = GaussianProblem()
    found = basins(refine(problem.target, problem.mean[None]))
    z = found[0].z + 3 * found[0].covariance.diagonal().sqrt() * torch.linspace(-1, 1, 200).double()[:, None]
    one = torch.full((200,), -50.0, dtype=torch.float64)
    one[150] = 0.0
    draws = moved(problem.target, Weighted(z, one, 0.0, 3.0), found, draws=1000, moves=50, seed=2)
    sd = problem.covariance.diagonal().sqrt()
    assert float(((problem.prior.constrain(draws.z).mean(0) - problem.centre) / sd).abs().max()) < 0.3


def test_basins_keep_their_shares() -> None:
    """|b| is known and its sign is not; four in five draws have b > 0."""
    toy = Toy(("a", "b"), lambda theta: torch.cat((theta[:, :1], theta[:, 1:] ** 2), 1), 2)
    prior = Prior(a=Normal(0, 1), b=Uniform(-2, 2), scale=Fixed(1), background=Fixed(0))
    target = Target.of(toy, prior, spectrum(toy, torch.tensor([0.0, 1.0]).double(), 0.05))
    found = basins(refine(target, torch.tensor([[0.0, 0.9], [0.0, -0.9]]).double()))
    weighted = importance(target, found, draws=1000, rounds=1, seed=1)
    skewed = weighted.log_weight + torch.where(weighted.z[:, 1] > 0, 1.386, 0.0)
    uneven = Weighted(weighted.z, torch.log_softmax(skewed, 0), 0.0, 1.0)
    draws = moved(target, uneven, found, draws=20 * CHAINS, moves=20, seed=1)
    assert float((draws.z[:, 1] > 0).double().mean()) == pytest.approx(0.8, abs=4 * (0.16 / CHAINS) ** 0.5)
