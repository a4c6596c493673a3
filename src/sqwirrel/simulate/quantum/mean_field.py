"""Magnon energies with the interaction of magnons to first order in 1/s, for collinear orders.

The quartic terms of the Holstein-Primakoff expansion are paired off with the averages <b^dagger b>, <b_i^dagger b_j>
and <b_i b_j> of the vacuum (T. Oguchi, Phys. Rev. 117, 117 (1960), doi:10.1103/PhysRev.117.117), and what is left of
them shifts the modes to first order. Where the spin along the moments is conserved no other average and no cubic term
is there.
"""

from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.classical.search import check_plain
from sqwirrel.simulate.quadratic.bosons import ZERO, turns
from sqwirrel.simulate.quadratic.eigen import eigenmodes
from sqwirrel.simulate.quadratic.expansion import Expansion
from sqwirrel.simulate.quantum.zero_point import check_dispersive, expanded, vacuum, zone_average
from sqwirrel.simulate.terms import Parts, Terms, one_set, single_ion, terms


class Corrected(NamedTuple):
    """Energies (meV) of the modes in linear theory, highest first, and what the interaction adds to each."""

    energy: Float[Tensor, "q mode"]
    shift: Float[Tensor, "q mode"]


def interacting(model: SpinModel, theta: Float[Tensor, "set parameter"], q: Float[Tensor, "q 3"]) -> Corrected:
    """Magnon energies at wavevectors (rlu) and their shift by the interaction, without a field.

    A degenerate pair shares its mean shift only; averages are those of a finite mesh of the zone.
    """
    check_plain(model, "the interaction of magnons")
    expansion, parts = expanded(model, theta), terms(model, torch.zeros(3, dtype=torch.float64))
    check_dispersive(model, expansion, "the interaction of magnons")
    given = one_set(model, theta)
    linear, axes = parts.parts(given, expansion.directions), expansion.directions[0]
    A = single_ion(model, theta)
    _check(model, parts, axes, linear)
    change = _quartic(parts, given[0], axes, A, linear, _averages(model, parts, expansion))
    with torch.no_grad():
        q, n = q.to(torch.float64), len(model.spins)
        H = expansion.at(q)[0]
        energy, amplitude, _ = eigenmodes(H, torch.eye(2 * n, dtype=H.dtype))
        extra = expansion._replace(value=expansion.elements.values(change.raw)).at(q)[0]
        shift = torch.einsum("qmi,qij,qmj->qm", amplitude[:, :n], extra, amplitude[:, :n].conj()).real
    return Corrected(energy[:, :n], shift)


class _Averages(NamedTuple):
    """Of the vacuum: <b^dagger b>, <b_i^dagger b_j> and <b_i b_j> on every bond."""

    number: Float[Tensor, " site"]
    hop: Complex[Tensor, " bond"]
    pair: Complex[Tensor, " bond"]


def _averages(model: SpinModel, parts: Terms, expansion: Expansion) -> _Averages:
    n, across = len(model.spins), parts.displacement @ model.supercell

    def elements(q: Float[Tensor, "q 3"]) -> Float[Tensor, "q column 2"]:
        C, phase = vacuum(expansion, q), turns(across, q)
        number = C.diagonal(dim1=-2, dim2=-1)[:, n:]
        every = number, phase * C[:, parts.j, parts.i], phase.conj() * C[:, parts.i, n + parts.j]
        return torch.view_as_real(torch.cat(every, dim=1))

    found = torch.view_as_complex(zone_average(model, elements).value)
    number, hop, pair = torch.split(found, [n, len(parts.i), len(parts.i)])
    return _Averages(number.real, hop, pair)


def _quartic(parts: Terms, theta: Tensor, axes: Tensor, A: Tensor, linear: Parts, mean: _Averages) -> Parts:
    """The quartic terms paired off: n_i n_j of each bond, the square roots of its transverse part, and n_i^2."""
    i, j, s = parts.i, parts.j, parts.spins
    along = theta[parts.parameter] * torch.einsum("ba,bac,bc->b", axes[i], parts.matrix, axes[j])
    hop, pair, less = linear.hop[0], linear.pair[0], mean.number / (2 * s)
    onsite = along * mean.number[j] - (hop * mean.hop + pair * mean.pair.conj()).real / s[i]
    axial = 1.5 * torch.einsum("ia,iac,ic->i", axes, A, axes) - 0.5 * A.diagonal(dim1=-2, dim2=-1).sum(-1)
    total = (axial * (1 + 4 * mean.number)).index_add(0, i, onsite) + 0j
    return Parts(
        (along * mean.hop.conj() - hop * (less[i] + less[j]))[None],
        (along * mean.pair - pair * (less[i] + less[j]))[None],
        total[None],
        torch.zeros_like(total)[None],
    )


def _check(model: SpinModel, parts: Terms, axes: Float[Tensor, "site 3"], linear: Parts) -> None:
    """Refuses what has cubic terms (those of a site alone would turn its moment), or averages beyond those above."""
    same = axes[parts.i] @ axes[0] * (axes[parts.j] @ axes[0]) > 0
    bent = torch.linalg.cross(torch.einsum("bac,bc->ba", parts.matrix, axes[parts.j]), axes[parts.i])
    wrong = linear.pair[0, same], linear.hop[0, ~same], linear.onsite_pair, bent, 1 - (axes @ axes[0]).abs()
    size = ZERO * float(torch.cat((linear.hop, linear.onsite_hop), dim=1).abs().max().clamp(min=1))
    if model.spiral is not None or any(bool((part.abs() > size).any()) for part in wrong):
        raise InputError(
            f"the order of model '{model.name}' is not collinear with the spin along it conserved; the interaction of "
            "magnons then has three-magnon terms, or more averages, which are not there"
        )
