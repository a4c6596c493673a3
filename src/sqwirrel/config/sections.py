"""The sections of a config file, with their keys and defaults. Unknown keys are refused."""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import BeforeValidator, Field, PositiveInt
from torch import Tensor

from sqwirrel.config.instrument import InstrumentSection
from sqwirrel.config.quantity import Energy, Temperature, Wavenumber
from sqwirrel.config.quantity import Field as Tesla
from sqwirrel.config.table import Section
from sqwirrel.errors import InputError
from sqwirrel.infer import Settings
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import QPath, QShells, Spectrum

Vector = tuple[float, float, float]


class EnergyBins(Section):
    """Equal energy bins from start to stop, meV."""

    start: Energy
    stop: Energy
    bins: PositiveInt

    def build(self) -> Float[Tensor, " edge"]:
        """Bin edges, meV."""
        return torch.linspace(self.start, self.stop, self.bins + 1, dtype=torch.float64)


class Shells(Section):
    """Equal shells of |Q| of a powder, 1/angstrom."""

    start: Wavenumber
    stop: Wavenumber
    bins: PositiveInt

    def build(self, lattice: Lattice) -> QShells:
        """The shells; a powder needs no lattice."""
        del lattice
        return QShells(torch.linspace(self.start, self.stop, self.bins + 1, dtype=torch.float64))


class Path(Section):
    """About `points` bins on straight lines through `corners` (rlu), each averaged over `width` (rlu along h, k, l)."""

    corners: list[Vector] = Field(min_length=2)
    points: PositiveInt = 60
    width: Vector = (0.0, 0.0, 0.0)

    def build(self, lattice: Lattice) -> QPath:
        """The path; every corner is the centre of a bin."""
        corner = torch.tensor(self.corners, dtype=torch.float64)
        length = lattice.to_cartesian(corner.diff(dim=0)).norm(dim=1)
        if not bool((length > 0).all()):
            raise InputError("[measurement.path] has the same corner twice in a row")
        steps = (length / length.sum() * (self.points - 1)).round().clamp(min=1).long().tolist()
        legs = [_leg(a, b, n) for a, b, n in zip(corner[:-1], corner[1:], steps, strict=True)]
        return QPath(
            lattice, torch.cat((*legs, corner[-1:])), torch.diag(torch.tensor(self.width, dtype=torch.float64))
        )


def _leg(start: Tensor, stop: Tensor, steps: int) -> Tensor:
    return start + (stop - start) * torch.arange(steps, dtype=torch.float64)[:, None] / steps


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

    Several files, or a pattern like "scans/*.dat", are scans of one sample and set-up, which are joined.
    """

    file: str | list[str] | None = None
    shells: Shells | None = None
    path: Path | None = None
    energy: Annotated[tuple[Energy, Energy] | EnergyBins | None, BeforeValidator(_pair_or_bins)] = None
    temperature: Temperature | None = None
    field: tuple[Tesla, Tesla, Tesla] | None = None
    incident_energy: Energy | None = None
    rebin: Rebin = Rebin()
    trim: Annotated[int, Field(ge=0)] = 0
    exclude: tuple[tuple[Energy, Energy], ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The files and patterns, as they were written."""
        return () if self.file is None else (self.file,) if isinstance(self.file, str) else tuple(self.file)

    @property
    def files(self) -> tuple[FilePath, ...]:
        """The files, patterns replaced by what they fit, in the order of names."""
        return tuple(path for name in self.named for path in _fitting(name))

    def prepare(self, spectrum: Spectrum) -> Spectrum:
        """The part of a measured spectrum to use: sliced, rebinned, trimmed, then excluded."""
        if isinstance(self.energy, EnergyBins):
            raise InputError(
                "[measurement] with a file takes energy = [lo, hi]; start, stop and bins are for shells or a path"
            )
        if self.energy is not None:
            spectrum = spectrum.slice_energy(*self.energy)
        spectrum = spectrum.rebin(q=self.rebin.q, energy=self.rebin.energy).trim(self.trim)
        for lo, hi in self.exclude:
            spectrum = spectrum.exclude(lo, hi)
        return spectrum


def _fitting(name: str) -> list[FilePath]:
    """The files that a pattern fits, or the one file of that name."""
    path = FilePath(name)
    if path.exists() or not any(sign in name for sign in "*?["):
        return [path]
    home = FilePath(path.anchor)
    found = sorted(each for each in home.glob(str(path.relative_to(home))) if each.is_file())
    if not found:
        raise InputError(f"[measurement] file = '{name}' fits no file; check the pattern")
    return found


class InferSection(Section):
    """How hard to look."""

    screen: int = Settings.screen
    starts: int = Settings.starts
    draws: int = Settings.draws
    rounds: int = Settings.rounds
    seed: int = Settings.seed

    def build(self) -> Settings:
        """The settings."""
        return Settings(**self.model_dump())


class Simulate(Section):
    """Parameters to simulate with (those of the model have published defaults), or drawn from the prior and sealed."""

    parameters: dict[str, Any] = Field(default={})
    draw: bool = False
    noise: bool = True
    seed: int = 1


class Truth(Section):
    """The truth.json of a simulation, which only the report reads."""

    file: str


class Config(Section):
    """A config file."""

    model: str | dict[str, Any]
    measurement: Measurement
    prior: dict[str, Any] = Field(default={})
    instrument: InstrumentSection = InstrumentSection()
    infer: InferSection = InferSection()
    simulate: Simulate = Simulate()
    truth: Truth | None = None
