"""Refinement: one step solves a quadratic, minima of a curved posterior are met, starts of one basin are counted together."""

import sys

import pytest
import torch

from sqwirrel.infer.refine import STEPS, Optimum, basins, refine
from sqwirrel.infer.target import Slope, Target
from sqwirrel.model.laws import Fixed, Normal, Uniform
from sqwirrel.model.prior import Prior
from tests.unit.infer.toy import GaussianProblem, Toy, linear, noise, spectrum

PROBLEM = GaussianProblem()


def starts(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_quadratic_is_solved_in_one_step() -> None:
    """From within one unit of every coordinate (the longest step), damped by 1e-3."""
    (optimum,) = refine(PROBLEM.target, PROBLEM.centre[None] + 0.4 * PROBLEM.sd, steps=1)
    found = PROBLEM.prior.constrain(optimum.z[None])[0]
    away = (found - PROBLEM.centre).abs()
    assert float((away / (0.4 * PROBLEM.sd)).max()) < 3e-3


def test_curvature_is_the_inverse_of_the_covariance() -> None:
    (optimum,) = refine(PROBLEM.target, PROBLEM.mean[None])
    covariance = optimum.covariance * PROBLEM.sd[:, None] * PROBLEM.sd  # z to theta
    assert torch.allclose(covariance, PROBLEM.covariance, rtol=1e-9, atol=1e-12)
    information = PROBLEM.A.T @ PROBLEM.A / 0.25 * PROBLEM.sd[:, None] * PROBLEM.sd
    assert torch.allclose(optimum.information, information, rtol=1e-9)
    away = PROBLEM.prior.constrain(optimum.z[None])[0] - PROBLEM.centre
    # Settled means that less than 0.01 in log posterior is left: 0.14 standard deviations.
    assert float(away @ torch.linalg.inv(PROBLEM.covariance) @ away) < 2 * 0.01


def test_far_starts_walk_there_and_tell_their_progress() -> None:
    told: list[tuple[int, int]] = []
    far = PROBLEM.mean + 8 * PROBLEM.sd * starts((1, 1, -1), (-1, 1, 1))
    for optimum in refine(PROBLEM.target, far, progress=lambda k, n: told.append((k, n))):
        assert torch.allclose(PROBLEM.prior.constrain(optimum.z[None])[0], PROBLEM.centre, atol=2e-3)
    assert told[0] == (0, STEPS)
    assert 8 <= len(told) < 30  # no step is longer than one standard deviation of the prior


def decay() -> Target:
    """exp(-a t) with a uniform prior: curved, and met from both sides."""
    experiment = Toy(("a",), lambda theta: torch.exp(-theta * torch.arange(30.0) / 10), 30)
    y = 5 * torch.exp(-1.3 * torch.arange(30.0).double() / 10) + 0.05 * noise(30, 3)
    prior = Prior(a=Uniform(0.1, 5), scale=Normal(4, 2), background=Fixed(0))
    return Target.of(experiment, prior, spectrum(experiment, y, 0.05))


def test_gradient_is_the_slope_of_the_log_posterior() -> None:
    target = decay()
    z, step = target.prior.unconstrain(starts((0.8, 3.0), (4.97, 6.0))), 1e-6
    gradient = target.slope(z).gradient
    for k in range(2):
        off = torch.zeros_like(z)
        off[:, k] = step
        finite = (target.log_posterior(z + off) - target.log_posterior(z - off)) / (2 * step)
        assert torch.allclose(gradient[:, k], finite, rtol=1e-6, atol=1e-4)
    assert torch.allclose(target.slope(z).log_posterior, target.log_posterior(z), rtol=1e-12)


def test_stretch_is_the_slope_of_the_coordinates() -> None:
    target = decay()
    z, step = target.prior.unconstrain(starts((0.8, 3.0), (4.99, 6.0))), 1e-6
    finite = (target.prior.constrain(z + step) - target.prior.constrain(z - step)) / (2 * step)
    assert torch.allclose(target.stretch(z), finite, rtol=1e-6)


def test_curved_posterior_is_met_from_everywhere() -> None:
    found = refine(decay(), starts((0.2, 1), (0.5, 8), (2, 4), (4.9, 4), (5, 0.5)))
    (basin,) = basins(found)
    assert basin.starts == 5
    target = decay()
    assert float(target.slope(basin.z[None]).gradient.abs().max()) < 0.2 * float(
        basin.precision.diagonal().max().sqrt()
    )
    assert float(target.prior.constrain(basin.z[None])[0, 0]) == pytest.approx(1.3, abs=0.05)


def optimum(place: float, value: float, starts: int = 1) -> Optimum:
    eye = torch.eye(2, dtype=torch.float64)
    return Optimum(torch.tensor([place, 0.0]).double(), value, eye, 4 * eye, starts)


def test_basins_are_clusters_best_first() -> None:
    """With a standard deviation of 1/2 and two parameters, 0.6 apart is a distance of 0.85, 0.8 one of 1.13."""
    found = basins(
        [optimum(0.6, -3.0), optimum(0.0, -1.0, 2), optimum(5.0, -2.0), optimum(5.1, -2.5), optimum(-0.8, -9.0)]
    )
    assert [float(b.z[0]) for b in found] == pytest.approx([0.0, 5.0, -0.8])
    assert [b.starts for b in found] == [3, 2, 1]
    assert [b.log_posterior for b in found] == [-1, -2, -9]


def test_two_minima_are_two_basins() -> None:
    experiment = Toy(("a",), lambda theta: theta**2 * torch.ones(10), 10)
    prior = Prior(a=Normal(0, 2), scale=Fixed(1), background=Fixed(0))
    target = Target.of(experiment, prior, spectrum(experiment, torch.full((10,), 4.0).double(), 0.3))
    found = basins(refine(target, starts((0.5,), (3.0,), (-1.0,))))
    assert sorted(b.starts for b in found) == [1, 2]
    assert sorted(round(float(prior.constrain(b.z[None])), 1) for b in found) == [-2.0, 2.0]


def test_directions_without_information_have_a_finite_covariance() -> None:
    singular = torch.tensor([[1.0, 1.0], [1.0, 1.0]]).double()
    assert bool(Optimum(torch.zeros(2).double(), 0.0, singular, singular).covariance.isfinite().all())


class Counted(Target):
    """A target that keeps how many rows it was asked for."""

    asked: list[int]

    def slope(self, z: torch.Tensor) -> Slope:
        self.asked.append(len(z))
        return super().slope(z)


def counted(target: Target) -> Counted:
    each = Counted(target.prior, target.terms, target.every)
    object.__setattr__(each, "asked", [])
    return each


def test_starts_that_came_together_go_on_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["sqwirrel.infer.refine"]
    monkeypatch.setattr(module, "SETTLED", 1e-9)
    target = decay()
    rows = torch.stack((torch.linspace(0.3, 3, 8), torch.linspace(6, 3, 8)), dim=1).double()
    together, alone = counted(target), counted(target)
    optima = refine(together, rows)
    monkeypatch.setattr(module, "CLOSE", 0.0)
    each = refine(alone, rows)
    assert sum(together.asked) < sum(alone.asked)
    assert [basin.starts for basin in basins(optima)] == [8]
    assert max(abs(a.log_posterior - b.log_posterior) for a, b in zip(optima, each, strict=True)) < 1e-6


def test_no_basin_is_lost_to_a_start_in_the_dark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines in 200 bins: far from both nothing is known, and all starts are near by the metric of such a place."""
    places = torch.arange(200.0).double()

    def shape(theta: torch.Tensor) -> torch.Tensor:
        return torch.exp(-(((places - theta[:, :1]) / 3) ** 2))

    toy = Toy(("a",), shape, 200)
    y = 6 * (shape(torch.tensor([[50.0]]).double()) + 0.7 * shape(torch.tensor([[150.0]]).double()))[0] + noise(200, 1)
    prior = Prior(a=Uniform(0, 200), scale=Normal(5, 3), background=Fixed(0))
    target = Target.of(toy, prior, spectrum(toy, y, 1.0))
    rows = torch.stack((torch.linspace(2, 198, 24), torch.full((24,), 5.0)), dim=1).double()
    together = basins(refine(target, rows))
    monkeypatch.setattr(sys.modules["sqwirrel.infer.refine"], "CLOSE", 0.0)
    alone = basins(refine(target, rows))
    assert len(alone) > 3
    assert len(together) == len(alone)
    assert all(abs(a.log_posterior - b.log_posterior) < 0.05 for a, b in zip(together, alone, strict=True))


def test_unstable_starts_and_few_steps() -> None:
    toy = Toy(("a",), lambda theta: theta * torch.ones(30).double(), 30, stable=lambda theta: theta[:, 0] < 2)
    prior = Prior(a=Uniform(0, 5), scale=Fixed(1), background=Fixed(0))
    target = Target.of(toy, prior, spectrum(toy, torch.ones(30).double() + 0.1 * noise(30, 1), 0.1))
    for steps in (0, 1):
        optima = refine(target, starts((1.5,), (3.0,), (0.8,)), steps=steps)
        assert optima[0].log_posterior > -torch.inf, steps
        assert optima[2].log_posterior > -torch.inf, steps
        assert (optima[1].log_posterior == -torch.inf) == (steps == 0)


def test_a_parameter_that_is_pushed_to_the_end_of_its_prior_does_not_hold_up_the_others() -> None:
    """a wants to be 3, 200 standard deviations beyond its prior, and is correlated with b and c."""
    experiment, A = linear(("a", "b", "c"))
    prior = Prior(a=Uniform(0, 1), b=Normal(0, 1), c=Normal(0, 1), scale=Fixed(1), background=Fixed(0))
    y = A @ torch.tensor([3.0, 0.5, 0.3]).double() + 2.0 * A.sum(1)
    target, steps = Target.of(experiment, prior, spectrum(experiment, y, 0.05)), []
    (best,) = refine(target, torch.tensor([[0.5, 0.0, 0.0]]).double(), progress=lambda done, _: steps.append(done))
    theta = prior.constrain(best.z[None])[0]
    assert 0.99 < float(theta[0]) < 1
    A, rest = A / 0.05, (y - A[:, 0]) / 0.05
    others = torch.linalg.solve(A[:, 1:].T @ A[:, 1:] + torch.eye(2), A[:, 1:].T @ rest)
    assert torch.allclose(theta[1:], others, atol=1e-3)
    assert len(steps) < 20
    # The curvature of the posterior itself, of which the information alone knows little here.
    ends = target.slope(best.z + 1e-3 * torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]).double()).gradient[:, 0]
    assert float(best.precision[0, 0]) == pytest.approx(-float(ends.diff()) / 2e-3, rel=0.05)
    assert float(best.information[0, 0]) < 0.2 * float(best.precision[0, 0])
