"""Fuzzy regimes of a cause: intervals of its values on which the same regions answer to it.

An interval is fuzzy in that what it says of each region holds with a probability, and that its ends are quantiles of a
design (after FUZZ-IEEE 2022, hal-cea 03805396).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.explain.causal.averages import KNOWN, dirichlet
from sqwirrel.explain.causal.design import Changes
from sqwirrel.explain.causal.edges import RESAMPLED, TOLD
from sqwirrel.model.prior import Prior

BINS, PAIRS = 4, 16
"""A cause has at most `BINS` intervals to begin with, each of at least so many pairs."""


@dataclass(frozen=True, eq=False)
class Regime:
    """Between `low` and `high` of a cause the `active` regions answer to it, each with this `probability`."""

    low: float
    high: float
    active: Bool[Tensor, " region"]
    probability: Float[Tensor, " region"]


def regimes(
    prior: Prior, changes: Changes, energy: Float[Tensor, "cause pair region"], seed: int = 1
) -> dict[str, list[Regime]]:
    """Of each cause, from interventions whose middle is in an interval.

    Neighbouring intervals with the same active regions are one. A cause with too few pairs has one regime.
    """
    middle = (prior.cumulative(changes.base) + prior.cumulative(changes.other)) / 2
    return {name: _of_cause(prior, changes, k, middle[:, k], energy[k], seed) for k, name in enumerate(prior.names)}


def _of_cause(
    prior: Prior,
    changes: Changes,
    cause: int,
    middle: Float[Tensor, " pair"],
    energy: Float[Tensor, "pair region"],
    seed: int,
) -> list[Regime]:
    good, found = changes.good[:, cause], list[Regime]()
    bins = max(1, min(BINS, int(good.sum()) // PAIRS))
    ends = middle[good].quantile(torch.linspace(0, 1, bins + 1, dtype=middle.dtype))
    values = prior.quantile(ends[:, None].expand(-1, len(prior.names)))[:, cause].tolist()
    part = torch.bucketize(middle.contiguous(), ends[1:-1].contiguous())
    for k in range(bins):
        here = good & (part == k)
        drawn = _resampled(energy[here].double(), changes.length[here, cause], seed).sqrt()
        probability = (drawn > TOLD).double().mean(0)
        one = Regime(values[k], values[k + 1], probability > 0.5, probability)
        if found and torch.equal(found[-1].active, one.active):
            last = found.pop()
            one = Regime(last.low, one.high, one.active, torch.minimum(last.probability, probability))
        found.append(one)
    return found


def _resampled(
    energy: Float[Tensor, "pair region"], length: Float[Tensor, " pair"], seed: int
) -> Float[Tensor, "draw region"]:
    """d'^2 of other designs, were interventions as long as they are over the whole window: pairs whose middle is at an
    end of it are shorter, so that changes are taken over the squares of lengths.
    """
    weight = dirichlet(RESAMPLED, len(length), seed)
    return (weight @ energy) / (weight @ length[:, None] ** 2) * KNOWN[1]
