"""Spin Hamiltonians: couplings on bonds, anisotropies on sites, and the magnetic order they are expanded about.

    H = sum_couplings theta_p sum_bonds S_i . M . S_j + sum_anisotropies theta_p sum_sites S_i . A . S_i

Each bond is counted once, theta > 0 on a unit matrix is antiferromagnetic, theta is in meV, matrices are Cartesian.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model import inputs, ions
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.order import MagneticCell, Spiral, magnetic_cell, spiral
from sqwirrel.model.prior import Prior
from sqwirrel.model.terms import Anisotropy, Coupling


@dataclass(frozen=True, eq=False)
class SpinModel:
    """A spin Hamiltonian, linear in its parameters, and the magnetic order it is expanded about.

    `lattice` is the chemical cell; rows of `supercell` are the magnetic cell in chemical lattice vectors; `positions`
    are fractional in the magnetic cell; `directions` are Cartesian (made unit vectors here); `spins` are lengths S.
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
    relaxed: bool = False
    spiral: Spiral | None = None
    defaults: Mapping[str, float] = field(default_factory=dict)
    papers: tuple[str, ...] = ()
    prior: Prior = field(default_factory=Prior)

    def __post_init__(self) -> None:
        """Converts arrays and checks them against each other."""
        object.__setattr__(self, "positions", inputs.floats(self.positions).reshape(-1, 3))
        n = len(self.positions)
        object.__setattr__(self, "supercell", inputs.floats(self.supercell))
        object.__setattr__(self, "spins", inputs.floats(self.spins).expand(n).clone())
        object.__setattr__(self, "g", inputs.tensors(self.g, n, f"g in model '{self.name}'"))
        object.__setattr__(self, "directions", inputs.unit_vectors(self.directions, n, f"model '{self.name}'"))
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


def parse(mapping: Mapping[str, object], folder: Path = Path()) -> SpinModel:
    """A spin model from the tables of a model file; `folder` is where a CIF file it names is looked for.

    Keys: name, title, papers, [crystal], [[couplings]], [[anisotropies]], [order], [defaults], [prior].
    """
    file = inputs.table(
        mapping, "the model", "name crystal couplings order", "title papers anisotropies defaults prior"
    )
    name = str(file["name"])
    crystal, sites = _crystal(file["crystal"], folder)
    order = inputs.table(file["order"], "[order]", "spins", "supercell propagation axis relaxed")
    cell = magnetic_cell(crystal, order)
    known = [sites[crystal.kinds[k]] for k in cell.site.tolist()]
    relaxed = inputs.switch(order.get("relaxed", False), "[order] relaxed")
    return SpinModel(
        name=name,
        title=str(file.get("title", name)),
        lattice=crystal.lattice,
        supercell=cell.supercell,
        positions=cell.positions,
        labels=tuple(crystal.sites[k].label for k in cell.site.tolist()),
        ions=tuple(str(site.get("ion", "")) for site in known),
        spins=torch.tensor([float(site["spin"]) for site in known], dtype=torch.float64),
        g=_g(cell, sites),
        directions=cell.directions,
        couplings=tuple(
            coupling
            for entry in _entries(file, "couplings", "name bond", "matrix biquadratic")
            for coupling in _couplings(cell, entry, known)
        ),
        anisotropies=tuple(
            _anisotropy(cell, entry) for entry in _entries(file, "anisotropies", "name site", "axis matrix")
        ),
        relaxed=relaxed,
        spiral=spiral(order),
        defaults=_defaults(file),
        papers=inputs.words(file.get("papers", []), "papers"),
        prior=Prior.from_mapping(inputs.mapping(file.get("prior", {}), "[prior]")),
    )


def _entries(file: Mapping[str, object], key: str, required: str, optional: str) -> list[dict[str, Any]]:
    return inputs.tables(file.get(key, []), f"[[{key}]]", required, optional)


def _defaults(file: Mapping[str, object]) -> dict[str, float]:
    given = inputs.mapping(file.get("defaults", {}), "[defaults]")
    return {name: float(inputs.numbers(value, (), f"[defaults] {name}")) for name, value in given.items()}


def _crystal(value: object, folder: Path) -> tuple[Crystal, dict[str, dict[str, Any]]]:
    """The crystal with its magnetic sites alone, and the table of each of them by label."""
    crystal = inputs.table(value, "[crystal]", "sites", "cell spacegroup cif")
    needed = "label spin" if "cif" in crystal else "label position spin"
    entries = inputs.tables(crystal["sites"], "[[crystal.sites]]", needed, "ion g")
    sites = {str(entry["label"]): entry for entry in entries}
    if len(sites) != len(entries) or not entries:
        raise InputError("[[crystal.sites]] must list at least one site, each label once; symmetry makes the copies")
    for label, entry in sites.items():
        inputs.numbers(entry["spin"], (), f"spin of site '{label}'")
        if entry.get("ion"):
            ions.coefficients(str(entry["ion"]))
    if "cif" in crystal:
        inputs.table(value, "[crystal] with a cif", "sites cif")
        return Crystal.from_cif(folder / str(crystal["cif"])).only(list(sites)), sites
    inputs.table(value, "[crystal] without a cif", "sites cell spacegroup")
    return Crystal.from_spacegroup(
        inputs.numbers(crystal["cell"], (6,), "[crystal] cell").tolist(),
        crystal["spacegroup"],
        {
            label: inputs.numbers(entry["position"], (3,), f"position of site '{label}'").tolist()
            for label, entry in sites.items()
        },
    ), sites


