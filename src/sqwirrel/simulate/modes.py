"""Modes: what a mode solver gives, before any instrument."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Modes:
    """Sharp excitations of a batch of Hamiltonians.

    `energy` is in meV, the creation modes first (positive, descending), then the annihilation modes (negative).
    `intensity` is the strength of each line in the dynamical structure factor, per magnetic ion.
    `stable` is False where the assumed order is not a minimum at that wavevector; the other two mean nothing there.
    """

    energy: Float[Tensor, "batch q mode"]
    intensity: Float[Tensor, "batch q mode"]
    stable: Bool[Tensor, "batch q"]

    @classmethod
    def joined(cls, parts: "list[Modes]") -> "Modes":
        """All modes of several solutions for the same wavevectors."""
        if len(parts) == 1:
            return parts[0]
        energy, intensity = (
            torch.cat([each.unflatten(-1, (2, -1)) for each in column], dim=-1)
            for column in zip(*((part.energy, part.intensity) for part in parts), strict=True)
        )
        order = energy.argsort(dim=-1, descending=True)
        stable = torch.stack([part.stable for part in parts]).all(0)
        return cls(energy.gather(-1, order).flatten(-2), intensity.gather(-1, order).flatten(-2), stable)


class Correlations(NamedTuple):
    """S^ab = <m|S^a|0> <m|S^b|0>* of the modes m that lose energy, S being what makes a magnon of that wavevector.

    `energy` in meV, highest first; where `stable` is False the order is no minimum and the others mean nothing.
    """

    energy: Float[Tensor, "batch q mode"]
    S: Complex[Tensor, "batch q mode 3 3"]
    stable: Bool[Tensor, "batch q"]

    @classmethod
    def joined(cls, parts: "list[Correlations]") -> "Correlations":
        """All modes of several solutions for the same wavevectors."""
        energy, S = torch.cat([part.energy for part in parts], -1), torch.cat([part.S for part in parts], 2)
        order = energy.argsort(dim=-1, descending=True)
        S = S.take_along_dim(order[..., None, None], dim=2)
        return cls(energy.gather(-1, order), S, torch.stack([part.stable for part in parts]).all(0))
