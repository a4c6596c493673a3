"""Which shifts of a wavevector leave the modes of a model as they are, and the few wavevectors that are left.

Bonds lead from site to site. Every closed walk along them ends on a copy of its start; a shift kappa for which
kappa . R is whole for all translations R of such walks changes the phases of sites only. So do reciprocal lattice
vectors of the magnetic cell, and any shift along directions in which nothing is coupled: across the layers of a
layered magnet.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqwirrel.model.spin import SpinModel

RANK = 1e-6
"""Translations shorter than this, in cells, are none."""


class Folded(NamedTuple):
    """Wavevectors q = solved[place] + shift[turn] + anything along a free axis, all rlu."""

    solved: Float[Tensor, "solved 3"]
    place: Int[Tensor, " q"]
    shift: Float[Tensor, "turn 3"]
    turn: Int[Tensor, " q"]


def fold(
    model: SpinModel, q: Float[Tensor, "q 3"], axis: Float[Tensor, "3"], mesh: tuple[int, int, int]
) -> tuple[Folded, Float[Tensor, "q 3"]]:
    """Wavevectors reduced to one zone of the magnetic cell, and themselves as they are meant.

    Each is taken to 0 along the free `axis`, which must be a reciprocal vector of the magnetic cell, and rounded to a
    mesh of so many points along the other two, evenly round 0, all of which are then solved; 0: not rounded.
    """
    inverse, whole = torch.linalg.inv(model.supercell).T, q @ model.supercell.T
    count = torch.where((axis @ model.supercell.T).abs() > RANK, 1, torch.tensor(mesh))
    whole = torch.where((axis @ model.supercell.T).abs() > RANK, 0.0, whole)
    if bool((count > 0).all()):
        steps = (whole * count).round().long()
        shift = torch.div(steps + count // 2, count, rounding_mode="floor")
        one, two, three = (steps - shift * count + count // 2).T
        place = (one * count[1] + two) * count[2] + three
        solved = torch.cartesian_prod(*((torch.arange(int(n), dtype=torch.float64) - n // 2) / n for n in count))
        whole = steps.to(q) / count
    else:
        shift = (whole + 1e-9).floor()
        solved, place = torch.unique(((whole - shift) * 1e9).round() / 1e9, dim=0, return_inverse=True)
    turns, turn = torch.unique(shift.to(torch.float64), dim=0, return_inverse=True)
    return Folded(solved @ inverse, place, turns @ inverse, turn), whole @ inverse


def unwrapped(model: SpinModel) -> tuple[Float[Tensor, "site 3"], Float[Tensor, "walk 3"]]:
    """Positions of sites as reached along bonds from a first one of each cluster, and the translations R of all walks.

    Both in lattice vectors of the chemical cell.
    """
    empty = torch.zeros(0, 3, dtype=torch.float64)
    start, stop = (torch.cat([empty[:, 0].long(), *(getattr(c, e) for c in model.couplings)]) for e in ("i", "j"))
    offset = torch.cat([empty, *(c.offset for c in model.couplings)])
    step = offset + model.positions[stop] - model.positions[start]
    sites, reached = model.positions.clone(), torch.zeros(len(model.positions), dtype=torch.bool)
    while not bool(reached.all()):
        reached[int((~reached).nonzero()[0])] = True
        while bool((edge := reached[start] != reached[stop]).any()):
            b = int(edge.nonzero()[0])
            i, j = int(start[b]), int(stop[b])
            sites[j if reached[i] else i] = sites[i] + step[b] if reached[i] else sites[j] - step[b]
            reached[i] = reached[j] = True
    walks = sites[start] + step - sites[stop]
    return sites @ model.supercell, walks @ model.supercell


def is_free(model: SpinModel, direction: Float[Tensor, "3"]) -> bool:
    """Whether no shift along `direction` (rlu) changes the modes: dipoles and spirals couple everything."""
    if model.dipole is not None or model.spiral is not None:
        return False
    along = unwrapped(model)[1] @ (direction / direction.norm())
    return not len(along) or float(along.abs().max()) < RANK
