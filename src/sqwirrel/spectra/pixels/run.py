"""What the detectors of a direct-geometry spectrometer hold at one angle of the crystal.

A detector at the scattering angle 2 theta and the azimuth phi sees neutrons along
    n = (cos 2 theta, sin 2 theta cos phi, sin 2 theta sin phi),
x along k_i, z up and y = z x x: phi = 0 is left as the neutron flies, 90 degrees above the beam, 180 right. The crystal
has gained Q = k_i - k_f = k_i x - k_f n, with k_i^2 = E_i / c, k_f^2 = (E_i - E) / c, c = hbar^2 / (2 m_n).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from sqwirrel.errors import InputError
from sqwirrel.units import E_PER_K2

Block = tuple[
    Float64[np.ndarray, "detector energy"], Float64[np.ndarray, "detector energy"], Bool[np.ndarray, "detector energy"]
]
"""Values, errors (one standard deviation) and whether they were measured."""


@dataclass(frozen=True, eq=False)
class Run:
    """One file of a rotation scan; `read(start, stop)` gives what some of its detectors hold.

    `two_theta` and `azimuth` are in degrees, `energy` are bin edges (meV), `psi` is in degrees, None if it is not
    known; `is_scaled` says whether the values were multiplied by k_i / k_f, None if that is not known. At least `step`
    detectors are read at once.
    """

    name: str
    incident_energy: float
    psi: float | None
    is_scaled: bool | None
    energy: Float64[np.ndarray, " edge"]
    two_theta: Float64[np.ndarray, " detector"]
    azimuth: Float64[np.ndarray, " detector"]
    step: int
    read: Callable[[int, int], Block]

    def __post_init__(self) -> None:
        if not 0 < self.incident_energy < np.inf:
            raise InputError(f"{self.name}: the incident energy is {self.incident_energy:g} meV; it must be positive")
        if not ((self.two_theta >= 0) & (self.two_theta <= 180) & (np.abs(self.azimuth) <= 360)).all():
            raise InputError(
                f"{self.name}: some scattering angles do not lie between 0 and 180 degrees, or azimuths not within "
                "360; check the instrument geometry"
            )
        if not (np.diff(self.energy) > 0).all() or not np.isfinite(self.energy).all():
            raise InputError(f"{self.name}: energy bin edges must be finite and ascending (meV)")

    @property
    def ki(self) -> float:
        """k_i, 1/angstrom."""
        return float(np.sqrt(self.incident_energy / E_PER_K2))

    @property
    def centres(self) -> Float64[np.ndarray, " energy"]:
        """Middle of each energy bin, meV."""
        middle: Float64[np.ndarray, " energy"] = (self.energy[1:] + self.energy[:-1]) / 2
        return middle

    @property
    def kf(self) -> Float64[np.ndarray, " energy"]:
        """k_f at the middle of each energy bin, 1/angstrom; NaN where the neutron has not got that much energy."""
        left = self.incident_energy - self.centres
        return np.sqrt(np.where(left > 0, left, np.nan) / E_PER_K2)

    @property
    def directions(self) -> Float64[np.ndarray, "detector 3"]:
        """Along k_f of each detector, in the laboratory."""
        polar, azimuth = np.radians(self.two_theta), np.radians(self.azimuth)
        across = np.sin(polar)
        return np.stack([np.cos(polar), across * np.cos(azimuth), across * np.sin(azimuth)], axis=1)
