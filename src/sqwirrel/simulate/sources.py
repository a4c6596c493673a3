"""What matrix elements are multiples of: the phases of bonds, and lattice sums of dipoles, at any wavevector."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.dipoles import DipoleSums, directed
from sqwirrel.simulate.quadratic.bosons import phases, turns


class Sources(nn.Module):
    """exp(2 pi i q . r) of every displacement r of bonds (fractions of the magnetic cell), then the dipole sums.

    `bonds` says which of them each bond has, ~source for its conjugate; `count` is their number.
    """

    vectors: Tensor

    def __init__(self, model: SpinModel, displacement: Float[Tensor, "bond 3"]) -> None:
        super().__init__()
        vectors, self.bonds = phases(displacement)
        self.register_buffer("vectors", vectors @ model.supercell)
        self.count, self.dipoles = len(vectors), None if model.dipole is None else DipoleSums(model)
        if self.dipoles is not None:
            place = directed(len(model.spins))[-1]
            self.bonds = torch.cat((self.bonds, torch.where(place < 0, place - self.count, place + self.count)))
            self.count += int(place.max()) + 1

    def forward(self, q: Float[Tensor, "q 3"]) -> Complex[Tensor, "q source"]:
        """At wavevectors in reciprocal lattice units of the chemical cell."""
        phase = turns(self.vectors, q)
        return phase if self.dipoles is None else torch.cat((phase, self.dipoles(q)), dim=1)
