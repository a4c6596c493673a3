"""Misfit: silent for noise of the model, loud for what it lacks, and as far as linear algebra says."""

import pytest
import torch
from torch import Tensor

from sqwirrel.infer.checks.misfit import ALARM, HELD, boxed, held_check, misfit_checks, widening
from sqwirrel.infer.posterior import Basin, Check
from sqwirrel.infer.refine import Optimum, basins, refine
from sqwirrel.infer.target import Target
from sqwirrel.model.laws import Fixed, Normal
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Poisson
from tests.unit.infer.test_posterior import posterior
from tests.unit.infer.toy import Toy, linear, noise, spectrum

BINS, ERROR = 600, 0.5
HELD_AT = {"scale": Fixed(1), "background": Fixed(0)}


def fitted(y: Tensor, toy: Toy, prior: Prior) -> tuple[Target, Optimum]:
    target = Target.of(toy, prior, spectrum(toy, y, ERROR))
    return target, basins(refine(target, torch.zeros(1, len(prior.names)).double()))[0]


def alarm(target: Target, best: Optimum) -> Check:
    (found,) = [check for check in misfit_checks(target, best, seed=1) if check.name == "predictive"]
    return found


def problem(extra: Tensor, seed: int) -> tuple[Target, Optimum]:
    toy, A = linear(("a", "b"), BINS)
    prior = Prior(a=Normal(0, 10), b=Normal(0, 10), **HELD_AT)
    y = A @ torch.tensor([1.0, -0.5]).double() + ERROR * noise(BINS, seed) + extra
    return fitted(y, toy, prior)


def test_noise_of_the_model_is_not_noticed() -> None:
    values = [alarm(*problem(torch.zeros(BINS).double(), 10 + k)).value for k in range(40)]
    assert max(values) < ALARM
    # The largest of ten distances that have mean 0 and variance 1: well above 0 and below 3, as a rule.
    assert 0.3 < sorted(values)[20] < 2.5


def test_a_bump_of_half_an_error_over_forty_bins_is_noticed() -> None:
    bump = torch.where((torch.arange(BINS) > 200) & (torch.arange(BINS) < 280), 0.4, 0.0).double()
    assert alarm(*problem(bump, 1)).value > ALARM


def test_counts_are_compared_with_counts() -> None:
    toy = Toy(("a",), lambda theta: theta[:, :1] * torch.ones(BINS).double(), BINS, counting=Poisson())
    prior = Prior(a=Normal(1, 5), **HELD_AT)
    for mean, quiet in ((torch.full((BINS,), 0.3), True), (0.3 + 0.29 * torch.linspace(0, 25, BINS).sin(), False)):
        counts = torch.poisson(mean.double(), generator=torch.Generator().manual_seed(3))
        target, best = fitted(counts, toy, prior)
        assert alarm(target, best).passed is quiet


def test_a_held_parameter_is_pulled_to_where_a_fit_of_it_goes() -> None:
    """For a linear model the score statistic is (estimate - held) / error of the fit with all parameters free."""
    toy, A = linear(("a", "b", "c"), BINS)
    y = A @ torch.tensor([1.0, -0.5, 0.3]).double() + ERROR * noise(BINS, 5)
    free = {name: Normal(0, 1e3) for name in "abc"}
    target, best = fitted(y, toy, Prior(**(free | {"c": Fixed(-0.5)}), **HELD_AT))
    (check,) = [each for each in held_check(target, best) if "'c'" in each.meaning]
    information = A.T @ A / ERROR**2
    estimate, sd = torch.linalg.solve(A.T @ A, A.T @ y)[2], torch.linalg.inv(information)[2, 2].sqrt()
    assert check.value == pytest.approx(float((estimate + 0.5) / sd), rel=1e-3)
    assert check.value > HELD
    assert not check.passed
    assert f"about {float(estimate):.3g}" in check.meaning


