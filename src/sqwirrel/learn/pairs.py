"""Pairs of parameters and noisy spectra, and the one border between double precision and what networks see.

Simulations are kept without noise, and without what the expectation is linear in: every batch draws scale, background
and counts anew, so that few simulations give endless data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.kept.purpose import Purpose
from sqwirrel.learn.kept.store import Rows, filled, refuse_others, together
from sqwirrel.learn.parts import (
    Bins,
    Learnt,
    Like,
    Part,
    apart,
    in_a_row,
    measurements_of,
    parts_of,
    signal_of,
    stable_somewhere,
)
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, Spectrum

SHARD = 256
"""Prior draws of one shard; those with an unstable order are left out."""
CHANNELS = 3


class Batch(NamedTuple):
    """What one step of training sees: unconstrained coordinates of the free parameters, images of spectra, and those
    without noise.
    """

    z: Float32[Tensor, "batch parameter"]
    x: Float32[Tensor, "batch channel point energy"]
    clean: Float32[Tensor, "batch channel point energy"]


@dataclass(frozen=True, eq=False)
class Simulations:
    """Stable draws of a prior, and their signals of unit scale without background or noise.

    `stable` is the share of all draws that these are, `seed` that of the draws.
    """

    simulator: Learnt
    prior: Prior
    theta: Float[Tensor, "row parameter"]
    signal: Float[Tensor, "row point energy"]
    stable: float = 1.0
    seed: int = 0

    @classmethod
    def none(cls, simulator: Learnt, prior: Prior, seed: int = 0) -> "Simulations":
        """Before any was made: they say what they would be of."""
        empty = [torch.zeros(0, *each.shape) for each in measurements_of(simulator)]
        return cls(simulator, prior, torch.zeros(0, len(prior.names)).double(), in_a_row(empty), seed=seed)

    @property
    def experiment(self) -> Experiment:
        """That of the only measurement."""
        if not isinstance(self.simulator, Experiment):
            raise InputError("these simulations are of several measurements, and this needs those of one")
        return self.simulator

    @property
    def purpose(self) -> Purpose:
        """What they are of."""
        return Purpose.of(self.simulator, self.prior, seed=str(self.seed))

    def __len__(self) -> int:
        return len(self.theta)

    def check(self, folder: Path) -> None:
        """Refuses a folder that holds other simulations."""
        refuse_others(folder, self.purpose)

    def split(self, last: int) -> tuple["Simulations", "Simulations"]:
        """All but the last rows, and the last ones."""
        first, other = slice(None, -last), slice(-last, None)
        return self.part(first), self.part(other)

    def part(self, rows: slice | Tensor) -> "Simulations":
        """Some of the rows."""
        return Simulations(self.simulator, self.prior, self.theta[rows], self.signal[rows], self.stable, self.seed)


def simulations(
    simulator: Learnt,
    prior: Prior,
    n: int,
    seed: int,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    keep: bool = True,
) -> Simulations:
    """At least `n` prior draws whose order is stable, simulated; taken from `folder` if there, and kept there unless
    `keep` is false.

    Raises InputError when fewer than one in a hundred draws is stable.
    """
    parts: list[Rows] = []
    purpose = Simulations.none(simulator, prior, seed).purpose

    def make(k: int) -> Rows:
        return _shard(simulator, prior, seed, k)

    every = ((k, make(k)) for k in range(10**9))
    shards = filled(folder, 100 * -(-n // SHARD), purpose, make, keep=keep) if folder else every
    found = 0
    for k, rows in shards:
        parts.append(rows)
        found += len(rows["theta"])
        if progress is not None:
            progress(min(found, n), n)
        if found >= n:
            break
        if SHARD * (k + 1) > 1000 and found < SHARD * (k + 1) / 100:
            raise InputError(
                f"the assumed order is stable for {found} of {SHARD * (k + 1)} draws of the prior; narrow the prior"
            )
    rows = together(parts)
    return Simulations(simulator, prior, rows["theta"], rows["signal"], found / (SHARD * len(parts)), seed)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Endless noisy pairs of some simulations, for spectra that were measured like `like`.

    Counts need no `like`: all bins count. Reduced data take their coverage and their errors from it.
    """

    simulations: Simulations
    like: Like | None = None

    def __len__(self) -> int:
        return len(self.simulations)

    @property
    def prior(self) -> Prior:
        """What the coordinates z belong to."""
        return self.simulations.prior

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The measurements that an image is made of."""
        return parts_of(self.simulations.simulator, self.like)

    @property
    def linear(self) -> tuple[str, ...]:
        """Scales and backgrounds, which every batch draws anew."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.linear))

    def split(self, last: int) -> tuple["Pairs", "Pairs"]:
        """Those of all but the last simulations, and of the last ones."""
        first, other = self.simulations.split(last)
        return Pairs(first, self.like), Pairs(other, self.like)

    def batch(self, rows: int, seed: int, label: str) -> Batch:
        """Random rows, with fresh scale, background and noise: a function of `seed` and `label`."""
        generator = stream(seed, label)
        return self.noisy(torch.randint(len(self.simulations), (rows,), generator=generator), generator)

    def every(self, generator: torch.Generator) -> Batch:
        """Each simulation once."""
        return self.noisy(torch.arange(len(self)), generator)

    def noisy(self, rows: Tensor, generator: torch.Generator) -> Batch:
        """These rows, with fresh scale, background and noise."""
        theta, expected = self.redrawn(rows, generator)
        pieces = zip(self.parts, apart(expected, self.measurements), strict=True)
        measured = [part.measured(piece, generator) for part, piece in pieces]
        return Batch(self.prior.unconstrain(theta).float(), self.see(in_a_row(measured)), self.see(expected))

    def see(self, intensity: Float[Tensor, "batch point energy"]) -> Float32[Tensor, "batch channel point energy"]:
        """Channels of images with the coverage and the errors of `like`."""
        pieces = zip(self.parts, apart(intensity, self.measurements), strict=True)
        return in_a_row([part.see(piece) for part, piece in pieces]).float()

    def image(self, data: Like, *, translated: bool = False) -> Float32[Tensor, "1 channel point energy"]:
        """What networks see of a measurement, or of several; of what a translator made only if `translated` says so."""
        given = {"": data} if isinstance(data, Spectrum) else data
        if missing := [part.label for part in self.parts if part.label not in given]:
            raise InputError(
                f"networks for several measurements need them all, {{label: spectrum}}; '{missing[0]}' lacks"
            )
        spectra = [given[part.label] for part in self.parts]
        for part, spectrum in zip(self.parts, spectra, strict=True):
            if not translated:
                spectrum.check_measured()
            mine, its = part.experiment.measurement.shape, spectrum.measurement.shape
            if mine != its:
                raise InputError(
                    f"the estimator was trained for {mine} bins (points, energies), the spectrum has {its}; train one "
                    "for these bins"
                )
        return self.see(in_a_row([torch.where(each.valid, each.intensity, 0.0) for each in spectra])[None])

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Where the bins of an image are."""
        return tuple(part.experiment.measurement for part in self.parts)

    @property
    def bins(self) -> Bins:
        """Coverage, and the error of every bin (1 for counts)."""
        valid, error = zip(*(part.bins for part in self.parts), strict=True)
        return in_a_row(list(valid)), in_a_row(list(error))

    def redrawn(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Parameters with fresh linear nuisances (row, free parameter), and expectations (row, point, energy)."""
        theta, fresh = self.simulations.theta[rows].clone(), int(torch.randint(2**62, (), generator=generator))
        drawn = self.prior.sample(len(rows), fresh)
        linear = [k for k, name in enumerate(self.prior.names) if name in self.linear]
        theta[:, linear] = drawn[:, linear]
        pieces = zip(self.parts, apart(self.simulations.signal[rows], self.measurements), strict=True)
        found = [part.expected(piece, lambda name: column_of(self.prior, theta, name)) for part, piece in pieces]
        return theta, in_a_row(found)


def column_of(prior: Prior, theta: Float[Tensor, "row parameter"], name: str) -> Float[Tensor, " row"]:
    """A parameter, free or fixed."""
    if name in prior.fixed:
        return theta.new_full((len(theta),), prior.fixed[name])
    return theta[:, prior.names.index(name)]


def _shard(simulator: Learnt, prior: Prior, seed: int, k: int) -> Rows:
    drawn = prior.sample(SHARD, int(torch.randint(2**62, (), generator=stream(seed, f"shard {k}"))))
    full = torch.stack([column_of(prior, drawn, name) for name in simulator.names], dim=1)
    with torch.no_grad():
        first = stable_somewhere(simulator, full)
        signal, stable = signal_of(simulator, full[first])
    return {"theta": drawn[first][stable], "signal": signal[stable].float()}
