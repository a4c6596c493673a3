"""Twins and magnetic domains: one model in several orientations, each with its share of the sample."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.spinwave import SpinWaves


class Domains(nn.Module):
    """Modes of all domains, intensities times their shares; otherwise as `SpinWaves`.

    `rotations` (Cartesian, proper or not) take the crystal of `model` to that of each domain; wavevectors `q` (rlu) and
    the field (T) are those of the unrotated one, the sample's. Without `shares` all are equal; they are made to add up
    to 1. `modes` is their number at each wavevector. A twin that swaps a and b has the rotation
    [[0, 1, 0], [1, 0, 0], [0, 0, 1]].
    """

    shares: Tensor

    def __init__(
        self,
        model: SpinModel,
        q: Float[Tensor, "q 3"],
        rotations: Float[Tensor, "domain 3 3"],
        shares: Sequence[float] | None = None,
        *,
        temperature: float = 0.0,
        field: Float[Tensor, "3"] | tuple[float, float, float] = (0.0, 0.0, 0.0),
        keep: bool = True,
    ) -> None:
        super().__init__()
        rotations = torch.as_tensor(rotations, dtype=torch.float64)
        self.model, self.names = model, model.names
        self.register_buffer("shares", _shares(rotations, shares))
        wave, B = model.lattice.to_cartesian(q.to(torch.float64)), torch.as_tensor(field, dtype=torch.float64)
        every = [
            SpinWaves(
                model,
                model.lattice.to_rlu(wave @ R),
                temperature=temperature,
                field=torch.linalg.det(R) * B @ R,  # a field is an axial vector
                keep=keep,
            )
            for R in rotations
        ]
        self.waves, self.modes = nn.ModuleList(every), sum(waves.modes for waves in every)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """Modes for every row of `theta`; stable where those of every domain are."""
        parts = zip(self.shares, (waves(theta) for waves in self.waves), strict=True)
        return Modes.joined([Modes(m.energy, share * m.intensity, m.stable) for share, m in parts])


def _shares(rotations: Float[Tensor, "domain 3 3"], shares: Sequence[float] | None) -> Float[Tensor, " domain"]:
    if not torch.allclose(rotations @ rotations.mT, torch.eye(3, dtype=torch.float64), atol=1e-6):
        raise InputError(
            "rotations of domains must be orthogonal 3 x 3 matrices; give Cartesian ones, not those of rlu"
        )
    given = torch.ones(len(rotations)) if shares is None else torch.as_tensor(shares)
    if len(given) != len(rotations) or bool((given < 0).any()) or not bool(given.any()):
        raise InputError(f"domains need one share each, not negative and not all 0, got {given.tolist()}")
    return given.to(torch.float64) / given.sum()
