"""Checks: each passes where the result is good and fails where it is bad in the way that the check is about."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from sqwirrel.infer import checks
from sqwirrel.infer.posterior import Basin, Check
from sqwirrel.infer.refine import Optimum, refine
from sqwirrel.infer.sampling.importance import Weighted
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import SpectrumTerm
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, Normal, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, Instrument, Poisson, Robust
from sqwirrel.observe.counting import Counting
from sqwirrel.observe.experiment import Anchored
from sqwirrel.spectra import Measurement, QGrid, QShells, Spectrum
from tests.unit.infer.toy import Toy, noise, spectrum

BINS = 400
SLOPE = torch.linspace(0, 1, BINS, dtype=torch.float64)


def by_name(found: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def line(intensity: Tensor, *, counting: Counting | None = None, error: float = 1.0) -> Target:
    experiment = Toy(("a",), lambda theta: theta * SLOPE, BINS, counting=counting)
    prior = Prior(a=Uniform(-100, 100), scale=Fixed(1), background=Normal(10, 100))
    return Target.of(experiment, prior, spectrum(experiment, intensity, error))


AT = torch.tensor([20.0, 30.0], dtype=torch.float64)  # a, background


@pytest.mark.parametrize("counting", [Gaussian(), Poisson()])
def test_a_fit_of_good_data_passes(counting: Gaussian | Poisson) -> None:
    mean = 20 * SLOPE + 30
    data = mean + noise(BINS, 1)
    if isinstance(counting, Poisson):
        data = torch.poisson(mean, generator=torch.Generator().manual_seed(1))
    per_bin, found = checks.fit_checks(line(data, counting=counting), AT)
    assert per_bin == pytest.approx(1, abs=5 * (2 / BINS) ** 0.5)
    assert by_name(found)["deviance_per_bin"].value == per_bin
    assert all(check.passed for check in found)


def test_deviance_fails_where_the_scatter_is_too_wide() -> None:
    data = 20 * SLOPE + 30 + 1.3 * noise(BINS, 1)
    found = by_name(checks.fit_checks(line(data), AT)[1])
    assert not found["deviance_per_bin"].passed  # 1.3^2 = 1.69
    assert found["residual_structure"].passed


def test_data_with_the_tails_of_the_robust_law_pass() -> None:
    """Their mean deviance is 5 (psi(5/2) - psi(2)) = 1.402; its standard error over 4000 bins 0.03, a fifth is 0.28."""
    bins = 4000
    tails = torch.from_numpy(scipy.stats.t(4).rvs(bins, random_state=1))
    for counting, width, passed in ((Robust(), 1.0, True), (Robust(), 1.5, False), (Gaussian(), 1.0, False)):
        experiment = Toy(("a",), lambda theta: theta * torch.ones(bins), bins, counting=counting)
        prior = Prior(a=Uniform(-100, 100), scale=Fixed(1), background=Fixed(0))
        data = spectrum(experiment, 20 + width * tails, 1.0)
        found = checks.fit_checks(Target.of(experiment, prior, data), torch.tensor([20.0]).double())[1]
        assert by_name(found)["deviance_per_bin"].passed is passed
        if passed:
            assert by_name(found)["deviance_per_bin"].value == pytest.approx(1.402, abs=0.12)
            assert by_name(found)["residual_structure"].passed
            assert "at most 1.75" in by_name(found)["deviance_per_bin"].meaning


def test_a_robust_law_hides_no_cluster_of_spurions() -> None:
    """Eight of 13 bins at 30 errors, 4.5 each in a normal law: 8 * 4.5 / sqrt(13) = 10. One alone is no structure."""
    data = 20 * SLOPE + 30 + noise(BINS, 1)
    for last, passed in ((161, True), (168, False)):
        spoiled = data.clone()
        spoiled[160:last] += 30
        found = by_name(checks.fit_checks(line(spoiled, counting=Robust()), AT)[1])
        assert found["residual_structure"].passed is passed
    assert found["residual_structure"].value == pytest.approx(
        8 * 4.5 / 13**0.5, abs=1
    )  # the other five have 5**0.5 / 13**0.5 of noise


def test_structure_fails_where_a_few_bins_stand_out_and_says_where() -> None:
    """A bump of 2 standard deviations over 13 of 400 bins: 2 sqrt(13) = 7 of their mean; the deviance rises by 0.13."""
    data = 20 * SLOPE + 30 + noise(BINS, 1)
    data[160:173] += 2
    found = by_name(checks.fit_checks(line(data), AT)[1])
    assert found["deviance_per_bin"].passed
    assert not found["residual_structure"].passed
    assert found["residual_structure"].value > 5
    assert "|Q| 1.00 to 2.00 1/angstrom, 159.00 to 172.00 meV" in found["residual_structure"].meaning
    data[160:173] -= 4
    assert by_name(checks.fit_checks(line(data), AT)[1])["residual_structure"].value < -5


def test_structure_at_the_upper_edge_of_the_map_is_seen() -> None:
    """A misfit of the last bins, which only half a window covers, must not hide."""
    experiment = Toy(("a",), lambda theta: theta * torch.ones(403), 403)
    prior = Prior(a=Uniform(-100, 100), scale=Fixed(1), background=Fixed(0))
    data = 20 + noise(403, 1)
    data[-3:] += 8
    target = Target.of(experiment, prior, spectrum(experiment, data, 1.0))
    found = by_name(checks.fit_checks(target, torch.tensor([20.0]).double())[1])
    assert not found["residual_structure"].passed
    assert "403.00 meV" in found["residual_structure"].meaning


def test_unmeasured_bins_are_no_misfit() -> None:
    target = line(20 * SLOPE + 30 + noise(BINS, 1))
    experiment = target.terms[0].experiment
    data = spectrum(experiment, 20 * SLOPE + 30 + noise(BINS, 1) + 50 * (SLOPE < 0.1), 1.0).exclude(-1, 40)
    per_bin, found = checks.fit_checks(Target.of(experiment, target.prior, data), AT)
    assert per_bin == pytest.approx(1, abs=0.4)
    assert all(check.passed for check in found)


def test_sampling_checks() -> None:
    def weighted(k: float, n: int, spread: float = 0.0) -> Weighted:
        log_weight = torch.linspace(0, -spread, n, dtype=torch.float64)
        return Weighted(torch.zeros(n, 1).double(), log_weight - torch.logsumexp(log_weight, 0), 0.0, k)

    good = by_name(checks.sampling_checks(weighted(0.69, 100)))
    assert good["pareto_k"].passed
    assert good["effective_draws"].passed
    assert good["effective_draws"].value == pytest.approx(100)
    for k in (0.7, math.inf, math.nan):
        assert not by_name(checks.sampling_checks(weighted(k, 100)))["pareto_k"].passed
    assert not by_name(checks.sampling_checks(weighted(0.1, 99)))["effective_draws"].passed
    assert not by_name(checks.sampling_checks(weighted(0.1, 1000, spread=100)))["effective_draws"].passed
    assert checks.complete_check(weighted(0.1, 200), 200).passed
    assert not checks.complete_check(weighted(0.1, 199), 200).passed


@pytest.mark.parametrize(("size", "passed"), [(0.0, True), (0.3, True), (2.0, False)])
def test_quadrature_is_the_scatter_of_the_optimum(size: float, passed: bool) -> None:
    """Two repeats whose bins are higher or lower by `size` standard deviations of the background."""
    target = line(20 * SLOPE + 30 + noise(BINS, 1))
    (best,) = refine(target, AT[None])
    sd = float(best.covariance.diagonal().sqrt()[1] * target.stretch(best.z[None])[0, 1])
    scatter = size * sd * torch.tensor([1.0, -1.0], dtype=torch.float64)[:, None, None].expand(2, 1, BINS)
    check = quadrature(target, best, average(scatter), settled=True)
    assert check.passed is passed
    assert check.value == pytest.approx(size, rel=1e-6, abs=1e-9)
    assert passed or "'background'" in check.meaning


def test_quadrature_fails_while_the_anchor_moves() -> None:
    target = line(20 * SLOPE + 30 + noise(BINS, 1))
    (best,) = refine(target, AT[None])
    check = quadrature(target, best, average(torch.zeros(2, 1, BINS).double()), settled=False)
    assert (check.passed, check.value) == (False, 0)
    assert "still moves" in check.meaning


def test_quadrature_counts_what_the_scatter_of_derivatives_does_with_the_residuals() -> None:
    """d expected / d a of two repeats is off by as much as the residuals in one bin: the gradient by their square."""
    target = line(20 * SLOPE + 30 + noise(BINS, 1))
    (best,) = refine(target, AT[None])
    theta = target.prior.constrain(best.z[None])
    (term,) = target.terms
    residual = term.observed.intensity - term.experiment.predict(target.full(theta)).expected[0].flatten()
    rise = torch.zeros(2, 3, 1, BINS, dtype=torch.float64)
    rise[:, 0, 0, 5] = torch.tensor([1.0, -1.0]) * residual[5]
    still = torch.zeros(2, 1, BINS, dtype=torch.float64)
    check = quadrature(target, best, average(still, rise), settled=True)
    gradient = residual[5] ** 2 / term.observed.variance[5] * target.stretch(best.z[None])[0, 0]
    assert check.value == pytest.approx(float((gradient * best.covariance[0, 0].sqrt()).abs()), rel=1e-6)
    assert "'a'" in check.meaning


def quadrature(target: Target, best: Optimum, average: Anchored, *, settled: bool) -> Check:
    """The check of the only term with that average."""
    return checks.draws.quadrature_check(target, best, replace(target.terms[0], average=average), settled=settled)


def average(scatter: torch.Tensor, rise: torch.Tensor | None = None) -> Anchored:
    """An average with that scatter, and that scatter of its derivatives."""
    still = scatter.new_zeros(len(scatter), 3, *scatter.shape[1:])
    return Anchored(None, scatter, still if rise is None else rise, torch.zeros(0, 3))


PRIOR = Prior(a=Uniform(-100, 100), scale=Fixed(1), background=Uniform(0, 50))


def parameter_checks(a: tuple[float, float], background: tuple[float, float], prior: Prior = PRIOR) -> dict[str, Check]:
    """The checks of draws spread evenly over these intervals."""
    experiment = Toy(("a",), lambda theta: theta * SLOPE, BINS)
    target = Target.of(experiment, prior, spectrum(experiment, 20 * SLOPE + 30, 1.0))
    u = torch.linspace(0, 1, 400, dtype=torch.float64)
    columns = {
        "a": torch.lerp(*torch.tensor(a).double(), u),
        "background": torch.lerp(*torch.tensor(background).double(), u.flip(0)),
    }
    draws = torch.stack([columns[name] for name in target.names], -1)
    return by_name(checks.parameter_checks(target, draws, torch.full((400,), 1 / 400, dtype=torch.float64)))


def test_parameters_well_inside_pass() -> None:
    found = parameter_checks((19, 21), (29, 31))
    assert all(check.passed for check in found.values())
    assert "none" in found["inside_prior"].meaning


def test_a_parameter_pressed_to_a_bound_at_zero_passes_but_is_named() -> None:
    found = parameter_checks((19, 21), (0, 2))["inside_prior"]
    assert found.passed
    assert "pressed to zero, where the prior ends and makes the interval: background" in found.meaning


def test_a_parameter_at_a_bound_is_named() -> None:
    for interval in ((99, 100), (-100, -99)):
        found = parameter_checks(interval, (29, 31))
        assert not found["inside_prior"].passed
        assert "cut off: a" in found["inside_prior"].meaning
        assert found["identified"].passed
    assert not parameter_checks((0, 1), (49, 50))["inside_prior"].passed


@pytest.mark.parametrize(("inside", "passed"), [(0.0, False), (1.0, False), (2.0, True), (3.0, True)])
def test_a_normal_posterior_is_cut_where_the_bound_takes_six_per_cent(inside: float, passed: bool) -> None:
    """The bound lies `inside` standard deviations below the mean: it takes 50, 16, 2.3 and 0.1 %."""
    experiment = Toy(("a",), lambda theta: theta * SLOPE, BINS)
    prior = Prior(a=Uniform(-100, 100), scale=Fixed(1), background=Fixed(0))
    target = Target.of(experiment, prior, spectrum(experiment, 20 * SLOPE, 1.0))
    law = scipy.stats.truncnorm(-inside, 50, loc=-100 + inside, scale=1)
    draws = torch.from_numpy(law.ppf((np.arange(4000) + 0.5) / 4000))[:, None]
    found = by_name(checks.parameter_checks(target, draws, torch.full((4000,), 1 / 4000, dtype=torch.float64)))
    assert found["inside_prior"].passed is passed


def test_zero_is_a_bound_of_nature_not_of_the_prior() -> None:
    assert parameter_checks((19, 21), (0, 1))["inside_prior"].passed


def test_a_parameter_as_wide_as_its_prior_is_named() -> None:
    found = parameter_checks((-99, 99), (29, 31))
    assert not found["identified"].passed
    assert "not determined by the data: a" in found["identified"].meaning
    free = Prior(a=Normal(0, 1), scale=Fixed(1), background=Uniform(0, 50))
    assert parameter_checks((-0.5, 0.5), (29, 31), free)["identified"].passed
    wide = parameter_checks((-2, 2), (29, 31), free)
    assert not wide["identified"].passed
    assert wide["inside_prior"].passed  # no bound
    out = parameter_checks((3.4, 3.6), (29, 31), free)["inside_prior"]
    assert not out.passed
    assert "more than 3 standard deviations from where a normal prior has them: a" in out.meaning


@pytest.mark.parametrize(
    ("shares", "passed"), [((1.0,), True), ((0.96, 0.04), True), ((0.6, 0.4), False), ((0.04, 0.96), True)]
)
def test_one_basin_must_hold_the_probability(shares: tuple[float, ...], passed: bool) -> None:
    found = checks.basin_check(tuple(Basin(AT, 0.0, 1, share) for share in shares))
    assert found.passed is passed
    assert found.value == max(shares)


def test_a_map_smaller_than_a_block_is_one_block() -> None:
    experiment = Toy(("a",), lambda theta: theta * torch.ones(3), 3)
    prior = Prior(a=Uniform(-100, 100), scale=Fixed(1), background=Fixed(0))
    where = Measurement(QShells([1.0, 2.0]), [0.0, 1, 2, 3], 5.0)
    data = Spectrum.from_arrays(*torch.tensor([[[9.0, 9, 9]], [[1, 1, 1]]]).double(), where)
    found = by_name(checks.fit_checks(Target.of(experiment, prior, data), torch.tensor([1.0]).double())[1])
    assert found["residual_structure"].value == pytest.approx(8 * 3**0.5)


def test_structure_of_a_grid_lies_in_its_planes() -> None:
    """The last bins of one row and the first of the next are no neighbours; a patch is found where it is.

    14 bins of 1.6 stand next to each other in the list of points: 6 standard deviations of their mean.
    """
    model = library.load("fm_chain")
    sides = [torch.arange(7.0), torch.arange(21.0), [0, 1]]
    where = Measurement(QGrid(model.lattice, 0.01 * torch.eye(3), sides), [1.0, 2.0, 3.0], 5.0)
    experiment = Experiment(model, where, Instrument(), samples=1)
    theta = experiment.pack(fwhm=0.3, scale=0.0, background=0.0)
    apart, patch = torch.zeros(6, 20, 2, dtype=torch.float64), torch.zeros(6, 20, 2, dtype=torch.float64)
    apart[2, -3:], apart[3, :4], patch[2:5, 4:9, 1] = 1.6, 1.6, 5.0
    for values, passed in ((apart, True), (patch, False)):
        data = Spectrum.from_arrays(values.reshape(120, 2), torch.ones(120, 2).double(), where)
        term = SpectrumTerm.of(experiment, data, experiment.names)
        found = by_name(checks.fit._spectrum_checks(term, theta)[1])["residual_structure"]
        assert found.passed == passed
    assert found.meaning.endswith("2.00 to 3.00 meV")
    first = found.meaning.partition("q (")[2].partition(")")[0].split(", ")
    assert [float(x) for x in first[:2]] == pytest.approx([0.0, 0.0], abs=0.02)
