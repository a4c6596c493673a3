"""The powder maps of Bi2Fe4O9 with what they say of themselves: energy scale and resolution, from the elastic line, and
phonons, from |Q| beyond the part that is used. No magnetic model is needed for either.

The elastic line is a Gaussian with half of its intensity in a tail to negative transfers (moderator: who starts late
and still meets the chopper is fast), and its top is at +2 % of E_i, since the files place the mean at zero. A delay at
the moderator moves a line by 2 E_i dv/v (1 + L1 / L2 (E_f / E_i)^(3/2)), so that shift and tail are known at all
transfers (C. G. Windsor, Pulsed Neutron Scattering, Taylor & Francis 1981). Distances of MERLIN: R. I. Bewley et al.,
Physica B 385-386, 1029 (2006), doi:10.1016/j.physb.2006.05.328.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import curve_fit, nnls
from scipy.special import log_ndtr
from torch import Tensor

from sqwirrel.model.ions import form_factor
from sqwirrel.observe import PlanarBackground, TableResolution, TailedResolution, TemplateBackground
from sqwirrel.spectra import Measurement, QShells, Spectrum, read
from sqwirrel.units import E_PER_K2, SIGMA

DATA = Path(__file__).parents[2] / "shared" / "data" / "bi2fe4o9"
TEMPERATURE = 5.0
HALO = 10.0
"""Scattering angles (degrees) below which the direct beam is seen: to 8 at 25 meV, to 10 at 120 meV."""
ARMS = 1.8 / 2.5
"""From chopper to sample over from sample to detectors."""
BELOW, ABOVE = 4.0, 1.3
"""The elastic line is fitted from so many widths below zero to so many above: beyond, scattering in the sample
environment makes a shoulder.
"""
NARROWER = 0.45
"""Width of the core at 0.8 E_i over that at 0: between that of the chopper's opening alone and the moderator's."""


@dataclass(frozen=True)
class Elastic:
    """Shape of the elastic line: place of its core and FWHM of that, share and length of the tail (meV)."""

    top: float
    fwhm: float
    tail: float
    length: float


@dataclass(frozen=True)
class Map:
    """One powder map: its file, ranges of |Q| (1/angstrom) and energy (meV), bins merged, the elastic width (meV) that
    the published calculation used, and up to where phonons are read off.
    """

    file: str
    longest: float
    energy: tuple[float, float]
    merge: tuple[int, int]
    fwhm: float
    phonons: float

    @cached_property
    def whole(self) -> Spectrum:
        """All that was measured."""
        return read(DATA / self.file)

    @property
    def incident(self) -> float:
        """Incident energy, meV."""
        return float(self.whole.measurement.incident_energy or 0)

    @cached_property
    def elastic(self) -> Elastic:
        """The elastic line of the |Q| that are used."""
        measurement = self.whole.measurement
        shells = measurement.points.centres <= self.longest  # type: ignore[union-attr]
        energy = measurement.energy_centres
        near = (energy > -BELOW * self.fwhm) & (energy < ABOVE * self.fwhm)
        valid = self.whole.valid[shells][:, near].double()
        mean = ((self.whole.intensity[shells][:, near] * valid).sum(0) / valid.sum(0)).numpy()
        most, first = mean.max(), [0.0, mean.max() * self.fwhm, 0.02 * self.incident, self.fwhm, 0.3, self.fwhm]
        bounds = [0.0, 0.0, -5.0, 0.0, 0.0, 0.01], [np.inf, np.inf, 5.0, np.inf, 1.0, np.inf]
        error = 0.03 * mean + 0.003 * most
        (_, _, *found), _ = curve_fit(_line, energy[near].numpy(), mean, p0=first, sigma=error, bounds=bounds)
        return Elastic(*map(float, found))

    def part(self) -> Spectrum:
        """What is used, without its rim, where the direct beam is, at energies that the elastic line corrects."""
        return self._corrected(self._merged(0.0, self.longest).trim(1))

    def background(self) -> TemplateBackground:
        """Phonons, whose intensity goes as Q^2, and a plane."""
        part = self._merged(0.0, self.longest)
        q = part.measurement.points.centres  # type: ignore[union-attr]
        shape = q[:, None] ** 2 * self.phonon_profile()
        every = torch.ones_like(shape, dtype=torch.bool)
        template = Spectrum.from_arrays(shape, torch.zeros_like(shape), part.measurement, valid=every)
        return TemplateBackground(self._corrected(template), PlanarBackground())

    def phonon_profile(self) -> Float[Tensor, " energy"]:
        """p(E) of b + b' E + p(E) Q^2 + m(E) f(Q)^2, none below zero, fitted beyond the |Q| that are used."""
        far = self._merged(self.longest, self.phonons).trim(1)
        q = far.measurement.points.centres  # type: ignore[union-attr]
        energy, n = far.measurement.energy_centres, far.measurement.shape[1]
        slope = (energy - energy[0]) / (energy[-1] - energy[0])
        one = torch.eye(n, dtype=torch.float64).repeat(len(q), 1)
        square, magnetic = (x.repeat_interleave(n)[:, None] for x in (q**2, form_factor("Fe3+", q) ** 2))
        plane = torch.stack((1 - slope, slope), 1).repeat(len(q), 1)
        columns = torch.cat((plane, one * square, one * magnetic), 1)[far.valid.flatten()]
        solved, _ = nnls(columns.numpy(), far.intensity[far.valid].numpy())
        return torch.from_numpy(solved[2 : 2 + n])

    def resolution(self) -> TailedResolution:
        """The core of the elastic line, narrower where the neutrons left are slow, and its tail."""
        fwhm = self.elastic.fwhm
        return TailedResolution(TableResolution([0.0, 0.8 * self.incident], [fwhm, NARROWER * fwhm]))

    def tail(self) -> dict[str, float]:
        """The parameters of the tail, in the middle of the energies used."""
        middle = torch.tensor(sum(self.energy) / 2)
        return {"tail": self.elastic.tail, "tail_length": self.elastic.length * float(self._shrunk(middle))}

    def _merged(self, shortest: float, longest: float) -> Spectrum:
        """The shells that lie between, in the energies used, merged."""
        edges = self.whole.measurement.points.edges  # type: ignore[union-attr]
        first, last = int((edges < shortest).sum()), int((edges <= longest).sum()) - 1
        points, data = QShells(edges[first : last + 1]), self.whole.data["Q", first:last].copy()
        part = Spectrum(data, replace(self.whole.measurement, points=points, temperature=TEMPERATURE))
        q, energy = self.merge
        return part.without(_angle(part.measurement) < HALO).slice_energy(*self.energy).rebin(q=q, energy=energy)

    def _corrected(self, part: Spectrum) -> Spectrum:
        """With the energies that lines have whose top the file shows at its own."""
        energy = part.measurement.energy
        energy = energy - self.elastic.top * self._shrunk(energy)
        measurement = replace(part.measurement, energy=energy)
        return Spectrum.from_arrays(part.intensity, part.error, measurement, valid=part.valid)

    def _shrunk(self, energy: Tensor) -> Tensor:
        """Effect of a delay at the moderator, over that on the elastic line."""
        left = (1 - energy / self.incident).clamp(min=0) ** 1.5
        return (1 + ARMS * left) / (1 + ARMS)


