"""A crystal that stands still in a beam: the third component of Q follows from the energy that a mode has.

Where nothing is coupled along that component the modes do not depend on it. They are found once, and each is then seen
at the one wavevector at which a neutron can excite it: k_i - k_f, k_f^2 = k_i^2 - E.
"""

import math
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sqwirrel.model.ions import form_factor
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.compiled.threads import share
from sqwirrel.simulate.looks.amplitudes import Amplitudes
from sqwirrel.simulate.looks.compiled import STEP, look
from sqwirrel.simulate.looks.folding import Folded, unwrapped
from sqwirrel.simulate.modes import Modes
from sqwirrel.units import E_PER_K2, K_B


class Held(NamedTuple):
    """k_i along `direction` and the reciprocal `axis` whose component of Q follows from the energy; Cartesian."""

    direction: Float[Tensor, "3"]
    axis: Float[Tensor, "3"]
    incident_energy: float


class Groups(NamedTuple):
    """Sites in an `order` in which those of one height (cells along an axis) and form factor follow each other.

    `first` is the place of the first of every group, and the end.
    """

    order: Int[Tensor, " site"]
    first: Int[Tensor, " end"]
    height: Float[Tensor, " group"]
    kind: Int[Tensor, " group"]
    ions: list[tuple[str, float]]


def groups(model: SpinModel, axis: Float[Tensor, "3"]) -> Groups:
    """The groups of a model for a free axis (rlu)."""
    height = (unwrapped(model)[0] @ axis).round(decimals=9).tolist()
    every = list(zip(height, model.ions, model.lande.tolist(), strict=True))
    found = sorted(set(every))
    ions = list(dict.fromkeys(each[1:] for each in found))
    group = torch.tensor([found.index(each) for each in every])
    order = group.argsort(stable=True)
    first = torch.searchsorted(group[order], torch.arange(len(found) + 1))
    heights = torch.tensor([each[0] for each in found], dtype=torch.float64)
    return Groups(order, first, heights, torch.tensor([ions.index(each[1:]) for each in found]), ions)


class Standing(nn.Module):
    """Modes that lose energy, with S_perp where a beam sees them; as `SpinWaves`, but not differentiable.

    `amplitudes` are those at `folded.solved`, in the order of `groups`; they may serve several beams. `wave` are the
    wavevectors (1/angstrom, Cartesian, of the model), which count across the axis only; energies outside of `window`
    (meV) are left dark.
    """

    def __init__(
        self,
        model: SpinModel,
        amplitudes: Amplitudes,
        folded: Folded,
        wave: Float[Tensor, "q 3"],
        beam: Held,
        temperature: float,
        window: tuple[float, float] = (0.0, math.inf),
    ) -> None:
        super().__init__()
        self.names, self.temperature, self.modes = model.names, temperature, len(model.spins)
        self.amplitudes, self.incident_energy, self.window = amplitudes, beam.incident_energy, window
        group = groups(model, model.lattice.to_rlu(beam.axis))
        angle = 2 * math.pi * folded.shift @ unwrapped(model)[0][group.order].T
        arrays = {
            "place": folded.place,
            "turn": folded.turn,
            "cosine": angle.cos().to(torch.float32),
            "sine": angle.sin().to(torch.float32),
            "wave": wave,
            "axis": beam.axis,
            "incident": beam.direction / beam.direction.norm() * (beam.incident_energy / E_PER_K2) ** 0.5,
            "first": group.first,
            "rise": group.height,
            "kind": group.kind,
            "form": _table(group.ions, beam.incident_energy),
        }
        self.arrays = tuple(arrays)
        for name, tensor in arrays.items():
            self.register_buffer(name, tensor)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """Modes for every row of `theta`; intensity 0 where the beam cannot excite them, and outside of the window."""
        seen = self.amplitudes(theta)
        energy, stable = (each[:, self.get_buffer("place")] for each in (seen.energy, seen.stable))
        intensity = torch.zeros_like(energy)
        arrays = [each.numpy() for each in (*seen[:4], *(self.get_buffer(name) for name in self.arrays))]
        work = partial(look, *arrays, K_B * self.temperature, self.incident_energy, *self.window, intensity.numpy())
        share(work, energy.shape[1], energy.shape[2] * 16 * len(self.get_buffer("rise")))
        return Modes(energy, intensity, stable)


def _table(ions: list[tuple[str, float]], incident_energy: float) -> Float[Tensor, "kind Q"]:
    """Form factors over all |Q| that a neutron of this energy reaches in losing energy."""
    Q = torch.arange(int(2 * (incident_energy / E_PER_K2) ** 0.5 / STEP) + 3, dtype=torch.float64) * STEP
    return torch.stack([form_factor(ion, Q, lande) if ion else torch.ones_like(Q) for ion, lande in ions])
