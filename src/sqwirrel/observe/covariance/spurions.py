"""Bragg scattering that a triple-axis spectrometer takes for inelastic: the tail of a peak, and accidental scattering.

Near a Bragg peak the tail of the resolution reaches it. Further away, neutrons that the sample scatters elastically
get into the detector where monochromator or analyser scatter diffusely: with k_f as long as k_i, or k_i as long as k_f.
What looks like an excitation is then a Bragg peak of the sample at that other wavevector (R. Currat, J. D. Axe, in
G. Shirane, S. M. Shapiro, J. M. Tranquada, Neutron Scattering with a Triple-Axis Spectrometer, Cambridge 2002, ch. 6).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.observe.covariance.cooper_nathans import covariance, points_of, triangle_of
from sqwirrel.observe.covariance.spectrometer import Spectrometer
from sqwirrel.spectra import Measurement

TAIL = 8.0
"""Standard deviations of the resolution within which a Bragg peak of some million counts is seen."""
ACCIDENTAL = 0.06
"""Distance (1/angstrom) from a Bragg peak within which accidental scattering is seen."""


def spurious(
    spectrometer: Spectrometer,
    measurement: Measurement,
    bragg: Sequence[Sequence[float]],
    *,
    tail: float = TAIL,
    accidental: float = ACCIDENTAL,
) -> Bool[Tensor, "point 1"]:
    """Points of scans where Bragg peaks at `bragg` (h, k, l) may be seen; for `Spectrum.without`.

    `tail` is in standard deviations of the resolution, `accidental` a distance in 1/angstrom.
    """
    peaks = torch.as_tensor(bragg, dtype=torch.float64)
    if peaks.ndim != 2 or peaks.shape[1] != 3:
        raise InputError(f"Bragg peaks are rows (h, k, l), got an array of shape {tuple(peaks.shape)}")
    triangle, points = triangle_of(spectrometer, measurement), points_of(measurement)
    away = torch.cat((peaks[:, None] - points.q, -measurement.energy_centres.expand(len(peaks), -1, -1)), dim=-1)
    precision = torch.linalg.inv(covariance(spectrometer, measurement))
    near = torch.einsum("gpa,pab,gpb->gp", away, precision, away) < tail**2
    for length in (triangle.initial, triangle.final):
        other = points.lattice.to_cartesian(peaks)[:, None] - triangle.elastic(length)
        near = near | (other.norm(dim=-1) < accidental)
    return near.any(0)[:, None]
