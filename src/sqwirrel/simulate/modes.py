"""Modes: what a mode solver gives, before any instrument."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
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
        n = parts[0].energy.shape[-1] // 2
        found = []
        for half in (slice(None, n), slice(n, None)):
            energy, intensity = (torch.cat([x[..., half] for x in each], dim=-1) for each in _columns(parts))
            order = energy.argsort(dim=-1, descending=True)
            found.append((energy.gather(-1, order), intensity.gather(-1, order)))
        energy, intensity = (torch.cat(both, dim=-1) for both in zip(*found, strict=True))
        return cls(energy, intensity, torch.stack([part.stable for part in parts]).all(0))


def _columns(parts: list[Modes]) -> tuple[list[Tensor], list[Tensor]]:
    return [part.energy for part in parts], [part.intensity for part in parts]
