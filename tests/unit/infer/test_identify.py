"""What the data leave open, and what they fix."""

import pytest
import torch

from sqwirrel.infer.checks.identify import directions, left_open

EVEN = torch.full((4000,), 1 / 4000, dtype=torch.float64)
SD = torch.tensor([0.2, 0.1, 3.0], dtype=torch.float64)


def drawn(*rows):
    """Draws in units of the prior, from rows of a matrix that mixes normal numbers."""
    normal = torch.randn(4000, len(rows[0]), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (normal @ torch.tensor(rows, dtype=torch.float64).T) * SD[: len(rows)]


def test_a_parameter_that_nothing_is_known_of_is_named() -> None:
    draws = drawn([0.01, 0, 0], [0, 1, 0], [0, 0, 0.1])
    assert left_open(("J1", "J2", "scale"), draws, EVEN, SD, 0.9) == ["J2"]


def test_only_a_sum_is_known() -> None:
    """J1 / 0.2 + J2 / 0.1 is fixed, that is J1 + 2 J2; what crosses it is open."""
    draws = drawn([0.7, 0.01, 0], [-0.7, 0.01, 0], [0, 0, 0.1])
    assert left_open(("J1", "J2", "scale"), draws, EVEN, SD, 0.9) == ["J1 - 2 J2 (of these the data fix J1 + 2 J2)"]
    worst, *_, best = directions(("J1", "J2", "scale"), draws, EVEN, SD)
    assert worst.ratio == pytest.approx(0.99, abs=0.03)
    assert best.text == "J1 + 2 J2"
    assert best.involved == ("J1", "J2")


def test_nothing_is_left_open_by_good_data() -> None:
    assert left_open(("J1", "J2", "scale"), drawn([0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.3]), EVEN, SD, 0.9) == []


def test_weights_of_draws_count() -> None:
    draws = drawn([1, 0, 0], [0, 0.1, 0], [0, 0, 0.1])
    weight = torch.exp(-(draws[:, 0] ** 2) / 0.0002)
    assert left_open(("J1", "J2", "scale"), draws, weight / weight.sum(), SD, 0.9) == []
