"""Model files: the tables of a spin Hamiltonian, in TOML, checked and carried over the crystal by symmetry."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import inputs, ions
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.files import exchange, mcif
from sqwirrel.model.magnetic import stevens
from sqwirrel.model.magnetic.order import MagneticCell, magnetic_cell, spiral
from sqwirrel.model.magnetic.terms import Anisotropy, Coupling, Dipole, Multipole
from sqwirrel.model.prior import Prior
from sqwirrel.model.spin import SpinModel
from sqwirrel.model.symmetry import BondOrbit


def parse(mapping: Mapping[str, object], folder: Path = Path()) -> SpinModel:
    """A spin model from the tables of a model file; `folder` is where a CIF file it names is looked for.

    Keys: name, title, papers, [crystal], [[couplings]], [[anisotropies]], [dipole], [order], [defaults], [prior].
    """
    if "couplings" not in mapping:
        raise InputError(
            "the model has neither couplings of spins, [[couplings]], nor springs of phonons, [springs]; give either"
        )
    file = inputs.table(
        mapping, "the model", "name crystal couplings", "order title papers anisotropies dipole defaults prior"
    )
    name = str(file["name"])
    crystal, sites, order = parse_crystal(file["crystal"], folder)
    if not order and "order" not in file:
        raise InputError("the model lacks the key 'order'")
    keys = "relaxed" if order else "spins supercell propagation axis relaxed"
    order.update(inputs.table(file.get("order", {}), "[order]", "", keys))
    cell = magnetic_cell(crystal, order)
    known = [sites[crystal.kinds[k]] for k in cell.site.tolist()]
    onsite = _entries(file, "anisotropies", "name site", "axis matrix stevens axes renormalised")
    return SpinModel(
        name=name,
        title=str(file.get("title", name)),
        lattice=crystal.lattice,
        supercell=cell.supercell,
        positions=cell.positions,
        labels=tuple(crystal.sites[k].label for k in cell.site.tolist()),
        ions=tuple(str(site.get("ion", "")) for site in known),
        spins=torch.tensor([float(site["spin"]) for site in known], dtype=torch.float64),
        lande=torch.tensor([float(site.get("lande", 2.0)) for site in known], dtype=torch.float64),
        g=_g(cell, sites),
        directions=cell.directions,
        couplings=tuple(
            coupling
            for entry in _entries(file, "couplings", "name", "bond between matrix biquadratic exchange convention")
            for coupling in (
                _table(cell, entry, sites, folder) if "exchange" in entry else _couplings(cell, entry, known)
            )
        ),
        anisotropies=tuple(_anisotropy(cell, entry, sites) for entry in onsite if "stevens" not in entry),
        multipoles=tuple(_multipole(cell, entry, sites) for entry in onsite if "stevens" in entry),
        dipole=_dipole(file["dipole"]) if "dipole" in file else None,
        relaxed=inputs.switch(order.get("relaxed", False), "[order] relaxed"),
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


def parse_crystal(value: object, folder: Path) -> tuple[Crystal, dict[str, dict[str, Any]], dict[str, object]]:
    """The crystal with its magnetic sites alone, the table of each of them by label, and the order of an mcif file."""
    crystal = inputs.mapping(value, "[crystal]")
    kind = next((key for key in ("cif", "mcif") if key in crystal), "")
    inputs.table(value, "[crystal]", f"sites {kind or 'cell spacegroup'}")
    needed = "label spin" if kind else "label position spin"
    entries = inputs.tables(crystal["sites"], "[[crystal.sites]]", needed, "ion g lande")
    sites = {str(entry["label"]): entry for entry in entries}
    if len(sites) != len(entries) or not entries:
        raise InputError("[[crystal.sites]] must list at least one site, each label once; symmetry makes the copies")
    for label, entry in sites.items():
        inputs.numbers(entry["spin"], (), f"spin of site '{label}'")
        lande = float(inputs.numbers(entry.get("lande", 2.0), (), f"lande of site '{label}'"))
        if lande == 0:
            raise InputError(
                f"lande of site '{label}' is 0; give the Lande factor of its form factor, 2 for spins alone"
            )
        if entry.get("ion"):
            ions.coefficients(str(entry["ion"]), "j0" if lande == 2 else "j2")
    if kind == "cif":
        return Crystal.from_cif(folder / str(crystal["cif"])).only(list(sites)), sites, {}
    if kind == "mcif":
        structure = mcif.read(folder / str(crystal["mcif"]))
        return structure.crystal.only(list(sites)), sites, structure.order(list(sites))
    return _listed(crystal, sites), sites, {}


def _listed(crystal: Mapping[str, Any], sites: Mapping[str, Mapping[str, Any]]) -> Crystal:
    return Crystal.from_spacegroup(
        inputs.numbers(crystal["cell"], (6,), "[crystal] cell").tolist(),
        crystal["spacegroup"],
        {
            label: inputs.numbers(entry["position"], (3,), f"position of site '{label}'").tolist()
            for label, entry in sites.items()
        },
    )


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
    orbit = _bond(cell, entry)
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


def _table(
    cell: MagneticCell, entry: Mapping[str, Any], sites: Mapping[str, dict[str, Any]], folder: Path
) -> list[Coupling]:
    """All bonds of a file under one parameter."""
    inputs.table(entry, f"coupling '{entry['name']}' with exchange from a file", "name exchange convention")
    table = exchange.read(folder / str(entry["exchange"]), cell.crystal)
    spins = torch.tensor([float(sites[kind]["spin"]) for kind in cell.crystal.kinds], dtype=torch.float64)
    return [Coupling(str(entry["name"]), *cell.bonds(table, exchange.ours(table, entry["convention"], spins)))]


def _bond(cell: MagneticCell, entry: Mapping[str, Any]) -> BondOrbit:
    """The orbit by the name of its shell, or by the ends of its first bond."""
    if ("bond" in entry) == ("between" in entry):
        raise InputError(f"coupling '{entry['name']}' needs the name of a bond, or between, the positions of its ends")
    if "bond" in entry:
        return cell.crystal.bond(str(entry["bond"]))
    return cell.crystal.between(*inputs.numbers(entry["between"], (2, 3), f"between of coupling '{entry['name']}'"))


def _anisotropy(cell: MagneticCell, entry: Mapping[str, Any], sites: Mapping[str, dict[str, Any]]) -> Anisotropy:
    """`axis` n means the matrix n n^T."""
    name, kind = str(entry["name"]), str(entry["site"])
    if ("axis" in entry) == ("matrix" in entry) or "axes" in entry:
        raise InputError(f"anisotropy '{name}' needs an axis, a matrix or stevens; only stevens may have axes")
    if "axis" in entry:
        axis = inputs.numbers(entry["axis"], (3,), f"axis of anisotropy '{name}'")
        if not bool(axis.any()):
            raise InputError(f"the axis of anisotropy '{name}' is zero; give a Cartesian direction")
        matrix = torch.outer(axis, axis) / (axis @ axis)
    else:
        matrix = inputs.matrix(entry["matrix"], f"matrix of anisotropy '{name}'")
    copies = cell.crystal.propagate_site(kind, matrix, "anisotropy")
    atoms, copy = _atoms(cell, kind)
    return Anisotropy(name, atoms, _scale(entry, 2, sites[kind]) * copies[copy])


def _multipole(cell: MagneticCell, entry: Mapping[str, Any], sites: Mapping[str, dict[str, Any]]) -> Multipole:
    """Stevens operators, each with the power of the spin length that goes with it."""
    name, kind = str(entry["name"]), str(entry["site"])
    if "axis" in entry or "matrix" in entry:
        raise InputError(f"anisotropy '{name}' has stevens and an axis or a matrix; give one of them")
    operators = stevens.combination(entry["stevens"], f"stevens of anisotropy '{name}'")
    axes = _axes(entry.get("axes", torch.eye(3).tolist()), f"axes of anisotropy '{name}'")
    keeps, copies = cell.crystal.site_rotations(kind)
    parts = stevens.symmetrised(operators, axes, keeps, f"stevens of anisotropy '{name}' on site '{kind}'")
    spin = float(sites[kind]["spin"])
    function = torch.stack([_scale(entry, k, sites[kind]) * spin**k * f for k, f in parts.items()]).sum(0)
    atoms, copy = _atoms(cell, kind)
    return Multipole(name, atoms, stevens.turned(function, copies)[copy])


def _dipole(value: object) -> Dipole:
    scale = inputs.table(value, "[dipole]", "", "scale").get("scale", "")
    if not isinstance(scale, str):
        raise InputError(f"[dipole] scale must be the name of a parameter, got {scale!r}; leave it out for 1")
    return Dipole(scale)


def _scale(entry: Mapping[str, Any], rank: int, site: Mapping[str, Any]) -> float:
    """What is left of an operator of this rank between classical spins: 1, or what a coherent state gives."""
    name, spin = entry["name"], float(site["spin"])
    less = stevens.renormalisation(rank, spin)
    renormalised = inputs.switch(entry.get("renormalised", False), f"renormalised of anisotropy '{name}'")
    if less == 0 and (renormalised or "stevens" in entry):
        raise InputError(
            f"anisotropy '{name}' has rank {rank}, which does nothing to a spin {spin:g}; give a rank of at most "
            "twice the spin"
        )
    return less if renormalised else 1.0


def _axes(value: object, where: str) -> Float[Tensor, "3 3"]:
    axes = torch.nn.functional.normalize(inputs.numbers(value, (3, 3), where), dim=1)
    if float((axes @ axes.T - torch.eye(3, dtype=torch.float64)).abs().max()) > stevens.ROUNDING:
        raise InputError(f"{where} must be three directions at right angles, as rows, got {value!r}")
    U, _, V = torch.linalg.svd(axes)
    return torch.matmul(U, V)


def _atoms(cell: MagneticCell, kind: str) -> tuple[Int64[Tensor, " atom"], Int64[Tensor, " atom"]]:
    """Atoms of the magnetic cell that are copies of a site, and which copy each is."""
    copies = torch.tensor(_copies(cell, kind))
    atom, copy = (cell.site[:, None] == copies).nonzero(as_tuple=True)
    return atom, copy


def _copies(cell: MagneticCell, kind: str) -> list[int]:
    return [k for k, each in enumerate(cell.crystal.kinds) if each == kind]
