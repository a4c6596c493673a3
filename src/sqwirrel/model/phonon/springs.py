"""Springs: what one parameter adds to the harmonic energy of a crystal, bond by bond."""

from collections import Counter
from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import inputs


@dataclass(frozen=True, eq=False, init=False)
class Springs:
    """-theta u_i . matrix . u_j over bonds from atom `i` to atom `j` of the cell moved by `offset`, each bond once.

    theta is in N/m if the matrices are numbers; -theta matrix is what other programs call the force constants of the
    two atoms. Those of each atom with itself follow, so that energies stay as they are if all atoms move alike; where
    `on_site` is given (theta on_site, atom by atom, as a program found them) these stand in their place.
    """

    name: str
    i: Int64[Tensor, " bond"]
    j: Int64[Tensor, " bond"]
    offset: Int64[Tensor, "bond 3"]
    matrix: Float[Tensor, "bond 3 3"]
    on_site: Float[Tensor, "atom 3 3"] | None = None

    def __init__(
        self, name: str, i: object, j: object, offset: object, matrix: object, on_site: object | None = None
    ) -> None:
        """From lists, arrays or tensors; one matrix may stand for all bonds."""
        n = len(ends := inputs.integers(i).reshape(-1))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "i", ends)
        object.__setattr__(self, "j", inputs.integers(j).reshape(-1))
        object.__setattr__(self, "offset", inputs.integers(offset).reshape(-1, 3))
        object.__setattr__(self, "matrix", inputs.matrices(matrix, n, f"springs '{name}'"))
        object.__setattr__(self, "on_site", None if on_site is None else inputs.floats(on_site))
        if not len(self.j) == len(self.offset) == n:
            raise InputError(
                f"springs '{name}' list {n} atoms i, {len(self.j)} atoms j and {len(self.offset)} offsets; "
                "give one of each per bond"
            )
        ends_and_cells = zip(self.i.tolist(), self.j.tolist(), self.offset.tolist(), strict=True)
        for bond, count in Counter(_undirected(a, b, cell) for a, b, cell in ends_and_cells).items():
            if count > 1 or bond == (bond[0], bond[0], (0, 0, 0)):
                raise InputError(
                    f"springs '{name}' have bond {bond[0]} -> {bond[1]} + {bond[2]} {count} times; each bond counts "
                    "once, and not from an atom to itself"
                )


def _undirected(i: int, j: int, offset: list[int]) -> tuple[int, int, tuple[int, ...]]:
    """A bond in the one of its two directions that sorts first."""
    return min((i, j, tuple(offset)), (j, i, tuple(-n for n in offset)))
