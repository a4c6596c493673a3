"""p-values, and their correction for how many were looked at."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def two_sided(score: Float[Tensor, "*test"]) -> Float[Tensor, "*test"]:
    """Probability of a standard normal number at least as far from zero."""
    p: Tensor = torch.special.erfc(score.abs() / 2**0.5)
    return p


def chi2_tail(value: float, freedom: int) -> float:
    """Probability of a chi square with so many degrees of freedom at least as large; 1 where there are none."""
    if not freedom:
        return 1.0
    half = torch.tensor([freedom / 2, max(value, 0.0) / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))


def holm(p: Sequence[float]) -> list[float]:
    """p-values that hold for all tests together, whatever their dependence.

    S. Holm, Scand. J. Stat. 6, 65 (1979).

    >>> [round(x, 6) for x in holm([0.04, 0.01, 0.03])]
    [0.06, 0.03, 0.06]
    """
    order, found, worst = sorted(range(len(p)), key=lambda k: p[k]), [1.0] * len(p), 0.0
    for rank, k in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - rank) * p[k]))
        found[k] = worst
    return found
