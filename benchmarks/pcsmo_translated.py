"""A translator between frames of the PCSMO models without noise and as the measured one was measured.

One for all six incident energies, which are its condition; an image has the axes h, k, energy of one of them, in units
of the usual error there. Frames of either domain have nothing to do with those of the other.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.match import pace
from benchmarks.pcsmo_frame import ENERGIES, WINDOWS
from benchmarks.pcsmo_rivals import SIDE, told
from sqwirrel.learn.embed import Image
from sqwirrel.learn.rivals import Contest
from sqwirrel.learn.rivals.contest import Labelled
from sqwirrel.learn.train import Effort, train
from sqwirrel.learn.translate.domain import Domain, Images, Unpaired
from sqwirrel.learn.translate.inside import Matcher
from sqwirrel.learn.translate.translator import Translator

NAMES = ("without noise", "measured")
SHAPE, PARTS = (SIDE, SIDE, WINDOWS), len(ENERGIES)
BATCH, CHANNELS, BLOCKS = 8, 24, 3


class Still(Contest):
    """A contest of frames without noise."""

    def split(self, last: int) -> tuple[Contest, Contest]:
        """All but the last simulations, and the last ones."""
        first, other = super().split(last)
        return Still(first.pairs), Still(other.pairs)

    def _made(self, *which: Any, **how: Any) -> Labelled:
        found = super()._made(*which, **how)
        return found._replace(x=found.clean)


def domains(contest: Contest) -> Unpaired:
    """Frames without noise of one half of the simulations of every model, and noisy ones of the other half."""
    first, second = contest.split(len(contest) // 2)
    return Unpaired(_domain(first, "clean"), _domain(second, "x"))


def _domain(contest: Contest, kind: str) -> Domain:
    """Row by row: a model in turn, one of its simulations, an incident energy."""
    rows, n = torch.arange(PARTS * len(contest)), len(contest.names)

    def draw(some: Tensor, generator: torch.Generator) -> Tensor:
        frame, part = some // PARTS, some % PARTS
        found = torch.zeros(len(some), 3, *SHAPE)
        for k, pairs in enumerate(contest.pairs.values()):
            mine = (frame % n == k).nonzero()[:, 0]
            if len(mine):
                x = planes(getattr(pairs.noisy(frame[mine] // n, generator), kind))
                found[mine] = x[torch.arange(len(mine)), part[mine]]
        if kind == "clean":
            found[:, 1] = 0.0
        return found

    energy = torch.tensor(ENERGIES, dtype=torch.float32)[rows % PARTS, None]
    return Domain(rows, SHAPE, draw, energy, has_errors=kind == "x")


def planes(x: Image) -> Tensor:
    """Frames, incident energy by incident energy: (frame, part, channel, h, k, window)."""
    return x[..., 0].reshape(len(x), 3, PARTS, *SHAPE).movedim(2, 1)


def trained(both: Unpaired, folder: Path, minutes: float | None) -> tuple[Translator, dict[str, Any]]:
    """The translator, and what it cost; without minutes a few steps."""
    one = Translator.sized_for(both, NAMES, channels=CHANNELS, blocks=BLOCKS)
    known = folder / "steps.json"
    if not known.exists():
        steps = 4 if minutes is None else int(60 * minutes / pace(one, both, BATCH))
        folder.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps(steps))
    steps = int(json.loads(known.read_text()))
    effort = Effort(steps=steps, batch=BATCH, every=max(1, steps // 10), patience=10**6)
    history = train(one, both, effort, folder / "training", lambda *step: told(f"translator {step}"))
    return one, {"steps": steps, "minutes": history.seconds / 60, "best": history.best, "doubts": one.doubts}


def translated(one: Translator, x: Image) -> Tensor:
    """Levels of frames without noise, in the order of their bins."""
    found = one.translate(_images(x), NAMES[0]).level
    return found.reshape(len(x), -1)[..., None]


def inside(matcher: Matcher, x: Image) -> list[dict[str, Any]]:
    """Of every incident energy of one frame: distances from those that were learnt from, and whether it is outside."""
    far, share = matcher.share(_images(x), 1)
    usual = matcher.inside[1].held.median(0).values.tolist()
    return [
        {"ei": energy, "distance": one, "usual": usual, "share": each, "refused": each < matcher.inside[1].least}
        for energy, one, each in zip(ENERGIES, far.tolist(), share.tolist(), strict=True)
    ]


def _images(x: Image) -> Images:
    energy = torch.tensor(ENERGIES, dtype=torch.float32)[:, None]
    return Images(planes(x).flatten(0, 1), energy.repeat(len(x), 1))
