"""Whether a weak term of a Hamiltonian turns the moments of a model, and whether the order can follow it."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.classical.order import is_stationary, relax
from sqwirrel.simulate.terms import terms, turned

WEAK, LITTLE = 1e-6, 0.01
"""A term this weak, as a share of the largest energy, turns moments that something holds by less than this (radian)."""


class Turning(NamedTuple):
    """Whether a term turns moments, and whether they turn by little where it is weak: the order is else degenerate, and
    jumps.
    """

    tilts: bool
    follows: bool


def turning(model: SpinModel, more: SpinModel, values: Mapping[str, float], field: Float[Tensor, "3"]) -> Turning:
    """What the one parameter that `more` has and `model` has not does to the order, at `values` (meV) and in a `field`
    (T). A spiral is not asked: its propagation is held.
    """
    if model.spiral is not None:
        return Turning(tilts=False, follows=True)
    added, of = dict.fromkeys(set(more.names) - set(model.names), 1.0), terms(more, field)
    known = {name: values[name] for name in model.names}
    order = turned(more)[None]
    if model.relaxed:
        order = relax(of.energy(_row(more, known, 1.0)), order[0])
    if is_stationary(of.energy(_row(more, added, 0.0)), order):
        return Turning(tilts=False, follows=True)
    weak = dict.fromkeys(added, WEAK * max(map(abs, known.values())))
    moved = relax(of.energy(_row(more, known | weak, 1.0)), order) - order
    return Turning(tilts=True, follows=float(moved.abs().max()) < LITTLE)


def _row(model: SpinModel, values: Mapping[str, float], rest: float) -> Float[Tensor, "1 scale"]:
    """Parameters, 0 where not given, and what multiplies that part of the energy that has none."""
    return torch.tensor([[*(values.get(name, 0.0) for name in model.names), rest]], dtype=torch.float64)
