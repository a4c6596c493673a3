"""Networks for maps of `benchmarks.match_routes`: a flow for the constants, a classifier for whether J2 is there."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.match_maps import coverage
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.learn.embed import Image
from sqwirrel.learn.npe import NPE
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.rivals import Classifier, Contest
from sqwirrel.learn.train import Effort, train
from sqwirrel.seeds import stream

LEARNT = 4
"""Seed of the simulations of the first hypothesis; the next one is that of the second."""


@dataclass(frozen=True, eq=False)
class Covered:
    """Pairs, or a contest, where only some bins of each map were measured (a source for `train`); for the rest it is
    the `source`.
    """

    source: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def __len__(self) -> int:
        return len(self.source)

    def split(self, last: int) -> tuple["Covered", "Covered"]:
        """All but the last simulations, and the last ones."""
        first, other = self.source.split(last)
        return Covered(first), Covered(other)

    def batch(self, rows: int, seed: int, label: str) -> Any:
        """Random rows."""
        return self._covered(self.source.batch(rows, seed, label), stream(seed, f"{label} covered"))

    def every(self, generator: torch.Generator) -> Any:
        """Each row once."""
        return self._covered(self.source.every(generator), generator)

    def _covered(self, batch: Any, generator: torch.Generator) -> Any:
        return batch._replace(x=batch.x * coverage(len(batch.x), generator).float()[:, None])


class Networks(NamedTuple):
    """What learnt from simulations of some hypotheses; `covered` if only some bins of each were measured."""

    pairs: Pairs
    posterior: NPE
    verdict: Classifier
    covered: bool
    minutes: dict[str, float]

    def see(self, counts: Tensor, valid: Tensor) -> Image:
        """Images of maps: without `covered` all bins count, and there is nothing in gaps."""
        x = self.pairs.see(counts.double())
        return x * valid.float()[:, None] if self.covered else x


def learnt(
    rivals: Mapping[str, Hypothesis], folder: Path, sizes: Mapping[str, int], *, covered: bool = False
) -> Networks:
    """Networks that learn from counted simulations of hypotheses; the constants are those of the first."""
    clock = time.perf_counter()
    pairs = {
        name: Pairs(simulations(each.simulator, each.prior, sizes["rows"], LEARNT + k, folder / f"simulations-{k}"))
        for k, (name, each) in enumerate(rivals.items())
    }
    simulated, free, contest = time.perf_counter() - clock, next(iter(pairs.values())), Contest.of(pairs)
    one, other = (Covered(free), Covered(contest)) if covered else (free, contest)
    posterior, verdict = NPE.sized_for(one), Classifier.sized_for(other)
    seconds = train(posterior, one, effort_of(sizes["steps"]), folder / "posterior", told).seconds
    minutes = {"simulations": simulated / 60, "posterior network": seconds / 60}
    minutes["verdict network"] = (
        train(verdict, other, effort_of(sizes["verdict_steps"]), folder / "verdict", told).seconds / 60
    )
    verdict.fit_temperature(other, 0)
    return Networks(free, posterior, verdict, covered, minutes)


def effort_of(steps: int) -> Effort:
    """The length of a training."""
    return Effort(steps=steps, batch=64, every=max(1, steps // 12), patience=100)


def told(step: int, steps: int, loss: float) -> None:
    """To the log."""
    print(time.strftime("%H:%M:%S"), step, steps, f"{loss:.4g}", file=sys.stderr, flush=True)
