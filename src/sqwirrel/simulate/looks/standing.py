"""A crystal that stands still in a beam: the third component of Q follows from the energy that a mode has.

Where nothing is coupled along that component the modes do not depend on it. They are found once, and each is then seen
at the one wavevector at which a neutron can excite it: k_i - k_f, k_f^2 = k_i^2 - E.
"""

import math
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.model.ions import form_factor
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.compiled.threads import share
from sqwirrel.simulate.looks.amplitudes import Amplitudes
from sqwirrel.simulate.looks.compiled import STEP, look
from sqwirrel.simulate.looks.folding import Folded
from sqwirrel.simulate.modes import Modes
from sqwirrel.units import E_PER_K2, K_B


class Held(NamedTuple):
    """k_i along `direction` and the reciprocal `axis` whose component of Q follows from the energy; Cartesian."""

    direction: Float[Tensor, "3"]
    axis: Float[Tensor, "3"]
    incident_energy: float


class Standing(nn.Module):
    """Modes that lose energy, with S_perp where a beam sees them; as `SpinWaves`, but not differentiable.

    `amplitudes` are those at `folded.solved`, by groups; they may serve several beams. `wave` are the
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
        group = amplitudes.groups
        pattern, angle = group.turned(folded.shift)
        sorts = sorted(set(zip(group.kind.tolist(), group.height.abs().tolist(), group.height.tolist(), strict=True)))
        every = [(k, abs(h), h) for k, h in zip(group.kind.tolist(), group.height.tolist(), strict=True)]
        place = amplitudes.rank[folded.place]
        arrays = {
            "sequence": (place * len(group.pattern) + pattern[folded.turn]).argsort(),  # as they lie in memory
            "place": place,
            "turn": folded.turn,
            "pattern": pattern,
            "cosine": angle.cos().to(torch.float32),
            "sine": angle.sin().to(torch.float32),
            "wave": wave,
            "axis": beam.axis,
            "incident": beam.direction / beam.direction.norm() * (beam.incident_energy / E_PER_K2) ** 0.5,
            "rise": torch.tensor([height for *_, height in sorts], dtype=torch.float64),
            "kind": torch.tensor([kind for kind, *_ in sorts]),
            "sort": torch.tensor([sorts.index(each) for each in every]),
            "form": _table(group.ions, beam.incident_energy),
        }
        self.arrays = tuple(arrays)
        for name, tensor in arrays.items():
            self.register_buffer(name, tensor)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """Modes for every row of `theta`; intensity 0 where the beam cannot excite them, and outside of the window."""
        seen, place = self.amplitudes(theta), self.get_buffer("place")
        energy = torch.empty(len(theta), len(place), seen.energy.shape[-1], dtype=torch.float64)
        intensity = torch.empty_like(energy)
        arrays = [each.numpy() for each in (*seen[:3], *(self.get_buffer(name) for name in self.arrays))]
        numbers = K_B * self.temperature, self.incident_energy, *self.window
        work = partial(look, *arrays, *numbers, energy.numpy(), intensity.numpy())
        share(work, len(place), energy[:, 0].numel() * 8 * len(self.get_buffer("sort")))
        return Modes(energy, intensity, seen.stable[:, place])


def _table(ions: list[tuple[str, float]], incident_energy: float) -> Float[Tensor, "kind Q"]:
    """Form factors over all |Q| that a neutron of this energy reaches in losing energy."""
    Q = torch.arange(int(2 * (incident_energy / E_PER_K2) ** 0.5 / STEP) + 3, dtype=torch.float64) * STEP
    return torch.stack([form_factor(ion, Q, lande) if ion else torch.ones_like(Q) for ion, lande in ions])
