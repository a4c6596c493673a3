"""Guesses: a start that few draws of the prior would not give, and what is refused."""

import pytest
import torch

from sqwirrel.config.sections import InferSection
from sqwirrel.errors import InputError
from sqwirrel.infer import Settings
from sqwirrel.infer.averages import _guessed, search
from sqwirrel.infer.target import Target
from sqwirrel.model.laws import Fixed, Normal, Uniform
from sqwirrel.model.prior import Prior
from tests.unit.infer.toy import Toy, noise, spectrum

PLACES = torch.arange(200.0).double()


def line() -> Target:
    """A sharp line at `a` of 200 bins, the same at `b`; 20 errors high. Only a < 190 is stable."""
    toy = Toy(
        ("a", "b"),
        lambda theta: (
            torch.exp(-(((PLACES - theta[:, :1]) / 1.5) ** 2)) + torch.exp(-(((PLACES - theta[:, 1:]) / 2) ** 2))
        ),
        200,
        stable=lambda theta: theta[:, 0] < 190,
    )
    y = 20 * toy.shape(torch.tensor([[140.0, 30.0]]).double())[0] + noise(200, 1)
    prior = Prior(a=Uniform(0, 200), b=Uniform(0, 200), scale=Normal(20, 5), background=Fixed(0))
    return Target.of(toy, prior, spectrum(toy, y, 1.0))


def looked(*guesses: dict[str, float]):
    return search(line(), Settings(screen=4, starts=1, seed=3, guesses=guesses), lambda *_: None)


def test_a_guess_is_refined_beside_the_draws() -> None:
    without, best = looked(), looked({"a": 139.0, "b": 31.0}, {"a": 80.0})[0]
    assert best.log_posterior > without[0].log_posterior + 100
    found = line().prior.constrain(best.z[None])[0]
    assert torch.allclose(found[:2], torch.tensor([140.0, 30.0]).double(), atol=0.5)


def test_amplitudes_that_a_guess_names_are_kept() -> None:
    target = line()
    named, free = _guessed(target, ({"a": 140.0, "b": 30.0, "scale": 5.0}, {"a": 140.0, "b": 30.0}))
    assert named.tolist() == [140.0, 30.0, 5.0]
    assert float(free[2]) == pytest.approx(20, abs=2)


def test_a_guess_is_refused_before_anything_is_screened() -> None:
    told: list[str] = []
    with pytest.raises(InputError, match="not free"):
        search(line(), Settings(guesses=({"c": 1.0},)), lambda stage, *_: told.append(stage))
    assert not told


def test_a_guess_in_a_config_has_units_or_not() -> None:
    one, many = InferSection(guess={"a": "0.3 eV"}), InferSection(guess=[{"a": 1.0}, {"b": 2}])
    assert one.build().guesses == ({"a": 300.0},)
    assert many.build().guesses == ({"a": 1.0}, {"b": 2.0})


@pytest.mark.parametrize(
    ("guess", "sentence"),
    [
        ({"c": 1.0}, "guess names 'c', which is not free; free are a, b, scale"),
        ({"background": 0.0}, "guess names 'background', which is not free"),
        ({"a": 201.0}, "guess a = 201 is outside of its prior, 0 to 200; change one of them"),
        ({"a": float("nan")}, "guess a = nan is outside of its prior, 0 to 200; change one of them"),
        ({"a": 195.0}, "guess 1 is no start, with b, scale at the middle of the prior: the toy is unstable at 195.0"),
    ],
)
def test_what_is_no_guess(guess: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        looked(guess)
