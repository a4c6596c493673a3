"""What symmetry allows: exchange on every bond and anisotropy on every site of a crystal, in letters."""

from collections.abc import Iterator
from typing import NamedTuple

from sqwirrel.errors import InputError
from sqwirrel.model import symmetry
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.symmetry import BondOrbit

LEGEND = """Letters are free numbers, anew in each line, in Cartesian axes: x along a, y in the plane of a and b.
An anisotropy is that of the first site; exchange is S_i . J . S_j on the bond that is named, i its start;
D stands for D . (S_i x S_j). A multiple of the unit matrix, Heisenberg exchange, is always allowed; the anisotropic
part is symmetric and has no trace."""
UP_TO = "Bonds up to {:g} A are listed; --distance chooses another length."


class Bonds(NamedTuple):
    """The bonds of a crystal up to a length, A."""

    crystal: Crystal
    longest: float
    orbits: list[BondOrbit]


def look(crystal: Crystal, longest: float) -> Bonds:
    """Bonds up to `longest`, A."""
    orbits = crystal.bonds(longest) if longest > 0 else []
    if not orbits:
        raise InputError(f"no bond between these sites is as short as {longest:g} A; give a larger --distance")
    return Bonds(crystal, longest, orbits)


def as_mapping(bonds: Bonds) -> dict[str, object]:
    """Numbers for machines: lengths in A, fractional positions, Cartesian matrices."""
    return {
        "longest": bonds.longest,
        "sites": [
            {"name": kind, "positions": copies, "anisotropy": bonds.crystal.allowed_anisotropy(kind).tolist()}
            for kind, copies in _sites(bonds.crystal).items()
        ],
        "bonds": [
            {
                "name": orbit.name,
                "length": orbit.distance,
                "in_cell": len(orbit.i),
                "sites": _labels(bonds.crystal, orbit),
                "between": _ends(bonds.crystal, orbit),
                "exchange": orbit.allowed.tolist(),
                "dzyaloshinskii_moriya": symmetry.antisymmetric(orbit.allowed).tolist(),
                "anisotropic": symmetry.traceless(orbit.allowed).tolist(),
            }
            for orbit in bonds.orbits
        ],
    }


def legend(bonds: Bonds) -> str:
    """How to read the rows, and where they end."""
    return f"{LEGEND}\n{UP_TO.format(bonds.longest)}"


def rows(bonds: Bonds) -> Iterator[tuple[str, str]]:
    """What, and its value, for people."""
    for kind, copies in _sites(bonds.crystal).items():
        yield f"site {kind}", ", ".join(f"{label} at {_spell(position)}" for label, position in copies.items())
        yield "  anisotropy", symmetry.pattern(bonds.crystal.allowed_anisotropy(kind))
    for orbit in bonds.orbits:
        start, end = _labels(bonds.crystal, orbit)
        places = " to ".join(map(_spell, _ends(bonds.crystal, orbit)))
        D, rest = symmetry.antisymmetric(orbit.allowed), symmetry.traceless(orbit.allowed)
        yield f"bond {orbit.name}", f"{orbit.distance:.4f} A, {len(orbit.i)} in the cell, {start} to {end}: {places}"
        yield "  exchange", symmetry.pattern(orbit.allowed)
        yield "  D", symmetry.vector_pattern(D) if len(D) else "none"
        yield "  anisotropic part", symmetry.pattern(rest) if len(rest) else "none"


def _sites(crystal: Crystal) -> dict[str, dict[str, list[float]]]:
    """Positions of the copies of each kind of site, by label; the first is the one that an anisotropy is given for."""
    copies: dict[str, dict[str, list[float]]] = {}
    for site in crystal.sites:
        copies.setdefault(site.kind, {})[site.label] = site.position.tolist()
    return copies


def _labels(crystal: Crystal, orbit: BondOrbit) -> tuple[str, str]:
    return crystal.sites[int(orbit.i[0])].label, crystal.sites[int(orbit.j[0])].label


def _ends(crystal: Crystal, orbit: BondOrbit) -> tuple[list[float], list[float]]:
    """Fractional positions of the ends of the first bond."""
    x = crystal.positions
    return x[orbit.i[0]].tolist(), (x[orbit.j[0]] + orbit.offset[0]).tolist()


def _spell(position: list[float]) -> str:
    return f"[{', '.join(f'{x:.5g}' for x in position)}]"
