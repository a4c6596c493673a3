"""The exchange.out of TB2J: exchange constants from density functional theory.

For unit vectors e and every ordered pair of atoms, H = - sum e_i . (J_iso + J_ani) . e_j + D . (e_i x e_j), in meV (He,
Helbig, Verstraete, Bousquet, Comput. Phys. Commun. 264, 107938 (2021), doi:10.1016/j.cpc.2021.107938). Single-ion terms
are not read.
"""

import re
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import symmetry
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.symmetry import Ends

MARK = "Exchange:"
NEAR = 0.05
"""How far cell and positions of a relaxed structure may be off, as a share of the shortest edge."""
NUMBER = r"\s+(-?\d+\.?\d*)"
ATOM = re.compile(rf"^\s*([A-Z][a-z]?\d+){3 * NUMBER}", re.MULTILINE)
BOND = re.compile(
    rf"^\s*([A-Z][a-z]?\d+)\s+([A-Z][a-z]?\d+)\s+\(\s*(-?\d+),\s*(-?\d+),\s*(-?\d+)\s*\){NUMBER}", re.MULTILINE
)
DMI = re.compile(r"\bDMI:\s*\(([^)]*)\)")
ANISOTROPIC = re.compile(r"J_ani:\s*\[(\[.*?\])\s*\]", re.DOTALL)


def bonds(text: str, crystal: Crystal, path: Path) -> list[tuple[Ends, Float[Tensor, "3 3"]]]:
    """Every bond that is listed, with J_iso + J_ani + D x in the Cartesian frame of the crystal."""
    head, _, body = text.partition(MARK)
    cell = _cell(head, path)
    turn = _turn(cell, crystal, path)
    places = {
        match[1]: _numbers(" ".join(match.groups()[1:])) @ torch.linalg.inv(cell) for match in ATOM.finditer(head)
    }
    found = []
    for part in re.split(r"^-{9,}\s*$", body, flags=re.MULTILINE)[1:]:
        match = BOND.search(part)
        if match is None:
            raise InputError(f"'{path}' has an exchange that is not as TB2J writes it: {' '.join(part.split())[:60]!r}")
        (i, start), (j, end) = (_site(label, places, crystal, path) for label in match.groups()[:2])
        a, b, c = (_numbers(" ".join(match.groups()[2:5])) + end - start).int().tolist()
        found.append(((i, j, (a, b, c)), turn.T @ _matrix(float(match[6]), part, path) @ turn))
    return found


def _matrix(isotropic: float, part: str, path: Path) -> Float[Tensor, "3 3"]:
    """The matrix J of e_i . J . e_j, in the frame of the file."""
    J = isotropic * torch.eye(3, dtype=torch.float64)
    if (match := ANISOTROPIC.search(part)) is not None:
        J = J + _some(re.sub(r"[\[\]]", " ", match[1]), 9, path).reshape(3, 3)
    if (match := DMI.search(part)) is not None:
        x, y, z = _some(match[1], 3, path).tolist()
        J = J + torch.tensor([[0, z, -y], [-z, 0, x], [y, -x, 0]], dtype=torch.float64)
    return J


def _cell(head: str, path: Path) -> Float[Tensor, "3 3"]:
    lines = head.partition("Cell (Angstrom):")[2].split("\n")[1:4]
    values = _numbers(" ".join(lines))
    if len(values) != 9 or not 1e-6 < abs(float(torch.linalg.det(values.reshape(3, 3)))) < 1e9:
        raise InputError(f"'{path}' has no cell as TB2J writes it, three lines after 'Cell (Angstrom):'")
    return values.reshape(3, 3)


def _turn(cell: Float[Tensor, "3 3"], crystal: Crystal, path: Path) -> Float[Tensor, "3 3"]:
    """The rotation T, v T for rows v, from the frame of the file into that of the crystal."""
    ours = crystal.lattice.vectors
    U, _, V = torch.linalg.svd(torch.linalg.solve(cell, ours))
    turn: Tensor = U @ V
    if float((cell @ turn - ours).norm(dim=-1).max()) > NEAR * float(ours.norm(dim=-1).min()):
        raise InputError(
            f"the cell of '{path}', {cell.tolist()}, is not the chemical cell of the model; describe the model in the "
            "cell of the table"
        )
    return turn


def _site(label: str, places: dict[str, Tensor], crystal: Crystal, path: Path) -> tuple[int, Tensor]:
    """The site that an atom of the file is, and the cell it lies in."""
    if label in places:
        site, shift, _ = symmetry.locate(places[label], crystal.positions, crystal.lattice.vectors)
        gap = (places[label] - crystal.positions[site] - shift) @ crystal.lattice.vectors
        if float(gap.norm()) < NEAR * float(crystal.lattice.vectors.norm(dim=-1).min()):
            return int(site), shift
    raise InputError(f"atom '{label}' of '{path}' is at none of the magnetic sites of the model; list its site, too")


def _some(text: str, count: int, path: Path) -> Float[Tensor, " number"]:
    """So many numbers."""
    values = _numbers(text)
    if len(values) != count:
        raise InputError(
            f"'{path}' has {len(values)} numbers where TB2J writes {count}: {' '.join(text.split())[:60]!r}"
        )
    return values


def _numbers(text: str) -> Float[Tensor, " number"]:
    """Numbers between spaces or commas; none where one is not readable."""
    try:
        return torch.tensor([float(part) for part in text.replace(",", " ").split()], dtype=torch.float64)
    except ValueError:
        return torch.zeros(0, dtype=torch.float64)
