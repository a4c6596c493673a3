"""From spin amplitudes to what unpolarised neutrons see: form factor, polarisation, temperature.

S_perp = sum_ab (delta_ab - q_a q_b) S^ab with q the unit vector along the momentum transfer
(Squires, Introduction to the Theory of Thermal Neutron Scattering, 2012, ch. 7, doi:10.1017/CBO9781139107808).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.units import K_B


def transverse(q: Float[Tensor, "q 3"]) -> Float[Tensor, "q 3 3"]:
    """The projector perpendicular to `q` (Cartesian); the identity at q = 0, where no direction is defined."""
    length = q.norm(dim=-1, keepdim=True)
    unit = torch.where(length > 0, q / torch.where(length > 0, length, 1.0), 0.0)
    return torch.eye(3, dtype=q.dtype, device=q.device) - unit[:, :, None] * unit[:, None, :]


def bose(energy: Float[Tensor, "*mode"], temperature: float) -> Float[Tensor, "*mode"]:
    """Thermal weight of a line at signed `energy` (meV): n + 1 on the loss side, n on the gain side (K).

    Energies closer to zero than 1e-6 meV are held there, where the weight of a line diverges.
    """
    if temperature <= 0:
        return (energy > 0).to(energy.dtype)
    size = energy.abs().clamp(min=1e-6)
    n = 1 / torch.expm1((size / (K_B * temperature)).clamp(max=500))
    return torch.where(energy > 0, n + 1, n)
