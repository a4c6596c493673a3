"""Posterior: weighted quantiles, moments and draws of known weights."""

import pytest
import torch
from torch import Tensor

from sqwirrel.infer.posterior import Check, Posterior, weighted_quantile
from sqwirrel.record import Record


def posterior(draws: Tensor, weight: Tensor, checks: tuple[Check, ...] = ()) -> Posterior:
    n = draws.shape[1]
    return Posterior(
        names=tuple("abc"[:n]),
        units=("meV",) * n,
        priors=("",) * n,
        draws=draws,
        log_weight=weight.log(),
        limit=torch.ones(n, dtype=torch.float64),
        basins=(),
        checks=checks,
        log_evidence=0.0,
        deviance_per_bin=1.0,
        seconds=1.0,
        anchor=torch.ones(2, 3, dtype=torch.float64),
        widening=torch.ones(n, dtype=torch.float64),
        record=Record.start(seeds={}),
    )


def test_quantiles_of_known_weights() -> None:
    """Steps of 0.5, 0.3 and 0.2 have their middles at 0.25, 0.65 and 0.9; linear between them, the ends beyond."""
    draws = torch.tensor([[3.0], [1.0], [2.0]]).double()
    weight = torch.tensor([0.2, 0.5, 0.3]).double()
    for level, expected in [(0.0, 1), (0.25, 1), (0.45, 1.5), (0.65, 2), (0.775, 2.5), (0.9, 3), (1.0, 3)]:
        assert float(weighted_quantile(draws, weight, level)) == pytest.approx(expected)


def test_equal_weights_give_the_quantiles_of_a_sample() -> None:
    """numpy's method 'hazen', (k - 1/2) / n."""
    draws = torch.randn(101, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weight = torch.full((101,), 1 / 101, dtype=torch.float64)
    for level in (0.025, 0.16, 0.5, 0.84, 0.975):
        expected = torch.quantile(draws.sort(0).values, level, dim=0)
        found = weighted_quantile(draws, weight, level)
        # The two conventions differ by half a step at most.
        assert torch.allclose(found, expected, atol=float(draws.sort(0).values.diff(dim=0).max()))
    assert torch.allclose(weighted_quantile(draws, weight, 0.5), draws.median(0).values, atol=1e-12)


def test_draws_without_weight_do_not_count() -> None:
    draws = torch.tensor([[-100.0], [1.0], [2.0], [3.0], [100.0]]).double()
    weight = torch.tensor([0, 0.3, 0.4, 0.3, 0]).double()
    assert float(weighted_quantile(draws, weight, 0.5)) == pytest.approx(2)


def test_a_weight_counts_like_repetition() -> None:
    draws = torch.tensor([[0.0], [1.0], [4.0]]).double()
    weighted = posterior(draws, torch.tensor([0.5, 0.25, 0.25]).double())
    repeated = posterior(draws[[0, 0, 1, 2]], torch.full((4,), 0.25).double())
    assert torch.allclose(weighted.covariance, repeated.covariance)
    assert weighted.covariance.item() == pytest.approx(2.6875)  # 17 / 4 - (5 / 4)^2


def test_draws_follow_the_weights() -> None:
    draws = torch.tensor([[0.0], [1.0]]).double()
    drawn = posterior(draws, torch.tensor([0.8, 0.2]).double()).sample(10_000, 1)
    assert float(drawn.mean()) == pytest.approx(0.2, abs=4 * 0.004)


def test_summary_has_one_row_a_parameter() -> None:
    draws = torch.randn(4000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * torch.tensor(
        [1.0, 3.0]
    )
    rows = posterior(draws, torch.full((4000,), 1 / 4000).double()).summary()
    assert [row.name for row in rows] == ["a", "b"]
    # Quantiles of a normal law from 4000 draws: 2.5 % tails to 0.04 sd.
    assert [*rows[1].interval68, *rows[1].interval95] == pytest.approx([-2.98, 2.98, -5.88, 5.88], abs=0.4)
    assert rows[0].median == pytest.approx(0, abs=0.1)
    assert rows[0].limit == 1


def test_passed_is_all_checks() -> None:
    draws, weight = torch.zeros(2, 1).double(), torch.full((2,), 0.5).double()
    good, bad = Check("x", True, 1.0, ""), Check("y", False, 1.0, "")
    assert posterior(draws, weight, (good, good)).passed
    assert not posterior(draws, weight, (good, bad)).passed
