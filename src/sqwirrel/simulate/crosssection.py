"""From spin amplitudes to what neutrons see: form factor, polarisation, temperature, absolute units.

S_perp = sum_ab (delta_ab - q_a q_b) S^ab with q the unit vector along the momentum transfer
(Squires, Introduction to the Theory of Thermal Neutron Scattering, 2012, ch. 7, doi:10.1017/CBO9781139107808).
"""

from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.units import GAMMA_R0_SQUARED, K_B


def observable(
    moment: Complex[Tensor, "order boson column"], form: Float[Tensor, "q boson"], unit: Float[Tensor, "q 3"]
) -> Complex[Tensor, "order q boson column"]:
    """Moments times form factors, perpendicular to the wavevector where they are vectors."""
    if moment.shape[-1] == 3:
        along = torch.einsum("qc,xbc->xqb", unit + 0j, moment)
        moment = moment[:, None] - along[..., None] * unit[:, None, :]
    else:
        moment = moment[:, None]
    return moment * form[..., None]


def bose(energy: Float[Tensor, "*mode"], temperature: float) -> Float[Tensor, "*mode"]:
    """Thermal weight of a line at signed `energy` (meV): n + 1 on the loss side, n on the gain side (K).

    Energies closer to zero than 1e-6 meV are held there, where the weight of a line diverges.
    """
    if temperature <= 0:
        return (energy > 0).to(energy.dtype)
    size = energy.abs().clamp(min=1e-6)
    n = 1 / torch.expm1((size / (K_B * temperature)).clamp(max=500))
    return torch.where(energy > 0, n + 1, n)


class Polarised(NamedTuple):
    """Magnetic intensity by the axis of polarisation: x along Q, y across it in the plane, z along the normal.

    Neutrons that come in along +x flip their spin with the intensity flip - chiral, those along -x with flip + chiral;
    along y and z both ways have the same. For every axis flip and non_flip make S_perp.
    """

    flip: Float[Tensor, "*batch q line axis"]
    non_flip: Float[Tensor, "*batch q line axis"]
    chiral: Float[Tensor, "*batch q line"]


def polarised(
    S: Complex[Tensor, "*batch q line 3 3"], wave: Float[Tensor, "q 3"], normal: Float[Tensor, "3"]
) -> Polarised:
    """Spin-flip and non-spin-flip parts of S^ab (modes or energy bins) at Cartesian wavevectors.

    `normal` of the scattering plane need not be exact. Without nuclear scattering (R. M. Moon, T. Riste and W. C.
    Koehler, Phys. Rev. 181, 920 (1969), doi:10.1103/PhysRev.181.920); the chiral part is i (S^yz - S^zy) (M. Blume,
    Phys. Rev. 130, 1670 (1963), doi:10.1103/PhysRev.130.1670).
    """
    axes = _frame(wave, normal)
    T = torch.einsum("qai,...qmij,qbj->...qmab", axes + 0j, S, axes + 0j)
    yy, zz, none = T[..., 1, 1].real, T[..., 2, 2].real, torch.zeros_like(T[..., 0, 0].real)
    chiral = (1j * (T[..., 1, 2] - T[..., 2, 1])).real
    return Polarised(torch.stack((yy + zz, zz, yy), dim=-1), torch.stack((none, yy, zz), dim=-1), chiral)


def absolute(intensity: Tensor) -> Tensor:
    """Cross-section (k_i / k_f) d2sigma / dOmega dE in mb / sr from an intensity per ion in spin units (g = 2)."""
    return GAMMA_R0_SQUARED * intensity


def _frame(wave: Float[Tensor, "q 3"], normal: Float[Tensor, "3"]) -> Float[Tensor, "q axis 3"]:
    x = torch.nn.functional.normalize(wave, dim=-1)
    across = normal - (x @ normal)[:, None] * x
    if bool((across.norm(dim=-1) <= 1e-6 * normal.norm()).any()) or not bool(wave.any(-1).all()):
        raise InputError("polarised neutrons need wavevectors that are not zero and not along the normal of the plane")
    z = torch.nn.functional.normalize(across, dim=-1)
    return torch.stack((x, torch.linalg.cross(z, x), z), dim=1)
