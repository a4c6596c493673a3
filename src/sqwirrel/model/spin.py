"""Spin Hamiltonians: couplings on bonds, anisotropies on sites, and the magnetic order they are expanded about.

    H = sum_couplings theta_p sum_bonds S_i . M . S_j + sum_anisotropies theta_p sum_sites S_i . A . S_i

Each bond is counted once, theta > 0 on a unit matrix is antiferromagnetic, theta is in meV, matrices are Cartesian.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model.prior import Prior


@dataclass(frozen=True, eq=False)
class Coupling:
    """theta S_i . matrix . S_j over bonds from site `i` to site `j` of the cell moved by `offset` magnetic cells."""

    name: str
    i: Int64[Tensor, " bond"]
    j: Int64[Tensor, " bond"]
    offset: Int64[Tensor, "bond 3"]
    matrix: Float[Tensor, "bond 3 3"]

    def __post_init__(self) -> None:
        """Converts arrays and refuses a bond that is listed twice, or from a site to itself."""
        object.__setattr__(self, "i", _integers(self.i).reshape(-1))
        n = len(self.i)
        object.__setattr__(self, "j", _integers(self.j).reshape(-1))
        object.__setattr__(self, "offset", _integers(self.offset).reshape(-1, 3))
        object.__setattr__(self, "matrix", _matrices(self.matrix, n, f"coupling '{self.name}'"))
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


@dataclass(frozen=True, eq=False)
class Anisotropy:
    """theta S_i . matrix . S_i on sites `site` of the magnetic cell; the matrix is symmetric."""

    name: str
    site: Int64[Tensor, " entry"]
    matrix: Float[Tensor, "entry 3 3"]

    def __post_init__(self) -> None:
        """Converts arrays and refuses a matrix that is not symmetric."""
        object.__setattr__(self, "site", _integers(self.site).reshape(-1))
        object.__setattr__(self, "matrix", _matrices(self.matrix, len(self.site), f"anisotropy '{self.name}'"))
        if not torch.allclose(self.matrix, self.matrix.mT, atol=1e-9):
            raise InputError(f"the matrix of anisotropy '{self.name}' is not symmetric; S.A.S sees only (A + A^T) / 2")


@dataclass(frozen=True, eq=False)
class SpinModel:
    """A spin Hamiltonian, linear in its parameters, and the magnetic order it is expanded about.

    `lattice` is the chemical cell; rows of `supercell` are the magnetic cell in chemical lattice vectors; `positions`
    are fractional in the magnetic cell; `directions` are Cartesian (made unit vectors here); `spins` are lengths S.
    A `relaxed` order is a start that follows theta. `symmetry` holds the operations that `laue()` returns;
    `prior` is a suggestion for the parameters, meV.
    """

    name: str
    title: str
    lattice: Lattice
    supercell: Float[Tensor, "3 3"]
    positions: Float[Tensor, "site 3"]
    labels: tuple[str, ...]
    ions: tuple[str, ...]
    spins: Float[Tensor, " site"]
    g: Float[Tensor, "site 3 3"]
    directions: Float[Tensor, "site 3"]
    couplings: tuple[Coupling, ...]
    anisotropies: tuple[Anisotropy, ...] = ()
    relaxed: bool = False
    defaults: Mapping[str, float] = field(default_factory=dict)
    papers: tuple[str, ...] = ()
    symmetry: Float[Tensor, "operation 3 3"] = field(default_factory=lambda: torch.eye(3, dtype=torch.float64)[None])
    prior: Prior = field(default_factory=Prior)

    def __post_init__(self) -> None:
        """Converts arrays and checks them against each other."""
        object.__setattr__(self, "positions", _floats(self.positions).reshape(-1, 3))
        n = len(self.positions)
        object.__setattr__(self, "supercell", _floats(self.supercell))
        object.__setattr__(self, "symmetry", _floats(self.symmetry))
        object.__setattr__(self, "spins", _floats(self.spins).expand(n).clone())
        object.__setattr__(self, "g", _tensors_g(self.g, n, self.name))
        object.__setattr__(self, "directions", _unit(_floats(self.directions), n, self.name))
        for key in ("labels", "ions", "couplings", "anisotropies", "papers"):
            object.__setattr__(self, key, tuple(getattr(self, key)))
        object.__setattr__(self, "defaults", {name: float(value) for name, value in self.defaults.items()})
        _check(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters in the order of theta: couplings, then anisotropies, each name once."""
        return tuple(dict.fromkeys(term.name for term in self._terms))

    @property
    def _terms(self) -> tuple[Coupling | Anisotropy, ...]:
        return (*self.couplings, *self.anisotropies)

    @property
    def cell(self) -> Lattice:
        """The magnetic cell, in the orientation of the chemical one."""
        return Lattice.from_vectors(self.supercell @ self.lattice.vectors)

    def pack(self, **values: float) -> Float[Tensor, "1 parameter"]:
        """Parameters, meV, in the order of `names`; those not given take the published default."""
        if unknown := [name for name in values if name not in self.names]:
            raise InputError(f"model '{self.name}' has parameters {self.names}, got '{unknown[0]}'")
        known = {**self.defaults, **values}
        if missing := [name for name in self.names if name not in known]:
            raise InputError(f"model '{self.name}' has no default for '{missing[0]}': give pack({missing[0]}=...)")
        return torch.tensor([[float(known[name]) for name in self.names]], dtype=torch.float64)

    def laue(self) -> Float[Tensor, "operation 3 3"]:
        """Cartesian operations on Q that leave S(Q, E) unchanged in zero field: the magnetic point group with
        time-reversed operations times -1. Only the identity for a relaxed order, or without a crystal.
        """
        return self.symmetry