def test_nothing_held_is_not_asked() -> None:
    toy, A = linear(("a", "b"), BINS)
    prior = Prior(**{name: Normal(0, 10) for name in ("a", "b", "background")}, scale=Normal(1, 0.01))
    target, best = fitted(A @ torch.ones(2).double() + ERROR * noise(BINS, 5), toy, prior)
    assert [check.name for check in misfit_checks(target, best, seed=1)] == ["predictive"]


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_errors_widen_as_the_residuals_scatter(factor: float) -> None:
    toy, A = linear(("a", "b"), BINS)
    y = A @ torch.tensor([1.0, -0.5]).double() + factor * ERROR * noise(BINS, 8)
    target, best = fitted(y, toy, Prior(a=Normal(0, 10), b=Normal(0, 10), **HELD_AT))
    # 47 windows of 13 bins know a variance to 20 %, its root to 10 %.
    assert widening(target, best).tolist() == pytest.approx([factor] * 2, rel=0.3)


def test_sums_over_windows() -> None:
    values = torch.randn(2, 3, 9, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    kernel = torch.ones(1, 1, 5, 3, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(values.reshape(6, 1, 9, 11), kernel, padding=(2, 1)).reshape(2, 3, 9, 11)
    assert torch.allclose(boxed(values, (5, 3)), expected)


def test_no_answer_where_the_fit_fails_and_wider_intervals_where_it_misfits() -> None:
    draws = torch.linspace(-1, 1, 201).double()[:, None]
    even, one = torch.full((201,), 1 / 201).double(), torch.tensor([2.0]).double()
    found = posterior(draws, even, (Check("predictive", False, 9.0, "misfit"), Check("held", False, 5.0, "pulled")))
    assert found.misfits
    assert found.abstains == ""
    failed = posterior(draws, even, (Check("deviance_per_bin_ei25", False, 9.0, "deviance 9"),))
    assert failed.abstains == "deviance 9: it is 9 (ei25)"
    alone = posterior(draws, even, (Check("deviance_per_bin", False, 9.0, "deviance 9"),))
    assert alone.abstains == "deviance 9: it is 9"
    wide = type(found)(**{**vars(found), "widening": one}).widened
    assert wide.summary()[0].interval95 == pytest.approx([2 * x for x in found.summary()[0].interval95])
    assert wide.widening.tolist() == [1.0]


@pytest.mark.parametrize("bins", [3, 8])
def test_a_few_bins_that_are_met_are_not_an_alarm(bins: int) -> None:
    """As many free parameters as bins, or nearly: nothing is left of the noise, in the data as in replicas."""
    toy, A = linear(("a", "b"), bins)
    prior = Prior(a=Normal(0, 10), b=Normal(0, 10), scale=Fixed(1), background=Normal(0, 10))
    found = []
    for k in range(20):
        target = Target.of(toy, prior, spectrum(toy, A @ torch.ones(2).double() + ERROR * noise(bins, k), ERROR))
        best = basins(refine(target, torch.zeros(1, 3).double()))[0]
        found.append(alarm(target, best).value)
        if bins == 3:
            assert widening(target, best).isnan().all()
    assert sum(value > ALARM for value in found) <= 1


def test_one_stray_count_is_no_alarm() -> None:
    toy = Toy(("a",), lambda theta: theta[:, :1] * (torch.arange(BINS) < 300).double(), BINS, counting=Poisson())
    counts = torch.poisson(4.0 * (torch.arange(BINS) < 300).double(), generator=torch.Generator().manual_seed(3))
    counts[500] = 1
    assert alarm(*fitted(counts, toy, Prior(a=Normal(1, 5), **HELD_AT))).passed


def test_basins_are_widened_apart() -> None:
    draws = torch.cat((torch.linspace(-1, 1, 101), torch.linspace(19, 21, 101))).double()[:, None]
    found = posterior(draws, torch.full((202,), 1 / 202).double())
    places = tuple(Basin(torch.tensor([x]).double(), 0.0, 1, 0.5) for x in (0.0, 20.0))
    wide = type(found)(**{**vars(found), "basins": places, "widening": torch.tensor([3.0]).double()}).widened
    assert wide.draws.abs().min() < 0.1
    assert float(wide.draws.min()) == pytest.approx(-3, abs=0.1)
    assert float(wide.draws.max()) == pytest.approx(23, abs=0.1)
