"""Polar crystals: the fields of the dipoles that displaced ions are, at any wavevector.

    Phi_ij(q) = e^2 / 4 pi epsilon_0  Z_i^T T_ij(q) Z_j,    T_ij(q) = sum_R -grad grad phi(d) exp(i q . d),
    phi(d) = 1 / (det epsilon  d . epsilon^-1 . d)^1/2,    d = R + r_j - r_i

(X. Gonze and C. Lee, Phys. Rev. B 55, 10355 (1997), doi:10.1103/PhysRevB.55.10355). In coordinates in which the
dielectric tensor is 1, these are the sums of magnetic dipoles (`simulate.dipoles`). At a Bragg point the field of the
whole crystal, which depends on the direction that q comes from, is left out; as close to it as can be written, it is
there.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from sqwirrel.model.phonon.model import PhononModel, Polar
from sqwirrel.model.phonon.springs import Springs
from sqwirrel.model.phonon.supercell import Folded, cells, commensurate, springs
from sqwirrel.simulate.dipoles import DipoleSums, blocks
from sqwirrel.units import COULOMB


def dipoles(model: PhononModel, wave: Float[Tensor, "q 3"]) -> Complex[Tensor, "q atom 3 atom 3"]:
    """All of the interaction, N/m, at Cartesian wavevectors (1/angstrom).

    An atom's own part follows from that of the others at q = 0, so that energies stay as they are if all move alike; of
    charges that are no numbers, what is not symmetric in it cannot be made up for.
    """
    assert model.polar is not None
    vectors = model.cell.vectors
    q = torch.cat((torch.zeros(1, 3).to(wave), wave)) @ vectors.T / (2 * torch.pi)
    found = _interaction(model.polar, vectors, model.positions, q)
    own = found[0].real.sum(2)
    atoms = torch.arange(len(own))
    found[:, atoms, :, atoms] -= ((own + own.mT) / 2)[:, None]
    return found[1:]


def held(model: PhononModel) -> tuple[Springs, ...]:
    """Minus what of the interaction the force constants of a supercell hold, as springs; none where they hold none."""
    if model.polar is None or model.polar.supercell is None:
        return ()
    supercell, vectors = model.polar.supercell, model.cell.vectors
    q, inside, n = commensurate(supercell), cells(supercell), len(model.positions)
    Phi = dipoles(model, model.cell.to_cartesian(q))
    m, i, j = torch.cartesian_prod(torch.arange(len(inside)), torch.arange(n), torch.arange(n)).unbind(1)
    phase = torch.exp(-2j * torch.pi * (q @ inside.to(q).T))
    place = torch.exp(2j * torch.pi * (q @ model.positions.T))[..., None]
    Phi = Phi * place[..., None, None] / place[:, None, None]
    Phi = torch.einsum("qm,qiajc->mijac", phase, Phi).real / len(q)
    return (springs(model.polar.name, Folded(vectors, model.positions, supercell, i, j, inside[m], -Phi[m, i, j])),)


def _interaction(
    polar: Polar, vectors: Float[Tensor, "3 3"], positions: Float[Tensor, "atom 3"], q: Float[Tensor, "q 3"]
) -> Complex[Tensor, "q atom 3 atom 3"]:
    """The lattice sums between Born charges, q in reciprocal vectors of the cell; an atom's own images included."""
    L = torch.linalg.cholesky((polar.dielectric + polar.dielectric.T) / 2)
    straight = torch.linalg.inv(L)
    n = len(positions)
    T = blocks(DipoleSums(vectors @ straight.T, positions)(q), n)
    Z = straight @ polar.charges / torch.linalg.det(L).sqrt()
    return COULOMB * torch.einsum("iba,qijbd,jdc->qiajc", Z + 0j, T, Z + 0j)
