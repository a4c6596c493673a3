"""Whether a weak term of a Hamiltonian turns the moments of a model, and whether the order can follow it."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.classical.order import Energy, is_stationary, relax
from sqwirrel.simulate.terms import terms, turned

WEAK, LITTLE = 1e-6, 0.01
"""A term this weak, as a share of the largest energy, turns moments that something holds by less than this (radian),
and leaves less than this share of its torque.
"""


class Turning(NamedTuple):
    """Whether a term turns moments, and whether they follow by little where it is weak: else nothing holds them."""

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
    alone = of.energy(_row(more, added, 0.0))
    if is_stationary(alone, order):
        return Turning(tilts=False, follows=True)
    weak = WEAK * max(map(abs, known.values()))
    under = of.energy(_row(more, known | dict.fromkeys(added, weak), 1.0))
    moved = relax(under, order)
    near, still = (
        float((moved - order).abs().max()) < LITTLE,
        _torque(under, moved) < LITTLE * weak * _torque(alone, order),
    )
    return Turning(tilts=True, follows=near and still)


def _torque(energy: Energy, order: Float[Tensor, "1 site 3"]) -> float:
    force, _ = energy.derivatives(order)
    return float(torch.linalg.cross(force, order.expand_as(force)).norm(dim=-1).max())


def _row(model: SpinModel, values: Mapping[str, float], rest: float) -> Float[Tensor, "1 scale"]:
    """Parameters, 0 where not given, and what multiplies that part of the energy that has none."""
    return torch.tensor([[*(values.get(name, 0.0) for name in model.names), rest]], dtype=torch.float64)
