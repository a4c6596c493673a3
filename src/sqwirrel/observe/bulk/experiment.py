"""BulkExperiment: the bulk numbers that a model has, where some were measured."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe.views.derivatives import slopes
from sqwirrel.observe.views.view import Model
from sqwirrel.simulate.bulk import CurieWeiss, Found, Law, MagnonHeat, OrderedMoment, PhononHeat, SoundVelocity
from sqwirrel.simulate.stability import reason
from sqwirrel.spectra.bulk import Bulk, BulkNumber

TOGETHER = 16
"""Rows of parameters that are worked on at once."""


class BulkSlope(NamedTuple):
    """Numbers, derivatives with respect to every parameter, and stability."""

    expected: Float[Tensor, "batch number"]
    slope: Float[Tensor, "batch parameter number"]
    stable: Bool[Tensor, " batch"]


class BulkExperiment:
    """The numbers of `bulk` that `model` has, for rows of its parameters in the order of `names`.

    Numbers of one kind in one field are found together. A Curie-Weiss temperature asks for no order; the others are of
    the modes, and need one that is a minimum. There are no nuisances: errors hold what is not known of backgrounds.
    """

    def __init__(self, model: Model, bulk: Bulk) -> None:
        self.model, self.bulk, self.names = model, bulk, model.names
        self.groups: list[tuple[list[int], Law]] = []
        places: dict[tuple[str, tuple[float, ...]], list[int]] = {}
        for k, each in enumerate(bulk.numbers):
            places.setdefault((each.kind, each.field), []).append(k)
        for rows in places.values():
            self.groups.append((rows, law(model, [bulk.numbers[k] for k in rows])))
        self.order = torch.tensor([k for rows, _ in self.groups for k in rows]).argsort()

    @property
    def units(self) -> Mapping[str, str]:
        """Unit of each parameter."""
        return self.model.units

    def find(self, theta: Float[Tensor, "batch parameter"]) -> Found:
        """The numbers, how rough the meshes are that they come from, and stability."""
        return Found(*(torch.cat(part) for part in zip(*map(self._find, torch.split(theta, TOGETHER)), strict=True)))

    def predict(self, theta: Float[Tensor, "batch parameter"]) -> Found:
        """The same, without derivatives."""
        with torch.no_grad():
            return self.find(theta)

    def linearise(self, theta: Float[Tensor, "batch parameter"]) -> BulkSlope:
        """The numbers with their exact derivatives, and stability."""

        def both(rows: Tensor) -> tuple[Tensor, Tensor]:
            found = self._find(rows)
            return found.value, found.stable

        parts = [slopes(both, rows) for rows in torch.split(theta, TOGETHER)]
        value, rise, stable = zip(*parts, strict=True)
        return BulkSlope(torch.cat(value).detach(), torch.cat(rise, 1).movedim(0, 1).detach(), torch.cat(stable))

    @property
    def field(self) -> tuple[float, float, float]:
        """That of the first number that asks for an order, T."""
        return next((each.field for each in self.bulk.numbers if each.kind != "curie_weiss"), (0.0, 0.0, 0.0))

    def why_unstable(self, theta: Float[Tensor, "1 parameter"], at: Float[Tensor, "q 3"] | None = None) -> str:
        """One sentence: where the order fails, `at` some of the wavevectors (rlu) given or found here."""
        return reason(self.model, theta, field=self.field, at=at)

    def _find(self, theta: Tensor) -> Found:
        found = [each(theta) for _, each in self.groups]
        value, rough = (torch.cat(part, 1)[:, self.order] for part in list(zip(*found, strict=True))[:2])
        return Found(value, rough, torch.stack([each.stable for each in found]).all(0))


def law(model: Model, numbers: Sequence[BulkNumber]) -> Law:
    """The law of numbers of one kind in one field."""
    first = numbers[0]
    temperatures = torch.tensor([each.temperature for each in numbers], dtype=torch.float64)
    field = torch.tensor(first.field, dtype=torch.float64)
    match model, first.kind:
        case SpinModel(), "curie_weiss":
            return _Repeated(CurieWeiss(model), len(numbers))
        case SpinModel(), "specific_heat":
            return MagnonHeat(model, temperatures, field)
        case SpinModel(), "ordered_moment":
            return OrderedMoment(model, temperatures, field)
        case PhononModel(), "specific_heat":
            return PhononHeat(model, temperatures)
        case PhononModel(), "sound_velocity":
            directions = torch.tensor([each.direction for each in numbers], dtype=torch.float64)
            return SoundVelocity(model, directions, tuple(each.branch for each in numbers))
    kind = "spins" if isinstance(model, SpinModel) else "springs"
    raise InputError(f"a model of {kind} has no {first.kind}; leave it out of the bulk numbers of '{model.name}'")


class _Repeated(NamedTuple):
    """One number that was measured several times."""

    law: Law
    times: int

    def __call__(self, theta: Float[Tensor, "batch parameter"]) -> Found:
        value, rough, stable = self.law(theta)
        return Found(value.repeat(1, self.times), rough.repeat(1, self.times), stable)
