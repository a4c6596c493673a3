"""From spin amplitudes to what unpolarised neutrons see: form factor, polarisation, temperature.

S_perp = sum_ab (delta_ab - q_a q_b) S^ab with q the unit vector along the momentum transfer
(Squires, Introduction to the Theory of Thermal Neutron Scattering, 2012, ch. 7, doi:10.1017/CBO9781139107808).
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from sqwirrel.units import K_B


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
