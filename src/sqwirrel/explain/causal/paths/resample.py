"""Intervals of functions of means, by the bootstrap (B. Efron, Ann. Stat. 7, 1 (1979), doi:10.1214/aos/1176344552)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.seeds import stream

DRAWS, LEVEL = 1000, 0.95
"""Resamples of the rows, and what an interval should hold."""


class Estimate(NamedTuple):
    """A value and its 95 % interval, percentiles of the resamples; NaN where it is not defined."""

    value: Float[Tensor, "*shape"]
    low: Float[Tensor, "*shape"]
    high: Float[Tensor, "*shape"]

    @classmethod
    def of(cls, drawn: Float[Tensor, "sample *shape"]) -> "Estimate":
        """From a function of `means`, the first of which is that of the rows as they are."""
        tail = (1 - LEVEL) / 2
        low, high = (torch.quantile(drawn[1:], level, dim=0) for level in (tail, 1 - tail))
        return cls(drawn[0], low, high)


def means(rows: Float[Tensor, "row *shape"], seed: int) -> Float[Tensor, "sample *shape"]:
    """The mean of the rows, then those of `DRAWS` resamples with replacement; the same rows for the same seed."""
    n = len(rows)
    chosen = torch.randint(n, (DRAWS, n), generator=stream(seed, "bootstrap"))
    times = torch.zeros(DRAWS, n, dtype=rows.dtype).scatter_add(1, chosen, torch.ones(DRAWS, n, dtype=rows.dtype))
    every = torch.cat((torch.ones(1, n, dtype=rows.dtype), times)) / n
    return (every @ rows.reshape(n, -1)).reshape(-1, *rows.shape[1:])