def _check(model: SpinModel) -> None:
    n = len(model.positions)
    if not len(model.labels) == len(model.ions) == n:
        raise InputError(
            f"model '{model.name}' has {n} positions, {len(model.labels)} labels and {len(model.ions)} ions; "
            "give one of each per magnetic site"
        )
    if bool((model.spins <= 0).any()):
        raise InputError(f"model '{model.name}' has a spin length {float(model.spins.min()):g}; expected S > 0")
    for coupling in model.couplings:
        _check_sites(model, coupling.name, torch.cat([coupling.i, coupling.j]))
    for anisotropy in model.anisotropies:
        _check_sites(model, anisotropy.name, anisotropy.site)
    if unknown := [name for name in model.defaults if name not in model.names]:
        raise InputError(f"model '{model.name}' has parameters {model.names}, got a default for '{unknown[0]}'")


def _check_sites(model: SpinModel, name: str, sites: Int64[Tensor, " any"]) -> None:
    n = len(model.positions)
    if bool(((sites < 0) | (sites >= n)).any()):
        raise InputError(f"'{name}' of model '{model.name}' names a site outside 0 to {n - 1}, the sites of its cell")


def _undirected(bond: tuple[int, int, list[int]]) -> tuple[int, int, tuple[int, ...]]:
    """The same value for a bond and its reverse."""
    i, j, offset = bond
    reverse = (j, i, tuple(-step for step in offset))
    return min((i, j, tuple(offset)), reverse)


def _floats(value: object) -> Float[Tensor, "..."]:
    return torch.as_tensor(value, dtype=torch.float64)


def _integers(value: object) -> Int64[Tensor, "..."]:
    return torch.as_tensor(value, dtype=torch.int64)


def _matrices(value: object, n: int, what: str) -> Float[Tensor, "entry 3 3"]:
    """One matrix for all, or one each."""
    matrix = _floats(value)
    if matrix.shape not in {(3, 3), (n, 3, 3)}:
        raise InputError(f"the matrix of {what} has shape {tuple(matrix.shape)}; expected (3, 3) or ({n}, 3, 3)")
    return matrix.expand(n, 3, 3).clone()


def _tensors_g(value: object, n: int, name: str) -> Float[Tensor, "site 3 3"]:
    """A number or one number a site becomes an isotropic tensor."""
    g = _floats(value)
    isotropic = g[..., None, None] * torch.eye(3, dtype=torch.float64)
    return _matrices(isotropic if g.shape in {(), (n,)} else g, n, f"g in model '{name}'")


def _unit(directions: Float[Tensor, "..."], n: int, name: str) -> Float[Tensor, "site 3"]:
    length = torch.linalg.vector_norm(directions, dim=-1, keepdim=True)
    if directions.shape != (n, 3) or bool((length == 0).any()):
        raise InputError(f"model '{name}' needs {n} directions of three components, none zero, one per magnetic site")
    return torch.div(directions, length)
