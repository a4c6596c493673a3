"""What translators are judged by: features, energy distances, diversity."""

import pytest
import torch

from sqwirrel.learn.translate.judge import Distance, Look, distance, diversity, energy_distance
from sqwirrel.seeds import stream


def rows(n, shift=0.0, label="rows"):
    return torch.randn(n, 3, generator=stream(0, label)).double() + shift


def images(n, label="images", sides=(12, 10)):
    x = torch.ones(n, 3, *sides)
    x[:, 0] = torch.randn(n, *sides, generator=stream(0, label))
    return x


def test_the_energy_distance_is_the_mean_over_pairs():
    one, other = rows(5), rows(7, 1.0, "other")

    def mean(a, b):
        return float(torch.stack([(x - y).norm() for x in a for y in b]).mean())

    assert energy_distance(one, other) == pytest.approx(2 * mean(one, other) - mean(one, one) - mean(other, other))
    assert energy_distance(one, one) == pytest.approx(0, abs=1e-12)


def test_rows_of_one_law_have_even_probabilities_and_others_small_ones():
    p = [distance(rows(30, label=f"a {k}"), rows(20, label=f"b {k}"), 199).p for k in range(60)]
    assert 0.4 < sum(p) / 60 < 0.6
    assert sum(each < 0.1 for each in p) <= 14  # 6 expected; more than 14 in one of 2000 seeds
    assert distance(rows(30), rows(30, 2.0, "other"), 199).p == pytest.approx(1 / 200)


def test_the_distance_is_a_function_of_its_seed():
    one, other = rows(9), rows(9, 0.3, "other")
    assert distance(one, other, 99, seed=4) == distance(one, other, 99, seed=4)
    assert isinstance(distance(one, other, 99), Distance)


def test_the_spread_is_that_of_pairs():
    assert diversity(3 * rows(40), rows(40)) == pytest.approx(3)
    assert diversity(rows(1).expand(40, -1), rows(40)) == pytest.approx(0)


@pytest.mark.parametrize("sides", [(12, 10), (7, 8, 9)])
def test_features_are_standardised_and_those_of_a_seed(sides):
    x, look = images(50, sides=sides), Look(len(sides), seed=3)
    look.fit(x)
    found = look(x)
    assert found.dtype == torch.float64
    assert torch.allclose(found.mean(0), torch.zeros(found.shape[1]).double(), atol=1e-6)
    assert float(found.std(0).max()) == pytest.approx(1)
    again = Look(len(sides), seed=3)
    again.fit(x)
    assert torch.equal(again(x), found)
    assert not any(each.requires_grad for each in look.parameters())


def test_features_tell_noise_from_none_and_a_level_from_another():
    look, x = Look(2), images(60)
    look.fit(x[:30])
    quiet, high = x[30:].clone(), x[30:].clone()
    quiet[:, 0] *= 0.8
    high[:, 0] += 0.2
    assert distance(look(x[30:]), look(x[:30]), 199).p > 0.05
    assert distance(look(quiet), look(x[:30]), 199).p < 0.05
    assert distance(look(high), look(x[:30]), 199).p < 0.05
