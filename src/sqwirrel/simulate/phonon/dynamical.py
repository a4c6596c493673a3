"""Dynamical matrices and their solution."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.springs import Springs
from sqwirrel.simulate.phonon.polar import dipoles, held
from sqwirrel.simulate.quadratic.eigen import eigenmodes
from sqwirrel.simulate.quadratic.hermitian import eigh
from sqwirrel.units import E2_PER_SPRING

SOFT = 1e-6
"""A mode is unstable if E^2 is below minus this, relative to the largest: rounding and cut-off sums are above."""
STILL = 1e-3
"""No line is below this energy (meV): an acoustic phonon at a Bragg point has none, and an infinite intensity."""

BLOCK_BYTES = 2**22
"""What derivatives of the matrices that are worked on at once may hold; some forty times as much is in use."""


class Solved(NamedTuple):
    """E^2 (meV^2, highest first), amplitudes of what is seen of each mode, and whether no E^2 is negative."""

    square: Float[Tensor, "batch q mode"]
    amplitude: Complex[Tensor, "batch q mode column"]
    stable: Bool[Tensor, "batch q"]


def basis(model: PhononModel, wave: Float[Tensor, "q 3"]) -> Complex[Tensor, "parameter q component component"]:
    """The dynamical matrix, meV^2, of each parameter at 1, at Cartesian wavevectors (1/angstrom)."""
    n, place = len(model.positions), model.positions @ model.cell.vectors
    found = torch.zeros(len(model.names), len(wave), n, 3, n, 3, dtype=torch.complex128)
    for each in (*model.springs, *held(model)):
        add = found[model.names.index(each.name)]
        step = each.offset.to(place) @ model.cell.vectors + place[each.j] - place[each.i]
        phase = torch.exp(1j * (wave @ step.T))
        ends = each.i * n + each.j
        for pair in sorted(set(ends.tolist())):
            i, j = divmod(pair, n)
            of = ends == pair
            block = (phase[:, of] @ (each.matrix[of].flatten(1) + 0j)).reshape(-1, 3, 3)
            add[:, i, :, j] -= block
            add[:, j, :, i] -= block.mH
        add.diagonal(dim1=1, dim2=3).add_(_itself(each, n).permute(1, 2, 0))
    if model.polar is not None:
        found[model.names.index(model.polar.name)] += dipoles(model, wave)
    root = model.masses.sqrt()
    found *= E2_PER_SPRING / (root[:, None, None, None] * root[:, None])
    return found.flatten(-2).flatten(2, 3)


def _itself(each: Springs, n: int) -> Float[Tensor, "atom 3 3"]:
    """What of each atom with itself goes with springs."""
    if each.on_site is not None:
        return each.on_site
    both = (each.matrix + each.matrix.mT) / 2
    return torch.zeros(n, 3, 3, dtype=torch.float64).index_add(0, each.i, both).index_add(0, each.j, both)


def dynamical(
    basis: Complex[Tensor, "parameter q component component"], theta: Float[Tensor, "batch parameter"]
) -> Complex[Tensor, "batch q component component"]:
    """That of every row of parameters."""
    numbers = torch.view_as_real(basis)
    return torch.view_as_complex((theta @ numbers.flatten(1)).reshape(len(theta), *numbers.shape[1:]))


def blocks(basis: Complex[Tensor, "parameter q component component"]) -> tuple[Tensor, ...]:
    """A few wavevectors at a time, whose derivatives along all parameters are no larger than `BLOCK_BYTES`."""
    each = basis.element_size() * max(1, len(basis)) * basis.shape[-1] ** 2
    return torch.split(basis, max(1, BLOCK_BYTES // each), 1)


def solve(
    D: Complex[Tensor, "batch q component component"], seen: Complex[Tensor, "#batch #q component column"]
) -> Solved:
    """Modes, with first derivatives that are right at degenerate ones (see `quadratic.eigen`) where gradients are
    enabled.
    """
    if not torch.is_grad_enabled():
        square, vector = _eigen(D)
        return Solved(square, vector.mH @ seen, _steady(square))
    shift = 2 * D.detach().abs().sum(-1).amax(-1) + STILL**2  # no eigenvalue is below minus half of that
    one = torch.eye(D.shape[-1], dtype=D.dtype, device=D.device)
    square, amplitude, _ = eigenmodes(D + shift[..., None, None] * one, seen, D.shape[-1])
    square = square - shift[..., None]
    return Solved(square, amplitude, _steady(square))


def _eigen(D: Complex[Tensor, "batch q component component"]) -> tuple[Tensor, Tensor]:
    """Eigenvalues, highest first, and vectors; none where D is no number."""
    known = D.isfinite().all(-1).all(-1)
    square, vector = eigh(torch.where(known[..., None, None], D, 0.0))
    return torch.where(known[..., None], square, torch.nan).flip(-1), vector.flip(-1)


def _steady(square: Float[Tensor, "batch q mode"]) -> Bool[Tensor, "batch q"]:
    """Whether no energy is imaginary."""
    return square[..., -1] > -SOFT * square[..., 0].abs() - STILL**2
