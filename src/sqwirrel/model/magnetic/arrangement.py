"""A magnetic order apart from its Hamiltonian, and as the [order] table of a model file."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.magnetic.order import Spiral
from sqwirrel.model.spin import SpinModel


class Arrangement(NamedTuple):
    """Moments of a magnetic cell: rows of `supercell` and `positions` are chemical; `directions` are Cartesian."""

    supercell: Float[Tensor, "3 3"]
    positions: Float[Tensor, "site 3"]
    directions: Float[Tensor, "site 3"]
    spiral: Spiral | None = None

    @classmethod
    def of(cls, model: SpinModel, directions: Float[Tensor, "site 3"]) -> "Arrangement":
        """Other directions in the magnetic cell of a model."""
        return cls(model.supercell, model.positions @ model.supercell, directions, model.spiral)

    def to_toml(self) -> str:
        """The [order] table to paste into a model file."""
        lines = ["[order]"]
        if not torch.equal(self.supercell, torch.eye(3).to(self.supercell)):
            lines.append(f"supercell = [{', '.join(map(_numbers, self.supercell))}]")
        if self.spiral is not None:
            lines += [f"propagation = {_numbers(self.spiral.propagation)}", f"axis = {_numbers(self.spiral.axis)}"]
        spins = zip(self.positions, self.directions, strict=True)
        lines += ["spins = ["]
        lines += [f"  {{ position = {_numbers(at)}, direction = {_numbers(along)} }}," for at, along in spins]
        return "\n".join([*lines, "]"])


def _numbers(values: Float[Tensor, "3"]) -> str:
    return f"[{', '.join(f'{x:.8g}' if abs(x) > 5e-9 else '0' for x in values.tolist())}]"
