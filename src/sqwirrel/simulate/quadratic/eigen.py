"""Batched bosonic eigenproblems, with derivatives that are right at degenerate modes.

A quadratic boson Hamiltonian x^dagger H x, x = (b, b^dagger), is diagonalised by a para-unitary T with
T^dagger H T = |E| and T^dagger g T = g, g = diag(1, -1) (Colpa, Physica A 93, 327 (1978),
doi:10.1016/0378-4371(78)90160-7).
With H = L L^dagger the Hermitian matrix L^dagger g L has the signed energies as eigenvalues and
T = L^-dagger Y |E|^1/2.

Derivatives are first-order perturbation theory round the detached solution. Inside a degenerate set the modes are first
turned so that their intensities (a^dagger a, a = T^dagger V) are diagonal; then sum_n I_n f(E_n) has the right first
derivative for every smooth f, because the terms that couple two modes of the set vanish. Second derivatives are wrong.
"""

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from sqwirrel.simulate.quadratic.hermitian import eigh

DEGENERATE = 1e-9
"""Two modes closer than this, relative to the largest energy, are one set: the error is of the same order."""


def metric(n: int, positive: int) -> Float[Tensor, " boson"]:
    """The signs of the commutators of n boson operators: +1 for b, the first `positive`, and -1 for b^dagger."""
    return torch.where(torch.arange(n) < positive, 1.0, -1.0).to(torch.float64)


def factorise(
    hamiltonian: Complex[Tensor, "*batch boson boson"],
) -> tuple[Complex[Tensor, "*batch boson boson"], Bool[Tensor, "*batch"]]:
    """Cholesky factor, and whether the Hamiltonian is positive definite; an indefinite one becomes the identity."""
    L, info = torch.linalg.cholesky_ex(hamiltonian)
    stable = info == 0
    if bool(stable.all()):
        return L, stable
    eye = torch.eye(hamiltonian.shape[-1], dtype=hamiltonian.dtype, device=hamiltonian.device)
    safe = torch.where(stable[..., None, None], hamiltonian, eye)
    return torch.linalg.cholesky_ex(safe).L, stable


def eigenmodes(
    hamiltonian: Complex[Tensor, "*batch boson boson"],
    observable: Complex[Tensor, "*#batch boson column"],
    positive: int | None = None,
) -> tuple[Float[Tensor, "*batch boson"], Complex[Tensor, "*batch boson column"], Bool[Tensor, "*batch"]]:
    """Signed energies (positive first, descending), amplitudes T^dagger V of the observables, and stability.

    The first `positive` operators (half of them unless given) are b, the others b^dagger.
    Differentiable where gradients are enabled; under `torch.no_grad` only the observable columns are formed.
    """
    n = hamiltonian.shape[-1]
    g = metric(n, n // 2 if positive is None else positive).to(hamiltonian.device)
    if not torch.is_grad_enabled():
        energy, _, amplitude, stable = _solve(hamiltonian, observable, g)
        return energy, amplitude, stable
    with torch.no_grad():
        energy, T, amplitude, stable = _solve(hamiltonian.detach(), observable.detach(), g, transform=True)
        T = _aligned(energy, amplitude, T)
    return *_perturbed(hamiltonian, observable, g, energy, T, stable), stable


def _solve(
    H: Complex[Tensor, "*batch boson boson"],
    V: Complex[Tensor, "*#batch boson column"],
    g: Tensor,
    transform: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Energies, T (empty unless asked for), amplitudes and stability by Cholesky and a Hermitian eigensolver."""
    L, stable = factorise(H)
    energy, Y = eigh((L.mH * g) @ L)
    energy, Y = energy.flip(-1), Y.flip(-1) * energy.abs().sqrt().flip(-1)[..., None, :]
    amplitude = Y.mH @ torch.linalg.solve_triangular(L, V.expand(*L.shape[:-1], -1), upper=False)
    T = torch.linalg.solve_triangular(L.mH, Y, upper=True) if transform else Y[..., :0]
    return energy, T, amplitude, stable


def _aligned(energy: Tensor, amplitude: Tensor, T: Tensor) -> Tensor:
    """T with the modes of each degenerate set turned so that their intensity matrix is diagonal."""
    label = _sets(energy)
    crowded = label[..., -1] < energy.shape[-1] - 1
    if not bool(crowded.any()):
        return T
    shape = crowded.shape + amplitude.shape[-2:]
    axes = _alignment(label[crowded], amplitude.expand(shape)[crowded])
    T[crowded] = T[crowded] @ axes
    return T


def _alignment(
    label: Int[Tensor, "*batch boson"], amplitude: Complex[Tensor, "*batch boson column"]
) -> Complex[Tensor, "*batch boson boson"]:
    """The unitary that diagonalises the intensity matrix of each set."""
    same = label[..., :, None] == label[..., None, :]
    gram = amplitude @ amplitude.mH * same
    height = 2 * gram.diagonal(dim1=-2, dim2=-1).real.sum(-1, keepdim=True) + 1
    return eigh(gram - torch.diag_embed((label * height).to(gram.dtype)))[1].flip(-1)


def _sets(energy: Float[Tensor, "*batch boson"]) -> Tensor:
    """A label per mode, equal within a degenerate set; creation and annihilation modes never share one."""
    tolerance = DEGENERATE * energy.abs().amax(-1, keepdim=True)
    new = (energy[..., :-1] - energy[..., 1:] > tolerance) | ((energy[..., :-1] > 0) & (energy[..., 1:] <= 0))
    return torch.nn.functional.pad(new.cumsum(-1), (1, 0))


def _perturbed(H: Tensor, V: Tensor, g: Tensor, energy: Tensor, T: Tensor, stable: Tensor) -> tuple[Tensor, Tensor]:
    """Energies and amplitudes to first order in H and V around the detached solution (energy, T)."""
    h = T.mH @ torch.where(stable[..., None, None], H, H.detach()) @ T
    gap = energy[..., None, :] - energy[..., :, None]
    label = _sets(energy)
    apart = label[..., :, None] != label[..., None, :]
    mixing = h * torch.where(apart, g[:, None] / torch.where(apart, gap, 1.0), 0.0)
    amplitude = T.mH @ V
    return g * h.diagonal(dim1=-2, dim2=-1).real, amplitude + mixing.mH @ amplitude


def mirrored(energy: Tensor, intensity: Tensor) -> tuple[Tensor, Tensor]:
    """All modes from those of a block: each energy with both signs."""
    order = energy.abs().argsort(dim=-1, descending=True)
    energy, intensity = energy.abs().gather(-1, order), intensity.gather(-1, order)
    return torch.cat((energy, -energy.flip(-1)), dim=-1), torch.cat((intensity, intensity.flip(-1)), dim=-1)
