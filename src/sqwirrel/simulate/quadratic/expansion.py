"""The boson Hamiltonian round an order, at any wavevector."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Bool, Complex, Float
from torch import Tensor

from sqwirrel.simulate.quadratic.bosons import Elements


class Expansion(NamedTuple):
    """H of all operators, b of every site and then b^dagger, round the order that belongs to each set of parameters."""

    directions: Float[Tensor, "order site 3"]
    """One order, or one for each set; those of a spiral are in the frame that turns with it."""
    stationary: Bool[Tensor, " batch"]
    elements: Elements
    value: Complex[Tensor, "batch element"]
    sources: Callable[[Tensor], Tensor]
    """What the elements are multiples of, at wavevectors (`Sources`)."""

    def at(self, q: Float[Tensor, "q 3"]) -> Complex[Tensor, "batch q boson boson"]:
        """H at wavevectors, reciprocal lattice units of the chemical cell; that of a spiral in its frame."""
        return self.elements.matrix(self.value, self.sources(q), 2 * self.directions.shape[1])
