"""Maps: powder maps to learn from, with their coverage, and what is worn on to them in every batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.embed import Image
from sqwirrel.learn.pairs import Batch
from sqwirrel.seeds import stream

Levels = Float32[Tensor, "row point energy"]
Coverage = Bool[Tensor, "row point energy"]
Cover = Callable[[int, torch.Generator], Coverage]
"""Where so many maps were measured."""


class Even(NamedTuple):
    """Maps in their own units: mean 0 and range 1 over what was measured, which is `level * size + mean`."""

    level: Levels
    mean: Float32[Tensor, "row 1 1"]
    size: Float32[Tensor, "row 1 1"]


@dataclass(frozen=True)
class Wear:
    """What a one-phonon map lacks, each between 0 and the number given, in units of the range of the map.

    `noise` is a standard deviation; `slope` goes with energy and `rise` with Q^2, of either sign for the former; `soft`
    is the exponent of a Debye-Waller factor at the largest |Q|, of either sign.
    """

    noise: float = 0.0
    slope: float = 0.0
    rise: float = 0.0
    soft: float = 0.0

    def __call__(self, level: Levels, generator: torch.Generator) -> tuple[Levels, Levels]:
        """Maps with all but the noise, and with it."""

        def share(low: float) -> Tensor:
            return low + (1 - low) * torch.rand(len(level), 1, 1, generator=generator)

        n, lines = level.shape[1:]
        Q2 = ((torch.arange(n) / max(n - 1, 1)) ** 2)[:, None]
        E = torch.arange(lines) / max(lines - 1, 1)
        clean = level * torch.exp(-self.soft * share(-1.0) * Q2)
        size = (clean.amax((1, 2), keepdim=True) - clean.amin((1, 2), keepdim=True)).clamp(min=1e-12)
        clean = clean + size * (self.slope * share(-1.0) * E + self.rise * share(0.0) * Q2)
        return clean, clean + self.noise * share(0.0) * size * torch.randn(level.shape, generator=generator)


def evened(level: Levels, valid: Coverage) -> Even:
    """Maps with mean 0 and range 1 over what was measured, and 0 elsewhere (Y. Su, C. Li, arXiv:2404.13507)."""
    inside = torch.where(valid, level, 0.0)
    mean = inside.sum((1, 2), keepdim=True) / valid.sum((1, 2), keepdim=True).clamp(min=1)
    high = torch.where(valid, level, -torch.inf).amax((1, 2), keepdim=True)
    low = torch.where(valid, level, torch.inf).amin((1, 2), keepdim=True)
    size = torch.where(high > low, high - low, 1.0)
    return Even(torch.where(valid, (level - mean) / size, 0.0), mean, size)


def image(level: Levels, valid: Coverage) -> Image:
    """Channels: level, log error (all errors are alike), validity; 0 in all of them where nothing was measured."""
    inside = torch.where(valid, level, 0.0)
    return torch.stack((inside, torch.zeros_like(inside), valid.float()), dim=1)


def always(valid: Bool[Tensor, "point energy"]) -> Cover:
    """The same coverage for all maps."""
    return lambda rows, _: valid.expand(rows, -1, -1)


@dataclass(frozen=True, eq=False)
class Maps:
    """Simulated maps as they are without noise, and what their parameters are (a source for `train`)."""

    level: Levels
    z: Float32[Tensor, "row parameter"]
    cover: Cover
    wear: Wear = Wear()

    def __post_init__(self) -> None:
        """Refuses rows that do not match."""
        if len(self.level) != len(self.z):
            raise InputError(f"{len(self.level)} maps and {len(self.z)} rows of parameters; give one of each per map")

    def __len__(self) -> int:
        return len(self.level)

    def split(self, last: int) -> tuple["Maps", "Maps"]:
        """All but the last rows, and the last ones."""
        return self.part(slice(None, -last)), self.part(slice(-last, None))

    def part(self, rows: slice | Tensor) -> "Maps":
        """Some of the rows."""
        return Maps(self.level[rows], self.z[rows], self.cover, self.wear)

    def batch(self, rows: int, seed: int, label: str) -> Batch:
        """Random rows, worn anew."""
        generator = stream(seed, label)
        return self.worn(torch.randint(len(self), (rows,), generator=generator), generator)

    def every(self, generator: torch.Generator) -> Batch:
        """Each row once."""
        return self.worn(torch.arange(len(self)), generator)

    def worn(self, rows: Tensor, generator: torch.Generator) -> Batch:
        """These rows, with fresh coverage and wear; both images in the units of the noisy one."""
        valid = self.cover(len(rows), generator)
        clean, noisy = self.wear(self.level[rows], generator)
        seen = evened(noisy, valid)
        return Batch(self.z[rows], image(seen.level, valid), image((clean - seen.mean) / seen.size, valid))
