"""A broad family of crystals: fcc, bcc, hcp, diamond and rock salt with random springs that hold.

Springs go to first and second neighbours. Those of half of the metals are scattered round published ones, those of all
others round springs along and across bonds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from sqwirrel.learn.latent.canvas import Canvas
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.born_von_karman import bonds_of, model_of, values_of
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.seeds import stream

SIDE = 2.5
"""Cube root of the volume per atom, A: any will do."""
CRYSTALS: dict[str, tuple[list[float], int, dict[str, tuple[float, float, float]], float]] = {
    "fcc": ([1, 1, 1, 90, 90, 90], 225, {"Al": (0, 0, 0)}, 1.02),
    "bcc": ([1, 1, 1, 90, 90, 90], 229, {"Fe": (0, 0, 0)}, 1.02),
    "hcp": ([1, 1, 1.59, 90, 90, 120], 194, {"Mg": (1 / 3, 2 / 3, 1 / 4)}, 1.05),
    "diamond": ([1, 1, 1, 90, 90, 90], 227, {"Si": (1 / 8, 1 / 8, 1 / 8)}, 0.72),
    "rock salt": ([1, 1, 1, 90, 90, 90], 225, {"Na": (0, 0, 0), "Cl": (0.5, 0.5, 0.5)}, 0.72),
}
"""Cell, space group, sites, and how far springs go, in units of a."""
PAIRS = ((23.0, 3.6, 35.5, 9.6), (24.3, 5.4, 16.0, 5.8), (6.9, -1.9, 19.0, 5.7), (207.2, 9.4, 32.1, 2.8))
"""Masses, u, and scattering lengths, fm, of pairs in rock salt: NaCl, MgO, LiF, PbS."""
FIRST = 1.08
"""Bonds up to so many times the shortest are to first neighbours."""
SIZES = ((1.0, 1.0), (-0.15, 0.3), (-0.3, 0.6), (-0.15, 0.15))
"""Springs along and across bonds to first, and to second neighbours."""
SCATTER, LOOSE = 0.5, 0.05
"""Springs are scattered by this share of each, and of the largest."""
SHARD = 64


@dataclass(frozen=True, eq=False)
class Material:
    """A crystal and the springs that it may have: sums of those along and across bonds (`axial`), published ones."""

    model: PhononModel
    axial: Float[Tensor, "size parameter"]
    published: Float[Tensor, "set parameter"]

    def springs(self, rows: int, generator: torch.Generator) -> Float[Tensor, "row parameter"]:
        """Random ones, not all of which hold."""

        def even(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

        middle = torch.cat([even(*ends, rows, 1) for ends in SIZES], 1) @ self.axial
        if len(self.published):
            other = self.published[torch.randint(len(self.published), (rows,), generator=generator)]
            middle = torch.where(even(0, 1, rows, 1) < 0.5, middle, other)
        largest = middle.abs().amax(1, keepdim=True)
        return middle * even(1 - SCATTER, 1 + SCATTER, *middle.shape) + LOOSE * largest * even(-1, 1, *middle.shape)


def material(structure: str, pair: int = 0) -> Material:
    """One of `CRYSTALS`; rock salt of one of `PAIRS`."""
    cell, group, sites, far = CRYSTALS[structure]
    one = Crystal.from_spacegroup(cell, group, sites)
    a = SIDE * (len(one.sites) / (math.prod(cell[:3]) * math.sin(math.radians(cell[5])))) ** (1 / 3)
    crystal = Crystal.from_spacegroup([*(a * x for x in cell[:3]), *cell[3:]], group, sites)
    orbits = bonds_of(crystal, far * a)
    model = model_of(crystal, orbits, name=structure, title=structure, **_pair(structure, pair))
    axial = torch.zeros(len(SIZES), len(model.names), dtype=torch.float64)
    for orbit in orbits:
        step = crystal.positions[orbit.j[0]] + orbit.offset[0] - crystal.positions[orbit.i[0]]
        r = step @ crystal.lattice.vectors / orbit.distance
        shell = 0 if orbit.distance < FIRST * orbits[0].distance else 2
        outer = torch.outer(r, r)
        for row, matrix in ((shell, outer), (shell + 1, torch.eye(3).to(outer) - outer)):
            for name, value in values_of(orbit, matrix).items():
                axial[row, model.names.index(name)] = value
    return Material(model, axial, _published(structure, model.names))


def rows_of(
    structure: str, rows: int, seed: int
) -> tuple[Float[Tensor, "row parameter"], Float32[Tensor, "row point energy"]]:
    """Springs of a structure that hold, and their maps; rock salt takes each of `PAIRS` in turn.

    Springs are in units of the largest, but for rounding.
    """
    theta, level, found, k = list[Tensor](), list[Tensor](), 0, 0
    kinds = [material(structure, pair) for pair in range(len(PAIRS) if structure == "rock salt" else 1)]
    while found < rows:
        own, generator = kinds[k % len(kinds)], stream(seed, f"{structure} {k}")
        drawn = own.springs(SHARD, generator)
        maps, stable = Canvas.of(own.model, k).maps(drawn, generator)
        theta.append(drawn[stable])
        level.append(maps[stable])
        found, k = found + int(stable.sum()), k + 1
    return torch.cat(theta)[:rows], torch.cat(level)[:rows]


def _pair(structure: str, pair: int) -> dict[str, Tensor]:
    """Nuclei of a pair; the first atom of the cell is its first."""
    if structure != "rock salt":
        return {}
    one, b, other, c = PAIRS[pair]
    return {
        "masses": torch.tensor([one, other], dtype=torch.float64),
        "lengths": torch.tensor([b, c], dtype=torch.float64),
    }


def _published(structure: str, names: tuple[str, ...]) -> Float[Tensor, "set parameter"]:
    """Published springs of metals of a structure, as far as springs go here, over the largest."""
    rows = [[float(each.get(name, 0.0)) for name in names] for each in _sets(structure)]
    found = torch.tensor(rows, dtype=torch.float64).reshape(-1, len(names))
    return found / found.abs().amax(1, keepdim=True).clamp(min=1e-9)


@cache
def _sets(structure: str) -> tuple[Mapping[str, float], ...]:
    known = [name for name in library.names() if library.published(name)["structure"] == structure]
    return tuple(library.load(name).defaults for name in known)
