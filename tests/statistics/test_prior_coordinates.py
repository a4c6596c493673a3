"""The prior's unconstrained coordinates: they invert, and their density is that of the parameter times the stretch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sqwirrel.model.laws import INSIDE, SHARP, Distribution, LogUniform, Normal, Uniform
from sqwirrel.model.prior import Prior

KINDS = [Uniform(-1, 2), Uniform(1e-3, 2e-3), LogUniform(0.1, 10), LogUniform(1, 1e6), Normal(1, 0.5)]
SIZES = st.floats(1e-3, 1e3)
Z = torch.linspace(-12, 12, 400_001, dtype=torch.float64)


@pytest.mark.parametrize("each", KINDS, ids=str)
def test_density_of_the_coordinate_integrates_to_one(each: Distribution) -> None:
    # The even law ends at 1.73 with logistic ends that fall by e in 0.07; the normal one is at 12 sd.
    assert float(torch.trapezoid(each.log_density(Z).exp(), Z)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("each", KINDS, ids=str)
def test_density_is_that_of_the_parameter_times_the_stretch(each: Distribution) -> None:
    """log p(z) = log p(theta) + log |d theta / dz|; the ends of an interval are cut at rounding of u, 1e-16."""
    z = torch.linspace(-2.2, 2.2, 201, dtype=torch.float64)
    theta = each.constrain(z)
    stretch = torch.func.grad(lambda x: each.constrain(x).sum())(z)
    assert torch.allclose(each.log_density(z), each.log_prob(theta) + stretch.log(), atol=1e-8)


@pytest.mark.parametrize("each", KINDS, ids=str)
def test_coordinates_have_about_unit_standard_deviation(each: Distribution) -> None:
    density = each.log_density(Z).exp()
    assert float(torch.trapezoid(density * Z, Z)) == pytest.approx(0, abs=1e-6)
    # The logistic ends add pi^2 / 3 / SHARP^2 * 12, 1.6 %, to the variance of an interval.
    assert float(torch.trapezoid(density * Z**2, Z)) == pytest.approx(1, abs=13 / SHARP**2 * 3.5)


@pytest.mark.parametrize("each", KINDS, ids=str)
def test_draws_have_the_density_of_the_coordinate(each: Distribution) -> None:
    """Share of 50 000 draws below each of nine levels against the integral of the density; 4 standard errors."""
    z = each.unconstrain(each.sample(50_000, torch.Generator().manual_seed(4)))
    below = torch.cumulative_trapezoid(each.log_density(Z).exp(), Z)
    for level in torch.linspace(0.1, 0.9, 9).tolist():
        mark = Z[1:][int((below < level).sum())]
        assert float((z < mark).double().mean()) == pytest.approx(level, abs=4 * (level * (1 - level) / 50_000) ** 0.5)


def interval(lo: float, width: float) -> list[Distribution]:
    return [Uniform(lo, lo + width), LogUniform(abs(lo) + 0.1, abs(lo) + 0.1 + width), Normal(lo, width)]


@given(lo=st.floats(-1e3, 1e3), width=SIZES, z=st.floats(-1.7, 1.7))
def test_z_to_theta_and_back(lo: float, width: float, z: float) -> None:
    """To rounding: u is known to 1e-16 of its interval and lo to 1e-16 of itself, which the slope of the ends magnifies."""
    for each in interval(lo, width):
        z0 = torch.tensor([z], dtype=torch.float64)
        assert float(each.unconstrain(each.constrain(z0))) == pytest.approx(z, abs=1e-7 * (1 + abs(lo) / width))


@given(lo=st.floats(-1e3, 1e3), width=SIZES, share=st.floats(0.0, 1.0))
def test_theta_to_z_and_back(lo: float, width: float, share: float) -> None:
    for each in interval(lo, width):
        low, high = each.bounds if isinstance(each, Uniform | LogUniform) else (lo - 4 * width, lo + 4 * width)
        theta = torch.tensor([min(low + share * (high - low), high)], dtype=torch.float64)
        back = each.constrain(each.unconstrain(theta))
        # The ends are taken a millionth of the interval (of log x) inside.
        ratio = torch.log(torch.tensor(high / low)).item() if isinstance(each, LogUniform) else 1.0
        scale = float(theta) * ratio if isinstance(each, LogUniform) else high - low
        assert float(back) == pytest.approx(float(theta), abs=1.1 * INSIDE * scale + 1e-9 * abs(float(theta)))


@given(lo=st.floats(-1e3, 1e3), width=SIZES, z=st.floats(-1e3, 1e3))
def test_no_coordinate_leaves_the_prior_and_none_is_nan(lo: float, width: float, z: float) -> None:
    for each in interval(lo, width):
        z0 = torch.tensor([z], dtype=torch.float64)
        low, high = each.bounds
        rounding = 1e-12 * (abs(lo) + width + 1)
        assert low - rounding <= float(each.constrain(z0)) <= high + rounding
        assert bool(each.log_density(z0).isfinite())
        (slope,) = (torch.func.grad(lambda x, each=each: each.log_density(x).sum())(z0),)
        assert bool(slope.isfinite().all())


def test_a_prior_treats_its_columns_one_by_one() -> None:
    prior = Prior(**{f"p{k}": each for k, each in enumerate(KINDS)})
    theta = prior.sample(20, 3)
    z = prior.unconstrain(theta)
    columns: list[Tensor] = [each.unconstrain(theta[:, k]) for k, each in enumerate(KINDS)]
    assert torch.equal(z, torch.stack(columns, -1))
    assert torch.allclose(prior.constrain(z), theta, rtol=1e-5)
    total = sum(each.log_density(z[:, k]) for k, each in enumerate(KINDS))
    assert torch.allclose(prior.log_density(z), total)


@pytest.mark.parametrize("each", KINDS, ids=str)
def test_standard_coordinates_invert_and_have_mean_zero_and_unit_variance(each: Distribution) -> None:
    x = each.sample(50_000, torch.Generator().manual_seed(5))
    y = each.standard(x)
    assert torch.allclose(each.from_standard(y), x, rtol=1e-9)
    # 50 000 draws: 0.0045 for the mean, at most 0.0063 for the standard deviation.
    assert float(y.mean()) == pytest.approx(0, abs=4 * 0.0045)
    assert float(y.std()) == pytest.approx(1, abs=4 * 0.0063)
    stretch = torch.func.grad(lambda y: each.from_standard(y).sum())(y)
    assert torch.allclose(each.log_standard(y), each.log_prob(x) + stretch.log(), atol=1e-8)
