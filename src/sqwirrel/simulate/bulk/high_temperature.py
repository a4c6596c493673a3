"""The Curie-Weiss temperature of a spin model, by the first term of the high-temperature expansion.

    chi = C / T (1 + theta_CW / T + ...),    theta_CW = -S (S + 1) / (3 k_B) sum_j z_j J_j    (one isotropic ion)

(J. H. Van Vleck, J. Chem. Phys. 9, 85 (1941), doi:10.1063/1.1750830). J > 0 is antiferromagnetic, each bond counted
once, z_j neighbours: theta_CW is negative where antiferromagnetic couplings win.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.bulk.found import Found
from sqwirrel.units import K_B

EXACT = 1e-9


class CurieWeiss:
    """theta_CW (K) of a powder, exact for quantum spins, without any order.

    With M the matrices of the couplings, A those of the anisotropies, g the tensors of each ion, x = S (S + 1) / 3 and
    y = S (S + 1) (4 S (S + 1) - 3) / 30:

        k_B theta_CW = -(2 sum_bonds x_i x_j tr(g_i M g_j^T) + sum_sites y tr(A' G')) / sum_sites x tr(g g^T),

    G = g^T g, and primes for traceless parts: an anisotropy counts only where g is anisotropic, too, in a powder.
    What is compared is the fit of chi at temperatures far above |theta_CW|: a fit nearer to the order is lower order in
    1 / T and gives another number; so do orbital moments and diamagnetism that were not taken off.
    """

    def __init__(self, model: SpinModel) -> None:
        _check(model)
        self.slope = torch.zeros(len(model.names), dtype=torch.float64)
        x = model.spins * (model.spins + 1) / 3
        y = x * (12 * x - 3) / 10
        total = (x * model.g.square().sum((1, 2))).sum()
        for each in model.couplings:
            seen = torch.einsum("bac,bcd,bad->b", model.g[each.i], each.matrix, model.g[each.j])
            self.slope[model.names.index(each.name)] -= 2 * (x[each.i] * x[each.j] * seen).sum() / total
        for one in model.anisotropies:
            G = _traceless(model.g[one.site].mT @ model.g[one.site])
            seen = (_traceless(one.matrix) * G).sum((1, 2))
            self.slope[model.names.index(one.name)] -= (y[one.site] * seen).sum() / total
        self.slope /= K_B

    def __call__(self, theta: Float[Tensor, "batch parameter"]) -> Found:
        """One number, K."""
        value = (theta @ self.slope)[:, None]
        return Found(value, torch.zeros_like(value), torch.ones(len(theta), dtype=torch.bool))


def _traceless(matrix: Float[Tensor, "site 3 3"]) -> Float[Tensor, "site 3 3"]:
    mean = matrix.diagonal(dim1=-2, dim2=-1).mean(-1)
    return matrix - mean[:, None, None] * torch.eye(3, dtype=matrix.dtype)


def _check(model: SpinModel) -> None:
    """Refuses terms whose share is not known here."""
    isotropic = bool(_traceless(model.g).abs().amax() < EXACT)
    refused = {
        "a squared coupling": any(each.squared for each in model.couplings),
        "anisotropies by Stevens operators": bool(model.multipoles),
        "dipoles and an anisotropic g": model.dipole is not None and not isotropic,
    }
    if found := [name for name, there in refused.items() if there]:
        raise InputError(
            f"model '{model.name}' has {found[0]}, whose share of the Curie-Weiss temperature is not known here; leave "
            "curie_weiss out"
        )
