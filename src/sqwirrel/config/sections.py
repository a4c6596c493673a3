"""The sections of a config file, with their keys and defaults. Unknown keys are refused."""

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, PositiveInt, Tag, model_validator

from sqwirrel.config.entries import BulkEntry, PeaksEntry
from sqwirrel.config.instrument import InstrumentSection
from sqwirrel.config.places import CrystalBins, EnergyBins, Path, Shells, Vector
from sqwirrel.config.quantity import Energy, Temperature
from sqwirrel.config.quantity import Field as Tesla
from sqwirrel.config.questions.advise import Advise
from sqwirrel.config.questions.causal import Causal
from sqwirrel.config.questions.match import Match
from sqwirrel.config.table import Section, fitting, listed
from sqwirrel.errors import InputError
from sqwirrel.infer import Settings
from sqwirrel.spectra import Measurement as Where
from sqwirrel.spectra import QShells, Spectrum

Twins = tuple[tuple[Vector, Vector, Vector], ...]


class Rebin(Section):
    """How many adjacent bins are merged into one."""

    q: PositiveInt = 1
    energy: PositiveInt = 1


def _pair_or_bins(value: object) -> object:
    if isinstance(value, Mapping | EnergyBins) or (isinstance(value, list | tuple) and len(value) == 2):
        return value
    raise InputError(f"expected [lo, hi] in meV, or {{ start = 0, stop = 8, bins = 80 }}, got {value!r}")


