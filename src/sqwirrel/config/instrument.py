"""The section [instrument] of a config file, with the kinds that each of its parts can be of."""

import inspect
from collections.abc import Callable
from typing import Annotated, Literal, get_args

from pydantic import Field, PositiveInt

from sqwirrel.config.quantity import Energy, Wavenumber
from sqwirrel.config.table import Section
from sqwirrel.observe import (
    AngularQWidth,
    ConstantBackground,
    ConstantQWidth,
    ElasticBackground,
    EllipsoidResolution,
    Gaussian,
    GaussianResolution,
    Instrument,
    PlanarBackground,
    Poisson,
    PolynomialResolution,
    Robust,
    SlopedBackground,
    SmoothBackground,
    TableResolution,
    TailedResolution,
    TemplateBackground,
    read_covariance,
    read_spectrometer,
)
from sqwirrel.observe.background import HIGHEST, Background
from sqwirrel.observe.choppers import chopper_resolution
from sqwirrel.observe.resolution import Resolution
from sqwirrel.spectra import Spectrum


class ConstantWidth(Section):
    """One energy width at all energies."""

    kind: Literal["gaussian"] = "gaussian"
    tail: bool = False

    def build(self) -> Resolution:
        """The resolution, with a tail to lower energy transfer if asked for."""
        return _tailed(GaussianResolution(), self.tail)


class PolynomialWidth(Section):
    """An energy width that is a polynomial of the energy transfer."""

    kind: Literal["polynomial"]
    order: Annotated[int, Field(ge=0, le=4)] = 1
    tail: bool = False

    def build(self) -> Resolution:
        """The resolution, with a tail to lower energy transfer if asked for."""
        return _tailed(PolynomialResolution(self.order), self.tail)


class TableWidth(Section):
    """Energy widths (full width at half maximum, meV) at `energies` (meV), times the parameter fwhm_scale."""

    kind: Literal["table"]
    energies: tuple[Energy, ...]
    fwhm: tuple[Energy, ...]
    tail: bool = False

    def build(self) -> Resolution:
        """The resolution, with a tail to lower energy transfer if asked for."""
        return _tailed(TableResolution(self.energies, self.fwhm), self.tail)


class ChopperWidth(Section):
    """The widths that the package resins gives for a chopper `instrument` (MARI, MAPS, LET, ...), times fwhm_scale."""

    kind: Literal["chopper"]
    instrument: str
    incident_energy: Energy
    frequency: PositiveInt | None = None
    package: str | None = None
    tail: bool = False

    def build(self) -> Resolution:
        """The resolution, with a tail to lower energy transfer if asked for."""
        how = {"frequency": self.frequency, "package": self.package}
        return _tailed(chopper_resolution(self.instrument, self.incident_energy, **how), self.tail)  # type: ignore[arg-type]


class CovarianceWidth(Section):
    """The resolution in (h, k, E) or (h, k, l, E) of a table of covariances, times fwhm_scale in energy."""

    kind: Literal["covariance"]
    file: str

    def build(self) -> EllipsoidResolution:
        """The resolution."""
        return EllipsoidResolution(read_covariance(self.file))


class SpectrometerWidth(Section):
    """The resolution of a triple-axis spectrometer (Cooper-Nathans) that a JSON or TOML file describes, times the
    parameter fwhm_scale in energy.

    `sample_mosaic` (horizontal, vertical; minutes of arc) takes the place of that in the file. Points where one of the
    Bragg peaks `bragg` (h, k, l) may be seen, in its tail or by accident, are left out.
    """

    kind: Literal["spectrometer"]
    file: str
    sample_mosaic: tuple[float, float] | None = None
    bragg: tuple[tuple[float, float, float], ...] = ()

    def build(self) -> EllipsoidResolution:
        """The resolution."""
        source = read_spectrometer(self.file)
        if self.sample_mosaic is not None:
            source = source.with_mosaic(self.sample_mosaic)
        return EllipsoidResolution(source, self.bragg)


Core = GaussianResolution | PolynomialResolution | TableResolution


def _tailed(core: Core, tail: bool) -> Resolution:
    return TailedResolution(core) if tail else core


Reader = Callable[[str], Spectrum]
"""What makes of a file the spectrum on the bins that are fitted."""


class Under(Section):
    """What is under the magnetic signal."""

    kind: Literal["constant", "sloped", "planar"] = "constant"

    def build(self, prepared: Reader) -> Background:
        """The background."""
        del prepared
        return BACKGROUNDS[self.kind]()


