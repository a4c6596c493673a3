"""Domains: sources of images of one kind, with their errors, coverage, and what they were measured under.

Images have two or three axes; their channels are level, log error and validity, 0 in all of them where nothing was
measured. Levels keep the unit they came in: no image has a scale of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.pairs import Pairs, Simulations
from sqwirrel.learn.parts import Part
from sqwirrel.learn.translate.few import Augment, augmented, pictures
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, Spectrum

Levels = Float[Tensor, "row *axis"]
Condition = Float[Tensor, "any number"]


class Images(NamedTuple):
    """Images, and what each was measured under."""

    x: Float32[Tensor, "row 3 *axis"]
    condition: Float32[Tensor, "row number"]


Draw = Callable[[Int[Tensor, " row"], torch.Generator], Float32[Tensor, "row 3 *axis"]]
"""Images of some rows, with fresh noise where they have noise."""


@dataclass(frozen=True, eq=False)
class Domain:
    """Images of one kind, row by row (a source for `train`); made with `of`, `from_folder`, `signals`,
    `expected`, `noisy`, `measured`.

    `has_errors` says whether log errors mean anything: images without noise have none, and 0 there. `condition` is of
    all rows, those of a part too. `copies` rows, one after the other, are of one measured frame.
    """

    rows: Int[Tensor, " row"]
    shape: tuple[int, ...]
    draw: Draw
    condition: Float32[Tensor, "all number"]
    has_errors: bool
    copies: int = 1

    def __post_init__(self) -> None:
        """Refuses what is no image, and conditions that are not those of the rows."""
        if len(self.shape) not in (2, 3):
            raise InputError(f"images of a domain have 2 or 3 axes longer than one bin, these have {self.shape}")
        if len(self.rows) and len(self.condition) <= int(self.rows.max()):
            raise InputError(
                f"{len(self.rows)} images and {len(self.condition)} rows of conditions; give one for each image"
            )
        if not bool(torch.isfinite(self.condition).all()):
            raise InputError("conditions must be finite numbers, some are not; leave out what is not known")

    @classmethod
    def of(
        cls,
        level: Levels,
        error: Float[Tensor, "..."] | None = None,
        valid: Bool[Tensor, "..."] | None = None,
        condition: Condition | None = None,
    ) -> "Domain":
        """Images as they are; `error` is one standard deviation, `valid` defaults to all that is finite.

        What has no positive error is taken for unmeasured, if there are errors.
        """
        for name, each in (("errors", error), ("validity", valid)):
            if each is not None and each.shape != level.shape:
                raise InputError(f"images have the shape {tuple(level.shape)}, their {name} {tuple(each.shape)}")
        there = torch.isfinite(level) if valid is None else valid & torch.isfinite(level)
        if error is not None:
            there &= torch.isfinite(error) & (error > 0)
        x = channels(level, error, there)
        return cls(
            torch.arange(len(x)), tuple(x.shape[2:]), lambda rows, _: x[rows], _known(condition, len(x)),
            error is not None,
        )  # fmt: skip

    @classmethod
    def from_folder(cls, folder: Path, exposure: float | None = None) -> "Domain":
        """All .npy, .png and .tif files of a folder, in the order of their names, one image each; NaN is unmeasured.

        Colours are averaged. Levels are those of the files; with `exposure`, counts of a level of 1, each has the error
        of its counts, one at least.
        """
        level = pictures(folder)
        if exposure is None:
            return cls.of(level)
        if not exposure > 0:
            raise InputError(f"the exposure of the images in {folder} must be above 0, got {exposure:g}")
        return cls.of(level, (exposure * level).clamp(min=1).sqrt() / exposure)

    @classmethod
    def signals(cls, simulations: Simulations, condition: Condition | None = None) -> "Domain":
        """Simulations of unit scale, without background or noise."""
        where, signal = simulations.experiment.measurement, simulations.signal
        return cls.of(signal.reshape(-1, *sides_of(where)), condition=condition)

    @classmethod
    def expected(cls, pairs: Pairs, condition: Condition | None = None) -> "Domain":
        """Simulations with fresh scale and background, without noise, with the gaps of what `pairs` are like."""
        part = _only(pairs)
        shape = sides_of(part.experiment.measurement)
        valid = torch.ones(shape, dtype=torch.bool) if part.like is None else part.like.valid.reshape(shape)

        def draw(rows: Tensor, generator: torch.Generator) -> Tensor:
            level = pairs.redrawn(rows, generator)[1].reshape(-1, *shape)
            return channels(level, None, valid.expand_as(level))

        return cls(torch.arange(len(pairs)), shape, draw, _known(condition, len(pairs)), has_errors=False)

    @classmethod
    def noisy(cls, pairs: Pairs, condition: Condition | None = None) -> "Domain":
        """Simulations with fresh scale, background and noise, on the bins and with the errors of what `pairs` are
        like; counts have the errors of Poisson's law.
        """
        part = _only(pairs)
        shape = sides_of(part.experiment.measurement)

        def draw(rows: Tensor, generator: torch.Generator) -> Tensor:
            level = part.measured(pairs.redrawn(rows, generator)[1], generator)
            valid, error = part.bins
            error = level.clamp(min=1).sqrt() if part.is_poisson else error.expand_as(level)
            each = (level, error, valid.expand_as(level))
            return channels(*(one.reshape(-1, *shape) for one in each))

        return cls(torch.arange(len(pairs)), shape, draw, _known(condition, len(pairs)), has_errors=True)

    @classmethod
    def measured(
        cls,
        spectra: Sequence[Spectrum],
        augment: Augment | None = None,
        condition: Condition | None = None,
        *,
        copies: int = 100,
    ) -> "Domain":
        """A few measured spectra, `copies` rows of each, augmented anew in every batch (`few.Augment`).

        What is held out of them (`split`) are copies of the last spectra, of which none is learnt from; of one spectrum
        alone they are copies of the same, and then progress is not judged by anything new. What an answer is judged on
        must not be among the spectra.
        """
        if not spectra or copies < 1:
            raise InputError(f"a measured domain needs spectra and copies, got {len(spectra)} spectra, {copies} copies")
        if condition is not None and len(condition) != len(spectra):
            raise InputError(f"{len(spectra)} spectra and {len(condition)} rows of conditions; give one for each")
        augment = augment or Augment()
        frames = [frame_of(each) for each in spectra]
        shape = augment.shape([tuple(frame.shape[1:]) for frame in frames])

        def draw(rows: Tensor, generator: torch.Generator) -> Tensor:
            chosen = [int(row) // copies for row in rows]
            kinds = [spectra[k].is_counts for k in chosen]
            each = zip([frames[k] for k in chosen], kinds, strict=True)
            return torch.stack([augmented(x, augment, generator, is_counts=kind) for x, kind in each])

        known = _known(condition, len(spectra)).repeat_interleave(copies, 0)
        return cls(torch.arange(copies * len(spectra)), shape, draw, known, has_errors=True, copies=copies)

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, last: int) -> tuple["Domain", "Domain"]:
        """All but the last rows, and the last ones; no frame has copies in both, if there are several."""
        frame = self.rows // self.copies
        learnt = ~torch.isin(frame, frame[-last:])
        return self.part(learnt if bool(learnt.any()) else slice(None, -last)), self.part(slice(-last, None))

    def part(self, rows: slice | Tensor) -> "Domain":
        """Some of the rows."""
        return replace(self, rows=self.rows[rows])

    def batch(self, rows: int, seed: int, label: str) -> Images:
        """Random rows: a function of `seed` and `label`."""
        generator = stream(seed, label)
        return self._made(self.rows[torch.randint(len(self), (rows,), generator=generator)], generator)

    def every(self, generator: torch.Generator) -> Images:
        """Each row once."""
        return self._made(self.rows, generator)

    def _made(self, rows: Tensor, generator: torch.Generator) -> Images:
        return Images(self.draw(rows, generator), self.condition[rows])


class Two(NamedTuple):
    """Images of two domains that have nothing to do with each other; `draw` is a seed for what is random in a loss."""

    first: Images
    second: Images
    draw: int


@dataclass(frozen=True, eq=False)
class Unpaired:
    """Two domains whose rows are drawn apart (a source for `train`)."""

    first: Domain
    second: Domain

    def __post_init__(self) -> None:
        """Refuses domains that no translator goes between."""
        if self.first.shape != self.second.shape:
            raise InputError(
                f"images of the two domains have {self.first.shape} and {self.second.shape} bins; cut both to one shape"
            )
        one, other = (each.condition.shape[1] for each in (self.first, self.second))
        if one != other:
            raise InputError(f"images of the two domains have {one} and {other} conditions; give both the same ones")

    def __len__(self) -> int:
        return min(len(self.first), len(self.second))

    def split(self, last: int) -> tuple["Unpaired", "Unpaired"]:
        """All but the last rows of both, and the last ones."""
        (one, out), (other, rest) = self.first.split(last), self.second.split(last)
        return Unpaired(one, other), Unpaired(out, rest)

    def batch(self, rows: int, seed: int, label: str) -> Two:
        """Random rows of both: a function of `seed` and `label`."""
        first, second = (each.batch(rows, seed, f"{label} {k}") for k, each in enumerate((self.first, self.second)))
        return Two(first, second, _draw(stream(seed, f"{label} draw")))

    def every(self, generator: torch.Generator) -> Two:
        """Each row of both once; if there are more of one, its first ones."""
        n = len(self)
        first, second = (each.part(slice(n)).every(generator) for each in (self.first, self.second))
        return Two(first, second, _draw(generator))


def channels(level: Levels, error: Levels | None, valid: Bool[Tensor, "row *axis"]) -> Float32[Tensor, "row 3 *axis"]:
    """Images of levels; without errors their log is 0."""
    logged = torch.zeros_like(level) if error is None else torch.where(valid, error, 1.0).log().to(level)
    stack = torch.stack((level, logged, torch.ones_like(level)), dim=1)
    return torch.where(valid[:, None], stack, 0.0).float()


def sides_of(measurement: Measurement) -> tuple[int, ...]:
    """Points along every axis, and energies; without axes of one bin."""
    return tuple(side for side in (*measurement.sides, measurement.shape[1]) if side > 1)


def frame_of(spectrum: Spectrum, *, has_errors: bool = True) -> Float32[Tensor, "3 *axis"]:
    """An image of a spectrum. Of reduced data only bins that claim an error count, in a domain that has them."""
    spectrum.check_measured()
    if spectrum.measurement.is_scan:
        raise InputError("points of scans make no image; a domain needs maps, paths or grids")
    level, valid, shape = spectrum.intensity, spectrum.valid, (1, *sides_of(spectrum.measurement))
    if not has_errors:
        return channels(level.reshape(shape), None, valid.reshape(shape))[0]
    error = level.clamp(min=1).sqrt() if spectrum.is_counts else spectrum.error
    return channels(*(each.reshape(shape) for each in (level, error, valid & (error > 0))))[0]


def _known(condition: Condition | None, rows: int) -> Float32[Tensor, "row number"]:
    return torch.zeros(rows, 0) if condition is None else condition.float()


def _only(pairs: Pairs) -> Part:
    if len(pairs.parts) > 1:
        raise InputError("images of several measurements are no picture; make a domain of each measurement")
    return pairs.parts[0]


def _draw(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator))