def _angle(measurement: Measurement) -> Float[Tensor, "shell energy"]:
    """Scattering angle of each bin, degrees; NaN where none reaches it."""
    q, initial = measurement.points.centres, float(measurement.incident_energy or 0)  # type: ignore[union-attr]
    final = initial - measurement.energy_centres
    cosine = (initial + final - E_PER_K2 * q[:, None] ** 2) / (2 * (initial * final).sqrt())
    return cosine.acos().rad2deg()


def _line(
    energy: NDArray[np.float64], under: float, area: float, top: float, fwhm: float, tail: float, length: float
) -> NDArray[np.float64]:
    """A Gaussian with a share smeared to lower energies by an exponential, as `TailedResolution` has it, on a level."""
    sigma = SIGMA * fwhm
    y, a = (energy - top) / sigma, sigma / length
    core = np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi) / sigma
    late = np.exp(a * y + a**2 / 2 + log_ndtr(-y - a)) / length
    line: NDArray[np.float64] = under + area * ((1 - tail) * core + tail * late)
    return line


MAPS = {
    "ei25": Map("MER40874_Ei25.00meV_Rings.nxspe", 3.0, (4.0, 16.5), (5, 6), 0.7, 5.8),
    "ei38": Map("MER40874_Ei38.00meV_Rings.nxspe", 3.0, (6.0, 26.0), (4, 5), 1.1, 6.4),
    "ei62": Map("MER40874_Ei62.00meV_Rings.nxspe", 3.0, (12.0, 34.0), (3, 5), 2.0, 6.4),
    "ei120": Map("MER40874_Ei120.00meV_Rings.nxspe", 4.0, (34.0, 95.0), (3, 5), 5.6, 9.0),
}
"""Energy bins are about as wide as the core of the resolution. The flat modes at 40 meV are several times broader than
that at 62 meV (they may hybridise with phonons, arXiv:2510.04793), so only the map at 120 meV has them.
"""