class SmoothUnder(Section):
    """A background that is smooth along |Q| (or the path) and energy: products of Legendre polynomials."""

    kind: Literal["smooth"]
    order_q: Annotated[int, Field(ge=0, le=HIGHEST)] = SmoothBackground.order_q
    order_energy: Annotated[int, Field(ge=0, le=HIGHEST)] = SmoothBackground.order_energy

    def build(self, prepared: Reader) -> Background:
        """The background."""
        del prepared
        return SmoothBackground(self.order_q, self.order_energy)


class ElasticUnder(Section):
    """The tail of the elastic line, a Lorentzian of full `width` at half maximum, beside what is constant or sloped."""

    kind: Literal["elastic"]
    width: Annotated[Energy, Field(gt=0)]
    beside: Literal["constant", "sloped"] = "constant"

    def build(self, prepared: Reader) -> Background:
        """The background."""
        del prepared
        return ElasticBackground(self.width, BACKGROUNDS[self.beside]())


class MeasuredUnder(Section):
    """A constant and another measurement, whose `file` is cut and rebinned as [measurement] is."""

    kind: Literal["measured"]
    file: str

    def build(self, prepared: Reader) -> Background:
        """The background."""
        return TemplateBackground(prepared(self.file))


BACKGROUNDS: dict[str, type[Background]] = {
    "constant": ConstantBackground,
    "sloped": SlopedBackground,
    "planar": PlanarBackground,
}


class MomentumWidth(Section):
    """How far |Q| is smeared: `constant` in |Q| (fwhm_q), or `angular`, in the scattering angle (fwhm_angle)."""

    kind: Literal["constant", "angular"] = "constant"

    def build(self) -> ConstantQWidth | AngularQWidth:
        """The width."""
        return Q_WIDTHS[self.kind]()


Q_WIDTHS: dict[str, type[ConstantQWidth] | type[AngularQWidth]] = {"constant": ConstantQWidth, "angular": AngularQWidth}


FAMILIES: dict[type[Section], dict[str, type]] = {Under: {**BACKGROUNDS}, MomentumWidth: {**Q_WIDTHS}}
"""Sections whose kinds differ only in what they build."""


class GaussianNoise(Section):
    """Reduced data; `floor` is the smallest standard deviation believed, in units of the spectrum."""

    kind: Literal["gaussian"] = "gaussian"
    floor: float | None = None

    def build(self) -> Gaussian:
        """The counting law."""
        return Gaussian(self.floor)


class RobustNoise(Section):
    """Reduced data with outliers: Student's t law with `freedom` degrees of freedom; `floor` as for gaussian."""

    kind: Literal["robust"]
    freedom: Annotated[float, Field(ge=1)] = Robust.freedom
    floor: float | None = None

    def build(self) -> Robust:
        """The counting law."""
        return Robust(self.freedom, self.floor)


class PoissonNoise(Section):
    """Raw counts."""

    kind: Literal["poisson"]

    def build(self) -> Poisson:
        """The counting law."""
        return Poisson()


Width = ConstantWidth | PolynomialWidth | TableWidth | ChopperWidth | CovarianceWidth | SpectrometerWidth


class InstrumentSection(Section):
    """What stands between the modes and the bins, and how finely it is averaged; `flux_factor` says that the data still
    hold k_f / k_i.
    """

    resolution: Annotated[Width, Field(discriminator="kind")] = ConstantWidth()
    background: Annotated[Under | SmoothUnder | ElasticUnder | MeasuredUnder, Field(discriminator="kind")] = Under()
    counting: Annotated[GaussianNoise | PoissonNoise | RobustNoise, Field(discriminator="kind")] = GaussianNoise()
    q_width: MomentumWidth = MomentumWidth()
    multiple_scattering: bool = False
    flux_factor: bool = False
    samples: PositiveInt = 64
    cell: Annotated[Wavenumber, Field(gt=0)] = 0.05

    def build(self, prepared: Reader) -> Instrument:
        """The instrument; `prepared` reads a file that its background may name."""
        parts = (self.resolution.build(), self.background.build(prepared), self.counting.build())
        return Instrument(
            *parts,
            q_width=self.q_width.build(),
            multiple_scattering=self.multiple_scattering,
            flux_factor=self.flux_factor,
        )


def kinds() -> list[tuple[str, str, str]]:
    """Every kind that a section of the instrument knows: family, kind, in words."""
    found = []
    for family, field in InstrumentSection.model_fields.items():
        for section in (field.annotation, *get_args(field.annotation)):
            if isinstance(section, type) and issubclass(section, Section):
                known, names = FAMILIES.get(section, {}), get_args(section.model_fields["kind"].annotation)
                found += [(family, str(kind), first_sentence(known.get(kind, section))) for kind in names]
    return found


def first_sentence(thing: object) -> str:
    """What the documentation of a class or module says first."""
    words = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
    return words.partition(". ")[0].rstrip(".").replace("`", "")
