"""Spin models for the tests, built directly from arrays, and the exchange of arrays with the neutral cases of the peers."""

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sqwirrel.lattice import Lattice
from sqwirrel.model.magnetic.terms import Anisotropy, Coupling
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.terms import REGULARISATION

SHARED = Path(__file__).parents[2] / "shared"
MNF2_CIF = """data_mnf2
_cell_length_a 4.8736
_cell_length_b 4.8736
_cell_length_c 3.2998(4)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 42/m n m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Mn1 Mn 0 0 0
F1 F 0.305 0.305 0
"""
Bonds = tuple[Sequence[int], Sequence[int], Sequence[Sequence[int]]]
"""Sites i, sites j and the cell offsets of j."""


def build(
    vectors: ArrayLike,
    positions: ArrayLike,
    directions: ArrayLike,
    couplings: Mapping[str, tuple[Bonds, ArrayLike]],
    *,
    squared: Mapping[str, tuple[Bonds, ArrayLike]] | None = None,
    anisotropies: Mapping[str, ArrayLike] | None = None,
    spin: float = 1.0,
    g: ArrayLike = 2.0,
    supercell: ArrayLike = (1, 1, 1),
    relaxed: bool = False,
) -> SpinModel:
    """A model of form-factor-free ions: chemical `vectors`, a diagonal `supercell`, positions in the magnetic cell."""
    n = len(np.asarray(positions))
    g = np.asarray(g, dtype=float)
    return SpinModel(
        name="case",
        title="a test's model",
        lattice=Lattice.from_vectors(tensor(vectors)),
        supercell=tensor(np.diag(supercell)),
        positions=tensor(positions),
        labels=("X",) * n,
        ions=("",) * n,
        spins=tensor(np.broadcast_to(spin, n)),
        g=tensor(np.broadcast_to(g * np.eye(3) if g.ndim == 0 else g, (n, 3, 3))),
        directions=tensor(directions),
        couplings=(
            *(coupling(name, *term) for name, term in couplings.items()),
            *(coupling(name, *term, squared=True) for name, term in (squared or {}).items()),
        ),
        anisotropies=tuple(
            Anisotropy(name, torch.arange(n), tensor(np.broadcast_to(matrix, (n, 3, 3))))
            for name, matrix in (anisotropies or {}).items()
        ),
        relaxed=relaxed,
    )


def coupling(name: str, bonds: Bonds, matrix: ArrayLike, *, squared: bool = False) -> Coupling:
    """`matrix` on every bond: a number (times the unit matrix), one matrix, or one for each bond."""
    i, j, offset = (torch.tensor(np.asarray(part).tolist(), dtype=torch.int64) for part in bonds)
    matrix = np.asarray(matrix, dtype=float)
    matrix = matrix * np.eye(3) if matrix.ndim == 0 else matrix
    return Coupling(name, i, j, offset.reshape(-1, 3), tensor(np.broadcast_to(matrix, (len(i), 3, 3))), squared=squared)


def neighbours(vectors: ArrayLike, positions: ArrayLike, distance: float, along: ArrayLike = (1, 1, 1)) -> Bonds:
    """Every bond of this length (angstrom) once; `along` is 0 for the Cartesian directions in which bonds are left out."""
    vectors, positions = np.asarray(vectors, dtype=float), np.asarray(positions, dtype=float)
    box = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    step = (positions[None, :, None] + box - positions[:, None, None]) @ vectors
    near = np.abs(np.linalg.norm(step, axis=-1) - distance) < 1e-3
    near &= (np.abs(step * (1 - np.asarray(along))) < 1e-6).all(-1)
    found = [(i, j, box[k]) for i, j, k in np.argwhere(near) if (i, *-box[k]) <= (j, *box[k])]
    return [b[0] for b in found], [b[1] for b in found], [b[2] for b in found]


