"""Batched coupled oscillators H = x K x + p M p with real K and M, with derivatives right at degenerate modes.

The columns of S, and of D = S^-T, take the oscillators to the modes: S^T K S = D^T M D = E. With K = L L^T and Y the
eigenvectors of L^T M L they are S = L^-T Y E^1/2 and D = L Y E^-1/2. Derivatives are first-order perturbation theory
round the detached solution: with P = S^T dK S and R = D^T dM D,

    dE_m = (P_mm + R_mm) / 2,   dS = S C,   dD = -D C^T,   C_nm = (E_n P_nm + E_m R_nm) / (E_m^2 - E_n^2),

and C_nm = (R_nm - P_nm) / 4 E where both have one energy. The modes of a degenerate set are first turned so that their
intensities, the sums of (S^T a)^2 and (D^T b)^2, are diagonal, as in `eigen`. Second derivatives are wrong.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.simulate.quadratic.eigen import DEGENERATE
from sqwirrel.simulate.quadratic.hermitian import eigh

Matrices = Float[Tensor, "*batch site site"]


def oscillators(
    K: Matrices, M: Matrices, a: Float[Tensor, "*#batch site x"], b: Float[Tensor, "*#batch site p"]
) -> tuple[Float[Tensor, "*batch mode"], Float[Tensor, "*batch mode x"], Float[Tensor, "*batch mode p"], Tensor]:
    """Energies (descending), S^T a, D^T b, and where K and M are positive definite."""
    with torch.no_grad():
        energy, S, D, stable = _solve(K.detach(), M.detach())
        turn = _alignment(energy, S.mT @ a.detach(), D.mT @ b.detach())
        S, D = S @ turn, D @ turn
    safe = stable[..., None, None]
    P = S.mT @ torch.where(safe, K, K.detach()) @ S
    R = D.mT @ torch.where(safe, M, M.detach()) @ D
    here, there = energy[..., :, None], energy[..., None, :]
    apart = (here - there).abs() > DEGENERATE * energy.amax(-1)[..., None, None]
    gap = torch.where(apart, there**2 - here**2, -4 * here)
    change = (
        (P - P.detach()) * torch.where(apart, here, 1.0) + (R - R.detach()) * torch.where(apart, there, -1.0)
    ) / gap
    x, p = S.mT @ a, D.mT @ b
    slope = (P + R - P.detach() - R.detach()).diagonal(dim1=-2, dim2=-1) / 2
    return energy + slope, x + change.mT @ x, p - change @ p, stable


def _solve(K: Matrices, M: Matrices) -> tuple[Tensor, Tensor, Tensor, Bool[Tensor, "*batch"]]:
    """Energies, S, D and stability; those of the unit matrix where a form is not positive definite."""
    one = torch.eye(K.shape[-1], dtype=K.dtype, device=K.device)
    L, fails = torch.linalg.cholesky_ex(K)
    L = torch.where((fails == 0)[..., None, None], L, one)
    square, Y = eigh(L.mT @ M @ L)
    stable = (fails == 0) & (square[..., 0] > 0)
    L, Y = (torch.where(stable[..., None, None], part, one) for part in (L, Y.flip(-1)))
    energy = torch.where(stable[..., None], square.flip(-1), 1.0).sqrt()
    root = energy.sqrt()[..., None, :]
    return energy, torch.linalg.solve_triangular(L.mT, Y * root, upper=True), L @ Y / root, stable


def _alignment(energy: Tensor, x: Tensor, p: Tensor) -> Matrices:
    """The rotation within each degenerate set that makes x x^T + p p^T diagonal there."""
    one = torch.eye(energy.shape[-1], dtype=energy.dtype, device=energy.device)
    step = energy[..., :-1] - energy[..., 1:] > DEGENERATE * energy[..., :1]
    if bool(step.all()):
        return one
    label = torch.nn.functional.pad(step.cumsum(-1), (1, 0)).to(energy.dtype)
    gram = torch.where(label[..., :, None] == label[..., None, :], x @ x.mT + p @ p.mT, 0.0)
    height = 2 * gram.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) + 1
    return eigh(gram - torch.diag_embed(label * height))[1].flip(-1)
