"""The acoustic sum rule: when all atoms move alike, no force acts on any.

    sum_j Phi_ij(q = 0) = 0    and, of Born charges,    sum_i Z_i = 0

(R. M. Pick, M. H. Cohen, R. M. Martin, Phys. Rev. B 1, 910 (1970), doi:10.1103/PhysRevB.1.910). Force constants that a
program found break it by the grid that it sums on and by what it cut off.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.phonon.model import PhononModel, Polar
from sqwirrel.model.phonon.springs import Springs
from sqwirrel.units import E2_PER_SPRING


def imposed(model: PhononModel) -> PhononModel:
    """The same with force constants and Born charges that obey the rule.

    Force constants: the sum over all atoms and cells is taken off those of each atom with itself, the simplest of the
    corrections in use (asr = 'simple' of Quantum ESPRESSO, `symmetrize_force_constants(level=0)` of phonopy). These
    stay symmetric: of a sum that is not, the antisymmetric part is left. Others spread the correction over all pairs of
    atoms: phonopy with level 1, and Euphonic with asr = 'realspace', over those of the supercell, so that wavevectors
    that it has keep their energies, but for q = 0; with asr = 'reciprocal' over those of the cell, which is the same as
    here if it holds one atom. Charges: their mean is taken off each. Then the dipoles obey the rule next to a Bragg
    point, too; at it they do by construction (`simulate.phonon.polar`), in what is added as in what a supercell holds
    and is taken out.
    """
    springs = tuple(each if each.on_site is None else _balanced(each, each.on_site) for each in model.springs)
    polar = None if model.polar is None else _neutral(model.polar)
    return replace(model, springs=springs, polar=polar, title=f"{model.title}, acoustic sum rule imposed")


def energy_at_zero(model: PhononModel) -> float:
    """The energy, meV, real or imaginary, of acoustic phonons at q = 0 by the forces that act if all atoms move alike.

    The largest over atoms and directions of what they would give each atom by itself: of force constants that miss by
    the same share of mass on all atoms, the energy that acoustic phonons have.
    """
    found = [_excess(each, each.on_site) for each in model.springs if each.on_site is not None]
    total = torch.stack([torch.zeros(len(model.masses), 3, 3, dtype=torch.float64), *found]).sum(0)
    square = E2_PER_SPRING * torch.linalg.eigvalsh(total) / model.masses[:, None]
    return float(square.abs().max().sqrt())


def _balanced(springs: Springs, on_site: Float[Tensor, "atom 3 3"]) -> Springs:
    left = on_site - _excess(springs, on_site)
    return Springs(springs.name, springs.i, springs.j, springs.offset, springs.matrix, on_site=left)


def _excess(springs: Springs, on_site: Float[Tensor, "atom 3 3"]) -> Float[Tensor, "atom 3 3"]:
    """What is symmetric of the sum of the force constants of each atom with all, itself included."""
    both = springs.matrix + springs.matrix.mT
    with_others = torch.zeros_like(on_site).index_add(0, springs.i, both).index_add(0, springs.j, both)
    return (on_site + on_site.mT - with_others) / 2


def _neutral(polar: Polar) -> Polar:
    return replace(polar, charges=polar.charges - polar.charges.mean(0))
