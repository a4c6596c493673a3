"""VAE: a variational autoencoder of powder maps (D. P. Kingma, M. Welling, arXiv:1312.6114; of phonon maps: Y. Su,
C. Li, arXiv:2404.13507).

    loss = mean over measured bins of (made - clean)^2 + beta KL,   KL = sum (mean^2 + exp(lv) - 1 - lv) / 2

with lv the logarithms of the variances of the latents (beta: I. Higgins et al., beta-VAE (2017)). It rises to `beta`
over the first steps (S. R. Bowman et al., arXiv:1511.06349). With a noise of standard deviation s in N measured bins,
2 s^2 / N is the weight of a posterior. Where beta = 0 there is no noise on the latents: a plain autoencoder.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.learn.embed import Image
from sqwirrel.learn.latent.bodies import BODIES, Shape, untouched
from sqwirrel.learn.npe import initialise
from sqwirrel.learn.pairs import Batch
from sqwirrel.seeds import stream

LATENT = 30
NARROWEST, WIDEST = -14.0, 4.0
"""Logarithms of variances stay between these."""
TOGETHER = 256
"""Maps that are looked at at once."""
Latents = Float32[Tensor, "batch latent"]


@dataclass(frozen=True)
class Schedule:
    """Weight of the Kullback-Leibler term: from 0 to `beta`, linear over `warm` steps."""

    beta: float = 1e-6
    warm: int = 200

    def __post_init__(self) -> None:
        """Refuses what is no weight."""
        if self.beta < 0 or self.warm < 0:
            raise InputError(f"a schedule needs beta and warm of at least 0, got {self.beta:g} and {self.warm}")

    def at(self, step: int) -> float:
        """The weight at a step."""
        return self.beta * min(1.0, step / self.warm) if self.warm else self.beta


class VAE(nn.Module):
    """Latents of maps of a `shape` (points, energies), and maps of latents; `kind` is one of `BODIES`."""

    steps: Tensor

    def __init__(
        self, shape: Shape, kind: str = "convolutional", *, latent: int = LATENT, schedule: Schedule | None = None,
        seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        if kind not in BODIES:
            raise InputError(f"there is no body '{kind}' of an autoencoder; choose {' or '.join(BODIES)}")
        self.shape, self.latent, self.schedule, self.seed = shape, latent, schedule or Schedule(), seed
        told = 2 * latent if self.is_variational else latent
        self.encoder, self.decoder = BODIES[kind](shape, told, latent)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        initialise(self, seed)

    @property
    def is_variational(self) -> bool:
        """Whether latents have a variance."""
        return self.schedule.beta > 0

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained."""
        return {"autoencoder": self}

    def encode(self, x: Image) -> tuple[Latents, Latents]:
        """Means and logarithms of variances of the latents; a plain autoencoder has the narrowest."""
        told = self.encoder(untouched(x))
        if not self.is_variational:
            return told, torch.full_like(told, NARROWEST)
        mean, log_variance = told.chunk(2, dim=1)
        return mean, log_variance.clamp(NARROWEST, WIDEST)

    def decode(self, latents: Latents) -> Float32[Tensor, "batch point energy"]:
        """Levels of maps, in every bin."""
        made: Tensor = self.decoder(latents)
        return made

    def loss(self, player: str, batch: Batch) -> Float32[Tensor, ""]:
        """See above; on held-out maps, for which there is no gradient, the weight is the final one."""
        del player
        mean, log_variance = self.encode(batch.x)
        if not self.is_variational:
            return missed(self.decode(mean), batch.clean)
        weight, label = self.schedule.beta, "held out"
        if torch.is_grad_enabled():
            weight, label = self.schedule.at(int(self.steps)), f"latents {int(self.steps)}"
            self.steps += 1
        noise = torch.randn(mean.shape, generator=stream(self.seed, label))
        made = self.decode(mean + torch.exp(log_variance / 2) * noise)
        return missed(made, batch.clean) + weight * divergence(mean, log_variance).mean()

    def latents(self, x: Image) -> Latents:
        """Means, with no gradient."""
        with torch.no_grad():
            return torch.cat([self.encode(part)[0] for part in torch.split(x, TOGETHER)])

    def made(self, x: Image) -> Float32[Tensor, "batch point energy"]:
        """Maps as they come back, with no gradient."""
        with torch.no_grad():
            return torch.cat([self.decode(self.encode(part)[0]) for part in torch.split(x, TOGETHER)])

    def draws(self, x: Image, n: int, seed: int) -> Float32[Tensor, "n batch latent"]:
        """Draws of latents, from their means and variances."""
        with torch.no_grad():
            mean, log_variance = (torch.cat(each) for each in zip(*map(self.encode, torch.split(x, TOGETHER))))  # noqa: B905
        noise = torch.randn(n, *mean.shape, generator=stream(seed, "draws"))
        return mean + torch.exp(log_variance / 2) * noise


def missed(made: Float32[Tensor, "batch point energy"], clean: Image) -> Float32[Tensor, ""]:
    """Mean square over the measured bins."""
    return misses(made, clean).mean()


def misses(made: Float32[Tensor, "batch point energy"], clean: Image) -> Float32[Tensor, " batch"]:
    """Mean square over the measured bins, map by map."""
    valid = clean[:, 2]
    away = torch.where(valid > 0, made - clean[:, 0], 0.0)
    return (away**2).sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)


def divergence(mean: Latents, log_variance: Latents) -> Float32[Tensor, " batch"]:
    """Kullback-Leibler divergence of a normal law from the standard one."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
