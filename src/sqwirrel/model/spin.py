"""Spin Hamiltonians: couplings on bonds, anisotropies on sites, and the magnetic order they are expanded about.

    H = sum_couplings theta_p sum_bonds S_i . M . S_j + sum_anisotropies theta_p sum_sites S_i . A . S_i
        + sum_multipoles theta_p sum_sites f(S_i / s_i) + dipole-dipole interaction

Each bond is counted once, theta > 0 on a unit matrix is antiferromagnetic, theta is in meV, matrices are Cartesian.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model import inputs
from sqwirrel.model.magnetic.order import Spiral
from sqwirrel.model.magnetic.terms import Anisotropy, Coupling, Dipole, Multipole
from sqwirrel.model.prior import Prior


@dataclass(frozen=True, eq=False)
class SpinModel:
    """A spin Hamiltonian, linear in its parameters, and the magnetic order it is expanded about.

    `lattice` is the chemical cell; rows of `supercell` are the magnetic cell in chemical lattice vectors; `positions`
    are fractional in the magnetic cell; `directions` are Cartesian (made unit vectors here); `spins` are lengths S;
    `lande` is the Lande factor in the form factor, 2 for spins alone.
    A `relaxed` order is a start that follows theta. With a `spiral` the directions are those of the first cell. `prior`
    is a suggestion for the parameters, meV.
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
    multipoles: tuple[Multipole, ...] = ()
    dipole: Dipole | None = None
    relaxed: bool = False
    spiral: Spiral | None = None
    lande: Float[Tensor, " site"] = field(default_factory=lambda: torch.tensor(2.0))
    defaults: Mapping[str, float] = field(default_factory=dict)
    papers: tuple[str, ...] = ()
    prior: Prior = field(default_factory=Prior)

    def __post_init__(self) -> None:
        """Converts arrays and checks them against each other."""
        object.__setattr__(self, "positions", inputs.floats(self.positions).reshape(-1, 3))
        n = len(self.positions)
        object.__setattr__(self, "supercell", inputs.floats(self.supercell))
        object.__setattr__(self, "spins", inputs.floats(self.spins).expand(n).clone())
        object.__setattr__(self, "lande", inputs.floats(self.lande).expand(n).clone())
        object.__setattr__(self, "g", inputs.tensors(self.g, n, f"g in model '{self.name}'"))
        object.__setattr__(self, "directions", inputs.unit_vectors(self.directions, n, f"model '{self.name}'"))
        for key in ("labels", "ions", "couplings", "anisotropies", "multipoles", "papers"):
            object.__setattr__(self, key, tuple(getattr(self, key)))
        object.__setattr__(self, "defaults", {name: float(value) for name, value in self.defaults.items()})
        _check(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters in the order of theta: couplings, anisotropies, multipoles, dipole, each name once."""
        terms: tuple[Coupling | Anisotropy | Multipole, ...] = (*self.couplings, *self.anisotropies, *self.multipoles)
        scale = (self.dipole.name,) if self.dipole is not None and self.dipole.name else ()
        return tuple(dict.fromkeys((*(term.name for term in terms), *scale)))

    @property
    def theory(self) -> tuple[str, ...]:
        """Papers behind its modes."""
        return ("S. Toth, B. Lake, J. Phys.: Condens. Matter 27, 166002 (2015), doi:10.1088/0953-8984/27/16/166002",)

    @property
    def strength(self) -> float:
        """What the modes of an ion add up to, about."""
        return float(self.spins.mean())

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""
        return dict.fromkeys(self.names, "meV")

    @property
    def cell(self) -> Lattice:
        """The magnetic cell, in the orientation of the chemical one."""
        return Lattice.from_vectors(self.supercell @ self.lattice.vectors)

    def pack(self, **values: float) -> Float[Tensor, "1 parameter"]:
        """Parameters, meV, in the order of `names`; those not given take the published default."""
        return inputs.packed(self.name, self.names, self.defaults, values)


def _check(model: SpinModel) -> None:
    n = len(model.positions)
    if not len(model.labels) == len(model.ions) == n:
        raise InputError(
            f"model '{model.name}' has {n} positions, {len(model.labels)} labels and {len(model.ions)} ions; "
            "give one of each per magnetic site"
        )
    if bool((model.spins < 0.5).any()):
        raise InputError(
            f"model '{model.name}' has a spin length {float(model.spins.min()):g}; a spin is 1/2 at least: give the "
            "length S, and a reduced moment by g"
        )
    for coupling in model.couplings:
        _check_sites(model, coupling.name, torch.cat([coupling.i, coupling.j]))
    for anisotropy in model.anisotropies:
        _check_sites(model, anisotropy.name, anisotropy.site)
    for multipole in model.multipoles:
        _check_sites(model, multipole.name, multipole.site)
    terms: tuple[Coupling | Anisotropy | Multipole, ...] = (*model.couplings, *model.anisotropies, *model.multipoles)
    if model.dipole is not None and model.dipole.name in {term.name for term in terms}:
        raise InputError(
            f"the scale of the dipoles of model '{model.name}' has the name of an energy, '{model.dipole.name}'; it is "
            "a pure number, so give it a name of its own"
        )
    _check_spiral(model)
    if model.relaxed and any(coupling.squared for coupling in model.couplings):
        raise InputError(
            f"model '{model.name}' is relaxed and has biquadratic exchange; give the order, relaxed = false"
        )
    if unknown := [name for name in model.defaults if name not in model.names]:
        raise InputError(f"model '{model.name}' has parameters {model.names}, got a default for '{unknown[0]}'")
    if unknown := [name for name in (*model.prior.names, *model.prior.fixed) if name not in model.names]:
        raise InputError(f"model '{model.name}' has parameters {model.names}, got a prior for '{unknown[0]}'")


def _check_spiral(model: SpinModel) -> None:
    spiral = model.spiral
    if spiral is None:
        return
    if bool((torch.linalg.cross(model.directions, spiral.axis.expand_as(model.directions)).abs() < 1e-6).all()):
        raise InputError(
            f"model '{model.name}' has a spiral whose moments lie along its axis {spiral.axis.tolist()} and do not "
            "turn; give directions across the axis, or no axis"
        )
    turns = 2 * model.supercell @ spiral.propagation
    if torch.allclose(turns, turns.round(), rtol=0, atol=1e-6):
        raise InputError(
            f"model '{model.name}' has a spiral whose period, {spiral.propagation.tolist()}, is one or two magnetic "
            "cells; give the order without a spiral, in a supercell"
        )
    changed = [term.name for term in model.couplings if not spiral.keeps(term.matrix)]
    changed += [term.name for term in model.anisotropies if not spiral.keeps(term.matrix)]
    changed += [term.name for term in model.multipoles if not spiral.keeps_functions(term.function)]
    if model.dipole is not None:
        changed.append("dipole")
    if changed:
        raise InputError(
            f"'{changed[0]}' of model '{model.name}' changes when turned about the axis of the spiral, "
            f"{spiral.axis.tolist()}, so that no rotating frame exists; give a supercell that holds the order"
        )


def _check_sites(model: SpinModel, name: str, sites: Int64[Tensor, " any"]) -> None:
    n = len(model.positions)
    if bool(((sites < 0) | (sites >= n)).any()):
        raise InputError(f"'{name}' of model '{model.name}' names a site outside 0 to {n - 1}, the sites of its cell")
