"""Neutrons that make two magnons: the part of S^ab along the moments, at zero temperature and lowest order.

Along its moment a spin is s - b^dagger b, which makes pairs of magnons (m, k) and (m', q - k) with the amplitude
-sum_i n_i (U_im(k) V_im'(q - k) + V_im(k) U_im'(q - k))*, U and V being the b and b^dagger parts of the columns of T
(R. Huberman et al., Phys. Rev. B 72, 014413 (2005), doi:10.1103/PhysRevB.72.014413, for the square lattice).
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import zone
from sqwirrel.simulate.classical.search import Vector
from sqwirrel.simulate.quadratic.eigen import eigenmodes
from sqwirrel.simulate.quadratic.expansion import Expansion
from sqwirrel.simulate.quantum.zero_point import CHUNK, check_dispersive, expanded
from sqwirrel.simulate.terms import sides

POINTS = (1, 960, 96, 24)
"""Points a direction of the sum over k, by the number of directions in which modes disperse; halves and thirds of the
zone, where Goldstone modes are, are as far from k and q - k as its centre is."""


def two_magnon(
    model: SpinModel,
    theta: Float[Tensor, "set parameter"],
    q: Float[Tensor, "q 3"],
    edges: Float[Tensor, " edge"],
    *,
    field: Vector = (0.0, 0.0, 0.0),
    points: int | None = None,
) -> Complex[Tensor, "q bin 3 3"]:
    """S^ab per magnetic ion and meV in energy bins (`edges`, meV), spins only, at wavevectors (rlu).

    The integral over energy and the mean over q is <n^2> - <n>^2, n being b^dagger b, along each moment. `points` a
    direction decide how smooth it is. Left out: what the interaction of magnons adds at the same order, and the decay
    of one magnon into two that non-collinear orders have.
    """
    q, edges = q.to(torch.float64), edges.to(torch.float64)
    if len(edges) < 2 or not bool((edges.diff() > 0).all() and edges.isfinite().all()):
        raise InputError(f"energy edges must rise, two finite ones at least; got {edges.tolist()}")
    with torch.no_grad():
        expansion = expanded(model, theta, field)
        check_dispersive(model, expansion, "two-magnon scattering")
        n = points or POINTS[int(zone.coupled(model).sum())]
        shift, turn = sides(model)
        found = torch.zeros(len(q), len(edges) - 1, 3, 3, dtype=torch.complex128)
        for move, seen in zip(shift, turn, strict=True):
            axes = torch.einsum("ab,ib->ia", seen, expansion.directions[0] + 0j)
            for one, at in zip(found, q + move, strict=True):
                mesh = zone.between(model, n, at)
                for k in torch.split(mesh, CHUNK):
                    one += _pairs(expansion, axes, k, at - k, edges) / len(mesh)
    return found / len(model.spins) / edges.diff()[:, None, None]


def _pairs(
    expansion: Expansion, axes: Complex[Tensor, "site 3"], k: Tensor, other: Tensor, edges: Tensor
) -> Complex[Tensor, "bin 3 3"]:
    """The sum over some k of the pairs of magnons in each bin; every pair is met twice."""
    (first, U, V), (second, W, X) = _modes(expansion, k), _modes(expansion, other)
    amplitude = torch.einsum("kmi,kni,ia->kmna", U, X, axes) + torch.einsum("kmi,kni,ia->kmna", V, W, axes)
    total = (first[:, :, None] + second[:, None]).flatten()
    amplitude = amplitude.flatten(0, 2)
    strength = amplitude[:, :, None] * amplitude[:, None].conj() / 2
    place = torch.bucketize(total, edges, right=True) - 1
    inside = (place >= 0) & (place < len(edges) - 1)
    bins = strength.new_zeros(len(edges) - 1, 3, 3)
    return bins.index_add(0, place[inside], strength[inside])


def _modes(expansion: Expansion, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Energies, and the conjugates of U and V (mode, site), of the magnons at some wavevectors."""
    H = expansion.at(q)[0]
    n = H.shape[-1] // 2
    energy, amplitude, _ = eigenmodes(H, torch.eye(2 * n, dtype=H.dtype))
    return energy[:, :n], amplitude[:, :n, :n], amplitude[:, :n, n:]
