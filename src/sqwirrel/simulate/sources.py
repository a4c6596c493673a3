"""What matrix elements are multiples of: the phases of bonds, and lattice sums of dipoles, at any wavevector."""

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor, nn

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.dipoles import DipoleSums, directed
from sqwirrel.simulate.quadratic.bosons import phases, turns

GENERIC = 0.1234, 0.2718, 0.4142
"""A wavevector in no special position."""


class Sources(nn.Module):
    """exp(2 pi i q . r) of every displacement r of bonds (fractions of the magnetic cell), then the dipole sums.

    `bonds` says which of them each bond has, ~source for its conjugate; `count` is their number.
    """

    vectors: Tensor
    supercell: Tensor

    def __init__(self, model: SpinModel, displacement: Float[Tensor, "bond 3"]) -> None:
        super().__init__()
        vectors, self.bonds = phases(displacement)
        self.register_buffer("vectors", vectors @ model.supercell)
        self.register_buffer("supercell", model.supercell)
        self.count, self.dipoles = len(vectors), None
        if model.dipole is not None:
            self.dipoles = DipoleSums(model.supercell @ model.lattice.vectors, model.positions)
        if self.dipoles is not None:
            place = directed(len(model.spins))[-1]
            self.bonds = torch.cat((self.bonds, torch.where(place < 0, place - self.count, place + self.count)))
            self.count += int(place.max()) + 1

    @property
    def is_real(self) -> Bool[Tensor, " source"]:
        """Those without an imaginary part at any wavevector, as dipole sums between inversion centres."""
        real: Tensor = torch.arange(self.count) == 0  # no displacement
        if self.dipoles is None:
            return real
        phase = self(torch.tensor([GENERIC], dtype=torch.float64))[0]
        return real.logical_or(phase.imag.abs() < 1e-12 * phase.abs().max())

    def forward(self, q: Float[Tensor, "q 3"]) -> Complex[Tensor, "q source"]:
        """At wavevectors in reciprocal lattice units of the chemical cell."""
        phase = turns(self.vectors, q)
        return phase if self.dipoles is None else torch.cat((phase, self.dipoles(q @ self.supercell.T)), dim=1)
