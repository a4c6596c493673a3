"""Modes: what a mode solver gives, before any instrument."""

from dataclasses import dataclass

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