def _g(cell: MagneticCell, sites: Mapping[str, dict[str, Any]]) -> Float[Tensor, "site 3 3"]:
    g = torch.zeros(len(cell.crystal.sites), 3, 3, dtype=torch.float64)
    for label, site in sites.items():
        matrix = inputs.matrix(site.get("g", 2.0), f"g of site '{label}'")
        g[_copies(cell, label)] = cell.crystal.propagate_site(label, matrix, "g tensor")
    return g[cell.site]


def _couplings(cell: MagneticCell, entry: Mapping[str, Any], sites: Sequence[Mapping[str, Any]]) -> list[Coupling]:
    """One coupling, or the two that a renormalised biquadratic exchange amounts to.

    Between product states of spins s and t, (S . T)^2 is (1 - 1/2s)(1 - 1/2t)(S . T)^2 - S . T / 2 of classical vectors
    (D. Dahlbom et al., arXiv:2304.03874).
    """
    name, kind = str(entry["name"]), entry.get("biquadratic")
    orbit = cell.crystal.bond(str(entry["bond"]))
    if kind is None:
        matrix = inputs.matrix(entry.get("matrix", 1.0), f"matrix of coupling '{name}'")
        return [Coupling(name, *cell.bonds(orbit, cell.crystal.propagate_exchange(orbit, matrix)))]
    if kind not in {"classical", "renormalised"} or "matrix" in entry:
        raise InputError(
            f"coupling '{name}': biquadratic must be 'classical' or 'renormalised', without a matrix, got {kind!r}"
        )
    i, j, offset, one = cell.bonds(orbit, torch.eye(3, dtype=torch.float64).expand(len(orbit.i), 3, 3))
    if kind == "classical":
        return [Coupling(name, i, j, offset, one, squared=True)]
    less = 1 - 0.5 / torch.tensor([float(site["spin"]) for site in sites], dtype=torch.float64)
    size = (less[i] * less[j]).sqrt()[:, None, None]
    return [Coupling(name, i, j, offset, size * one, squared=True), Coupling(name, i, j, offset, -0.5 * one)]


def _anisotropy(cell: MagneticCell, entry: Mapping[str, Any]) -> Anisotropy:
    """`axis` n means the matrix n n^T."""
    name, kind = str(entry["name"]), str(entry["site"])
    if ("axis" in entry) == ("matrix" in entry):
        raise InputError(f"anisotropy '{name}' needs either an axis or a matrix")
    if "axis" in entry:
        axis = inputs.numbers(entry["axis"], (3,), f"axis of anisotropy '{name}'")
        if not bool(axis.any()):
            raise InputError(f"the axis of anisotropy '{name}' is zero; give a Cartesian direction")
        matrix = torch.outer(axis, axis) / (axis @ axis)
    else:
        matrix = inputs.matrix(entry["matrix"], f"matrix of anisotropy '{name}'")
    copies = dict(zip(_copies(cell, kind), cell.crystal.propagate_site(kind, matrix, "anisotropy"), strict=True))
    atoms = [m for m, site in enumerate(cell.site.tolist()) if site in copies]
    return Anisotropy(name, torch.tensor(atoms), torch.stack([copies[int(cell.site[m])] for m in atoms]))


def _copies(cell: MagneticCell, kind: str) -> list[int]:
    return [k for k, each in enumerate(cell.crystal.kinds) if each == kind]


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
    turns = 2 * model.supercell @ spiral.propagation
    if torch.allclose(turns, turns.round(), rtol=0, atol=1e-6):
        raise InputError(
            f"model '{model.name}' has a spiral whose period, {spiral.propagation.tolist()}, is one or two magnetic "
            "cells; give the order without a spiral, in a supercell"
        )
    for term in model._terms:
        if not spiral.keeps(term.matrix):
            raise InputError(
                f"'{term.name}' of model '{model.name}' changes when turned about the axis of the spiral, "
                f"{spiral.axis.tolist()}, so that no rotating frame exists; give a supercell that holds the order"
            )


def _check_sites(model: SpinModel, name: str, sites: Int64[Tensor, " any"]) -> None:
    n = len(model.positions)
    if bool(((sites < 0) | (sites >= n)).any()):
        raise InputError(f"'{name}' of model '{model.name}' names a site outside 0 to {n - 1}, the sites of its cell")
