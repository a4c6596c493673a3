"""Magnetic CIF files: the chemical structure, the magnetic cell, and the moments of all its atoms.

Tags are those of the magCIF dictionary of the IUCr. An operation x -> W x + t with time reversal -1 or 1 takes a moment
m to (+-1) det(R) R m, R the Cartesian matrix of W. Crystal-axis components are lengths along unit vectors a/|a|, ...
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import gemmi
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model import symmetry
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.files import cif
from sqwirrel.model.spacegroup import check_cell

MOMENT_TOLERANCE = 0.02
"""A moment that symmetry moves by less, as a share of it, is rounded: three digits in a file."""
OPERATION, CENTRING, MOMENT = (
    "_space_group_symop_magn_operation_xyz",
    "_space_group_symop_magn_centering_xyz",
    "_atom_site_moment_",
)
PARENT = (
    "_parent_space_group_child_transform_pp_abc",
    "_magnetic_space_group_transform_from_parent_pp_abc",  # an older name of it
)
Tags = dict[str, list[str]]


class MagneticStructure(NamedTuple):
    """A chemical `crystal`, rows of the magnetic cell in its vectors, and every atom of the magnetic cell.

    `positions` are chemical, without folding; `moments` are Cartesian, in Bohr magnetons, zero where the file has none.
    """

    crystal: Crystal
    supercell: Float[Tensor, "3 3"]
    positions: Float[Tensor, "atom 3"]
    moments: Float[Tensor, "atom 3"]

    def order(self, kinds: Sequence[str]) -> dict[str, object]:
        """The [order] table of the sites of these kinds."""
        site, _, _ = symmetry.locate(self.positions, self.crystal.positions, self.crystal.lattice.vectors)
        spins = []
        for k, x, m in zip(site.tolist(), self.positions, self.moments, strict=True):
            if self.crystal.kinds[k] in kinds:
                if not bool(m.any()):
                    raise InputError(
                        f"the magnetic CIF file gives no moment to the atom of site '{self.crystal.kinds[k]}' at "
                        f"{symmetry.spell(x)}; leave the site out of [[crystal.sites]]"
                    )
                spins.append({"position": x.tolist(), "direction": m.tolist()})
        return {"supercell": self.supercell.tolist(), "spins": spins}


class Operations(NamedTuple):
    """x -> W x + t, and the matrix that takes a Cartesian moment with it."""

    W: Float[Tensor, "operation 3 3"]
    t: Float[Tensor, "operation 3"]
    axial: Float[Tensor, "operation 3 3"]


def read(path: Path) -> MagneticStructure:
    """The commensurate structure of a file; where it names no parent cell, the magnetic cell is the chemical one."""
    block, structure = cif.read(path)
    tags = _tags(block)
    if any(tag.startswith(("_cell_wave_vector", "_cell_modulation", "_atom_site_moment_fourier")) for tag in tags):
        raise InputError(
            f"'{path}' describes an incommensurate order in superspace; give its structure as cif, and the propagation "
            "and axis of a spiral in [order]"
        )
    supercell, origin = _parent(tags, path)
    cell, lattice = _lattices(structure.cell, supercell)
    operations = _operations(tags, cell, path)
    labels, numbers, positions, moments = _atoms(structure, tags, operations, cell, path)
    chemical = positions @ supercell + origin
    crystal = _chemical(lattice, labels, numbers, chemical, supercell, path)
    count = len(crystal.sites) * float(torch.linalg.det(supercell).abs())
    if len(labels) != round(count):
        raise InputError(
            f"the {len(labels)} atoms of '{path}' do not repeat with its parent cell; take out the tag "
            "_parent_space_group.child_transform_Pp_abc to have the magnetic cell for the chemical one"
        )
    return MagneticStructure(crystal, supercell, chemical, moments)


def _tags(block: gemmi.cif.Block) -> Tags:
    """Values by tag in small letters, with underscores where the older and the newer spelling differ."""
    pairs: list[Any] = [item.pair for item in block if item.pair is not None]
    loops = [item.loop for item in block if item.loop is not None]
    tags = [*(pair[0] for pair in pairs), *(tag for loop in loops for tag in loop.tags)]
    return {_plain(tag): [gemmi.cif.as_string(value) for value in block.find_values(tag)] for tag in tags}


def _plain(tag: str) -> str:
    return str(tag).lower().replace(".", "_")


def _parent(tags: Tags, path: Path) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """Rows of the magnetic cell in parent vectors, and its origin in the parent cell, from such as a,b,2c;0,0,0."""
    text = next((tags[tag][0] for tag in PARENT if tag in tags and tags[tag][0].strip("?. ")), "a,b,c;0,0,0")
    axes, _, origin = text.replace(" ", "").partition(";")
    starred = re.sub(r"(?<=\d)(?=[abc])", "*", axes).translate(str.maketrans("abc", "xyz"))
    try:
        shift = [float(Fraction(_short(part))) for part in (origin or "0,0,0").split(",")]
        rows = torch.tensor(gemmi.Op(starred).rot, dtype=torch.float64) / gemmi.Op.DEN
    except (RuntimeError, ValueError):
        shift, rows = [], torch.zeros(3, 3, dtype=torch.float64)
    if len(shift) != 3 or float(torch.linalg.det(rows)) < 1e-6:
        raise InputError(f"'{path}': the transformation from the parent cell, '{text}', is not like 'a,b,2c;0,0,0'")
    return rows, torch.tensor(shift, dtype=torch.float64)


def _short(fraction: str) -> str:
    """A fraction of a few digits; the power of ten in another could take all memory."""
    if not re.fullmatch(r"[+-]?\d{1,6}(/0*[1-9]\d{0,5}|\.\d{0,15})?", fraction):
        raise ValueError(fraction)
    return fraction


def _lattices(cell: gemmi.UnitCell, supercell: Float[Tensor, "3 3"]) -> tuple[Lattice, Lattice]:
    """The magnetic lattice in the Cartesian frame of the chemical one, and that."""
    given = Lattice(cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma)
    parent = Lattice.from_vectors(torch.linalg.solve(supercell, given.vectors))
    angles = (round(angle, 6) for angle in (parent.alpha, parent.beta, parent.gamma))
    chemical = Lattice(parent.a, parent.b, parent.c, *angles)
    return Lattice.from_vectors(supercell @ chemical.vectors), chemical


def _operations(tags: Tags, cell: Lattice, path: Path) -> Operations:
    """All operations of the magnetic group, centring included."""
    if OPERATION not in tags:
        raise InputError(f"'{path}' lists no magnetic symmetry operations ({OPERATION[:-4]}.xyz)")
    W, t, sign = _triplets(tags[OPERATION], path)
    _, more, times = _triplets(tags.get(CENTRING, ["x,y,z,+1"]), path)
    whole = W.round().to(torch.int64)
    check_cell(cell, whole, f"the magnetic symmetry operations of '{path}'", "")
    R = symmetry.cartesian(whole, cell.vectors)
    axial = (sign * torch.linalg.det(R))[:, None, None] * R
    n = len(more)
    return Operations(
        W.repeat(n, 1, 1),
        (t + more[:, None]).flatten(0, 1),
        (times[:, None, None, None] * axial).flatten(0, 1),
    )


def _triplets(texts: list[str], path: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices, translations and time reversals of such as -x,y+1/2,-z,-1."""
    found = []
    for text in texts:
        *parts, sign = text.replace(" ", "").split(",")
        try:
            operation, time = gemmi.Op(",".join(parts)), int(sign)
        except (RuntimeError, ValueError):
            time = 0
        if time not in {1, -1}:
            raise InputError(f"'{path}': the magnetic symmetry operation '{text}' is not like '-x,y+1/2,-z,-1'")
        found.append((operation.rot, operation.tran, time))
    W, t, times = (torch.tensor(part, dtype=torch.float64) for part in zip(*found, strict=True))
    return W / gemmi.Op.DEN, t / gemmi.Op.DEN, times


