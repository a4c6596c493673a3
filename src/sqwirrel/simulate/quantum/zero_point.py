"""What zero-point motion takes from the ordered moments and the energy.

With x = (b, b^dagger) = T (alpha, alpha^dagger) the vacuum has <x x^dagger> = T diag(1, 0) T^dagger; averages over the
zone give <b^dagger b>, and the energy is E_classical + sum (omega - A) / 2 per cell, A the b^dagger b part of H
(P. W. Anderson, Phys. Rev. 86, 694 (1952), doi:10.1103/PhysRev.86.694).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import zone
from sqwirrel.simulate.classical.search import Vector, check_plain, energy_of
from sqwirrel.simulate.quadratic.eigen import eigenmodes
from sqwirrel.simulate.quadratic.expansion import Expansion
from sqwirrel.simulate.spinwave import SpinWaves
from sqwirrel.simulate.stability import stability, why_unstable
from sqwirrel.simulate.terms import REGULARISATION, single_ion

MESH = (1, 768, 96, 24)
"""Points a direction of the finest of four meshes, by the number of directions in which modes disperse: halves and
thirds of the zone, where Goldstone modes are, lie midway between them."""
STEADY = 1e-9
"""A change from mesh to mesh below this, relative or absolute, is rounding."""
SLOW = 0.8
"""A series whose steps shrink less than this from mesh to mesh is taken for one without a limit."""
FLAT = 0.1
"""A mode of whose energy more than this part comes from the regularisation has none of its own."""
CHUNK = 4096
"""Wavevectors solved at once."""


class Average(NamedTuple):
    """Of the zone: `error` is how far the last two extrapolations differ; infinite where there seems to be no limit."""

    value: Float[Tensor, "*shape"]
    error: Float[Tensor, "*shape"]


def expanded(model: SpinModel, theta: Float[Tensor, "set parameter"], field: Vector = (0.0, 0.0, 0.0)) -> Expansion:
    """The boson Hamiltonian round an order that must be a minimum."""
    found = stability(model, theta, field=field)
    if not found.is_minimum:
        raise InputError(why_unstable(model, found))
    return SpinWaves(model, torch.zeros(1, 3, dtype=torch.float64), field=field, keep=False).expansion(theta)


def moments(model: SpinModel, theta: Float[Tensor, "set parameter"], *, field: Vector = (0.0, 0.0, 0.0)) -> Average:
    """Ordered spin s - <b^dagger b> of every site, in linear theory; the error is infinite if a band has no energy."""
    expansion, n = expanded(model, theta, field), len(model.spins)

    def bosons(q: Float[Tensor, "q 3"]) -> Float[Tensor, "q site"]:
        return vacuum(expansion, q).diagonal(dim1=-2, dim2=-1).real[:, n:]

    number = zone_average(model, bosons)
    error = torch.full_like(number.error, torch.inf) if flat_bands(model, expansion) else number.error
    return Average(model.spins - number.value, error)


def energy(model: SpinModel, theta: Float[Tensor, "set parameter"], *, field: Vector = (0.0, 0.0, 0.0)) -> Average:
    """Ground-state energy, meV per ion: classical and the first correction, of relative order 1/s.

    Squares of spin components across a moment have the constant s / 2 each, which is part of it.
    """
    check_plain(model, "this energy")
    expansion, n = expanded(model, theta, field), len(model.spins)
    axis = expansion.directions[0]
    A = single_ion(model, theta)
    across = A.diagonal(dim1=-2, dim2=-1).sum(-1) - torch.einsum("ia,iac,ic->i", axis, A, axis)
    fixed = float(energy_of(model, theta, field).value(axis[None])) / n + (model.spins * across).mean() / 2

    def change(q: Float[Tensor, "q 3"]) -> Float[Tensor, " q"]:
        H = expansion.at(q)[0]
        value = eigenmodes(H, H.new_zeros(2 * n, 0))[0][:, :n].sum(-1)
        return (value - H.diagonal(dim1=-2, dim2=-1).real[:, :n].sum(-1)) / (2 * n)

    found = zone_average(model, change)
    return Average(fixed + found.value, found.error)


def flat_bands(model: SpinModel, expansion: Expansion) -> int:
    """How many modes have no energy at any wavevector, so that averages over them are those of the regularisation.

    By d energy / d regularisation, which is the squared length of the column of T.
    """
    with torch.no_grad():
        H = expansion.at(zone.midpoints(model, max(1, MESH[int(zone.coupled(model).sum())] >> 3)))[0]
        energy, amplitude, _ = eigenmodes(H, torch.eye(H.shape[-1], dtype=H.dtype))
        made = REGULARISATION * (amplitude.abs() ** 2).sum(-1)
        soft = (made > FLAT * energy.abs()).sum(-1) // 2
    return int(soft.min())


def check_dispersive(model: SpinModel, expansion: Expansion, what: str) -> None:
    """Refuses bands without energy."""
    if count := flat_bands(model, expansion):
        raise InputError(
            f"model '{model.name}' has {count} flat mode(s) without energy in the whole zone, which leave {what} "
            "without a limit; add what gives them energy (anisotropy, further couplings, a field)"
        )


def vacuum(expansion: Expansion, q: Float[Tensor, "q 3"]) -> Complex[Tensor, "q boson boson"]:
    """<x x^dagger> without magnons, x being all b and then all b^dagger."""
    H = expansion.at(q)[0]
    n = H.shape[-1] // 2
    lower: Tensor = eigenmodes(H, torch.eye(2 * n, dtype=H.dtype))[1][:, :n]
    return lower.mH @ lower


def zone_average(model: SpinModel, quantity: Callable[[Tensor], Tensor]) -> Average:
    """The mean over the magnetic zone from midpoints of four meshes, each twice as fine.

    A Goldstone mode leaves an error that shrinks by one factor from mesh to mesh; the series is summed with the last
    one seen (Aitken's rule).
    """
    finest = MESH[int(zone.coupled(model).sum())]
    with torch.no_grad():
        series = [_mean(quantity, zone.midpoints(model, max(1, finest >> k))) for k in (3, 2, 1, 0)]
    (before, _), (last, steps) = _limit(*series[:3]), _limit(*series[1:])
    error = torch.where(steps < SLOW, (last - before).abs(), torch.inf)
    return Average(last, torch.where(steps == 0, STEADY * (1 + last.abs()), error))


def _mean(quantity: Callable[[Tensor], Tensor], q: Float[Tensor, "q 3"]) -> Tensor:
    return torch.stack([quantity(part).sum(0) for part in torch.split(q, CHUNK)]).sum(0) / len(q)


def _limit(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The limit of three terms of a series and the ratio of their steps, 0 where they no longer change."""
    step = c - b
    still = step.abs() < STEADY * (1 + c.abs())
    ratio = torch.where(still, 0.0, step / torch.where(still, 1.0, b - a))
    summed = torch.where((ratio > 0) & (ratio < SLOW), step * ratio / (1 - ratio), 0.0)
    return c + summed, ratio.abs()