def repeated(positions: ArrayLike, cells: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions in a supercell of `cells` chemical ones, and the (integer) chemical cell of each."""
    cell = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), -1).reshape(-1, 1, 3)
    places = (np.asarray(positions, dtype=float) + cell) / np.asarray(cells)
    return places.reshape(-1, 3), np.broadcast_to(cell, places.shape).reshape(-1, 3)


def from_peers(case: Mapping[str, Any]) -> SpinModel:
    """A case of `peers/cases.py` with parameters J and D that scale its published values."""
    i, j, offset, matrix = zip(*case["bonds"], strict=True)
    aniso = np.zeros((len(case["S"]), 3, 3))
    for site, value in case["aniso"]:
        aniso[site] += value
    return build(
        case["lattvec"],
        case["pos"],
        case["dirs"],
        {"J": ((i, j, offset), np.array(matrix))},
        anisotropies={"D": aniso},
        spin=case["S"],
    )


def peers(name: str) -> ModuleType:
    """A module of `../shared/peers`; skips where that is absent."""
    path = SHARED / "peers" / f"{name}.py"
    if not path.exists():
        pytest.skip("the independent calculations are not part of the repository, and there is no ../shared/peers")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)
        spec.loader.exec_module(module)
    return module


def tensor(values: ArrayLike) -> Tensor:
    """Values as float64."""
    return torch.tensor(np.array(values, dtype=float))


def random_q(n: int, seed: int = 1) -> Tensor:
    """Wavevectors in no special position, r.l.u."""
    return tensor(np.random.default_rng(seed).uniform(-1.5, 1.5, (n, 3)))


TRICLINIC = np.array([[4.0, 0, 0], [0.7, 5.1, 0], [-0.3, 0.4, 6.2]])


def random_model(*, centred: bool, flat: bool, inversion: bool = True, seed: int = 3) -> SpinModel:
    """Four moments held by strong axes: on inversion centres or in pairs about one, in one plane with isotropic exchange
    or in any direction with any exchange matrix and g tensor.
    """
    rng = np.random.default_rng(seed)
    some = rng.uniform(0.05, 0.45, (2, 3))
    places = (
        np.array([[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0]]) if centred else np.vstack((some, 1 - some))
    )
    partner = np.arange(4) if centred else np.array([2, 3, 0, 1])
    directions = rng.normal(size=(4, 3)) @ (
        np.diag([1.0, 1, 0]) @ np.linalg.qr(rng.normal(size=(3, 3)))[0] if flat else np.eye(3)
    )
    directions = directions[np.minimum(np.arange(4), partner)]
    bonds: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for k, (i, j) in enumerate(((0, 1), (0, 3), (0, 1), (1, 2))):
        cell = 2 * k + rng.integers(1, 3, 3)
        matrix = rng.normal() * np.eye(3) if flat else rng.normal(size=(3, 3))
        bonds[i, j, *cell] = 0.3 * matrix
        if inversion:  # i at r goes to its partner at -r, the partner's place in the cell being r_p = -r + whole
            whole = np.round(places[partner] + places).astype(int)
            bonds[partner[i], partner[j], *(-cell - whole[j] + whole[i])] = 0.3 * matrix
    i, j, *cells = zip(*bonds, strict=True)
    g = np.eye(3) * 2 + (0 if flat else 0.3 * rng.normal(size=(4, 3, 3)))
    model = build(
        TRICLINIC,
        places,
        directions,
        {"J": ((i, j, np.array(cells).T), np.array(list(bonds.values())))},
        anisotropies={"D": np.array([-np.outer(n, n) / (n @ n) for n in directions])},
        g=np.broadcast_to(g, (4, 3, 3))[np.minimum(np.arange(4), partner)],
    )
    return dataclasses.replace(model, ions=tuple(("Mn2+", "Fe2+")[min(k, partner[k]) % 2] for k in range(4)))


def in_larger_cell(model: SpinModel, axis: int) -> SpinModel:
    """The same model with its magnetic cell taken twice along an axis."""
    n, one = len(model.spins), torch.eye(3, dtype=torch.float64)[axis]

    def twice(term: Coupling) -> Coupling:
        copy = torch.arange(2).repeat_interleave(len(term.i))
        i, j, offset = term.i.repeat(2), term.j.repeat(2), term.offset.repeat(2, 1)
        moved = copy + offset[:, axis]
        offset[:, axis] = moved.div(2, rounding_mode="floor")
        return Coupling(term.name, copy * n + i, moved % 2 * n + j, offset, term.matrix.repeat(2, 1, 1))

    anisotropies = [
        Anisotropy(a.name, torch.cat((a.site, n + a.site)), a.matrix.repeat(2, 1, 1)) for a in model.anisotropies
    ]
    same = {name: torch.cat((getattr(model, name),) * 2) for name in ("spins", "g", "directions", "lande")}
    return dataclasses.replace(
        model,
        supercell=model.supercell * (1 + one[:, None]),
        positions=torch.cat((model.positions, model.positions + one)) / (1 + one),
        labels=model.labels * 2,
        ions=model.ions * 2,
        couplings=tuple(map(twice, model.couplings)),
        anisotropies=tuple(anisotropies),
        **same,
    )


def kagome() -> SpinModel:
    """The antiferromagnet with nearest neighbours J1 alone and all triangles alike: a whole band has no energy."""
    cell, places = np.array([[6.0, 0, 0], [-3, 27**0.5, 0], [0, 0, 10]]), [[0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0]]
    return build(cell, places, [[1, 2, 0], [-2, -1, 0], [1, -1, 0]] @ cell, {"J1": (neighbours(cell, places, 3), 1)})


def assert_second_derivative(model: SpinModel, theta: Tensor, K: Tensor) -> None:
    """H at q = 0 of two sites is the Hessian K[site, x or y, site, x or y] of the energy, b = (x + i y) / sqrt 2."""
    one = torch.eye(2, dtype=torch.complex128)
    U = torch.cat((torch.stack((one, one), 1), torch.stack((-1j * one, 1j * one), 1))).reshape(2, 2, 2, 2) / 2**0.5
    expected = torch.einsum("xidj,ixky,ykel->djel", U.conj(), K + 0j, U).reshape(4, 4)
    H = SpinWaves(model, torch.zeros(1, 3)).expansion(theta).at(torch.zeros(1, 3, dtype=torch.float64))[0, 0]
    assert torch.allclose(H - REGULARISATION * torch.eye(4), expected, atol=1e-10)


def rotated(model: SpinModel, turn: Tensor) -> SpinModel:
    """Spins, g tensors, matrices and crystal turned together."""
    return dataclasses.replace(
        model,
        lattice=Lattice.from_vectors(model.lattice.vectors @ turn.T),
        directions=model.directions @ turn.T,
        g=turn @ model.g @ turn.T,
        couplings=tuple(dataclasses.replace(c, matrix=turn @ c.matrix @ turn.T) for c in model.couplings),
        anisotropies=tuple(Anisotropy(a.name, a.site, turn @ a.matrix @ turn.T) for a in model.anisotropies),
    )
