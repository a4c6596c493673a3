"""Compiled amplitudes: the modes of a complex Hamiltonian in blocks, columns of L^-1 left apart.

As `compiled.kernels`, with the operators themselves in place of what is seen of them, so that z = T^dagger. H(-q) has
b and b^dagger exchanged and is the conjugate: the modes of negative energy at q are those of positive energy at -q,
with conjugate amplitudes.
"""

from functools import partial
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Float32
from numba import njit
from torch import Tensor

from sqwirrel.simulate.compiled.kernels import assemble, cholesky, signed_square
from sqwirrel.simulate.compiled.threads import share
from sqwirrel.simulate.compiled.tridiagonal import implicit_ql, tridiagonalise, unphase
from sqwirrel.simulate.quadratic.blocks import Blocks


def block_amplitudes(
    blocks: Blocks, value: Complex[Tensor, " entry"], phase: Complex[Tensor, "solved source"], mirrored: int
) -> tuple[Float[Tensor, "q mode"], Float32[Tensor, "q part mode"], Bool[Tensor, " q"]]:
    """Energies, highest first, z (real parts of all rows of the blocks, then imaginary ones), and stability.

    Those at minus the first `mirrored` wavevectors follow all others.
    """
    boson, count = len(blocks.basis), len(phase)
    energy = torch.zeros(count + mirrored, boson // 2, dtype=torch.float64)
    z = torch.zeros(count + mirrored, 2 * boson, boson // 2, dtype=torch.float32)
    stable = torch.zeros(count, dtype=torch.bool)
    given = value, phase, *blocks[1:7], energy, z, stable
    share(partial(_solve, *(np.ascontiguousarray(each.numpy()) for each in given)), count, boson**2)
    return energy, z, torch.cat((stable, stable[:mirrored]))


@njit(nogil=True, cache=True)
@no_type_check
def _solve(value, phase, edge, positive, first, row, column, source, energy, out, stable, start, stop):
    """Wavevectors `start` to `stop`."""
    n, boson = energy.shape[1], out.shape[1] // 2
    found, rows, filled = np.empty((2, n)), np.zeros((2, n, 2 * boson)), np.zeros(2, np.int64)
    re, im, a, b, wr, wi, work, z = _space(edge[1])
    for q in range(start, stop):
        stable[q], filled[:], rows[:] = True, 0, 0.0
        for k in range(positive.shape[0]):
            size, low, high = edge[k + 1] - edge[k], first[k], first[k + 1]
            if size != work.shape[1]:
                re, im, a, b, wr, wi, work, z = _space(size)
            assemble(value[low:high], row[low:high], column[low:high], source[low:high], phase[q], re, im)
            re[:, size:], im[:, size:] = 0.0, 0.0
            for i in range(size):
                re[i, size + i] = 1.0
            if not cholesky(re, im):
                stable[q] = False
                break
            signed_square(re, im, positive[k], a, b, wr, wi)
            tridiagonalise(a, b, wr, wi, work)
            unphase(work, wr, wi, z)
            implicit_ql(work[0], work[1], z)
            _kept(work[0], z, positive[k], edge[k], found, rows, filled)
        if stable[q]:
            _sorted(found[0], rows[0], energy[q], out[q])
            if q < energy.shape[0] - stable.shape[0]:
                _sorted(found[1], rows[1], energy[stable.shape[0] + q], out[stable.shape[0] + q])


@njit(nogil=True, cache=True)
@no_type_check
def _space(n):
    """What a block of n operators is worked on in."""
    wide, square = (n, 2 * n), (n, n)
    return (
        np.empty(wide), np.empty(wide), np.empty(square), np.empty(square), np.empty(square), np.empty(square),
        np.empty((6, n)), np.empty(wide),
    )  # fmt: skip


@njit(nogil=True, cache=True)
@no_type_check
def _kept(d, z, positive, first, found, rows, filled):
    """The modes of a block, added to those of both signs that were found before."""
    size, half = d.shape[0], rows.shape[2] // 2
    for place, k in enumerate(np.argsort(-d)):
        side = 0 if place < positive else 1
        m, value = filled[side], abs(d[k])
        filled[side] += 1
        found[side, m] = value
        root = np.sqrt(value)
        for r in range(size):
            rows[side, m, first + r] = root * z[k, r]
            rows[side, m, half + first + r] = root * z[k, size + r]


@njit(nogil=True, cache=True)
@no_type_check
def _sorted(found, rows, energy, out):
    """Energies in descending order and their columns."""
    order = np.argsort(-found)
    for place, k in enumerate(order):
        energy[place] = found[k]
    for r in range(out.shape[0]):
        for place, k in enumerate(order):
            out[r, place] = rows[k, r]
