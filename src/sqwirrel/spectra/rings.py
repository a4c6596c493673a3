"""From detector rings to a |Q|, energy map.

A detector at the scattering angle 2 theta that covers the angle w sees, at energy transfer E and incident energy E_i,
    Q^2 = k_i^2 + k_f^2 - 2 k_i k_f cos(2 theta),   k_i^2 = E_i / c,   k_f^2 = (E_i - E) / c,   c = hbar^2 / (2 m_n),
so one ring runs along a curve through the map. At each energy (bin centre) what a detector holds is shared out over
the |Q| bins in proportion f to the part of its angle that lies in each, sum over bins f = 1 (as Mantid's algorithm
SofQWNormalisedPolygon does; here the curvature of a pixel within its energy bin is left out).

    value(Q, E) = sum_d f_d y_d / W,   variance = sum_d f_d e_d^2 / W^2,   W = sum_d f_d.

Detectors weigh equally, whatever their error: weighting with 1 / e^2 would favour those that counted little.
The sum of W value equals the sum of y, and the sum of W^2 variance equals the sum of e^2: nothing is lost. Bins that
share a detector are correlated; f e^2 (and not f^2 e^2) is the choice that makes the variance of a sum over them right
when the correlation is left out, at the price of an error that is too large, never too small, for one bin alone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from sqwirrel.errors import InputError
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.points import QShells
from sqwirrel.spectra.spectrum import Spectrum
from sqwirrel.units import E_PER_K2

MAX_SHELLS = 400
MOST_PAIRS = 5 * 10**7
"""Shares of detectors in bins: a few seconds; a measured file of rings has some hundred thousand."""
MIN_WIDTH = 1e-3
"""Degrees: a detector of no width would have no place to share out."""


@dataclass(frozen=True, eq=False)
class Rings:
    """Detectors of a direct-geometry spectrometer and what they hold.

    `two_theta` and `width` are scattering angles and the angle covered (degrees), `energy` are bin edges (meV),
    `incident_energy` is in meV, `values` and `errors` (one standard deviation) are per detector and energy bin.
    """

    two_theta: Float64[np.ndarray, " detector"]
    width: Float64[np.ndarray, " detector"]
    energy: Float64[np.ndarray, " edge"]
    incident_energy: float
    values: Float64[np.ndarray, "detector energy"]
    errors: Float64[np.ndarray, "detector energy"]
    valid: Bool[np.ndarray, "detector energy"]

    def __post_init__(self) -> None:
        if not 0 < self.incident_energy < np.inf:
            raise InputError(f"the incident energy is {self.incident_energy:g} meV; it must be positive")
        if not ((self.two_theta >= 0) & (self.two_theta <= 180)).all():
            raise InputError(
                "some scattering angles do not lie between 0 and 180 degrees; check the instrument geometry"
            )
        if not (np.diff(self.energy) > 0).all():
            raise InputError("energy bin edges must be finite and ascending (meV)")


@dataclass(frozen=True, eq=False)
class ShellMap:
    """A |Q|, energy map: values, variances and weight W per bin; W = 0 where no detector looked."""

    edges: Float64[np.ndarray, " edge"]
    values: Float64[np.ndarray, "shell energy"]
    variances: Float64[np.ndarray, "shell energy"]
    weights: Float64[np.ndarray, "shell energy"]


def to_spectrum(rings: Rings) -> Spectrum:
    """The spectrum of `rings`: unmeasured where no detector looked; the temperature is left open."""
    shells = to_shells(rings)
    measurement = Measurement(
        QShells(torch.from_numpy(shells.edges)),
        torch.from_numpy(rings.energy),
        temperature=None,
        incident_energy=rings.incident_energy,
    )
    values, error = torch.from_numpy(shells.values), torch.from_numpy(np.sqrt(shells.variances))
    return Spectrum.from_arrays(values, error, measurement, valid=torch.from_numpy(shells.weights > 0))


def own_widths(
    two_theta: Float64[np.ndarray, " detector"], width: Float64[np.ndarray, " detector"]
) -> Float64[np.ndarray, " detector"]:
    """The angle each detector stands for: its `width`, but no more than half way to its neighbours on either side.

    Mantid writes the bounding box of a ring's pixels, up to ten times the ring's share at small angles. Detectors at
    one angle (to 1e-3 degrees) have the same neighbours.
    """
    angles, which = np.unique(two_theta.round(3), return_inverse=True)
    own = width.copy()
    if len(angles) > 1:
        gaps = np.diff(angles)
        share = (np.append(gaps, gaps[-1]) + np.insert(gaps, 0, gaps[0])) / 2
        np.fmin(own, share[which], out=own)  # NaN is no width
    np.fmax(own, MIN_WIDTH, out=own)
    return own


def to_shells(rings: Rings) -> ShellMap:
    """The |Q|, energy map of `rings`; energies that E_i cannot give stay without weight."""
    width = own_widths(rings.two_theta, rings.width)
    low, high = rings.two_theta - width / 2, rings.two_theta + width / 2
    low, high = np.clip(low, 0, 180), np.clip(high, 0, 180)
    ki, kf = _wavevectors(rings)
    edges = _shell_edges(low, high, ki, kf[~np.isnan(kf)])
    shape = (len(edges) - 1, len(kf))
    total, variance, weight = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    left = MOST_PAIRS
    for m in np.flatnonzero(~np.isnan(kf)):  # one energy at a time: all pairs would not fit in memory
        keep = np.flatnonzero(rings.valid[:, m])
        ring, shell, share = _shares(low[keep], high[keep], _angles(edges, ki, kf[m]), left)
        left -= len(ring)
        held, spread = rings.values[keep, m][ring], rings.errors[keep, m][ring] ** 2
        for array, each in ((total, share * held), (variance, share * spread), (weight, share)):
            array[:, m] = np.bincount(shell, weights=each, minlength=len(array))
    weight[weight < 1e-9] = 0.0
    divisor = np.where(weight > 0, weight, np.inf)
    return ShellMap(edges, total / divisor, variance / divisor**2, weight)


def momentum_transfer(
    two_theta: Float64[np.ndarray, " angle"], ki: float, kf: Float64[np.ndarray, " energy"]
) -> Float64[np.ndarray, "angle energy"]:
    """|Q| (1/angstrom) at scattering angles (degrees) for final wavevectors `kf` (1/angstrom)."""
    squared = ki**2 + kf**2 - 2 * ki * kf * np.cos(np.radians(two_theta))[:, None]
    modulus: Float64[np.ndarray, "angle energy"] = np.sqrt(np.maximum(squared, 0.0))
    return modulus


def _wavevectors(rings: Rings) -> tuple[float, Float64[np.ndarray, " energy"]]:
    """k_i and, per energy bin centre, k_f (1/angstrom); NaN where the neutron has not got that much energy."""
    centres = (rings.energy[1:] + rings.energy[:-1]) / 2
    final = np.where(centres < rings.incident_energy, rings.incident_energy - centres, np.nan)
    if np.isnan(final).all():
        raise InputError(
            f"all energy transfers ({centres[0]:g} to {centres[-1]:g} meV) are above the incident energy "
            f"{rings.incident_energy:g} meV; no neutron can lose that much"
        )
    return float(np.sqrt(rings.incident_energy / E_PER_K2)), np.sqrt(final / E_PER_K2)


def _shell_edges(
    low: Float64[np.ndarray, " detector"],
    high: Float64[np.ndarray, " detector"],
    ki: float,
    kf: Float64[np.ndarray, " energy"],
) -> Float64[np.ndarray, " edge"]:
    """Even |Q| edges over all that the detectors reach, as fine as a typical ring is wide in elastic scattering."""
    bottom, top = momentum_transfer(low, ki, kf).min(), momentum_transfer(high, ki, kf).max()
    ring = np.diff(momentum_transfer(np.stack([low, high], axis=1).ravel(), ki, np.array([ki]))[:, 0])[::2]
    step = max(float(np.median(ring)), (top - bottom) / MAX_SHELLS)
    step = float(f"{step:.2g}")
    return step * np.arange(np.floor(bottom / step), np.ceil(top / step) + 1)


def _angles(edges: Float64[np.ndarray, " edge"], ki: float, kf: float) -> Float64[np.ndarray, " edge"]:
    """The scattering angles (degrees) at which |Q| edges are met; 0 or 180 for those that are never met."""
    cosine = (ki**2 + kf**2 - edges**2) / (2 * ki * kf)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _shares(
    low: Float64[np.ndarray, " detector"],
    high: Float64[np.ndarray, " detector"],
    angles: Float64[np.ndarray, " edge"],
    most: int,
) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"], Float64[np.ndarray, " pair"]]:
    """Detector, shell, and the part of the detector's angle [low, high] that lies between the `angles` of the shell's
    edges, for all pairs that meet, at most so many; those of a detector sum to 1.
    """
    last = len(angles) - 2
    first = (np.searchsorted(angles, low, side="right") - 1).clip(0, last)
    count = (np.searchsorted(angles, high, side="left") - 1).clip(first, last) - first + 1
    if count.sum() > most:
        raise InputError(
            f"the detectors are so wide, and so many, that more than {MOST_PAIRS} shares of them lie in bins of |Q| "
            "and energy; check their widths, or merge them to rings"
        )
    detector = np.repeat(np.arange(len(low)), count)
    shell = np.arange(len(detector)) - np.repeat(np.cumsum(count) - count - first, count)
    overlap = np.minimum(high[detector], angles[shell + 1]) - np.maximum(low[detector], angles[shell])
    return detector, shell, overlap.clip(min=0) / (high - low)[detector]
