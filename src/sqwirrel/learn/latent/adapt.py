"""Adapting an encoder to measured maps, whose parameters nobody knows: it learns to make bins that are hidden from it.

The decoder stays: what latents mean does not move. Noise cannot be learnt, as it is not in the bins that are seen (J.
Batson, L. Royer, Noise2Self (2019), arXiv:1901.11365).
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn

from sqwirrel.learn.embed import Image
from sqwirrel.learn.latent.vae import VAE, missed
from sqwirrel.learn.pairs import Batch
from sqwirrel.learn.train import Effort, History, train
from sqwirrel.seeds import stream

HIDDEN, JUDGED = 0.2, 0.1
"""Shares of the bins that are hidden in a step, and that are never shown and say when to stop."""
ROWS = 10
"""Rows that every map counts for, so that some can be held out."""


@dataclass(frozen=True, eq=False)
class HiddenBins:
    """Maps with bins that are hidden (`x`), and these bins (`clean`): a source for `train`."""

    maps: Image
    judges: bool = False
    seed: int = 0

    def __len__(self) -> int:
        return ROWS * len(self.maps)

    @property
    def never(self) -> Bool[Tensor, "map point energy"]:
        """Bins that nothing is learnt from."""
        return torch.rand(self.maps[:, 0].shape, generator=stream(self.seed, "never shown")) < JUDGED

    def split(self, last: int) -> tuple["HiddenBins", "HiddenBins"]:  # noqa: ARG002 (bins are held out, not maps)
        """To learn from, and to judge by bins that are never shown."""
        return HiddenBins(self.maps, judges=False, seed=self.seed), HiddenBins(self.maps, judges=True, seed=self.seed)

    def batch(self, rows: int, seed: int, label: str) -> Batch:
        """Random maps, other bins hidden in each."""
        generator = stream(seed, label)
        at = torch.randint(len(self.maps), (rows,), generator=generator)
        chosen = torch.rand(rows, *self.maps.shape[2:], generator=generator) < HIDDEN
        return _apart(self.maps[at], chosen & ~self.never[at], self.never[at])

    def every(self, generator: torch.Generator) -> Batch:  # noqa: ARG002 (always the same bins)
        """Each map once, with those bins that are never shown."""
        return _apart(self.maps, self.never, self.never)


class Adapting(nn.Module):
    """The encoder of an autoencoder, to be trained behind a decoder that stays."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae
        self.vae.encoder.requires_grad_(requires_grad=True)
        self.vae.decoder.requires_grad_(requires_grad=False)

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained."""
        return {"encoder": self.vae.encoder}

    def loss(self, player: str, batch: Batch) -> Float32[Tensor, ""]:
        """Mean square error of hidden bins."""
        del player
        return missed(self.vae.decode(self.vae.encode(batch.x)[0]), batch.clean)


def adapted(
    vae: VAE, maps: Image, effort: Effort | None = None, folder: Path | None = None, seed: int = 0
) -> tuple[VAE, History]:
    """A copy whose encoder has seen measured maps (as `evened` has them), and how well it made hidden bins."""
    new = copy.deepcopy(vae)
    history = train(Adapting(new), HiddenBins(maps, seed=seed), effort or Effort(steps=200, batch=16, every=20), folder)
    return new.requires_grad_(requires_grad=False), history


def _apart(x: Image, hidden: Bool[Tensor, "batch point energy"], never: Bool[Tensor, "batch point energy"]) -> Batch:
    shown = torch.where((hidden | never)[:, None], 0.0, x)
    return Batch(x.new_zeros(len(x), 0), shown, torch.where(hidden[:, None], x, 0.0))
