"""What holds for any width, bins and counts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sqwirrel.observe import Gaussian, GaussianResolution, Poisson, TailedResolution
from sqwirrel.observe.counting import Observed
from sqwirrel.observe.momentum import shell_kernels
from sqwirrel.spectra import Measurement, QShells, Spectrum

widths = st.floats(0.02, 2.0)
shares = st.floats(0.0, 1.0)
steps = st.lists(st.floats(0.02, 0.5), min_size=2, max_size=12)


def edges(start: float, steps: list[float]) -> Tensor:
    return start + torch.tensor([0.0, *steps], dtype=torch.float64).cumsum(0)


@given(fwhm=widths, tail=shares, length=st.floats(0.0, 1.0), steps=steps)
def test_energy_kernels_are_densities(fwhm: float, tail: float, length: float, steps: list[float]) -> None:
    """Positive, and no line gives more than it has, on any bins."""
    line = 0.05 * torch.arange(121, dtype=torch.float64) - 3
    theta = torch.tensor([[fwhm, tail, length]], dtype=torch.float64)
    bins = edges(-2.0, steps)
    for density in (
        TailedResolution(GaussianResolution()).kernel(line, theta, bins),
        GaussianResolution().kernel(line, theta[:, :1], bins),
    ):
        assert bool(density.isfinite().all())
        assert float(density.min()) >= -1e-9
        assert float((density * bins.diff()).sum(-1).max()) <= 1 + 1e-9


@given(fwhm=widths, tail=shares, length=st.floats(0.01, 0.3))
def test_bins_that_hold_a_line_hold_all_of_it(fwhm: float, tail: float, length: float) -> None:
    line = torch.tensor([0.0, 0.05, 0.1], dtype=torch.float64)
    theta = torch.tensor([[fwhm, tail, length]], dtype=torch.float64)
    bins = edges(-12.0, [3.0, 5.0, 3.9, 0.2, 9.9])  # 40 tail lengths and 12 standard deviations
    total = TailedResolution(GaussianResolution()).kernel(line, theta, bins) @ bins.diff()
    assert torch.allclose(total, torch.ones_like(total), atol=1e-9)


@given(fwhm=st.floats(0.0, 0.3), start=st.floats(0.0, 2.0), steps=steps)
def test_momentum_kernels_are_shares(fwhm: float, start: float, steps: list[float]) -> None:
    bins = edges(start + 1.7, steps)
    cells = edges(start, [0.1] * 95)  # 1.7 below, at least 1.8 above: 13 standard deviations
    kernel = shell_kernels(cells, bins, torch.full((1, 1, 95), fwhm, dtype=torch.float64))[0, 0]
    assert float(kernel.min()) >= -1e-9
    assert torch.allclose(kernel.sum(-1), torch.ones(len(steps), dtype=torch.float64), atol=1e-9)


@given(counts=st.lists(st.integers(0, 1000), min_size=1, max_size=20), mean=st.floats(0.0, 1e4))
def test_poisson_deviance_is_never_negative(counts: list[int], mean: float) -> None:
    n = torch.tensor(counts, dtype=torch.float64)
    observed = Observed(n, n.clamp(min=1), torch.ones(1, len(counts), dtype=torch.bool))
    deviance = Poisson().deviance(torch.full((1, len(counts)), mean, dtype=torch.float64), observed).sum(-1)
    assert bool(deviance.isfinite().all())
    # Rounding of terms of the size of the counts times a logarithm.
    assert float(deviance) >= -1e-9 * (1 + float(n.sum()) + mean)


@given(
    errors=st.lists(st.sampled_from([0.0, 0.1, 1.0, 30.0]), min_size=24, max_size=24),
    measured=st.lists(st.booleans(), min_size=24, max_size=24),
)
def test_gaussian_variance_is_finite_and_above_the_floor(errors: list[float], measured: list[bool]) -> None:
    error, valid = torch.tensor(errors, dtype=torch.float64).reshape(4, 6), torch.tensor(measured).reshape(4, 6)
    error[0, 0], valid[0, 0] = 1.0, True
    where = Measurement(QShells(torch.arange(5.0)), torch.arange(7.0), 5.0)
    spectrum = Spectrum.from_arrays(torch.zeros_like(error), error, where, valid=valid)
    for counting in (Gaussian(), Gaussian(0.5)):
        observed = counting.observe(spectrum)
        assert len(observed.variance) == int(valid.sum())
        assert bool(observed.variance.isfinite().all())
        assert float(observed.variance.min()) >= counting.smallest(spectrum) ** 2 * (1 - 1e-12) > 0
        assert float(observed.variance.max()) == pytest.approx(
            min(float(observed.variance.max()), max(30.0, counting.smallest(spectrum)) ** 2)
        )
