"""Prior: draws, densities and messages."""

import math

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model.laws import Fixed, LogUniform, Normal, Uniform
from sqwirrel.model.prior import Prior

PRIOR = Prior(a=Uniform(-1, 2), b=LogUniform(0.1, 10), c=Normal(1, 0.5), d=Fixed(3))


def test_fixed_parameters_are_no_columns():
    assert PRIOR.names == ("a", "b", "c")
    assert PRIOR.fixed == {"d": 3}
    assert PRIOR.sample(4, 1).shape == (4, 3)
    assert PRIOR.ordered(["d", "c"]).names == ("c",)
    with pytest.raises(InputError, match="nothing about 'x'"):
        PRIOR.ordered(["x"])


def test_moments_of_draws_are_those_stated():
    draws = PRIOR.sample(200_000, 7)
    # Standard error of the sd is below 0.5 % for all three at this size.
    assert torch.allclose(draws.std(0), PRIOR.sd, rtol=0.02)
    assert bool(((draws >= PRIOR.bounds[:, 0]) & (draws <= PRIOR.bounds[:, 1])).all())


@pytest.mark.parametrize("each", [Uniform(-1, 2), LogUniform(0.1, 10), Normal(1, 0.5)])
def test_density_integrates_to_one(each):
    lo, hi = (max(min(end, 10.0), -10.0) for end in each.bounds)  # 18 sd for the normal one
    x = torch.linspace(lo, hi, 200_001, dtype=torch.float64)
    assert float(torch.trapezoid(each.log_prob(x).exp(), x)) == pytest.approx(1, abs=1e-6)


def test_outside_is_minus_infinity_without_nan_gradient():
    theta = torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    value = PRIOR.log_prob(theta)
    assert float(value.detach()) == -math.inf
    (gradient,) = torch.autograd.grad(value.sum(), theta)
    assert bool(gradient.isfinite().all())


def test_draws_of_a_parameter_do_not_depend_on_the_others():
    assert torch.equal(PRIOR.sample(5, 3)[:, 2], PRIOR.ordered(["c"]).sample(5, 3)[:, 0])
    assert not torch.equal(PRIOR.sample(5, 3), PRIOR.sample(5, 4))


def test_from_mapping_converts_units():
    prior = Prior.from_mapping({"J": {"uniform": [0, 1], "unit": "THz"}, "s": {"loguniform": [0.1, 10]}, "D": 0.5})
    assert prior.bounds[0].tolist() == pytest.approx([0, 4.135667697])
    assert prior.fixed == {"D": 0.5}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"uniform": [1, 0]}, "lo < hi"),
        ({"uniform": [0, math.inf]}, "finite"),
        ({"loguniform": [0, 1]}, "lo > 0"),
        ({"normal": [0, 0]}, "sd > 0"),
        ({"cauchy": [0, 1]}, "unknown kind 'cauchy'; expected one of uniform"),
        ({"uniform": [1]}, "two numbers"),
        ({"uniform": [0, 1], "unit": "K"}, "cannot be converted to meV"),
        ("wide", "expected one of"),
    ],
)
def test_a_wrong_prior_is_one_sentence(entry, message):
    with pytest.raises(InputError, match=f"the prior of 'J'.*{message}"):
        Prior.from_mapping({"J": entry})
