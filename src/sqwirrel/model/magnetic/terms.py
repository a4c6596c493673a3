"""The terms of a spin Hamiltonian: couplings on bonds, and anisotropies and multipoles on sites of a magnetic cell."""

from collections import Counter
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import inputs


@dataclass(frozen=True, eq=False, init=False)
class Coupling:
    """theta S_i . matrix . S_j over bonds from site `i` to site `j` of the cell moved by `offset` magnetic cells.

    If `squared`, theta (S_i . matrix . S_j)^2: with the unit matrix a scalar biquadratic exchange.
    """

    name: str
    i: Int64[Tensor, " bond"]
    j: Int64[Tensor, " bond"]
    offset: Int64[Tensor, "bond 3"]
    matrix: Float[Tensor, "bond 3 3"]
    squared: bool = False

    def __init__(
        self, name: str, i: object, j: object, offset: object, matrix: object, *, squared: bool = False
    ) -> None:
        """From lists, arrays or tensors; one matrix may stand for all bonds."""
        n = len(ends := inputs.integers(i).reshape(-1))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "i", ends)
        object.__setattr__(self, "j", inputs.integers(j).reshape(-1))
        object.__setattr__(self, "offset", inputs.integers(offset).reshape(-1, 3))
        object.__setattr__(self, "matrix", inputs.matrices(matrix, n, f"coupling '{name}'"))
        object.__setattr__(self, "squared", squared)
        if not len(self.j) == len(self.offset) == n:
            raise InputError(
                f"coupling '{self.name}' lists {n} sites i, {len(self.j)} sites j and {len(self.offset)} offsets; "
                "give one of each per bond"
            )
        for bond, count in Counter(map(_undirected, zip(*self._ends(), strict=True))).items():
            if count > 1 or bond == (bond[0], bond[0], (0, 0, 0)):
                raise InputError(
                    f"coupling '{self.name}' has bond {bond[0]} -> {bond[1]} + {bond[2]} {count} times; "
                    "each bond counts once, and not from a site to itself"
                )

    def _ends(self) -> tuple[list[int], list[int], list[list[int]]]:
        return self.i.tolist(), self.j.tolist(), self.offset.tolist()


@dataclass(frozen=True, eq=False, init=False)
class Anisotropy:
    """theta S_i . matrix . S_i on sites `site` of the magnetic cell; the matrix is symmetric."""

    name: str
    site: Int64[Tensor, " entry"]
    matrix: Float[Tensor, "entry 3 3"]

    def __init__(self, name: str, site: object, matrix: object) -> None:
        """From lists, arrays or tensors; one matrix may stand for all sites."""
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "site", inputs.integers(site).reshape(-1))
        object.__setattr__(self, "matrix", inputs.matrices(matrix, len(self.site), f"anisotropy '{name}'"))
        if not torch.allclose(self.matrix, self.matrix.mT, atol=1e-9):
            raise InputError(f"the matrix of anisotropy '{self.name}' is not symmetric; S.A.S sees only (A + A^T) / 2")


@dataclass(frozen=True, eq=False, init=False)
class Multipole:
    """theta f(n) on sites `site` of the magnetic cell, n the unit moment: an even function up to rank 6 (`stevens`).

    The spin lengths are in f: a Stevens operator is s^k O_k^q(n), lambda_k times that if renormalised.
    """

    name: str
    site: Int64[Tensor, " entry"]
    function: Float[Tensor, "entry 28"]

    def __init__(self, name: str, site: object, function: object) -> None:
        """From lists, arrays or tensors; one function may stand for all sites."""
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "site", inputs.integers(site).reshape(-1))
        given = inputs.floats(function)
        if given.shape not in {(28,), (len(self.site), 28)}:
            raise InputError(
                f"the function of multipole '{name}' has shape {tuple(given.shape)}; expected (28,) or "
                f"({len(self.site)}, 28), the coefficients of `stevens`"
            )
        object.__setattr__(self, "function", given.expand(len(self.site), 28).clone())


@dataclass(frozen=True)
class Dipole:
    """The dipole-dipole interaction of all moments g mu_B S, times the parameter `name` if it has one."""

    name: str = ""


def _undirected(bond: tuple[int, int, list[int]]) -> tuple[int, int, tuple[int, ...]]:
    """The same value for a bond and its reverse."""
    i, j, offset = bond
    reverse = (j, i, tuple(-step for step in offset))
    return min((i, j, tuple(offset)), reverse)
