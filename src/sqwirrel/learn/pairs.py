"""Pairs of parameters and noisy spectra, and the one border between double precision and what networks see.

Simulations are kept without noise, and without what the expectation is linear in: every batch draws scale, background
and counts anew, so that few simulations give endless data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.kept.purpose import Purpose
from sqwirrel.learn.kept.store import Rows, filled, refuse_others, together
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.observe.counting import Observed
from sqwirrel.seeds import stream
from sqwirrel.spectra import Spectrum

SHARD = 256
"""Prior draws of one shard; those with an unstable order are left out."""
CHANNELS = 3


class Batch(NamedTuple):
    """What one step of training sees: unconstrained coordinates of the free parameters, and images of spectra."""

    z: Float32[Tensor, "batch parameter"]
    x: Float32[Tensor, "batch channel point energy"]


@dataclass(frozen=True, eq=False)
class Simulations:
    """Stable draws of a prior, and their signals of unit scale without background or noise.

    `stable` is the share of all draws that these are, `seed` that of the draws.
    """

    experiment: Experiment
    prior: Prior
    theta: Float[Tensor, "row parameter"]
    signal: Float[Tensor, "row point energy"]
    stable: float = 1.0
    seed: int = 0

    @classmethod
    def none(cls, experiment: Experiment, prior: Prior, seed: int = 0) -> "Simulations":
        """Before any was made: they say what they would be of."""
        theta, signal = torch.zeros(0, len(prior.names)).double(), torch.zeros(0, *experiment.measurement.shape)
        return cls(experiment, prior, theta, signal, seed=seed)

    @property
    def purpose(self) -> Purpose:
        """What they are of."""
        return Purpose.of(self.experiment, self.prior, seed=str(self.seed))

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
        return Simulations(self.experiment, self.prior, self.theta[rows], self.signal[rows], self.stable, self.seed)


def simulations(
    experiment: Experiment,
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
    purpose = Simulations.none(experiment, prior, seed).purpose

    def make(k: int) -> Rows:
        return _shard(experiment, prior, seed, k)

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
    return Simulations(experiment, prior, rows["theta"], rows["signal"], found / (SHARD * len(parts)), seed)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Endless noisy pairs of some simulations, for spectra that were measured like `like`.

    Counts need no `like`: all bins count. Reduced data take their coverage and their errors from it.
    """

    simulations: Simulations
    like: Spectrum | None = None

    def __len__(self) -> int:
        return len(self.simulations)

    @property
    def prior(self) -> Prior:
        """What the coordinates z belong to."""
        return self.simulations.prior

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
        return Batch(self.prior.unconstrain(theta).float(), self.see(self._measured(expected, generator)))

    def see(self, intensity: Float[Tensor, "batch point energy"]) -> Float32[Tensor, "batch channel point energy"]:
        """Channels of spectra with the coverage and the errors of `like`: intensity in units of its error, errors
        relative to their median (log), validity. Bins that were not measured are 0 in all of them.

        Counts are taken by their root, 2 sqrt(y + 3/8), whose error is 1 (F. J. Anscombe, Biometrika 35, 246 (1948)).
        """
        valid, error = self.bins
        usual = error[valid].median()
        level = 2 * (intensity.clamp(min=0) + 0.375).sqrt() if self._is_poisson else intensity / usual
        size = torch.log(error / usual)
        stack = torch.stack((level, size.expand_as(level), torch.ones_like(level)), dim=1)
        return torch.where(valid, stack, 0.0).float()

    @property
    def _is_poisson(self) -> bool:
        return self.simulations.experiment.instrument.counting.is_poisson

    @property
    def bins(self) -> tuple[Bool[Tensor, "point energy"], Float[Tensor, "point energy"]]:
        """Coverage, and the error of every bin (1 for counts)."""
        shape = self.simulations.experiment.measurement.shape
        valid = torch.ones(shape, dtype=torch.bool) if self.like is None else self.like.valid
        if self._is_poisson:
            return valid, torch.ones(shape, dtype=torch.float64)
        if self.like is None:
            raise InputError("pairs of reduced data need the errors of a measured spectrum; give like=spectrum")
        observed = self.simulations.experiment.instrument.counting.observe(self.like)
        error = torch.ones(shape, dtype=torch.float64)
        error[valid] = observed.variance.sqrt()
        return valid, error

    def redrawn(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Parameters with fresh linear nuisances (row, free parameter), and expectations (row, point, energy)."""
        kept, experiment = self.simulations, self.simulations.experiment
        theta, fresh = kept.theta[rows].clone(), int(torch.randint(2**62, (), generator=generator))
        drawn = self.prior.sample(len(rows), fresh)
        linear = [k for k, name in enumerate(self.prior.names) if name in experiment.linear]
        theta[:, linear] = drawn[:, linear]
        scale, *amplitudes = (column_of(self.prior, theta, name) for name in experiment.linear)
        expected = scale[:, None, None] * kept.signal[rows].double()
        for amplitude, template in zip(amplitudes, experiment.templates, strict=True):
            expected = expected + amplitude[:, None, None] * template
        return theta, expected

    def _measured(self, expected: Tensor, generator: torch.Generator) -> Tensor:
        if self._is_poisson:
            return torch.poisson(expected.clamp(min=0), generator=generator)
        valid, error = self.bins
        counting, shape = self.simulations.experiment.instrument.counting, expected.shape
        wide = expected.reshape(-1)
        observed = Observed(wide, (error**2).expand(shape).reshape(-1), valid)
        return counting.sample(wide, observed, generator).reshape(shape)


def column_of(prior: Prior, theta: Float[Tensor, "row parameter"], name: str) -> Float[Tensor, " row"]:
    """A parameter, free or fixed."""
    if name in prior.fixed:
        return theta.new_full((len(theta),), prior.fixed[name])
    return theta[:, prior.names.index(name)]


def _shard(experiment: Experiment, prior: Prior, seed: int, k: int) -> Rows:
    drawn = prior.sample(SHARD, int(torch.randint(2**62, (), generator=stream(seed, f"shard {k}"))))
    full = torch.stack([column_of(prior, drawn, name) for name in experiment.names], dim=1)
    with torch.no_grad():
        signal, stable = experiment.signal(full)
    return {"theta": drawn[stable], "signal": signal[stable].float()}
