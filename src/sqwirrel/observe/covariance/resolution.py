"""The resolution in (q, E) of a crystal, as a part of an instrument."""

from dataclasses import dataclass
from typing import ClassVar

from sqwirrel.errors import InputError
from sqwirrel.observe.covariance.spectrometer import Spectrometer
from sqwirrel.observe.covariance.spurions import spurious
from sqwirrel.observe.covariance.table import CovarianceTable
from sqwirrel.spectra import Spectrum

Q_SCALE = "q_fwhm_scale"
Source = Spectrometer | CovarianceTable
"""What gives a covariance of (q, E)."""


@dataclass(frozen=True, eq=False)
class EllipsoidResolution:
    """That of a triple-axis spectrometer, or of a table. The part in q, and how it is mixed with the energy, are taken
    as they are; the width in energy of what is sharp in q is theirs times the parameter `fwhm_scale`.

    With `q_scale` the ellipsoid is stretched along all directions of q by the parameter `q_fwhm_scale`: widths in q are
    those of the source times it, the width in energy of a flat mode (that of vanadium) stays. Points in q are drawn
    again for every value of it, so that a simulation takes as long as setting it up does.

    Points of scans where one of the peaks `bragg` (h, k, l) may be seen are no part of what it describes (`covered`).
    """

    source: Source
    bragg: tuple[tuple[float, float, float], ...] = ()
    q_scale: bool = False
    names = ("fwhm_scale",)
    units: ClassVar[dict[str, str]] = {"fwhm_scale": "", Q_SCALE: ""}

    def covered(self, spectrum: Spectrum) -> Spectrum:
        """`spectrum` without the points where Bragg peaks may be seen (see `spurious`)."""
        if not self.bragg:
            return spectrum
        if not isinstance(self.source, Spectrometer):
            raise InputError(
                "Bragg peaks are looked for in scans; a resolution from a table has no scattering triangle"
            )
        return spectrum.without(spurious(self.source, spectrum.measurement, self.bragg))
