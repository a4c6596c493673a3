"""Shares of paths and bootstrap intervals, of numbers whose answers are known."""

import math

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.paths import Estimate, shares
from sqwirrel.explain.causal.paths.resample import means
from sqwirrel.seeds import stream

HALVES = torch.zeros(3, 1, 4, dtype=torch.bool)
HALVES[0, 0, :2], HALVES[1, 0, 2:], HALVES[2] = True, True, True


def noise(n: int, label: str, *shape: int) -> torch.Tensor:
    return torch.randn(n, *shape, generator=stream(2, label), dtype=torch.float64)


def test_paths_on_bins_of_their_own_share_by_their_squares() -> None:
    one, other = noise(50, "one", 1, 4) * HALVES[0], noise(50, "other", 1, 4) * HALVES[1]
    found = shares(one + other, {"energies": one, "instrument": other}, HALVES)
    first, second = ((each**2).sum((1, 2)).mean() for each in (one, other))
    expected = torch.stack((torch.tensor([1.0, 0]), torch.tensor([0.0, 1]), torch.stack((first, second))), 1)
    expected[:, 2] /= first + second
    assert torch.allclose(found.alone.value, expected.to(torch.float64), rtol=1e-6)
    assert torch.allclose(found.effect.value, (torch.stack((first, second, first + second)) / 2).sqrt())
    assert found.paths == ("energies", "instrument")
    assert float(found.rest.value.abs().max()) < 1e-12
    assert float(found.joint.value.abs().max()) < 1e-12


def test_overlap_is_told_from_what_several_do_together() -> None:
    one = noise(40, "one", 1, 4)
    same = shares(2 * one, {"a": one, "b": one}, HALVES)
    assert torch.allclose(same.alone.value, torch.full((2, 3), 0.25).double())
    assert torch.allclose(same.rest.value, torch.full((3,), 0.5).double())
    assert torch.allclose(same.joint.value, torch.zeros(3).double())
    against = shares(one, {"a": 2 * one, "b": -one}, HALVES)
    assert torch.allclose(against.rest.value, torch.full((3,), -4.0).double())
    assert torch.allclose(against.joint.value, torch.zeros(3).double())
    together = shares(one, {"a": 0 * one, "b": 0 * one}, HALVES)
    assert torch.allclose(together.joint.value, torch.ones(3).double())


def test_nothing_has_no_shares() -> None:
    none = torch.zeros(4, 1, 4, dtype=torch.float64)
    found = shares(none, {"a": none}, HALVES)
    assert found.effect.value.tolist() == [0, 0, 0]
    assert bool(found.alone.value.isnan().all() & found.rest.value.isnan().all() & found.joint.value.isnan().all())


def test_masks_of_other_bins_are_refused() -> None:
    with pytest.raises(InputError, match="regions have 1 x 3 bins and the changes 1 x 4; give masks on the bins"):
        shares(noise(4, "x", 1, 4), {"a": noise(4, "x", 1, 4)}, HALVES[..., :3])


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Changes by an independent uniform draw: effect 12^-1/2. Of few rows, percentiles hold it less often than 95 %."""
    held = []
    for repetition in range(400):
        u = torch.rand(64, 2, generator=stream(repetition, "pairs"), dtype=torch.float64)
        found = Estimate.of((means((u[:, 0] - u[:, 1]) ** 2, repetition) / 2).sqrt())
        held.append(float(found.low) < 1 / math.sqrt(12) < float(found.high))
    assert 0.9 < sum(held) / len(held) < 0.98
