"""The resolution in (q, E) of a crystal, as a part of an instrument."""

from dataclasses import dataclass
from typing import ClassVar

from sqwirrel.observe.covariance.spectrometer import Spectrometer
from sqwirrel.observe.covariance.table import CovarianceTable

Source = Spectrometer | CovarianceTable
"""What gives a covariance of (q, E)."""


@dataclass(frozen=True, eq=False)
class EllipsoidResolution:
    """That of a triple-axis spectrometer, or of a table. The part in q, and how it is mixed with the energy, are taken
    as they are; the width in energy of what is sharp in q is theirs times the parameter `fwhm_scale`.
    """

    source: Source
    names = ("fwhm_scale",)
    units: ClassVar[dict[str, str]] = {"fwhm_scale": ""}