def _atoms(
    structure: gemmi.SmallStructure, tags: Tags, operations: Operations, cell: Lattice, path: Path
) -> tuple[list[str], list[int], Float[Tensor, "atom 3"], Float[Tensor, "atom 3"]]:
    """Labels, atomic numbers, positions in the magnetic cell and Cartesian moments of all its atoms."""
    moments = _moments(tags, cell, path)
    if unknown := set(moments) - {site.label for site in structure.sites}:
        raise InputError(f"'{path}' gives a moment to '{min(unknown)}', which is not among its atoms")
    labels, numbers, positions, directions = [], [], [], []
    for site in structure.sites:
        x = torch.tensor(site.fract.tolist(), dtype=torch.float64)
        zero = torch.zeros(3, dtype=torch.float64)
        copies, m = _copies(
            x, moments.get(site.label, zero), operations, cell, f"'{path}': the moment of '{site.label}'"
        )
        labels += [site.label] * len(copies)
        numbers += [site.element.atomic_number] * len(copies)
        positions.append(copies)
        directions.append(m)
    return labels, numbers, torch.cat(positions), torch.cat(directions)


def _moments(tags: Tags, cell: Lattice, path: Path) -> dict[str, Float[Tensor, "3"]]:
    """Cartesian moments by label."""
    names = [f"{MOMENT}{name}" for name in ("label", "crystalaxis_x", "crystalaxis_y", "crystalaxis_z")]
    if missing := [name for name in names if name not in tags]:
        raise InputError(f"'{path}' has no column {missing[0]}; moments must be given along the crystal axes")
    axes = torch.nn.functional.normalize(cell.vectors, dim=-1)
    labels, *columns = (tags[name] for name in names)
    values = torch.tensor([[gemmi.cif.as_number(x) for x in column] for column in columns], dtype=torch.float64).T
    if not bool(values.isfinite().all()):
        raise InputError(f"'{path}': a moment along a crystal axis is not a number")
    return dict(zip(labels, values @ axes, strict=True))


