"""p-values against SciPy, and Holm's correction against its definition."""

import pytest
import torch
from scipy import stats

from sqwirrel.explain.causal.measured.significance import chi2_tail, holm, two_sided


def test_tails_are_those_of_scipy() -> None:
    score = torch.tensor([-6.0, -1.0, 0.0, 2.5]).double()
    assert two_sided(score).tolist() == pytest.approx((2 * stats.norm.sf(score.abs())).tolist(), rel=1e-9)
    assert chi2_tail(7.0, 3) == pytest.approx(stats.chi2.sf(7, 3))
    assert chi2_tail(0.0, 0) == 1


def test_holm_refuses_no_more_often_than_asked() -> None:
    """Among ten true hypotheses the least corrected p-value is below 0.05 in 5 % of the cases."""
    p = torch.rand(4000, 10, generator=torch.Generator().manual_seed(1)).tolist()
    share = sum(min(holm(row)) < 0.05 for row in p) / len(p)
    assert share == pytest.approx(0.05, abs=0.012)
    assert holm([0.001, 0.5, 0.02]) == pytest.approx([0.003, 0.5, 0.04])
    assert holm([]) == []
