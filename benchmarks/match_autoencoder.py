"""The denoising autoencoder of `learn.strange` beside translators: it learns from pairs, which no translator has."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor

from benchmarks.match_maps import SHARP, Artefacts, experiment
from sqwirrel.learn.pairs import Batch
from sqwirrel.learn.strange.denoiser import Denoiser
from sqwirrel.learn.train import Effort, train
from sqwirrel.learn.translate.domain import Images
from sqwirrel.seeds import stream


@dataclass(frozen=True, eq=False)
class Paired:
    """Images, and what they would be without artefacts (a source for `train`)."""

    x: Float32[Tensor, "row 3 point energy"]
    clean: Float32[Tensor, "row 3 point energy"]

    def __len__(self) -> int:
        return len(self.x)

    def split(self, last: int) -> tuple["Paired", "Paired"]:
        """All but the last rows, and the last ones."""
        return self.part(slice(None, -last)), self.part(slice(-last, None))

    def part(self, rows: slice | Tensor) -> "Paired":
        """Some of the rows."""
        return Paired(self.x[rows], self.clean[rows])

    def batch(self, rows: int, seed: int, label: str) -> Batch:
        """Random rows."""
        return self.part(torch.randint(len(self), (rows,), generator=stream(seed, label))).every(stream(seed, label))

    def every(self, generator: torch.Generator) -> Batch:
        """Each row once."""
        del generator
        return Batch(torch.zeros(len(self), 1), self.x, self.clean)


def autoencoder(seen: Artefacts, clean: Tensor, steps: int) -> Callable[[Images], Tensor]:
    """What it makes of images with artefacts, learnt from those beside the same maps without any."""
    x = seen.domain().every(stream(0, "all")).x
    source = Paired(x, torch.stack((clean.float(), x[:, 1], torch.ones_like(x[:, 2])), dim=1))
    one = Denoiser.sized_for(source, [experiment(SHARP)[0].measurement])
    train(one, source, Effort(steps=steps, batch=32, every=max(1, steps // 20), patience=100))
    return lambda each: one.denoised(each.x)
