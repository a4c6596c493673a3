"""Crystals: a lattice, its sites and its space group; bonds by shell and symmetry orbit; what symmetry allows on them.

Space-group tables are gemmi's, CIF files are read by gemmi, and the symmetry of a structure from a file is found by
spglib in the file's own setting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import spglib
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model import symmetry
from sqwirrel.model.files import cif
from sqwirrel.model.spacegroup import check_cell, operations_of
from sqwirrel.model.symmetry import Action, BondOrbit

SYMPREC = 1e-3
"""Distance, A, within which spglib takes two atoms of a file for symmetry copies."""

MOST_SHELLS = 60
"""Shells searched for a named bond before giving up."""


@dataclass(frozen=True, eq=False)
class Site:
    """An atom of the cell: its own label ("Mn2"), the label of the site it is a copy of ("Mn"), fractional position,
    and its element ("Mn", "2-H") where that is known.
    """

    label: str
    kind: str
    position: Float[Tensor, "3"]
    element: str = ""


@dataclass(frozen=True, eq=False)
class Crystal:
    """A lattice, all its sites, and all operations x -> W x + t of its space group (centring included)."""

    lattice: Lattice
    sites: tuple[Site, ...]
    rotations: Int64[Tensor, "operation 3 3"]
    translations: Float[Tensor, "operation 3"]

    def __post_init__(self) -> None:
        """Refuses a cell or sites that the operations do not map onto themselves, and sites that coincide."""
        check_cell(self.lattice, self.rotations, "these operations", "")
        _check_apart(self.sites, self.lattice.vectors)
        _ = self.action

    @classmethod
    def from_spacegroup(
        cls, cell: Sequence[float], spacegroup: str | int | Sequence[str], sites: Mapping[str, Sequence[float]]
    ) -> "Crystal":
        """From a, b, c (A), alpha, beta, gamma (degrees), a space group and one position a site, by label.

        The group is a number, a Hermann-Mauguin or a Hall symbol, or a list of operations that generate it. Where a
        group has two origins the second (on the inversion centre) is meant, unless the symbol ends in ":1";
        rhombohedral axes are taken if the cell has them.
        """
        lattice = Lattice(*_six(cell))
        rotations, translations = operations_of(spacegroup, lattice)
        copies = {
            kind: symmetry.expand_site(_position(kind, at), rotations, translations, lattice.vectors)
            for kind, at in sites.items()
        }
        return cls(lattice, _label(copies), rotations, translations)

    @classmethod
    def from_cif(cls, path: str | Path) -> "Crystal":
        """From a CIF file; sites keep the file's labels."""
        _, structure = cif.read(Path(path))
        cell = structure.cell
        lattice = Lattice(cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma)
        every = list(cif.atoms(structure))
        atoms = [(site.label, site.element.atomic_number, site.fract.tolist()) for site in every]
        found = cls.from_atoms(lattice, *zip(*atoms, strict=True), where=f"the atoms of '{path}'")
        return found.of_elements({site.label: site.element.name for site in every})

    @classmethod
    def from_atoms(
        cls,
        lattice: Lattice,
        labels: Sequence[str],
        numbers: Sequence[int],
        positions: Sequence[Sequence[float]],
        *,
        where: str,
    ) -> "Crystal":
        """From all atoms of a cell: labels, atomic numbers, fractional positions; spglib finds the space group."""
        rotations, translations = _found_symmetry(lattice, list(positions), list(numbers), where)
        at = torch.tensor(positions, dtype=torch.float64)
        copies = {label: at[[k for k, each in enumerate(labels) if each == label]] for label in dict.fromkeys(labels)}
        return cls(lattice, _label(copies), rotations, translations)

    @property
    def positions(self) -> Float[Tensor, "site 3"]:
        """Fractional positions of all sites."""
        return torch.stack([site.position for site in self.sites])

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each site is a copy of."""
        return tuple(site.kind for site in self.sites)

    @cached_property
    def action(self) -> Action:
        """How the operations move the sites."""
        return symmetry.action(self.positions, self.rotations, self.translations, self.lattice.vectors)

    def of_elements(self, elements: Mapping[str, str]) -> "Crystal":
        """The same with the elements of kinds of site."""
        sites = tuple(replace(site, element=elements.get(site.kind, site.element)) for site in self.sites)
        return replace(self, sites=sites)

    def only(self, kinds: Sequence[str]) -> "Crystal":
        """The same symmetry with these kinds of site alone: the magnetic ones."""
        if unknown := [kind for kind in kinds if kind not in self.kinds]:
            raise InputError(f"the crystal has sites {tuple(dict.fromkeys(self.kinds))}, got '{unknown[0]}'")
        kept = tuple(site for site in self.sites if site.kind in kinds)
        return Crystal(self.lattice, kept, self.rotations, self.translations)

    def merged(self) -> "Crystal":
        """The same with one kind for all sites that symmetry makes of one, named after the first of them."""
        kinds = [self.kinds[first] for first in self.action.image.amin(0).tolist()]
        copies = {kind: self.positions[[k for k, each in enumerate(kinds) if each == kind]] for kind in kinds}
        return Crystal(self.lattice, _label(copies), self.rotations, self.translations)

    def bonds(self, max_distance: float) -> list[BondOrbit]:
        """Bonds up to `max_distance`, A, each once, by shell and symmetry orbit: "1", "2", "3a", "3b".

        Lengths within 1e-3 A are one shell. The first bond of an orbit is the one that a matrix is given for.
        """
        return symmetry.bond_orbits(self.action, self.positions, self.kinds, self.lattice.vectors, max_distance)

    def bond(self, name: str) -> BondOrbit:
        """The orbit with this name."""
        number = int("".join(filter(str.isdigit, name)) or 0)
        if not 0 < number <= MOST_SHELLS:
            raise InputError(f"bond '{name}' is not the name of a shell; write '1', '2', ... or '3a', '3b' for orbits")
        reach = float(torch.linalg.vector_norm(self.lattice.vectors, dim=-1).min())
        orbits = self.bonds(reach)
        while int("".join(filter(str.isdigit, orbits[-1].name)) if orbits else 0) < number:
            reach *= 1.4
            orbits = self.bonds(reach)
        if chosen := [orbit for orbit in orbits if orbit.name == name]:
            return chosen[0]
        shell = [each.name for each in orbits if each.name.rstrip("abcdefghijklmnopqrstuvwxyz") == str(number)]
        raise InputError(f"there is no bond '{name}'; shell {number} consists of {', '.join(map(repr, shell))}")

    def between(self, start: Float[Tensor, "3"], end: Float[Tensor, "3"]) -> BondOrbit:
        """The orbit of the bond between two places (fractional): that one is the first of it."""
        places = torch.stack([start, end])
        site, cell, found = symmetry.locate(places, self.positions, self.lattice.vectors)
        offset = tuple((cell[1] - cell[0]).tolist())
        name = f"{symmetry.spell(start)} to {symmetry.spell(end)}"
        if not bool(found.all()) or (site[0] == site[1] and not any(offset)):
            raise InputError(f"no bond runs from {name}; give the fractional positions of two magnetic atoms")
        distance = float(torch.linalg.vector_norm((end - start) @ self.lattice.vectors))
        return symmetry.orbit(self.action, name, distance, (int(site[0]), int(site[1]), offset))

    def allowed_exchange(self, bond: str | BondOrbit) -> Float[Tensor, "basis 3 3"]:
        """Basis of the Cartesian exchange matrices that symmetry permits on the orbit's first bond."""
        return self.bond(bond).allowed if isinstance(bond, str) else bond.allowed

    def allowed_anisotropy(self, kind: str) -> Float[Tensor, "basis 3 3"]:
        """Basis of the symmetric Cartesian matrices that symmetry permits on the first site of a kind."""
        keeps, _ = self.site_rotations(kind)
        return symmetry.invariant(keeps, keeps)

    def propagate_exchange(self, orbit: BondOrbit, matrix: Float[Tensor, "3 3"]) -> Float[Tensor, "bond 3 3"]:
        """The matrix of the first bond on every bond of its orbit; refused where symmetry forbids it."""
        if not symmetry.contains(orbit.allowed, matrix):
            start, end = (self.sites[int(site[0])].label for site in (orbit.i, orbit.j))
            raise InputError(
                f"symmetry forbids the matrix {matrix.tolist()} on bond '{orbit.name}' ({start} to {end} "
                f"{orbit.offset[0].tolist()}, {orbit.distance:.4g} A); it allows {symmetry.pattern(orbit.allowed)}"
            )
        return orbit.rotation @ matrix @ orbit.rotation.mT

    def propagate_site(self, kind: str, matrix: Float[Tensor, "3 3"], what: str) -> Float[Tensor, "copy 3 3"]:
        """A symmetric matrix of the first site of a kind on all its copies; refused where symmetry forbids it."""
        allowed = self.allowed_anisotropy(kind)
        if not symmetry.contains(allowed, matrix):
            raise InputError(
                f"symmetry forbids the {what} {matrix.tolist()} on site '{kind}'; it allows {symmetry.pattern(allowed)}"
            )
        _, R = self.site_rotations(kind)
        return R @ matrix @ R.mT

    def site_rotations(self, kind: str) -> tuple[Float[Tensor, "keep 3 3"], Float[Tensor, "copy 3 3"]]:
        """Cartesian rotations that leave the first site of a kind in its place, and one to each of its copies."""
        if kind not in self.kinds:
            raise InputError(f"the crystal has sites {tuple(dict.fromkeys(self.kinds))}, got '{kind}'")
        first = self.kinds.index(kind)
        image = self.action.image[:, first].tolist()
        sites = [site for site, each in enumerate(self.kinds) if each == kind]
        if strange := [site for site in sites if site not in image]:
            raise InputError(
                f"no symmetry operation takes site '{kind}' from {symmetry.spell(self.positions[first])} to its copy "
                f"at {symmetry.spell(self.positions[strange[0]])}; put it exactly on its special position, or check "
                "that the operations of the file are a group"
            )
        copies = [image.index(site) for site in sites]
        return self.action.R[[k for k, site in enumerate(image) if site == first]], self.action.R[copies]


