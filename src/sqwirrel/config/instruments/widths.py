"""The section [instrument.resolution] of a config file."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from sqwirrel.config.quantity import Energy
from sqwirrel.config.table import Section
from sqwirrel.errors import InputError
from sqwirrel.observe import (
    CovarianceTable,
    EllipsoidResolution,
    GaussianResolution,
    OffsetResolution,
    PolynomialResolution,
    TableResolution,
    TailedResolution,
    read_covariance,
    read_spectrometer,
)
from sqwirrel.observe.choppers import chopper_resolution
from sqwirrel.observe.resolution import Resolution
from sqwirrel.units import SIGMA


class ConstantWidth(Section):
    """One energy width at all energies."""

    kind: Literal["gaussian"] = "gaussian"
    tail: bool = False
    offset: bool = False

    def build(self) -> Resolution:
        """The resolution, with a tail to lower energy transfer and an offset of all energies if asked for."""
        return _moved(GaussianResolution(), self)


class PolynomialWidth(Section):
    """An energy width that is a polynomial of the energy transfer."""

    kind: Literal["polynomial"]
    order: Annotated[int, Field(ge=0, le=4)] = 1
    tail: bool = False
    offset: bool = False

    def build(self) -> Resolution:
        """The resolution, with a tail to lower energy transfer and an offset of all energies if asked for."""
        return _moved(PolynomialResolution(self.order), self)


class TableWidth(Section):
    """Energy widths (full width at half maximum, meV) at `energies` (meV), times the parameter fwhm_scale."""

    kind: Literal["table"]
    energies: tuple[Energy, ...]
    fwhm: tuple[Energy, ...]
    tail: bool = False
    offset: bool = False

    def build(self) -> Resolution:
        """The resolution, with a tail to lower energy transfer and an offset of all energies if asked for."""
        return _moved(TableResolution(self.energies, self.fwhm), self)


class ChopperWidth(Section):
    """The widths that the package resins gives for a chopper `instrument` (MARI, MAPS, LET, ...), times fwhm_scale."""

    kind: Literal["chopper"]
    instrument: str
    incident_energy: Energy
    frequency: PositiveInt | None = None
    package: str | None = None
    tail: bool = False
    offset: bool = False

    def build(self) -> Resolution:
        """The resolution, with a tail to lower energy transfer and an offset of all energies if asked for."""
        how = {"frequency": self.frequency, "package": self.package}
        return _moved(chopper_resolution(self.instrument, self.incident_energy, **how), self)  # type: ignore[arg-type]


class CovarianceWidth(Section):
    """The resolution in (h, k, E) or (h, k, l, E) of a table of covariances, times fwhm_scale in energy. With `q_scale`
    widths in q are those of the table times the parameter q_fwhm_scale.
    """

    kind: Literal["covariance"]
    file: str
    q_scale: bool = False

    def build(self) -> EllipsoidResolution:
        """The resolution."""
        return EllipsoidResolution(read_covariance(self.file), q_scale=self.q_scale)


class SpectrometerWidth(Section):
    """The resolution of a triple-axis spectrometer (Cooper-Nathans) that a JSON or TOML file describes, times the
    parameter fwhm_scale in energy.

    `sample_mosaic` (horizontal, vertical; minutes of arc) takes the place of that in the file. Points where one of the
    Bragg peaks `bragg` (h, k, l) may be seen, in its tail or by accident, are left out. With `q_scale` widths in q are
    those of the spectrometer times the parameter q_fwhm_scale.
    """

    kind: Literal["spectrometer"]
    file: str
    sample_mosaic: tuple[float, float] | None = None
    bragg: tuple[tuple[float, float, float], ...] = ()
    q_scale: bool = False

    def build(self) -> EllipsoidResolution:
        """The resolution."""
        source = read_spectrometer(self.file)
        if self.sample_mosaic is not None:
            source = source.with_mosaic(self.sample_mosaic)
        return EllipsoidResolution(source, self.bragg, self.q_scale)


Core = GaussianResolution | PolynomialResolution | TableResolution


def _moved(core: Core, how: ConstantWidth | PolynomialWidth | TableWidth | ChopperWidth) -> Resolution:
    tailed = TailedResolution(core) if how.tail else core
    return OffsetResolution(tailed) if how.offset else tailed


PositiveOrZero = Annotated[float, Field(ge=0)]
SHARP = 1e-6
"""Full width (rlu) of what is called sharp: a covariance must be positive."""


class ConstantWidths(Section):
    """The same resolution everywhere, of a crystal: full widths at half maximum along h, k and l, `q_fwhm` (rlu; 0 is
    sharp), and in energy, `fwhm` (meV) times the parameter fwhm_scale. With `q_scale` the former are times the
    parameter q_fwhm_scale.
    """

    kind: Literal["widths"]
    q_fwhm: tuple[PositiveOrZero, PositiveOrZero, PositiveOrZero]
    fwhm: Annotated[Energy, Field(gt=0)]
    q_scale: bool = False

    @model_validator(mode="after")
    def _stretches_something(self) -> "ConstantWidths":
        if self.q_scale and not any(self.q_fwhm):
            raise InputError("q_scale is a factor on the widths along h, k and l, and all of q_fwhm are 0")
        return self

    def build(self) -> EllipsoidResolution:
        """The resolution."""
        seen = self.q_fwhm if self.q_fwhm[2] else self.q_fwhm[:2]
        sd = SIGMA * np.array([*np.maximum(seen, SHARP), self.fwhm])
        return EllipsoidResolution(CovarianceTable(np.zeros((1, len(sd))), np.diag(sd**2)[None]), q_scale=self.q_scale)


Width = (
    ConstantWidth | PolynomialWidth | TableWidth | ChopperWidth | ConstantWidths | CovarianceWidth | SpectrometerWidth
)
