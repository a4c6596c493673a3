"""Numbers with errors and conditions: a Curie-Weiss temperature, specific heats, moments, velocities of sound."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from sqwirrel.errors import InputError, meant

UNITS = {
    "curie_weiss": "K",
    "specific_heat": "J/mol/K",
    "ordered_moment": "mu_B",
    "sound_velocity": "m/s",
}
"""Kinds of bulk numbers and their units. Moles are of magnetic ions, or of atoms in a model of phonons."""
WORDS = {"curie_weiss": "Curie-Weiss temperature", "sound_velocity": "velocity of sound"}
Three = tuple[float, float, float]


@dataclass(frozen=True)
class BulkNumber:
    """A `value` of a `kind` with one standard deviation `error` (units: `UNITS`), at a temperature (K) and in a field
    (T, Cartesian); of a sound velocity its `direction` (rlu) and `branch`, 1 for the fastest to 3.
    """

    kind: str
    value: float
    error: float
    temperature: float = 0.0
    field: Three = (0.0, 0.0, 0.0)
    direction: Three | None = None
    branch: int = 1

    def __post_init__(self) -> None:
        """Checks what was given."""
        object.__setattr__(self, "field", _three(self.kind, "field", self.field))
        if self.direction is not None:
            object.__setattr__(self, "direction", _three(self.kind, "direction", self.direction))
        if self.kind not in UNITS:
            known = ", ".join(UNITS)
            raise InputError(f"'{self.kind}' is no bulk number; there are {known}{meant(self.kind, tuple(UNITS))}")
        if not (math.isfinite(self.value) and math.isfinite(self.error) and self.error > 0):
            raise InputError(
                f"{self.kind} is {self.value:g} with the error {self.error:g}; both must be finite, the error positive"
            )
        if not 0 <= self.temperature < math.inf:
            raise InputError(f"{self.kind} is at {self.temperature:g} K; a temperature is finite and not negative")
        if self.kind in {"curie_weiss", "sound_velocity"} and (self.temperature or any(self.field)):
            raise InputError(f"{self.kind} has neither a temperature nor a field; leave them out")
        if self.kind == "specific_heat" and not self.temperature > 0:
            raise InputError("specific_heat lacks a temperature above 0, K; at 0 K it is 0 whatever the parameters are")
        if (self.kind == "sound_velocity") != (self.direction is not None) or self.branch not in (1, 2, 3):
            raise InputError(
                "a sound_velocity has a direction [h, k, l] and a branch 1 (the fastest), 2 or 3, and nothing else has"
            )

    @property
    def unit(self) -> str:
        """Unit of value and error."""
        return UNITS[self.kind]

    @property
    def name(self) -> str:
        """The kind, and where it was measured if that tells it apart."""
        at = f" at {self.temperature:g} K" if self.kind in {"specific_heat", "ordered_moment"} else ""
        field = f" in ({', '.join(f'{x:g}' for x in self.field)}) T" if any(self.field) else ""
        along = f" along {' '.join(f'{x:g}' for x in self.direction)}, branch {self.branch}" if self.direction else ""
        return f"{WORDS.get(self.kind, self.kind.replace('_', ' '))}{at}{field}{along}"


@dataclass(frozen=True)
class Bulk:
    """Bulk numbers of one sample."""

    numbers: tuple[BulkNumber, ...]

    def __post_init__(self) -> None:
        """Refuses none."""
        object.__setattr__(self, "numbers", tuple(self.numbers))
        if not self.numbers:
            raise InputError(f"there is no bulk number; give one at least of {', '.join(UNITS)}")

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def value(self) -> Float64[Tensor, " number"]:
        """What was measured, each in its unit."""
        return torch.tensor([each.value for each in self.numbers], dtype=torch.float64)

    @property
    def error(self) -> Float64[Tensor, " number"]:
        """One standard deviation of each."""
        return torch.tensor([each.error for each in self.numbers], dtype=torch.float64)


def _three(kind: str, name: str, given: Sequence[float]) -> Three:
    """Three finite numbers."""
    if len(given) != 3 or not all(math.isfinite(x) for x in given):
        raise InputError(f"the {name} of {kind} is {list(given)}; three finite numbers are expected")
    x, y, z = map(float, given)
    return x, y, z
