"""The section [instrument] of a config file, with the kinds that each of its parts can be of."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, PositiveInt

from sqwirrel.config.instruments.widths import ConstantWidth, Width
from sqwirrel.config.quantity import Energy, Wavenumber
from sqwirrel.config.table import Section, fitting
from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe import (
    AngularQWidth,
    ConstantBackground,
    ConstantQWidth,
    ElasticBackground,
    Gaussian,
    Instrument,
    PlanarBackground,
    Poisson,
    Robust,
    SlopedBackground,
    SmoothBackground,
    TemplateBackground,
)
from sqwirrel.observe.background import HIGHEST, Background
from sqwirrel.observe.background.can import with_can
from sqwirrel.observe.counting import Counting
from sqwirrel.observe.views.places import places
from sqwirrel.observe.views.view import Model
from sqwirrel.spectra import Measurement, QShells, Spectrum

Reader = Callable[[str], Spectrum]
"""What makes of a file the spectrum on the bins that are fitted."""


class Under(Section):
    """What is under the signal of magnons or phonons."""

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


class CanUnder(Section):
    """What phonons of the can (a `model` of springs as it is) scatter, with lines of full width `fwhm` at half maximum,
    beside what is constant or sloped. Of powder maps alone.
    """

    kind: Literal["can"]
    model: str
    fwhm: Annotated[Energy, Field(gt=0)]
    beside: Literal["constant", "sloped"] = "constant"

    def build(self, prepared: Reader) -> Background:
        """What is beside the can, which is calculated for the bins (`around`)."""
        del prepared
        return BACKGROUNDS[self.beside]()

    def around(self, instrument: Instrument, measurement: Measurement) -> Instrument:
        """The instrument with the can in it."""
        try:
            found = library.find(self.model)
        except InputError as error:
            raise InputError(f"[instrument.background] model: {error}") from None
        if isinstance(found, PhononModel):
            return with_can(instrument, found, measurement, self.fwhm)
        raise InputError(f"[instrument.background] model = '{self.model}' has spins; a can has springs, like 'al_300k'")


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


class InstrumentSection(Section):
    """What stands between the modes and the bins, and how finely it is averaged; `flux_factor` says that the data still
    hold k_f / k_i, `multiphonon` that what several phonons scatter, and single ones incoherently, was not taken off.
    The response of a powder map along |Q| is free to the order `q_response`.
    `counting`, if left out, is poisson for raw counts and gaussian for reduced data. `q_width` is of powders alone, and
    constant if left out.
    """

    resolution: Annotated[Width, Field(discriminator="kind")] = ConstantWidth()
    background: Annotated[
        Under | SmoothUnder | ElasticUnder | MeasuredUnder | CanUnder, Field(discriminator="kind")
    ] = Under()
    counting: Annotated[GaussianNoise | PoissonNoise | RobustNoise | None, Field(discriminator="kind")] = None
    q_width: MomentumWidth | None = None
    multiple_scattering: bool = False
    flux_factor: bool = False
    multiphonon: bool = True
    q_response: Annotated[int, Field(ge=0, le=HIGHEST)] = 0
    samples: PositiveInt = 64
    cell: Annotated[Wavenumber, Field(gt=0)] = 0.05

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that the background is made of."""
        match self.background:
            case MeasuredUnder(file=name):
                return tuple(fitting(name))
            case CanUnder(model=name) if Path(name).is_file():
                return (Path(name),)
        return ()

    def of(
        self, measurement: Measurement, *, is_counts: bool, common: "InstrumentSection | None" = None
    ) -> "InstrumentSection":
        """With what was left out as it should be there. What can do nothing there is refused, or left out if it is
        `common` to several measurements.
        """
        idle = _idle(measurement)
        for name, why in idle.items():
            if getattr(self, name) and (common is None or getattr(self, name) != getattr(common, name)):
                raise InputError(f"[instrument] {name} {why}, so it would do nothing; leave it out")
        counting = self.counting or (PoissonNoise(kind="poisson") if is_counts else GaussianNoise())
        known = {"counting": counting, "q_width": self.q_width or MomentumWidth()}
        left = {name: InstrumentSection.model_fields[name].default for name in idle}
        return self.model_copy(update=known | left)

    def check_model(self, model: Model) -> None:
        """Refuses what can do nothing to a model."""
        if not self.multiphonon and not isinstance(model, PhononModel):
            raise InputError("[instrument] multiphonon is of models with springs, and this one has spins; leave it out")

    def check_flux(self, *, is_scaled: bool | None) -> None:
        """Refuses files that say that their values were multiplied by k_i / k_f (`is_scaled`), or that they were not,
        where `flux_factor` denies it.
        """
        if is_scaled and self.flux_factor:
            raise InputError(
                "[instrument] flux_factor = true says that the data hold k_f / k_i, but the files of [measurement] say "
                "that it was taken out (ki_over_kf_scaling = 1); write flux_factor = false"
            )
        if is_scaled is False and not self.flux_factor:
            raise InputError(
                "the files of [measurement] say that their values were not multiplied by k_i / k_f (ki_over_kf_scaling "
                "= 0); write flux_factor = true into [instrument]"
            )

    def build(self, prepared: Reader, measurement: Measurement) -> Instrument:
        """The instrument for the bins of a measurement; `prepared` reads a file that its background may name."""
        q_width = self.q_width or MomentumWidth()
        built = Instrument(
            self.resolution.build(),
            self.background.build(prepared),
            self.build_counting(),
            q_width.build(),
            multiple_scattering=self.multiple_scattering,
            flux_factor=self.flux_factor,
            multiphonon=self.multiphonon,
            q_response=self.q_response,
        )
        return self.background.around(built, measurement) if isinstance(self.background, CanUnder) else built

    def build_counting(self) -> Counting:
        """The counting law alone."""
        return (self.counting or GaussianNoise()).build()


def _idle(measurement: Measurement) -> dict[str, str]:
    """Keys that can do nothing with what was measured there, and why."""
    if isinstance(measurement.points, QShells):
        return {}
    crystal = "of a powder, and this is a crystal"
    found = {"q_width": f"is the width in |Q| {crystal}", "q_response": f"is the response along |Q| {crystal}"}
    if len(places(measurement).q) == 1:
        found["multiple_scattering"] = "adds the mean over all wavevectors, and this is a single one"
    return found


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
