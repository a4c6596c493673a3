"""What neutrons of an incident energy can reach, and what is refused as it lies outside of that."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.config.places import EnergyBins
from sqwirrel.errors import InputError
from sqwirrel.spectra import Measurement as Where
from sqwirrel.spectra import QShells, Spectrum
from sqwirrel.units import E_PER_K2

SLACK = 0.02
"""Share of |Q| by which a measured bin may lie outside the kinematics."""


def check_kinematics(incident_energy: float | None, energy: tuple[float, float] | EnergyBins | None) -> None:
    """Refuses an energy transfer that no neutron of this incident energy can lose."""
    if incident_energy is None or energy is None:
        return
    highest = energy.stop if isinstance(energy, EnergyBins) else energy[1]
    if highest > incident_energy:
        raise InputError(
            f"[measurement] energy reaches {highest:g} meV, outside the kinematics: a neutron of "
            f"{incident_energy:g} meV cannot lose more than it has"
        )


def check_reach(spectrum: Spectrum) -> None:
    """Refuses a powder map with measured bins that its incident energy reaches at no scattering angle."""
    bad = spectrum.valid & out_of_reach(spectrum.measurement)
    points, incident = spectrum.measurement.points, spectrum.measurement.incident_energy
    if not isinstance(points, QShells) or incident is None or not bool(bad.any()):
        return
    low, high = _reach(spectrum.measurement.energy, incident)
    distance = torch.maximum(points.centres[:, None] - high, low - points.centres[:, None])
    shell, energy = divmod(int(distance.where(bad, -torch.inf).argmax()), len(high))
    raise InputError(
        f"[measurement] incident_energy = {incident:g} meV reaches |Q| from {float(low[energy]):.2f} to "
        f"{float(high[energy]):.2f} 1/angstrom at {float(spectrum.measurement.energy_centres[energy]):g} meV, but the "
        f"map has a measured bin at {float(points.centres[shell]):.2f}; check the incident energy"
    )


def out_of_reach(measurement: Where) -> Bool[Tensor, "point energy"]:
    """Bins of a powder map that no scattering angle reaches, where the incident energy is known.

    Half a bin of |Q| and 2 % are let pass, as maps are interpolated.
    """
    points, incident = measurement.points, measurement.incident_energy
    if not isinstance(points, QShells) or incident is None:
        return torch.zeros(measurement.shape, dtype=torch.bool)
    q, half = points.centres[:, None], points.edges.diff()[:, None] / 2
    low, high = _reach(measurement.energy, incident)
    return (q - high > torch.maximum(half, SLACK * high)) | (low - q > torch.maximum(half, SLACK * low))


def _reach(edges: Float[Tensor, " edge"], incident_energy: float) -> tuple[Tensor, Tensor]:
    """|k_i - k_f| and k_i + k_f (1/angstrom) with k = sqrt(E / E_PER_K2), where in each bin they allow most."""
    ki, kf = (
        (energy.clamp(min=0) / E_PER_K2).sqrt()
        for energy in (edges.new_tensor(incident_energy), incident_energy - edges)
    )
    nearest = torch.minimum(torch.maximum(kf[1:], ki), kf[:-1])
    return (ki - nearest).abs(), ki + kf[:-1]
