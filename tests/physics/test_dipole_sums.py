"""Dipole sums: exact and published values, brute force, and what they must not depend on."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from scipy.special import zeta
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.dipoles import DipoleSums, directed
from tests.cases import build, random_q, tensor

TRICLINIC = np.array([[4.0, 0, 0], [0.5, 4.2, 0], [0.3, -0.2, 6]])
PLACES = np.array([[0, 0, 0], [0.45, 0.5, 0.1], [0.2, 0.8, 0.6]])
FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
BCC = np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]])


def cell(vectors: ArrayLike, places: ArrayLike = ((0, 0, 0),)) -> SpinModel:
    return build(vectors, places, [[0, 0, 1]] * len(np.asarray(places)), {})


def sums_of(model: SpinModel, *splitting: float) -> DipoleSums:
    return DipoleSums(model.supercell @ model.lattice.vectors, model.positions, *splitting)


def blocks(sums: DipoleSums, q: Tensor) -> Tensor:
    """All of A, (q, i, j, a, b), from the sums of the pairs i <= j."""
    i, j, unit, place = directed(round((2 * len(sums.step)) ** 0.5 - 0.5))
    value = sums(q)[:, torch.where(place < 0, ~place, place)]
    value = torch.where(place < 0, value.conj(), value)
    A = torch.zeros(len(q), int(i.max()) + 1, int(j.max()) + 1, 3, 3, dtype=torch.complex128)
    return A.index_put((torch.arange(len(q))[:, None], i, j), value[..., None, None] * unit, accumulate=True)


@pytest.mark.parametrize(("h", "series"), [(0.5, -3 / 4), (0.25, -3 / 32)])
def test_chain_far_from_its_neighbours_has_its_exact_sums(h: float, series: float) -> None:
    """sum cos(2 pi h n) / n^3; chains twelve bonds apart see exp(-2 pi 12 h) of each other."""
    A = blocks(sums_of(cell(np.diag([1.0, 24, 24]))), tensor([[h, 0, 0]]))[0, 0, 0]
    expected = series * zeta(3) * np.diag([-4, 2, 2])
    assert np.allclose(A.numpy(), expected, rtol=0, atol=1e-11)


def test_cubic_lattice_at_q_zero_has_the_lorentz_field() -> None:
    A = blocks(sums_of(cell(2 * np.eye(3))), torch.zeros(1, 3, dtype=torch.float64))[0, 0, 0]
    assert np.allclose(A.numpy(), -4 * np.pi / 3 / 8 * np.eye(3), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("vectors", "q", "energies"),
    [
        (np.eye(3), [0.5, 0.5, 0], [-2.67678868438, 1.33839434219, 1.33839434219]),
        (FCC, [0, 0, 1], [-1.08346641751, -1.08346641751, 2.16693283503]),
        (FCC, [0.5, 0.5, 0.5], [-1.80757363405, -1.80757363405, 3.6151472681]),
        (BCC, [0.5, 0.5, 0], [-1.985920929, -1.33839434219, 3.324315271]),
    ],
    ids=["sc", "fcc, layers", "fcc, along [111]", "bcc"],
)
def test_arrays_of_luttinger_and_tisza_have_their_energies(
    vectors: ArrayLike, q: list[float], energies: list[float]
) -> None:
    """Phys. Rev. 70, 954 (1946), per dipole and density; digits as recomputed for the samples of the program OpenMD.

    The last of a row that was not tabulated follows from the zero trace.
    """
    A = blocks(sums_of(cell(vectors)), tensor([q]) @ tensor(vectors).T)[0, 0, 0]
    found = torch.linalg.eigvalsh(A) * abs(np.linalg.det(vectors)) / 2
    assert found.tolist() == pytest.approx(energies, abs=2e-9)


@pytest.mark.parametrize("splitting", [1.0, 1.3, 2.6])
def test_the_splitting_of_the_sum_does_not_matter(splitting: float) -> None:
    model = cell(TRICLINIC, PLACES)
    q = torch.cat((random_q(20), torch.zeros(1, 3, dtype=torch.float64), tensor([[1, -2, 0]])))
    one, other = sums_of(model)(q), sums_of(model, splitting)(q)
    assert float((one - other).abs().max()) < 1e-13 * float(one.abs().max())


def test_sums_are_those_of_a_crystal_cut_off_smoothly() -> None:
    """A window that is flat to the eighth power of d / L leaves an error of about (L k)^-8, k the distance to q = 0."""
    q, L = np.array([[0.37, -0.41, 0.46], [0.5, 0.3, -0.2]]), 16.0
    box = np.stack(np.meshgrid(*[np.arange(-18, 19)] * 3, indexing="ij"), -1).reshape(-1, 3)
    d = (box[:, None, None] + PLACES[None, None] - PLACES[None, :, None]) @ TRICLINIC
    size = np.linalg.norm(d, axis=-1)[..., None, None]
    size[size == 0] = np.inf
    x = np.where(np.isinf(size), 0, size / L) ** 2
    window = np.exp(-x) * (1 + x + x**2 / 2 + x**3 / 6)
    T = (np.eye(3) / size**3 - 3 * d[..., :, None] * d[..., None, :] / size**5) * window
    phase = np.exp(2j * np.pi * np.einsum("rija,ab,qb->qrij", d, np.linalg.inv(TRICLINIC), q))
    found = blocks(sums_of(cell(TRICLINIC, PLACES)), tensor(q))
    assert np.allclose(found.numpy(), np.einsum("qrij,rijab->qijab", phase, T), rtol=0, atol=1e-7)


def test_a_reversed_wavevector_is_the_complex_conjugate() -> None:
    sums, q = sums_of(cell(TRICLINIC, PLACES)), random_q(5)
    assert torch.allclose(sums(-q), sums(q).conj(), rtol=0, atol=1e-15)


def test_sums_of_exchanged_sites_are_exchanged() -> None:
    model, q = cell(TRICLINIC, PLACES), random_q(5)
    order = [2, 0, 1]
    moved = dataclasses.replace(model, positions=model.positions[order])
    one, other = blocks(sums_of(model), q), blocks(sums_of(moved), q)
    assert torch.allclose(one[:, order][:, :, order], other, rtol=0, atol=1e-15)
    assert torch.allclose(one, one.permute(0, 2, 1, 4, 3).conj(), rtol=0, atol=1e-15)


def test_a_reciprocal_lattice_vector_turns_the_phases_of_the_sites() -> None:
    sums, q, G = sums_of(cell(TRICLINIC, PLACES)), random_q(5), tensor([1, -2, 3])
    phase = torch.exp(2j * torch.pi * (sums.step @ G))
    assert torch.allclose(sums(q + G).reshape(5, -1, 6), sums(q).reshape(5, -1, 6) * phase[:, None], rtol=0, atol=1e-14)
