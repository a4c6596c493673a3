"""A crystal that stands still in a beam: the third component of Q follows from the energy that a mode has.

Where nothing is coupled along that component the modes do not depend on it. They are found once, and each is then seen
at the one wavevector at which a neutron can excite it: k_i - k_f, k_f^2 = k_i^2 - E.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sqwirrel.model.ions import form_factor
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.compiled.threads import share
from sqwirrel.simulate.crosssection import bose
from sqwirrel.simulate.looks.amplitudes import Amplitudes, Seen
from sqwirrel.simulate.looks.compiled import STEP, look
from sqwirrel.simulate.looks.folding import Folded, unwrapped
from sqwirrel.simulate.modes import Modes
from sqwirrel.units import E_PER_K2


FEW = 64
"""Wavevectors that are asked whether a Cartesian component is always zero."""


class Held(NamedTuple):
    """k_i along `direction` and the reciprocal `axis` whose component of Q follows from the energy; Cartesian."""

    direction: Float[Tensor, "3"]
    axis: Float[Tensor, "3"]
    incident_energy: float


class Standing(nn.Module):
    """Modes that lose energy, with S_perp where a beam sees them; as `SpinWaves`, but not differentiable.

    `amplitudes` are those at `folded.solved`, of sites in the groups of `by_site`; they may serve several beams.
    `wave` are the wavevectors (1/angstrom, Cartesian, of the model), which count across the axis only.
    """

    def __init__(
        self,
        model: SpinModel,
        amplitudes: Amplitudes,
        folded: Folded,
        wave: Float[Tensor, "q 3"],
        beam: Held,
        temperature: float,
    ) -> None:
        super().__init__()
        self.names, self.temperature, self.modes = model.names, temperature, len(model.spins)
        self.amplitudes, self.incident_energy = amplitudes, beam.incident_energy
        sites, _ = unwrapped(model)
        height = (sites @ model.lattice.to_rlu(beam.axis)).round(decimals=9)
        groups = sorted(set(every := list(zip(height.tolist(), model.ions, model.lande.tolist(), strict=True))))
        ions = list(dict.fromkeys(group[1:] for group in groups))
        angle = 2 * math.pi * folded.shift @ sites.T
        arrays = {
            "place": folded.place,
            "turn": folded.turn,
            "phase": torch.complex(angle.cos(), angle.sin()),
            "wave": wave,
            "axis": beam.axis,
            "incident": beam.direction / beam.direction.norm() * (beam.incident_energy / E_PER_K2) ** 0.5,
            "group": torch.tensor([groups.index(each) for each in every]),
            "rise": torch.tensor([2 * math.pi * group[0] for group in groups], dtype=torch.float64),
            "kind": torch.tensor([ions.index(group[1:]) for group in groups]),
            "form": _table(ions, beam.incident_energy),
        }
        self.arrays = tuple(arrays)
        for name, tensor in arrays.items():
            self.register_buffer(name, tensor)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """Modes for every row of `theta`; intensity 0 where the beam cannot excite them."""
        seen = self.amplitudes(theta)
        energy, stable = (each[:, self.get_buffer("place")] for each in (seen.energy, seen.stable))
        intensity = torch.zeros_like(energy)
        arrays = [self.get_buffer(name).numpy() for name in self.arrays]
        amplitude = _without_zeros(seen)
        work = partial(look, seen.energy.numpy(), *amplitude, *arrays, self.incident_energy, intensity.numpy())
        share(work, energy.shape[1], energy.shape[2] * 16 * len(self.get_buffer("group")))
        return Modes(energy, intensity * bose(energy, self.temperature), stable)


def by_site(model: SpinModel) -> Int[Tensor, " site"]:
    """Every site a group of its own."""
    return torch.arange(len(model.spins))


def _without_zeros(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Amplitudes without the Cartesian components that all of them lack, and which are left."""
    kept = (seen.amplitude[:, :FEW].abs() > 0).flatten(0, -2).any(0)
    return seen.amplitude[..., kept].contiguous().numpy(), kept.nonzero()[:, 0].numpy()


def _table(ions: list[tuple[str, float]], incident_energy: float) -> Float[Tensor, "kind Q"]:
    """Form factors over all |Q| that a neutron of this energy reaches in losing energy."""
    Q = torch.arange(int(2 * (incident_energy / E_PER_K2) ** 0.5 / STEP) + 3, dtype=torch.float64) * STEP
    return torch.stack([form_factor(ion, Q, lande) if ion else torch.ones_like(Q) for ion, lande in ions])
