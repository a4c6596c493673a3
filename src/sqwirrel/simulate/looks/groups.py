"""Groups of sites that a beam sees alike, and the few ways in which zones of reciprocal space add up their amplitudes.

A shift of the wavevector by kappa turns the amplitude of a site at r by exp(2 pi i kappa . r). Within a group only
differences of r count, which are simple fractions of the magnetic cell in most crystals: all zones then share a few
patterns of phases, and sums by group can be made once for all looks.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.looks.folding import unwrapped

SIMPLE = 12
"""Fractions of the magnetic cell with a denominator up to this are simple."""
WHOLE = 1e-6
"""A phase nearer to a whole number of turns than this is one."""


class Groups(NamedTuple):
    """Sites in an `order` in which those of one height (cells along an axis) and form factor follow each other.

    `member` tells the group of each site in that order, `place` where the first of each group is and `gap` how far
    others are from it (lattice vectors), `pattern` the phases of the latter that whole zones lead to. Where these
    would be more than the sites they add up, every site is a group.
    """

    order: Int[Tensor, " site"]
    member: Int[Tensor, " site"]
    height: Float[Tensor, " group"]
    kind: Int[Tensor, " group"]
    ions: list[tuple[str, float]]
    place: Float[Tensor, "group 3"]
    gap: Float[Tensor, "site 3"]
    pattern: Complex[Tensor, "pattern site"]

    def equal(self, other: "Groups") -> bool:
        """Whether they are the same."""
        pairs = zip(self, other, strict=True)
        return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs)  # type: ignore[arg-type]

    def sums(self) -> Complex[Tensor, "pattern site group"]:
        """What takes amplitudes of sites to those of groups."""
        one = torch.eye(len(self.height))[self.member]
        return self.pattern[..., None] * one

    def turned(self, shift: Float[Tensor, "turn 3"]) -> tuple[Int[Tensor, " turn"], Float[Tensor, "turn group"]]:
        """The pattern of each shift (rlu) by whole zones, and by how much it turns each group."""
        phase = torch.exp(2j * math.pi * (shift @ self.gap.T))
        away = (phase[:, None] - self.pattern).abs().amax(-1)
        return away.argmin(1), 2 * math.pi * shift @ self.place.T


def groups(model: SpinModel, axis: Float[Tensor, "3"]) -> Groups:
    """The groups of a model for a free axis (rlu)."""
    at = unwrapped(model)[0]
    height = (at @ axis).round(decimals=9).tolist()
    every = list(zip(height, model.ions, model.lande.tolist(), strict=True))
    found = sorted(set(every))
    ions = list(dict.fromkeys(each[1:] for each in found))
    group = torch.tensor([found.index(each) for each in every])
    order = group.argsort(stable=True)
    first = torch.searchsorted(group[order], torch.arange(len(found)))
    gap = at[order] - at[order][first][group[order]]
    pattern = _patterns(model, axis, gap, int(group.bincount().max()))
    if pattern is None:
        found, group = [every[site] for site in order.tolist()], order.argsort()
        first, gap = torch.arange(len(order)), torch.zeros_like(gap)
        pattern = torch.ones(1, len(order)) + 0j
    heights = torch.tensor([each[0] for each in found], dtype=torch.float64)
    kinds = torch.tensor([ions.index(each[1:]) for each in found])
    return Groups(order, group[order], heights, kinds, ions, at[order][first], gap, pattern)


def _patterns(
    model: SpinModel, axis: Float[Tensor, "3"], gap: Float[Tensor, "site 3"], most: int
) -> Complex[Tensor, "pattern site"] | None:
    """Phases of the sites that any whole zones across the free axis lead to; None if they are more than `most`."""
    turns = gap @ torch.linalg.inv(model.supercell)
    turns = torch.where((axis @ model.supercell.T).abs() > WHOLE, 0.0, turns)
    several = torch.arange(1, SIMPLE + 1)[:, None, None] * turns
    whole = ((several - several.round()).abs() < WHOLE).all(1)
    if not bool(whole.any(0).all()):
        return None
    steps = [torch.arange(int(n) + 1, dtype=torch.float64) for n in whole.to(torch.int8).argmax(0)]
    phase = torch.exp(2j * math.pi * (torch.cartesian_prod(*steps) @ turns.T))
    alike = torch.view_as_real(phase).round(decimals=6).flatten(1)
    found, of = torch.unique(alike, dim=0, return_inverse=True)
    if len(found) > most:
        return None
    return phase[[int((of == k).nonzero()[0]) for k in range(len(found))]]