def _copies(
    x: Float[Tensor, "3"], moment: Float[Tensor, "3"], operations: Operations, cell: Lattice, what: str
) -> tuple[Float[Tensor, "copy 3"], Float[Tensor, "copy 3"]]:
    """All copies of an atom, made exactly what the operations that leave it in its place ask for."""
    gap = operations.W @ x + operations.t - x
    here = torch.linalg.vector_norm((gap - gap.round()) @ cell.vectors, dim=-1) < symmetry.SITE_TOLERANCE
    kept = operations.axial[here] @ moment
    if float((kept - moment).abs().max()) > MOMENT_TOLERANCE * float(moment.norm()):
        raise InputError(f"{what} is changed by a symmetry operation of the file that leaves the atom in its place")
    exact = x + (gap - gap.round())[here].mean(0)
    places = symmetry.wrap(operations.W @ exact + operations.t)
    first = _first(places, cell.vectors)
    return places[first], operations.axial[first] @ kept.mean(0)


def _first(places: Float[Tensor, "place 3"], vectors: Float[Tensor, "3 3"]) -> Int64[Tensor, " copy"]:
    """One of those that are the same modulo the lattice."""
    gap = places[:, None] - places
    same = torch.linalg.vector_norm((gap - gap.round()) @ vectors, dim=-1) < symmetry.SITE_TOLERANCE
    first: Tensor = same.to(torch.int64).argmax(-1).unique()
    return first


def _chemical(
    lattice: Lattice,
    labels: list[str],
    numbers: list[int],
    positions: Float[Tensor, "atom 3"],
    supercell: Float[Tensor, "3 3"],
    path: Path,
) -> Crystal:
    """The atoms folded into the chemical cell, with the symmetry of their positions alone."""
    steps = torch.cartesian_prod(*3 * (torch.arange(4, dtype=torch.float64),)) @ supercell
    steps = symmetry.wrap(steps[_first(symmetry.wrap(steps), lattice.vectors)])  # those of a centred chemical cell
    places = symmetry.wrap(positions + steps[:, None]).flatten(0, 1)
    first, n = _first(places, lattice.vectors).tolist(), len(labels)
    chosen = [labels[k % n] for k in first], [numbers[k % n] for k in first], places[first].tolist()
    return Crystal.from_atoms(lattice, *chosen, where=f"the atoms of '{path}'").merged()
