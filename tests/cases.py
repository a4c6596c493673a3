"""Spin models for the tests, built directly from arrays, and the exchange of arrays with the neutral cases of the peers."""

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

SHARED = Path(__file__).parents[2] / "shared"
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
