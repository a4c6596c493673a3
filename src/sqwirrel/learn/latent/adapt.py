"""Adapting an encoder to measured maps, whose parameters nobody knows: it learns to make bins that are hidden from it.

The decoder stays: what latents mean does not move. Noise cannot be learnt, as it is not in the bins that are seen (J.
Batson, L. Royer, Noise2Self (2019), arXiv:1901.11365). An encoder that sees few maps alone forgets all others, and
heads no longer understand it: `known` maps can be given whose latents are to stay (Z. Li, D. Hoiem, Learning without
Forgetting (2016), arXiv:1606.09282).
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
STAY = 0.01
"""Weight of a change of the latents of known maps by their own spread, beside the squared error of hidden bins."""
JUDGES = 64
"""Known maps that help to say when to stop."""


@dataclass(frozen=True, eq=False)
class HiddenBins:
    """Maps with bins that are hidden (`x`), and these bins (`clean`): a source for `train`.

    Behind them, as many `known` maps, with the latents that they have to keep (`z`), and no bins to make.
    """

    maps: Image
    known: Float32[Tensor, "known channel point energy"]
    kept: Float32[Tensor, "known latent"]
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
        n = min(JUDGES, len(self.known) // 2)
        return replace(self, known=self.known[n:], kept=self.kept[n:]), replace(
            self, known=self.known[:n], kept=self.kept[:n], judges=True
        )

    def batch(self, rows: int, seed: int, label: str) -> Batch:
        """Random maps, other bins hidden in each."""
        generator = stream(seed, label)
        at = torch.randint(len(self.maps), (rows,), generator=generator)
        chosen = torch.rand(rows, *self.maps.shape[2:], generator=generator) < HIDDEN
        others = torch.randint(max(1, len(self.known)), (rows,), generator=generator)[: len(self.known)]
        return self._apart(self.maps[at], chosen & ~self.never[at], self.never[at], others)

    def every(self, generator: torch.Generator) -> Batch:  # noqa: ARG002 (always the same bins)
        """Each map once, with those bins that are never shown."""
        return self._apart(self.maps, self.never, self.never, torch.arange(len(self.known)))

    def _apart(self, x: Image, hidden: Tensor, never: Tensor, others: Tensor) -> Batch:
        shown, known = torch.where((hidden | never)[:, None], 0.0, x), self.known[others]
        clean = torch.cat((torch.where(hidden[:, None], x, 0.0), torch.zeros_like(known)))
        latents = torch.cat((self.kept.new_zeros(len(x), self.kept.shape[1]), self.kept[others]))
        return Batch(latents, torch.cat((shown, known)), clean)


class Adapting(nn.Module):
    """The encoder of an autoencoder, to be trained behind a decoder that stays; `spread` is that of its latents."""

    def __init__(self, vae: VAE, spread: Float32[Tensor, " latent"]) -> None:
        super().__init__()
        self.vae, self.spread = vae, spread
        self.vae.encoder.requires_grad_(requires_grad=True)
        self.vae.decoder.requires_grad_(requires_grad=False)

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained."""
        return {"encoder": self.vae.encoder}

    def loss(self, player: str, batch: Batch) -> Float32[Tensor, ""]:
        """Mean square error of hidden bins, and `STAY` times that of latents that have to stay."""
        del player
        latents, measured = self.vae.encode(batch.x)[0], batch.clean[:, 2].amax((1, 2)) > 0
        made = missed(self.vae.decode(latents[measured]), batch.clean[measured])
        if bool(measured.all()):
            return made
        return made + STAY * (((latents - batch.z) / self.spread)[~measured] ** 2).mean()


def adapted(
    vae: VAE,
    maps: Image,
    effort: Effort | None = None,
    folder: Path | None = None,
    *,
    known: Float32[Tensor, "known channel point energy"] | None = None,
    seed: int = 0,
) -> tuple[VAE, History]:
    """A copy whose encoder has seen measured maps (as `evened` has them), and how well it made hidden bins.

    With `known` maps, simulated ones for instance, their latents stay about what they were.
    """
    new, known = copy.deepcopy(vae), maps[:0] if known is None else known
    kept = vae.latents(known) if len(known) else vae.latents(maps)[:0]
    spread = kept.std(0).clamp(min=1e-6) if len(kept) > 1 else torch.ones(vae.latent)
    effort = effort or Effort(steps=200, batch=16, every=20)
    history = train(Adapting(new, spread), HiddenBins(maps, known, kept, seed=seed), effort, folder)
    return new.requires_grad_(requires_grad=False), history
