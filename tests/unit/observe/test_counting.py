"""Counting: likelihoods agree with scipy's, and no bin weighs itself by what it happened to count."""

import math

import pytest
import scipy.stats
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.observe import Gaussian, Poisson, Robust
from sqwirrel.observe.around import WINDOW
from sqwirrel.observe.counting import Observed
from sqwirrel.spectra import Measurement, QGrid, QShells, Spectrum


def spectrum(values: Tensor, error: Tensor, *, is_counts: bool = False, valid: Tensor | None = None) -> Spectrum:
    n, m = values.shape
    where = Measurement(QShells(torch.arange(n + 1.0)), torch.arange(m + 1.0), 5.0)
    return Spectrum.from_arrays(values, error, where, valid=valid, is_counts=is_counts)


def random_counts(mean: float, shape: tuple[int, int], seed: int = 1) -> Tensor:
    return torch.poisson(torch.full(shape, mean, dtype=torch.float64), generator=torch.Generator().manual_seed(seed))


def reduced(seed: int = 1, n: int = 9, m: int = 11) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(n, m, generator=generator, dtype=torch.float64)
    return values, 0.5 + torch.rand(n, m, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("mean", [0.3, 3.0, 200.0])
def test_poisson_likelihood_is_that_of_scipy(mean: float) -> None:
    counts = random_counts(mean, (6, 7))
    observed = Poisson().observe(spectrum(counts, counts.sqrt(), is_counts=True))
    expected = torch.linspace(0.5, 1.5, 42, dtype=torch.float64)[None] * mean
    value = Poisson().log_normalisation(observed).sum() - 0.5 * Poisson().deviance(expected, observed).sum(-1)
    assert float(value) == pytest.approx(scipy.stats.poisson.logpmf(counts.flatten(), expected[0]).sum(), rel=1e-10)


def test_gaussian_likelihood_is_that_of_scipy() -> None:
    values, error = reduced()
    observed = Gaussian().observe(spectrum(values, error))
    expected = torch.linspace(-1, 1, values.numel(), dtype=torch.float64)[None]
    value = Gaussian().log_normalisation(observed).sum() - 0.5 * Gaussian().deviance(expected, observed).sum(-1)
    law = scipy.stats.norm(expected[0].numpy(), observed.variance.sqrt().numpy())
    assert float(value) == pytest.approx(law.logpdf(values.flatten()).sum(), rel=1e-12)


def test_deviance_is_zero_at_the_data_and_positive_elsewhere() -> None:
    counts = random_counts(2.0, (6, 7))
    assert bool((counts == 0).any())
    poisson = Poisson().observe(spectrum(counts, counts.sqrt(), is_counts=True))
    gaussian = Gaussian().observe(spectrum(*reduced()))
    for kind, observed in ((Poisson(), poisson), (Gaussian(), gaussian)):
        rows = torch.stack((observed.intensity, observed.intensity + 0.1, (observed.intensity - 0.1).abs()))
        at, above, below = kind.deviance(rows, observed).sum(-1).tolist()
        assert at == pytest.approx(0, abs=1e-7)
        assert min(above, below) > 0.1


def test_no_bin_rules_a_model_out_alone() -> None:
    """Expectations at and below zero, as an anchored average may give, count as one in a thousand where there is a count."""
    observed = Poisson().observe(
        spectrum(torch.tensor([[1.0, 0.0]]).double(), torch.zeros(1, 2).double(), is_counts=True)
    )
    rows = torch.tensor([[-5.0, -5.0], [0.0, 0.0], [1e-3, 0.0]], dtype=torch.float64)
    found = Poisson().deviance(rows, observed).sum(-1)
    assert torch.equal(found, found[:1].expand(3))
    assert float(found[0]) == pytest.approx(2 * (1e-3 - 1 + math.log(1e3)))
    assert float(Poisson().weight(rows, observed).max()) == pytest.approx(1e3)


def test_counts_of_a_bin_without_expectation_are_none() -> None:
    expected = torch.tensor([-4e-14, 0.0, 50.0], dtype=torch.float64)
    seed = torch.Generator().manual_seed(1)
    observed = Poisson().observe(spectrum(torch.ones(1, 3).double(), torch.ones(1, 3).double(), is_counts=True))
    assert Poisson().sample(expected, observed, seed)[:2].tolist() == [0, 0]


def test_weight_is_the_fisher_information_of_a_bin() -> None:
    """Expected curvature of -log L: for Poisson counts at n = mu, by second difference of the deviance."""
    counts = random_counts(30.0, (2, 3))
    for kind, observed in (
        (Poisson(), Poisson().observe(spectrum(counts, counts.sqrt(), is_counts=True))),
        (Gaussian(), Gaussian().observe(spectrum(*reduced()))),
    ):
        mu, step = observed.intensity[None], 1e-2
        weight = kind.weight(mu, observed)
        for k in range(3):
            off = torch.zeros_like(mu)
            off[0, k] = step
            second = kind.deviance(torch.cat((mu + off, mu - off)), observed).sum() / 2 / step**2
            # Fourth order in step / mu.
            assert float(weight[0, k]) == pytest.approx(float(second), rel=1e-4)


def test_poisson_is_refused_on_reduced_data() -> None:
    with pytest.raises(InputError, match="needs raw counts"):
        Poisson().observe(spectrum(*reduced()))


def test_gaussian_needs_errors_and_a_positive_floor() -> None:
    values, error = reduced()
    with pytest.raises(InputError, match="no errors"):
        Gaussian().observe(spectrum(values, 0 * error))
    left = torch.arange(11).expand(9, 11) < 5
    with pytest.raises(InputError, match="no errors"):
        Gaussian().observe(spectrum(values, torch.where(left, error, 0.0), valid=~left))
    for floor in (0.0, -1.0, math.nan):
        with pytest.raises(InputError, match="must be positive"):
            Gaussian(floor)


@pytest.mark.parametrize("place", [(4, 5), (0, 0), (8, 3)])
def test_variance_of_a_bin_never_uses_its_own_error(place: tuple[int, int]) -> None:
    values, error = reduced()
    changed = error.clone()
    changed[place] *= 7
    before, after = (
        Gaussian(0.01).observe(spectrum(values, e)).variance.reshape(values.shape) for e in (error, changed)
    )
    assert float(after[place]) == float(before[place])
    rows, columns = torch.meshgrid(torch.arange(9), torch.arange(11), indexing="ij")
    near = ((rows - place[0]).abs() <= WINDOW // 2) & ((columns - place[1]).abs() <= WINDOW // 2)
    near[place] = False
    assert torch.equal(after > before, near)


def test_variance_is_the_mean_over_valid_neighbours() -> None:
    values, error = reduced()
    valid = torch.rand(9, 11, generator=torch.Generator().manual_seed(2)) > 0.4
    valid[4, 5] = True
    observed = Gaussian(0.01).observe(spectrum(values, error, valid=valid))
    near = valid.clone()
    near[4, 5] = False
    square = (error**2)[2:7, 3:8][near[2:7, 3:8]]
    mine = int(valid.flatten()[: 4 * 11 + 5].sum())
    assert float(observed.variance[mine]) == pytest.approx(float(square.mean()), rel=1e-12)


@pytest.mark.parametrize("subtracted", [0.0, 40.0])
def test_variance_follows_an_expectation_that_changes_within_the_window(subtracted: float) -> None:
    """Counts of a line one bin wide, from which a level was subtracted: the variance is what was counted on average."""
    x = torch.arange(200, dtype=torch.float64)
    expected = 20 + 200 * torch.exp(-(((x % 20) - 10) ** 2)).expand(60, -1)
    counts = torch.poisson(expected + subtracted, generator=torch.Generator().manual_seed(3))
    data = spectrum(counts - subtracted, counts.sqrt())
    blind, informed = (Gaussian().observe(data, known).variance.reshape(60, 200) for known in (None, expected))
    ratio = informed.mean(0) / (expected[0] + subtracted)
    assert float((ratio - 1).abs().max()) < 0.05
    assert float((blind.mean(0) / (expected[0] + subtracted) - 1).abs().max()) > 0.3


@pytest.mark.parametrize("known", [False, True])
def test_bins_of_few_pixels_have_the_variance_of_their_own_number(known: bool) -> None:
    """Means of 3 to 300 pixels, each counted: variance and deviance are right at every number, if it is known."""
    generator = torch.Generator().manual_seed(4)
    pixels = (3 * 100 ** torch.rand(60, 200, generator=generator, dtype=torch.float64)).round()
    expected = 5 + 3 * torch.sin(torch.arange(200) / 7).double().expand(60, -1)
    counts = torch.poisson(expected * pixels, generator=generator)
    where = spectrum(counts, counts).measurement
    how = {"pixels": pixels} if known else {}
    data = Spectrum.from_arrays(counts / pixels, counts.sqrt() / pixels, where, **how)
    rare, often = pixels < pixels.quantile(0.1), pixels > pixels.quantile(0.9)
    for told in (None, expected):
        variance = Gaussian().observe(data, told).variance.reshape(60, 200)
        ratio = variance * pixels / expected
        deviance = (data.intensity - expected) ** 2 / variance
        found = [float(each[which].mean()) for each in (ratio, deviance) for which in (rare, often)]
        if known:
            assert found == pytest.approx([1, 1, 1, 1], abs=0.1)  # 1200 bins: 4 % of a mean deviance is one sigma
            assert told is None or float((ratio - 1).abs().max()) < 0.2
        else:
            assert found[2] > 2
            assert found[3] < 0.5


def test_one_number_of_pixels_for_all_bins_changes_nothing() -> None:
    values, error = reduced()
    data, expected = spectrum(values, error), values.abs() + 1
    alike = Spectrum.from_arrays(values, error, data.measurement, pixels=torch.full_like(values, 8.0))
    for told in (None, expected):
        assert torch.equal(Gaussian().observe(alike, told).variance, Gaussian().observe(data, told).variance)


def test_errors_that_do_not_grow_with_the_signal_stay_as_they_are() -> None:
    values, _ = reduced()
    data, expected = spectrum(values, torch.full_like(values, 0.7)), values.abs() + 1
    assert torch.equal(Gaussian().observe(data, expected).variance, Gaussian().observe(data).variance)


def test_a_bin_without_neighbours_keeps_its_own_error() -> None:
    values, error = reduced()
    valid = torch.zeros(9, 11, dtype=torch.bool)
    valid[1, 1] = valid[7, 9] = True
    observed = Gaussian(0.01).observe(spectrum(values, error, valid=valid))
    assert torch.allclose(observed.variance, (error**2)[valid])


def test_bins_that_counted_nothing_have_finite_weight_and_unmeasured_ones_none() -> None:
    counts = random_counts(0.05, (20, 20))
    valid = torch.ones(20, 20, dtype=torch.bool)
    valid[:, 3] = False
    observed = Gaussian(0.02).observe(spectrum(counts, counts.sqrt(), valid=valid))
    assert len(observed.intensity) == 380
    assert float((observed.intensity == 0).double().mean()) > 0.9
    assert float(observed.variance.min()) == pytest.approx(0.02**2)
    assert bool(Gaussian().log_normalisation(observed).isfinite().all())


def test_floor_is_a_tenth_of_the_median_error_of_valid_bins_that_have_one() -> None:
    values, error = reduced()
    valid = torch.ones(9, 11, dtype=torch.bool)
    valid[:, :5] = False
    data = spectrum(values, torch.where(valid, error, 100.0), valid=valid)
    assert Gaussian().smallest(data) == pytest.approx(0.1 * float(error[valid].median()))
    most = torch.arange(99).reshape(9, 11) % 3 == 0  # the other bins counted nothing
    empty = spectrum(values, torch.where(most, error, 0.0), valid=valid)
    assert Gaussian().smallest(empty) == pytest.approx(0.1 * float(error[valid & most].median()))
    assert Gaussian(0.3).smallest(data) == 0.3
    assert float(Gaussian(5.0).observe(data).variance.min()) == 25


def test_default_floor_is_positive_where_most_bins_counted_nothing() -> None:
    counts = random_counts(0.05, (20, 20))
    observed = Gaussian().observe(spectrum(counts, counts.sqrt()))
    assert float(observed.variance.min()) > 0


def test_weights_from_the_bin_itself_are_biased_low_and_ours_are_not() -> None:
    """40 000 bins of mean 4: the weighted mean is a fit of a constant. Standard error 2 / 200 = 0.01."""
    counts = random_counts(4.0, (200, 200))
    data = spectrum(counts, counts.sqrt())
    observed = Gaussian().observe(data)
    ours = float((observed.intensity / observed.variance).sum() / (1 / observed.variance).sum())
    naive = 1 / counts[counts > 0]  # 1 / error^2, bins without an error left out
    low = float((counts[counts > 0] * naive).sum() / naive.sum())
    assert abs(ours - 4) < 4 * 0.01
    assert low < 4 - 0.5


def test_samples_have_the_stated_law() -> None:
    """20 000 draws: standard errors of mean and variance stated by the law, tolerance 4 of them."""
    n = 20_000
    for kind, values in ((Poisson(), torch.full((1, n), 3.0)), (Gaussian(), torch.full((1, n), -1.0))):
        data = spectrum(values.double(), torch.full((1, n), 3**0.5).double(), is_counts=isinstance(kind, Poisson))
        observed = kind.observe(data)
        drawn = kind.sample(observed.intensity, observed, torch.Generator().manual_seed(5))
        assert abs(float(drawn.mean() - observed.intensity[0])) < 4 * (3 / n) ** 0.5
        assert abs(float(drawn.var()) - 3) < 4 * 3 * (2.4 / n) ** 0.5


@pytest.mark.parametrize("freedom", [1.0, 4.0, 30.0])
def test_robust_likelihood_is_that_of_scipy(freedom: float) -> None:
    values, error = reduced()
    kind = Robust(freedom)
    observed = kind.observe(spectrum(values, error))
    expected = torch.linspace(-1, 1, values.numel(), dtype=torch.float64)[None]
    value = kind.log_normalisation(observed).sum() - 0.5 * kind.deviance(expected, observed).sum(-1)
    law = scipy.stats.t(freedom, expected[0].numpy(), observed.variance.sqrt().numpy())
    assert float(value) == pytest.approx(law.logpdf(values.flatten()).sum(), rel=1e-10)


def test_robust_likelihood_of_a_bin_integrates_to_one() -> None:
    """Over 2000 errors on either side: beyond is 2e-12 of the law with 4 degrees of freedom."""
    x = torch.sinh(torch.linspace(-8.3, 8.3, 4001, dtype=torch.float64))
    one = Observed(torch.zeros(1).double(), torch.full((1,), 0.49).double(), torch.ones(1, 1, dtype=torch.bool))
    density = torch.exp(Robust().log_normalisation(one) - Robust().deviance(x[:, None], one)[:, 0] / 2)
    assert float(torch.trapezoid(density, x)) == pytest.approx(1, abs=1e-5)  # the rule's error


def test_robust_weights_times_residuals_are_the_gradient() -> None:
    values, error = reduced()
    observed = Robust().observe(spectrum(values, error))
    mu = torch.zeros(1, values.numel(), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(-0.5 * Robust().deviance(mu, observed).sum(), mu)
    weight = Robust().weight(mu.detach(), observed)
    assert torch.allclose(slope, weight * (observed.intensity - mu.detach()), rtol=1e-10)


def test_robust_samples_have_the_stated_law() -> None:
    """20 000 draws against scipy's law: a Kolmogorov-Smirnov test that a right sampler fails once in a thousand seeds."""
    values = torch.full((1, 20_000), -1.0).double()
    observed = Robust(4).observe(spectrum(values, torch.full_like(values, 2.0)))
    drawn = Robust(4).sample(observed.intensity, observed, torch.Generator().manual_seed(5))
    assert scipy.stats.kstest(drawn.numpy(), scipy.stats.t(4, -1, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("freedom", [1.0, 4.0, 30.0])
def test_the_typical_deviance_is_the_mean_over_the_law(freedom: float) -> None:
    law = scipy.stats.t(freedom)
    mean = law.expect(lambda r: (freedom + 1) * math.log1p(r * r / freedom))
    assert Robust(freedom).typical == pytest.approx(mean, rel=1e-6)


def test_the_typical_deviance_of_four_degrees_of_freedom_is_known() -> None:
    assert Robust(4).typical == pytest.approx(1.4019, abs=1e-4)
    assert (Gaussian().typical, Poisson().typical) == (1, 1)


def test_residuals_are_in_standard_deviations_and_those_of_a_robust_law_do_not_saturate() -> None:
    values = torch.full((5, 5), 1.0).double()
    values[2, 2] = 397.0  # 198 errors of 2 above
    for kind in (Gaussian(), Robust()):
        observed = kind.observe(spectrum(values, torch.full_like(values, 2.0)))
        residual = kind.residual(torch.ones(25).double(), observed)
        assert residual.reshape(5, 5)[2, 2] == 198
        assert int(residual.count_nonzero()) == 1
    counts = Poisson().observe(spectrum(values, values.sqrt(), is_counts=True))
    assert Poisson().residual(torch.full((25,), 4.0).double(), counts)[:2].tolist() == [-1.5, -1.5]


def test_residuals_of_a_robust_law_are_normal_where_it_holds() -> None:
    drawn = torch.from_numpy(scipy.stats.t(4).rvs(20_000, random_state=2))
    assert scipy.stats.kstest(Robust(4).as_normal(drawn).numpy(), "norm").pvalue > 1e-3
    far = Robust(4).as_normal(torch.tensor([-198.0, -1e300, 0.0, 1e300]).double())
    assert far[0] == pytest.approx(scipy.stats.norm.ppf(scipy.stats.t(4).cdf(-198)), rel=1e-9)
    assert bool(far.isfinite().all())
    assert torch.equal(far.sign(), torch.tensor([-1.0, -1, 0, 1]).double())


def test_robust_counting_needs_a_degree_of_freedom_and_a_positive_floor() -> None:
    for freedom in (0.5, math.inf, math.nan):
        with pytest.raises(InputError, match="use at least 1"):
            Robust(freedom)
    with pytest.raises(InputError, match="must be positive"):
        Robust(floor=-1.0)


def test_neighbours_on_a_grid_do_not_run_over_its_edge() -> None:
    """Errors that are large in the first column only do not reach the last one."""
    sides = [torch.arange(8.0), torch.arange(10.0), [0, 1]]
    where = Measurement(QGrid(Lattice(4.0, 4.0, 4.0), torch.eye(3), sides), [0.0, 1.0, 2.0], 5.0)
    error = torch.ones(7, 9, 2, dtype=torch.float64)
    error[:, 0] = 10.0
    data = Spectrum.from_arrays(torch.ones(63, 2).double(), error.reshape(63, 2), where)
    variance = Gaussian().observe(data).variance.reshape(7, 9, 2)
    assert bool((variance[:, 3:] == 1).all())
    assert bool((variance[:, :3] > 1).all())
    assert torch.allclose(variance[..., 0], variance[..., 1])
