"""Means over interventions, and how far other designs would have them.

How far interventions go, and from where, is known before any simulation: |u - v| of two even numbers is 1/3 on average,
its square 1/6. Changes are regressed on both, so that a design that goes too far or not far enough is made up for
(control variates); where pairs are many, on the places of all causes, too.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.seeds import stream

KNOWN = 1 / 3, 1 / 6
"""Mean and mean square of the distance of two even numbers."""
ENOUGH = 10
"""Pairs for each number that is fitted; terms that would leave fewer are left out."""


class Average(NamedTuple):
    """A mean, at least 0, and what each intervention adds to it by chance."""

    mean: Float[Tensor, " cell"]
    rest: Float[Tensor, "pair cell"]

    def resampled(self, draws: int, seed: int) -> Float[Tensor, "draw cell"]:
        """Means of other designs."""
        return (self.mean + dirichlet(draws, len(self.rest), seed).to(self.rest) @ self.rest).clamp(min=0)


def dirichlet(draws: int, pairs: int, seed: int) -> Float[Tensor, "draw pair"]:
    """Weights of pairs in other designs (the Bayesian bootstrap, D. B. Rubin, Ann. Stat. 9, 130 (1981),
    doi:10.1214/aos/1176345338).
    """
    weight = -torch.rand(draws, pairs, generator=stream(seed, "resampled"), dtype=torch.float64).clamp(min=1e-7).log()
    return weight / weight.sum(1, keepdim=True)


def lengths(length: Float[Tensor, " pair"]) -> Float[Tensor, "pair 2"]:
    """What interventions of this length (0 to 1) have too much of it, and of its square."""
    return torch.stack([length**power - expected for power, expected in enumerate(KNOWN, 1)], -1)


def controls(even: Float[Tensor, "pair 2 cause"], cause: int, pairs: int) -> Float[Tensor, "pair term"]:
    """Terms of known mean, 0, that changes by one cause may go with: its length; the square of that times the places of
    all causes, their squares, their cubes, and their products with its own. As many of these groups as `pairs` allow.
    """
    length = (even[:, 0, cause] - even[:, 1, cause]).abs()
    place, square = even[:, 0] - 0.5, torch.full_like(even[:, 0], 1 / 12)
    place[:, cause] = even[:, :, cause].mean(1) - 0.5
    square[:, cause] = (1 - length) ** 2 / 12
    others = [k for k in range(place.shape[1]) if k != cause]
    found = lengths(length)
    for group in (place, place**2 - square, place**3, place[:, [cause]] * place[:, others]):
        if ENOUGH * (1 + found.shape[1] + group.shape[1]) > pairs:
            break
        found = torch.cat((found, length[:, None] ** 2 * group), 1)
    return found


def averaged(
    values: Float[Tensor, "pair cell"], terms: Float[Tensor, "pair term"], good: Bool[Tensor, " pair"]
) -> Average:
    """Of the good pairs, where every term is 0."""
    values, terms = (values, terms) if bool(good.all()) else (values[good], terms[good])
    design = torch.cat((torch.ones_like(terms[:, :1]), terms), 1).to(values)
    found = torch.linalg.pinv(design) @ values
    lost = len(values) / (len(values) - design.shape[1])
    return Average(found[0].clamp(min=0), (values - design @ found) * lost**0.5)
