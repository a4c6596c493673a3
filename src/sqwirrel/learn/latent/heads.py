"""Heads: what the frozen latents of a map say of a material's parameters, by a regressor or by a flow.

They are the estimators of `learn.npe`: latents are handed to them as an image of one channel and one point.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sqwirrel.learn.embed import FEATURES, Embedding, Features, Image
from sqwirrel.learn.latent.maps import Maps
from sqwirrel.learn.latent.vae import VAE, Latents
from sqwirrel.learn.npe import NPE, Regressor
from sqwirrel.learn.pairs import Batch
from sqwirrel.seeds import stream

HIDDEN = 128


def as_image(latents: Latents) -> Image:
    """Latents as heads take them."""
    return latents[:, None, None]


class LatentFeatures(Embedding):
    """A small network on latents, standardised with the moments of some."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("spread", torch.ones(latent))
        self.layers = nn.Sequential(
            nn.Linear(latent, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, FEATURES)
        )

    def fit(self, x: Image) -> None:
        """Takes the moments of some latents; those that nothing moves stay small."""
        self.mean.copy_(x[:, 0, 0].mean(0))
        spread = x[:, 0, 0].std(0)
        self.spread.copy_(spread.clamp(min=float(1e-3 * spread.max()) + 1e-9))

    def forward(self, x: Image) -> Features:
        """Features of latents."""
        features: Tensor = self.layers((x[:, 0, 0] - self.mean) / self.spread)
        return features


@dataclass(frozen=True, eq=False)
class Told:
    """Latents of maps and what the parameters are (a source for `train`), `copies` of each row with its own noise one
    after the other.
    """

    z: Float32[Tensor, "row parameter"]
    x: Image
    copies: int = 1

    @classmethod
    def of(cls, vae: VAE, maps: Maps, *, copies: int = 1, seed: int = 0) -> "Told":
        """What an autoencoder tells of every map, worn `copies` times."""
        every = torch.arange(len(maps)).repeat_interleave(copies)
        z, x = [], []
        for k, rows in enumerate(torch.split(every, 256)):
            batch = maps.worn(rows, stream(seed, f"told {k}"))
            z.append(batch.z)
            x.append(as_image(vae.latents(batch.x)))
        return cls(torch.cat(z), torch.cat(x), copies)

    def __len__(self) -> int:
        return len(self.z)

    def split(self, last: int) -> tuple["Told", "Told"]:
        """All but the last maps, and the last ones with all their copies."""
        last = -(-last // self.copies) * self.copies
        return tuple(Told(self.z[at], self.x[at], self.copies) for at in (slice(None, -last), slice(-last, None)))  # type: ignore[return-value]

    def batch(self, rows: int, seed: int, label: str) -> Batch:
        """Random rows."""
        at = torch.randint(len(self), (rows,), generator=stream(seed, label))
        return Batch(self.z[at], self.x[at], self.x[at])

    def every(self, generator: torch.Generator) -> Batch:  # noqa: ARG002 (the noise is in the latents)
        """Each row once."""
        return Batch(self.z, self.x, self.x)


def regressor(told: Told, seed: int = 0) -> Regressor:
    """A head that gives one number for each parameter."""
    return Regressor(_features(told), told.z.shape[1], seed)


def posterior(told: Told, seed: int = 0, like: Regressor | None = None) -> NPE:
    """A head that gives a posterior: a flow of the unconstrained coordinates.

    A flow learns first what is known best: what a trained regressor is `like` shows it the rest from the start.
    """
    head = NPE(_features(told), told.z.shape[1], seed)
    if like is not None:
        head.embed.load_state_dict(like.embed.state_dict())
    return head


def _features(told: Told) -> LatentFeatures:
    features = LatentFeatures(told.x.shape[-1])
    features.fit(told.x)
    return features
