"""Polar crystals and springs from supercells: closed forms, symmetry, and what is put in comes out again."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.phonon.model import PhononModel, Polar
from sqwirrel.model.phonon.springs import Springs
from sqwirrel.model.phonon.supercell import Folded, cells, commensurate, springs
from sqwirrel.simulate.phonon.dynamical import basis
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.units import COULOMB, E2_PER_SPRING

SKEWED = torch.tensor([[3, 1, 0], [-1, 3, 1], [0, 1, 4]])
QUARTZ = Crystal.from_spacegroup(
    [4.91, 4.91, 5.43, 90, 90, 120], 154, {"Si": [0.465, 0, 2 / 3], "O": [0.413, 0.267, 0.786]}
)


def strength(name: str) -> float:
    """N/m."""
    return {"K1": 12.0, "K2": 3.0}[name[:2]] * (1.0 if name[-1] == name[-2] else 0.2)


def salt(charge: float = 1.1, dielectric: float = 2.4) -> PhononModel:
    """Rock salt on one spring."""
    crystal = Crystal.from_spacegroup([5.64] * 3 + [90] * 3, 225, {"Na": [0, 0, 0], "Cl": [0.5, 0.5, 0.5]})
    shells = born_von_karman(crystal, 4.1)
    one = tuple(
        Springs("stiffness", each.i, each.j, each.offset, strength(each.name) * each.matrix) for each in shells.springs
    )
    charges = charge * torch.tensor([1.0, -1.0])[:, None, None] * torch.eye(3)
    return dataclasses.replace(
        shells, springs=one, defaults={"stiffness": 1.0}, polar=Polar(charges, dielectric * torch.eye(3))
    )


def energies(model: PhononModel, q: object) -> Tensor:
    return Phonons(model, torch.as_tensor(q, dtype=torch.float64)).energies(model.pack())[0]


def test_longitudinal_and_transverse_modes_split_by_the_field() -> None:
    """E_LO^2 - E_TO^2 = 4 pi e^2 Z^2 / V epsilon mu, the same along every direction; none at the point itself."""
    model = salt()
    close = energies(model, 1e-6 * torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, -2, 3], [0, 0, 0]]))
    mu = 1 / float((1 / model.masses).sum())
    split = E2_PER_SPRING * 4 * math.pi * COULOMB * 1.1**2 / (model.cell.volume * 2.4 * mu)
    squares = close[:, :3] ** 2
    assert torch.allclose(squares[:3, 0] - squares[:3, 1], torch.full((3,), split).double(), rtol=1e-6)
    assert torch.allclose(squares[3], squares[0, 1].expand(3), rtol=1e-6)
    assert float(close[:, 3:].abs().max()) < 1e-3
    assert float(squares[0, 1]) > 1


def test_energies_repeat_and_have_the_symmetry_of_the_crystal() -> None:
    model = salt()
    q = torch.tensor([[0.31, 0.22, 0.13], [1e-3, 2e-3, 0]], dtype=torch.float64)
    base = energies(model, q)
    for moved in (-q, q + torch.tensor([1, 1, -1]), q[:, [1, 2, 0]], q * torch.tensor([1, -1, 1])):
        assert torch.allclose(energies(model, moved), base, rtol=1e-7, atol=1e-7)


def test_a_tensor_that_screens_less_along_one_axis() -> None:
    """E_LO^2 - E_TO^2 along an axis goes with that axis of the dielectric tensor."""
    base = salt()
    assert base.polar is not None
    uneven = torch.diag(torch.tensor([2.0, 3.0, 6.0]))
    model = dataclasses.replace(base, polar=dataclasses.replace(base.polar, dielectric=uneven))
    n = Phonons(model, 1e-6 * torch.eye(3)).basis[0]
    middle = Phonons(model, torch.zeros(1, 3)).basis[0]
    field = torch.linalg.eigvalsh(n - middle)[:, -1]  # the field alone: a projection
    assert torch.allclose(field * uneven.diagonal(), (field * uneven.diagonal())[0].expand(3), rtol=1e-5)


def test_atoms_that_move_alike_feel_nothing() -> None:
    """Also with charges that do not add up to nothing, in a medium that screens unevenly."""
    generator = torch.Generator().manual_seed(3)
    bare = born_von_karman(QUARTZ, 1.7)
    charges = torch.randn(9, 1, 1, generator=generator).double() * torch.eye(3)
    model = dataclasses.replace(bare, polar=Polar(charges, torch.diag(torch.tensor([2.0, 2, 3])), bare.names[0]))
    D = basis(model, torch.zeros(1, 3).double())[0, 0].real
    shift = (model.masses.sqrt()[:, None, None] * torch.eye(3).double()).flatten(0, 1)
    assert float((D @ shift).abs().max()) < 1e-10 * float(D.abs().max())


def folded(model: PhononModel, supercell: Tensor) -> Folded:
    """Force constants as a program finds them that can see no further than its supercell."""
    q, inside, n = commensurate(supercell), cells(supercell), len(model.positions)
    root = model.masses.sqrt().repeat_interleave(3)
    D = basis(model, model.cell.to_cartesian(q)).sum(0) * root * root[:, None] / E2_PER_SPRING
    m, i, j = torch.cartesian_prod(torch.arange(len(inside)), torch.arange(n), torch.arange(n)).unbind(1)
    step = inside[m] + model.positions[j] - model.positions[i]
    blocks = D.reshape(len(q), n, 3, n, 3)[:, i, :, j]
    constants = torch.einsum("qp,pqab->pab", torch.exp(-2j * math.pi * (q @ step.T)), blocks).real / len(q)
    return Folded(model.cell.vectors, model.positions, supercell, i, j, inside[m], constants)


@pytest.mark.parametrize("supercell", [SKEWED, 4 * torch.eye(3, dtype=torch.int64)], ids=["skewed", "straight"])
def test_short_springs_come_back_from_a_supercell(supercell: Tensor) -> None:
    model = dataclasses.replace(salt(), polar=None)
    found = dataclasses.replace(model, springs=(springs("stiffness", folded(model, supercell)),))
    q = torch.rand(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 4 - 2
    assert torch.allclose(energies(found, q), energies(model, q), rtol=1e-9)


@pytest.mark.parametrize("dipoles", [True, False])
def test_a_supercell_is_exact_at_its_own_wavevectors_and_dipoles_help_between(dipoles: bool) -> None:
    model, supercell = salt(), 3 * torch.eye(3, dtype=torch.int64)
    assert model.polar is not None
    once = dataclasses.replace(model.polar, supercell=supercell) if dipoles else None
    found = dataclasses.replace(model, springs=(springs("stiffness", folded(model, supercell)),), polar=once)
    at = model.lattice.to_rlu(model.cell.to_cartesian(commensurate(supercell)[1:]))
    between = at + torch.tensor([0.11, 0.07, -0.05])
    # springs of the model reach further than half the supercell nowhere, so that with dipoles all is found again
    assert torch.allclose(energies(found, between), energies(model, between), rtol=1e-8) == dipoles
    assert torch.allclose(energies(found, at), energies(model, at), rtol=1e-9) == dipoles or not dipoles


def test_cells_and_wavevectors_of_a_supercell() -> None:
    assert len(cells(SKEWED)) == len(commensurate(SKEWED)) == round(float(torch.linalg.det(SKEWED.double())))
    whole = commensurate(SKEWED) @ SKEWED.T.double()
    assert torch.allclose(whole, whole.round(), atol=1e-9)


def test_wrong_charges_are_one_sentence() -> None:
    model = salt()
    with pytest.raises(InputError, match="'K' of the Born charges is none of the parameters"):
        dataclasses.replace(model, polar=Polar(torch.zeros(2, 3, 3), torch.eye(3), "K"))
    with pytest.raises(InputError, match="positive eigenvalues"):
        Polar(torch.zeros(2, 3, 3), -torch.eye(3))
