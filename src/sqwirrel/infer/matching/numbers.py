"""What of the physics of a map can be counted without a model, to be compared before and after a translation.

    integral(q) = sum over E of S(q, E) dE        moment = mean over q of sum over E of E S(q, E) dE
    balance = sum of S(q, -E) / sum of S(q, E) exp(-E / kT)

over measured bins. By detailed balance the last is 1 (of scattering in thermal equilibrium, the background included);
it needs bins on both sides of the elastic line.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.spectra import Measurement, Spectrum
from sqwirrel.units import K_B

BRIGHT, CLEAR = 0.15, 5.0
"""A mode is a maximum along energy that is above the median of its q by so much of the usual maximum, and by so many
errors where there are errors.
"""
SMOOTH, ELASTIC = 1.0, 2
"""Standard deviation of the Gaussian that maxima are sought under, bins; half width of the elastic line where the
resolution is not known, bins.
"""
Map = Float[Tensor, "point energy"]


@dataclass(frozen=True, eq=False)
class Numbers:
    """Of one map: integrals of each q (intensity x meV), their mean, the mean first moment (intensity x meV^2), the
    ratio of detailed balance (NaN if it cannot be told), positions of modes (meV; NaN where there is none).
    """

    integrals: Float[Tensor, " point"]
    integral: float
    moment: float
    balance: float
    modes: Float[Tensor, " point"]

    @classmethod
    def of(cls, spectrum: Spectrum, fwhm: float | None = None) -> "Numbers":
        """Of a map along |Q|, a path or a grid; `fwhm` (meV) is that of the energy resolution."""
        where = spectrum.measurement
        weight = torch.where(spectrum.valid, spectrum.intensity, 0.0) * where.energy.diff()
        points = spectrum.valid.any(1).sum().clamp(min=1)
        elastic = fwhm or ELASTIC * float(where.energy.diff().median())
        return cls(
            weight.sum(1),
            float(weight.sum() / points),
            float((weight * where.energy_centres).sum() / points),
            _balance(spectrum, where, elastic),
            _modes(spectrum, where, elastic),
        )


def _balance(spectrum: Spectrum, where: Measurement, elastic: float) -> float:
    energy, width = where.energy_centres, where.energy.diff()
    if not where.temperature:
        return math.nan
    gain = (energy + energy[:, None]).abs().argmin(0)  # the bin nearest to -E
    is_pair = (energy > elastic) & ((energy[gain] + energy).abs() < width / 2)
    both = spectrum.valid & spectrum.valid[:, gain] & is_pair
    factor = torch.exp(energy[gain].clamp(max=0) / (K_B * where.temperature))
    loss, least = (spectrum.intensity * factor)[both].sum(), torch.finfo(torch.float64).tiny
    return float(spectrum.intensity[:, gain][both].sum() / loss) if float(loss) > least else math.nan


def _modes(spectrum: Spectrum, where: Measurement, elastic: float) -> Float[Tensor, " point"]:
    """Maxima along energy, each with the parabola through it and its neighbours, which must be measured."""
    away, (n, bins) = spectrum.valid & (where.energy_centres.abs() > elastic), where.shape
    if bins < 3:
        return torch.full((n,), torch.nan, dtype=torch.float64)
    smooth, errors = _smooth(spectrum)
    y = torch.where(away, smooth, -torch.inf)
    at = y.argmax(1, keepdim=True)
    inner = at.clamp(1, bins - 2)
    low, middle, high = (y.gather(1, inner + k)[:, 0] for k in (-1, 0, 1))
    bent = low - 2 * middle + high
    step = torch.where(torch.isfinite(bent) & (bent < 0), 0.5 * (low - high) / bent, torch.nan)
    energy = where.energy_centres[inner[:, 0]] + step * where.energy.diff()[inner[:, 0]]
    above = y.amax(1) - torch.where(away, y, torch.nan).nanmedian(1).values
    error = errors.gather(1, at)[:, 0]
    usual = torch.where(torch.isfinite(above), above, torch.nan).nanmedian()
    there = (at == inner)[:, 0] & (above > BRIGHT * usual) & (above > CLEAR * error)
    return torch.where(there & torch.isfinite(energy), energy, torch.nan)


def _smooth(spectrum: Spectrum) -> tuple[Map, Map]:
    """Along energy, over what was measured; and its error."""
    valid, at = spectrum.valid.double(), torch.arange(spectrum.valid.shape[1], dtype=torch.float64)
    kernel = torch.exp(-0.5 * ((at[:, None] - at) / SMOOTH) ** 2)
    cover = (valid @ kernel).clamp(min=1e-9)
    return (valid * spectrum.intensity) @ kernel / cover, ((valid * spectrum.error**2) @ kernel**2).sqrt() / cover