class Measurement(Section):
    """What was measured: a file and the part of it to use, or (to simulate) shells or a path, and energy bins.

    Several files, or a pattern like "scans/*.dat", are scans of one sample and set-up, which are joined, or, with
    `crystal`, the angles of a rotation scan, whose pixels are put on one grid. `twins` are
    rotations (Cartesian, x along a, y in the plane of a and b) that take the crystal to its twins or domains, each with
    a parameter `twin_2`, `twin_3`, ...: its weight relative to the crystal as it is. `despike` leaves out single bins
    far above all round them.
    """

    file: str | list[str] | None = None
    shells: Shells | None = None
    path: Path | None = None
    crystal: CrystalBins | None = None
    energy: Annotated[tuple[Energy, Energy] | EnergyBins | None, BeforeValidator(_pair_or_bins)] = None
    temperature: Temperature | None = None
    field: tuple[Tesla, Tesla, Tesla] | None = None
    incident_energy: Energy | None = None
    rebin: Rebin = Rebin()
    trim: Annotated[int, Field(ge=0)] = 0
    exclude: tuple[tuple[Energy, Energy], ...] = ()
    despike: bool = False
    twins: Twins = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The files and patterns, as they were written."""
        return () if self.file is None else (self.file,) if isinstance(self.file, str) else tuple(self.file)

    @property
    def files(self) -> tuple[FilePath, ...]:
        """The files, patterns replaced by what they fit, in the order of names."""
        return tuple(path for name in self.named for path in fitting(name))

    def rotations(self, measured: Where) -> Twins | None:
        """The twins; refused where they can do nothing."""
        if self.twins and isinstance(measured.points, QShells) and not bool(measured.field.any()):
            raise InputError(
                "[measurement] twins are of a crystal, and a powder has all orientations, so their weights would do "
                "nothing; leave them out"
            )
        return self.twins or None

    def prepare(self, spectrum: Spectrum) -> Spectrum:
        """The part of a measured spectrum to use: without hot bins, sliced, rebinned, trimmed, then excluded."""
        if isinstance(self.energy, EnergyBins):
            raise InputError(
                "[measurement] with a file takes energy = [lo, hi]; start, stop and bins are for shells or a path"
            )
        spectrum.check_measured()
        if self.despike:
            spectrum = spectrum.despiked()
        if self.energy is not None:
            spectrum = spectrum.slice_energy(*self.energy)
        spectrum = spectrum.rebin(q=self.rebin.q, energy=self.rebin.energy).trim(self.trim)
        for lo, hi in self.exclude:
            spectrum = spectrum.exclude(lo, hi)
        return spectrum


class SpectrumEntry(Measurement):
    """One of several spectra: keys as those of `[measurement]`, and an `instrument` of its own, with the keys of
    `[instrument]`; those that it lacks are taken from there.
    """

    kind: Literal["spectrum"] = "spectrum"
    instrument: InstrumentSection = InstrumentSection()


Entry = Annotated[
    Annotated[SpectrumEntry, Tag("spectrum")] | Annotated[PeaksEntry, Tag("peaks")] | Annotated[BulkEntry, Tag("bulk")],
    Discriminator(lambda entry: entry.get("kind", "spectrum") if isinstance(entry, Mapping) else _kind_of(entry)),
]


def _kind_of(entry: object) -> str:
    return entry.kind if isinstance(entry, SpectrumEntry | PeaksEntry | BulkEntry) else "spectrum"


class Share(Section):
    """What several measurements have in common besides the parameters of the model: nuisances, by name."""

    nuisances: tuple[str, ...] = ()


class InferSection(Section):
    """How hard to look, the folder of a trained network that says where, and values that are looked at, too."""

    screen: int = Settings.screen
    starts: int = Settings.starts
    draws: int = Settings.draws
    rounds: int = Settings.rounds
    seed: int = Settings.seed
    moves: int = Settings.moves
    estimator: str | None = None
    guess: Annotated[tuple[dict[str, Energy], ...], BeforeValidator(listed)] = ()

    def build(self) -> Settings:
        """The settings."""
        return Settings(**self.model_dump(exclude={"estimator", "guess"}), guesses=self.guess)


class TrainSection(Section):
    """How a network is trained: simulations, networks, steps of each, rows a step, seed."""

    simulations: PositiveInt = 4000
    members: PositiveInt = 1
    steps: PositiveInt = 2000
    batch: PositiveInt = 128
    seed: int = 1


class CheckSection(Section):
    """How many simulated measurements are inferred, and the seed of their truths and noise."""

    n: PositiveInt = 200
    seed: int = 1


class Simulate(Section):
    """Parameters to simulate with (those of the model have published defaults), or drawn from the prior and sealed."""

    parameters: dict[str, Any] = Field(default={})
    draw: bool = False
    noise: bool = True
    seed: int = 1


def _plainly_named(given: object) -> object:
    if isinstance(given, Mapping) and (wrong := [name for name in given if not re.fullmatch(r"[A-Za-z0-9_-]+", name)]):
        raise InputError(f"a rival is called '{wrong[0]}'; use letters, digits, _ and -, as it names a folder")
    return given


class Rival(Section):
    """Another model of the same data, its odds relative to the model of the config before, and priors where they
    differ: names of `[prior]` that it has, too, are taken from there.
    """

    model: str | dict[str, Any]
    prior: dict[str, Any] = Field(default={})
    odds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class Discriminate(Section):
    """The folder of networks that were trained to tell the rivals apart: a second answer, which must agree."""

    estimator: str | None = None


class Truth(Section):
    """The truth.json of a simulation, which only the report reads."""

    file: str


class Config(Section):
    """A config file."""

    model: str | dict[str, Any]
    measurement: Measurement | None = None
    prior: dict[str, Any] = Field(default={})
    instrument: InstrumentSection = InstrumentSection()
    measurements: dict[str, Entry] = Field(default={})
    share: Share = Share()
    infer: InferSection = InferSection()
    train: TrainSection = TrainSection()
    check: CheckSection = CheckSection()
    simulate: Simulate = Simulate()
    advise: Advise | None = None
    causal: Causal = Causal()
    discriminate: Discriminate = Discriminate()
    match: Match | None = None
    rivals: Annotated[dict[str, Rival], BeforeValidator(_plainly_named)] = Field(default={})
    truth: Truth | None = None

    @model_validator(mode="before")
    @classmethod
    def _instruments(cls, table: Any) -> Any:
        """Every spectrum of several gets the keys of [instrument] that its own lacks."""
        several = table.get("measurements") if isinstance(table, Mapping) else None
        base = table.get("instrument", {}) if isinstance(several, Mapping) else {}
        if not isinstance(several, Mapping) or not isinstance(base, Mapping):
            return table
        return {**table, "measurements": {label: _with_instrument(entry, base) for label, entry in several.items()}}

    @model_validator(mode="after")
    def _one_or_several(self) -> "Config":
        if self.measurement is not None and self.measurements:
            raise InputError("the config has [measurement] and [measurements]; give one of them")
        if self.measurement is None and not self.measurements:
            raise InputError("the config lacks the key 'measurement'; or give several as [measurements.NAME]")
        if self.share.nuisances and self.measurement is not None:
            raise InputError("[share] is for several measurements, [measurements.NAME]; this config has one")
        return self

    @property
    def one(self) -> Measurement:
        """The only measurement."""
        if self.measurement is None:
            raise InputError("this verb needs a config with one [measurement], this one has several")
        return self.measurement

    @property
    def parts(self) -> "Mapping[str, Measurement | PeaksEntry | BulkEntry]":
        """The measurements by their labels; that of the only one is empty."""
        return self.measurements or {"": self.one}

    @property
    def files(self) -> tuple[FilePath, ...]:
        """The files of all measurements, then those of what is beside the signal."""
        beside = (path for label in self.parts for path in self.instrument_of(label).files)
        return (*(path for part in self.parts.values() for path in part.files), *dict.fromkeys(beside))

    def instrument_of(self, label: str) -> InstrumentSection:
        """The instrument of a measurement; peaks have that of the config."""
        part = self.parts[label]
        return part.instrument if isinstance(part, SpectrumEntry) else self.instrument


def _with_instrument(entry: Any, base: Mapping[str, Any]) -> Any:
    if not isinstance(entry, Mapping) or entry.get("kind", "spectrum") != "spectrum":
        return entry
    own = entry.get("instrument", {})
    return {**entry, "instrument": {**base, **own} if isinstance(own, Mapping) else own}