def _six(cell: Sequence[float]) -> list[float]:
    if len(cell) != 6:
        raise InputError(f"a cell is [a, b, c, alpha, beta, gamma] (A, degrees), got {list(cell)}")
    return [float(each) for each in cell]


def _position(kind: str, at: Sequence[float]) -> Float[Tensor, "3"]:
    if len(at) != 3:
        raise InputError(f"site '{kind}' needs three fractional coordinates, got {list(at)}")
    return torch.as_tensor(at, dtype=torch.float64)


def _check_apart(sites: tuple[Site, ...], vectors: Float[Tensor, "3 3"]) -> None:
    if not sites:
        raise InputError("a crystal needs at least one site")
    x = torch.stack([site.position for site in sites])
    gap = x[:, None] - x
    distance = torch.linalg.vector_norm((gap - gap.round()) @ vectors, dim=-1) + torch.eye(len(x)).to(x) * 1e3
    if float(distance.min()) < 10 * symmetry.SITE_TOLERANCE:
        i, j = divmod(int(distance.argmin()), len(x))
        raise InputError(
            f"sites '{sites[i].label}' and '{sites[j].label}' are {float(distance.min()):.2g} A apart; give one "
            "position a site, exactly on its special position if it has one"
        )


def _label(copies: Mapping[str, Float[Tensor, "copy 3"]]) -> tuple[Site, ...]:
    """Sites in the order given; copies are numbered from 1 where there are several."""
    return tuple(
        Site(kind if len(at) == 1 else f"{kind}_{k}", kind, position)
        for kind, at in copies.items()
        for k, position in enumerate(at, 1)
    )


def _found_symmetry(
    lattice: Lattice, positions: list[Sequence[float]], numbers: list[int], where: str
) -> tuple[Int64[Tensor, "operation 3 3"], Float[Tensor, "operation 3"]]:
    """Operations that spglib finds, in the setting of these axes."""
    spglib.error.OLD_ERROR_HANDLING = False  # exceptions, as spglib asks for, in place of None
    try:
        found = spglib.get_symmetry((lattice.vectors.tolist(), positions, numbers), symprec=SYMPREC)
    except spglib.SpglibError as error:
        raise InputError(f"spglib finds no symmetry for {where}: {error}") from None
    assert found is not None
    rotations = torch.as_tensor(found["rotations"], dtype=torch.int64)
    return rotations, torch.as_tensor(found["translations"], dtype=torch.float64)
