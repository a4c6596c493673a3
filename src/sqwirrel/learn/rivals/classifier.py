"""Classifier: which of some rival models made a spectrum, by a network whose decision lies on the spectrum's own axes.

The same small convolutions see every plane of a map; features are averaged over all measured places, and a linear layer
follows, so that the decision is a sum over places: a class activation map (B. Zhou et al., Learning Deep Features for
Discriminative Localization (2016), arXiv:1512.04150).
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from sqwirrel.learn.embed import FEATURES, Embedding, Features, Image, ScatteredEmbedding
from sqwirrel.learn.npe import initialise
from sqwirrel.learn.pairs import CHANNELS
from sqwirrel.learn.rivals.contest import Contest, Labelled
from sqwirrel.learn.train import held_rows
from sqwirrel.spectra import Measurement, QGrid, QPoints

WIDTHS = (24, 48)
SHORTEST = 16
"""Sides are halved by a convolution as long as they stay this long."""
MOMENTS = 512
"""Images whose moments standardise all."""
HELD, STEPS = 2048, 100
"""Spectra, of simulations that were not learnt from, that say the temperature, and most steps in search of it."""


class PooledEmbedding(Embedding):
    """Features of every place of a map, averaged over the places that were measured.

    `order` are the numbers of the bins (point by point, each at all its energies) as planes. Every plane is seen by the
    same convolutions, with a bias of its own; two channels say where in it a pixel is.
    """

    order: Tensor
    where: Tensor

    def __init__(self, order: Int[Tensor, "plane row column"]) -> None:
        super().__init__()
        planes, high, wide = order.shape
        self.register_buffer("order", order)
        self.register_buffer("mean", torch.zeros(CHANNELS, planes * high * wide))
        self.register_buffer("spread", torch.ones(CHANNELS, planes * high * wide))
        rows, columns = (torch.linspace(-1, 1, n) if n > 1 else torch.zeros(1) for n in (high, wide))
        self.register_buffer("where", torch.stack(torch.meshgrid(rows, columns, indexing="ij")))
        layers: list[nn.Module] = []
        channels, self.stride = CHANNELS + 2, [1, 1]
        for width in WIDTHS:
            step = [
                2 if side // (2 * gone) >= SHORTEST else 1 for side, gone in zip((high, wide), self.stride, strict=True)
            ]
            layers += [nn.Conv2d(channels, width, 3, (step[0], step[1]), padding=1), nn.GroupNorm(8, width), nn.SiLU()]
            channels, self.stride = width, [gone * by for gone, by in zip(self.stride, step, strict=True)]
        self.first, self.rest = layers[0], nn.Sequential(*layers[1:], nn.Conv2d(channels, FEATURES, 1), nn.SiLU())
        self.bias = nn.Parameter(torch.zeros(planes, WIDTHS[0], 1, 1))

    def fit(self, x: Image) -> None:
        """Takes the moments of some images."""
        flat = x.flatten(2)
        self.mean.copy_(flat.mean(0))
        self.spread.copy_(flat.std(0).clamp(min=1e-3))

    def at(
        self, x: Image
    ) -> tuple[Float32[Tensor, "batch plane feature row column"], Float32[Tensor, "batch plane row column"]]:
        """Features of every place, and what share of them all it is: 0 where nothing was measured."""
        planes = len(self.order)
        even = ((x.flatten(2) - self.mean) / self.spread)[..., self.order].movedim(2, 1)
        seen = torch.cat((even, self.where.expand(len(x), planes, -1, -1, -1)), dim=2)
        found = self.first(seen.flatten(0, 1)).unflatten(0, (len(x), planes)) + self.bias
        features = self.rest(found.flatten(0, 1)).unflatten(0, (len(x), planes))
        share = nn.functional.adaptive_avg_pool2d(x.flatten(2)[:, 2, self.order], features.shape[-2:])
        return features, share / share.sum((1, 2, 3), keepdim=True).clamp(min=1e-6)

    def forward(self, x: Image) -> Features:
        """Features of each image."""
        features, share = self.at(x)
        pooled: Tensor = (features * share[:, :, None]).sum((1, 3, 4))
        return pooled


class Classifier(nn.Module):
    """Logarithms of odds of `rivals`, up to a constant, for images of spectra; temperature 1 until it is fitted."""

    temperature: Tensor

    def __init__(self, embed: Embedding, rivals: int, seed: int = 0) -> None:
        super().__init__()
        self.embed, self.head = embed, nn.Linear(FEATURES, rivals)
        self.register_buffer("temperature", torch.ones(()))
        initialise(self, seed)

    @classmethod
    def sized_for(cls, contest: Contest, seed: int = 0) -> "Classifier":
        """A network for the bins and the rivals of a contest."""
        pairs = next(iter(contest.pairs.values()))
        embed = _embedding(pairs.simulations.experiment.measurement)
        embed.fit(contest.batch(MOMENTS, seed, "moments").x)
        return cls(embed, len(contest.names), seed)

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained."""
        return {"classifier": self}

    def forward(self, x: Image) -> Float32[Tensor, "batch rival"]:
        """Log odds."""
        odds: Tensor = self.head(self.embed(x)) / self.temperature
        return odds

    def loss(self, player: str, batch: Labelled) -> Float32[Tensor, ""]:
        """Mean of - log p(rival | x)."""
        del player
        return nn.functional.cross_entropy(self(batch.x), batch.rival)

    def fit_temperature(self, contest: Contest, seed: int) -> None:
        """Makes probabilities as sure as they are right on the simulations that `train` holds out (C. Guo et al., On
        Calibration of Modern Neural Networks (2017), arXiv:1706.04599).
        """
        held = contest.split(held_rows(contest))[1]
        batch = held.batch(HELD, seed, "temperature")
        with torch.no_grad():
            odds = self(batch.x).double() * self.temperature
        log = torch.zeros((), dtype=torch.float64, requires_grad=True)
        search = torch.optim.LBFGS([log], max_iter=STEPS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            search.zero_grad()
            loss = nn.functional.cross_entropy(odds / log.exp(), batch.rival)
            torch.autograd.backward(loss)
            return loss

        with torch.enable_grad():
            search.step(closure)  # type: ignore[no-untyped-call]
        self.temperature.copy_(log.detach().exp())


class Committee(nn.Module):
    """Classifiers that were trained apart; where they disagree none of them knows (B. Lakshminarayanan, A. Pritzel, C.
    Blundell, Deep Ensembles (2017), arXiv:1612.01474).
    """

    def __init__(self, members: Sequence[Classifier]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @torch.no_grad()
    def each(self, x: Image) -> Float[Tensor, "member batch rival"]:
        """Probabilities by every member."""
        return torch.stack([member(x).double().softmax(1) for member in self.members])

    def probability(self, x: Image) -> Float[Tensor, "batch rival"]:
        """The mean of all."""
        return self.each(x).mean(0)

    def disagreement(self, x: Image) -> Float[Tensor, " batch"]:
        """Mutual information between the answer and who gives it, nats; 0 if all say the same."""
        each = self.each(x)
        return _entropy(each.mean(0)) - _entropy(each).mean(0)


def _entropy(p: Float[Tensor, "*batch rival"]) -> Float[Tensor, "*batch"]:
    return -torch.xlogy(p, p).sum(-1)


def _embedding(measurement: Measurement) -> Embedding:
    if isinstance(measurement.points, QPoints):
        return ScatteredEmbedding(measurement)
    return PooledEmbedding(pictures(measurement))


def pictures(measurement: Measurement) -> Int[Tensor, "plane row column"]:
    """The numbers of all bins as pictures: along the two longest axes of a grid, one for every place on the others; or
    |Q| or path, and energy.
    """
    points, energies = measurement.points, measurement.shape[1]
    shape = [*points.shape, energies] if isinstance(points, QGrid) else [1, *measurement.shape]
    long = sorted(sorted(range(len(shape)), key=lambda axis: -shape[axis])[:2])
    rest = [axis for axis in range(len(shape)) if axis not in long]
    every = torch.arange(measurement.shape[0] * energies).reshape(shape).permute(*rest, *long)
    return every.reshape(-1, *every.shape[-2:])
