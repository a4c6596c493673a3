"""Identifiability: which combinations of parameters the data leave open, and which ones of the same they fix.

The posterior's covariance is looked at in units of the prior: its large eigenvalues are directions in which nothing was
learnt, the inverse of small eigenvalues of the Fisher information (T. J. Rothenberg, Econometrica 39, 577 (1971)).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

INVOLVED = 0.3
"""A parameter belongs to a direction if its share of it is at least this part of the largest."""


@dataclass(frozen=True)
class Direction:
    """A combination of parameters, and its posterior over prior standard deviation.

    `text` has those `involved`, the first of them once; `weights` are those of all parameters, in the same measure.
    """

    text: str
    ratio: float
    involved: tuple[str, ...]
    weights: tuple[float, ...]


def directions(
    names: Sequence[str],
    draws: Float[Tensor, "draw parameter"],
    weight: Float[Tensor, " draw"],
    prior_sd: Float[Tensor, " parameter"],
) -> list[Direction]:
    """Uncorrelated combinations of the parameters, the worst determined first."""
    even = (draws - weight @ draws) / prior_sd
    value, vector = torch.linalg.eigh((even * weight[:, None]).T @ even)
    rows = [(value[k].clamp(min=0).sqrt(), vector[:, k]) for k in reversed(range(len(names)))]
    return [_direction(names, v, prior_sd, float(ratio)) for ratio, v in rows]


def left_open(
    names: Sequence[str],
    draws: Float[Tensor, "draw parameter"],
    weight: Float[Tensor, " draw"],
    prior_sd: Float[Tensor, " parameter"],
    wide: float,
) -> list[str]:
    """One phrase for each direction wider than `wide` prior standard deviations: a parameter's name, or a combination
    with what is known of the same parameters.
    """
    found = []
    for open_one in directions(names, draws, weight, prior_sd):
        if open_one.ratio <= wide:
            break
        if len(open_one.involved) == 1:
            found.append(open_one.involved[0])
            continue
        keep = [names.index(name) for name in open_one.involved]
        known = directions([names[k] for k in keep], draws[:, keep], weight, prior_sd[keep])[-1]
        fixed = f" (of these the data fix {known.text})" if known.ratio < wide / 2 else ""
        found.append(f"{open_one.text}{fixed}")
    return found


def _direction(names: Sequence[str], v: Tensor, prior_sd: Tensor, ratio: float) -> Direction:
    involved = (v.abs() >= INVOLVED * v.abs().max()).nonzero()[:, 0].tolist()
    slope = v / prior_sd
    slope = slope / slope[involved[0]]
    chosen = [names[k] for k in involved]
    return Direction(spelled(chosen, slope[involved].tolist()), ratio, tuple(chosen), tuple(slope.tolist()))


def spelled(names: Sequence[str], weights: Sequence[float]) -> str:
    """A sum whose first weight is 1.

    >>> spelled(("J1", "J2", "D"), (1, -0.512, 1))
    'J1 - 0.51 J2 + D'
    """
    return "".join(
        _term(name, weight, first=k == 0) for k, (name, weight) in enumerate(zip(names, weights, strict=True))
    )


def _term(name: str, weight: float, *, first: bool) -> str:
    if first:
        return name
    size = "" if f"{abs(weight):.2g}" == "1" else f"{abs(weight):.2g} "
    return f" {'-' if weight < 0 else '+'} {size}{name}"
