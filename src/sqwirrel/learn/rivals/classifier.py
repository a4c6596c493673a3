"""Classifier: which of some rival models made a spectrum, by a network whose decision lies on the spectrum's own axes.

The same small convolutions see every plane of a map; features are averaged over all measured places, and a linear layer
follows, so that the decision is a sum over places: a class activation map (B. Zhou et al., Learning Deep Features for
Discriminative Localization (2016), arXiv:1512.04150).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from sqwirrel.learn.embed import FEATURES, Embedding, Features, Image, ScatteredEmbedding
from sqwirrel.learn.npe import initialise
from sqwirrel.learn.pairs import CHANNELS
from sqwirrel.learn.rivals.centroids import Centroids
from sqwirrel.learn.rivals.contest import Contest, Labelled
from sqwirrel.learn.train import held_rows
from sqwirrel.spectra import Measurement, QGrid, QPoints

WIDTHS = (24, 48)
SHORTEST = 8
"""Sides are halved by a convolution as long as they stay this long."""
MOMENTS = 512
"""Images whose moments standardise all."""
CHUNK = 128
"""Images that are looked at together where many are."""
HELD, STEPS = 2048, 100
"""Spectra, of simulations that were not learnt from, that say the temperature, and most steps in search of it."""


class Places(NamedTuple):
    """Features of the places of some planes, and the share of each in the decision."""

    features: Float32[Tensor, "batch plane feature row column"]
    share: Float32[Tensor, "batch plane row column"]


class PooledEmbedding(Embedding):
    """Features of every place of a map, or of several, averaged over the places that were measured.

    `groups` are the numbers of the bins (point by point, each at all its energies) as planes of one shape. Every plane
    is seen by the same convolutions, with a bias of its own; two channels say where in it a pixel is. What is found is
    weighted by a `gate`, one number a feature and place, as rivals differ in where they have intensity.
    """

    def __init__(self, groups: Sequence[Int[Tensor, "_ _ _"]]) -> None:
        super().__init__()
        bins = sum(group.numel() for group in groups)
        self.register_buffer("mean", torch.zeros(CHANNELS, bins))
        self.register_buffer("spread", torch.ones(CHANNELS, bins))
        for k, group in enumerate(groups):
            self.register_buffer(f"order_{k}", group)
        shortest = [min(group.shape[axis] for group in groups) for axis in (1, 2)]
        layers: list[nn.Module] = []
        channels, gone = CHANNELS + 2, [1, 1]
        for width in WIDTHS:
            step = [2 if side // (2 * by) >= SHORTEST else 1 for side, by in zip(shortest, gone, strict=True)]
            layers += [nn.Conv2d(channels, width, 3, (step[0], step[1]), padding=1), nn.GroupNorm(8, width), nn.SiLU()]
            channels, gone = width, [by * further for by, further in zip(gone, step, strict=True)]
        self.first, self.rest = layers[0], nn.Sequential(*layers[1:], nn.Conv2d(channels, FEATURES, 1), nn.SiLU())
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(len(group), WIDTHS[0], 1, 1)) for group in groups)
        sides = [[-(-side // by) for side, by in zip(group.shape[1:], gone, strict=True)] for group in groups]
        gates = [torch.ones(len(group), FEATURES, *side) for group, side in zip(groups, sides, strict=True)]
        self.gate = nn.ParameterList(nn.Parameter(each) for each in gates)

    def reset_parameters(self) -> None:
        """Biases of planes and gates as they are before training."""
        for bias, gate in zip(self.bias, self.gate, strict=True):
            nn.init.zeros_(bias)
            nn.init.ones_(gate)

    @property
    def groups(self) -> list[Int[Tensor, "_ _ _"]]:
        """Numbers of the bins as planes."""
        return [self.get_buffer(f"order_{k}") for k in range(len(self.bias))]

    def fit(self, x: Image) -> None:
        """Takes the moments of some images."""
        flat = x.flatten(2)
        self.mean.copy_(flat.mean(0))
        self.spread.copy_(flat.std(0).clamp(min=1e-3))

    def at(self, x: Image) -> list[Places]:
        """Features of every place, group by group, and what share of them all it is: 0 where nothing was measured."""
        even, valid = (x.flatten(2) - self.mean) / self.spread, x.flatten(2)[:, 2]
        each = zip(self.groups, self.bias, self.gate, strict=True)
        features = [gate * self._of(even[..., order], bias) for order, bias, gate in each]
        pairs = zip(self.groups, features, strict=True)
        weight = [_cover(valid[:, order], found.shape[-2:]) for order, found in pairs]
        total = torch.stack([each.sum((1, 2, 3)) for each in weight]).sum(0).clamp(min=1e-6)[:, None, None, None]
        return [Places(found, each / total) for found, each in zip(features, weight, strict=True)]

    def forward(self, x: Image) -> Features:
        """Features of each image."""
        pooled = torch.stack([(features * share[:, :, None]).sum((1, 3, 4)) for features, share in self.at(x)])
        return pooled.sum(0)

    def _of(
        self, even: Float32[Tensor, "batch channel plane row column"], bias: Tensor
    ) -> Float32[Tensor, "batch plane feature high wide"]:
        batch, _, planes, *sides = even.shape
        seen = torch.cat((even.movedim(2, 1), _where(sides).to(even).expand(batch, planes, -1, -1, -1)), dim=2)
        found = self.first(seen.flatten(0, 1)).unflatten(0, (batch, planes)) + bias
        features: Tensor = self.rest(found.flatten(0, 1)).unflatten(0, (batch, planes))
        return features


def _where(sides: Sequence[int]) -> Float32[Tensor, "2 row column"]:
    """From -1 to 1 along both sides."""
    axes = [torch.linspace(-1, 1, n) if n > 1 else torch.zeros(1) for n in sides]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def _cover(valid: Float32[Tensor, "batch plane row column"], sides: torch.Size) -> Tensor:
    """How many pixels of each place were measured."""
    pixels = valid.shape[-2] * valid.shape[-1] / (sides[0] * sides[1])
    return pixels * nn.functional.adaptive_avg_pool2d(valid, (sides[0], sides[1]))


class Classifier(nn.Module):
    """Logarithms of odds of `rivals`, up to a constant, for images of spectra; temperature 1 until it is fitted."""

    temperature: Tensor

    def __init__(self, embed: Embedding, rivals: int, seed: int = 0) -> None:
        super().__init__()
        self.embed, self.head, self.centroids = embed, nn.Linear(FEATURES, rivals), Centroids(rivals)
        self.register_buffer("temperature", torch.ones(()))
        self.seen: tuple[Tensor, Tensor] | None = None  # the last images and their features, which centroids see next
        initialise(self, seed)

    @classmethod
    def sized_for(cls, contest: Contest, seed: int = 0) -> "Classifier":
        """A network for the bins and the rivals of a contest."""
        pairs = next(iter(contest.pairs.values()))
        embed = _embedding(pairs.measurements)
        embed.fit(contest.batch(MOMENTS, seed, "moments").x)
        return cls(embed, len(contest.names), seed)

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained: the network that tells rivals apart, and centroids that see its features."""
        return {
            "classifier": nn.ModuleDict({"embed": self.embed, "head": self.head}),
            "centroids": self.centroids,
        }

    def forward(self, x: Image) -> Float32[Tensor, "batch rival"]:
        """Log odds."""
        odds: Tensor = self.head(self.embed(x)) / self.temperature
        return odds

    @torch.no_grad()
    def features(self, x: Image) -> Features:
        """What the decision is made of."""
        known: Tensor = self.embed(x)
        return known

    def certainty(self, x: Image) -> Float32[Tensor, "batch rival"]:
        """How certain it is that each rival makes such images, 0 to 1; small for all where none does."""
        with torch.no_grad():
            certain: Tensor = self.centroids(self.features(x))
            return certain

    def loss(self, player: str, batch: Labelled) -> Float32[Tensor, ""]:
        """Mean of - log p(rival | x); that of the centroids."""
        if player == "centroids":
            known = self.seen[1] if self.seen is not None and self.seen[0] is batch.x else self.features(batch.x)
            self.seen = None
            return self.centroids.loss(known, batch.rival)
        features = self.embed(batch.x)
        self.seen = batch.x, features.detach()
        return nn.functional.cross_entropy(self.head(features) / self.temperature, batch.rival)

    def fit_temperature(self, contest: Contest, seed: int, spectra: int = HELD) -> None:
        """Makes probabilities as sure as they are right on the simulations that `train` holds out (C. Guo et al., On
        Calibration of Modern Neural Networks (2017), arXiv:1706.04599).
        """
        held = contest.split(held_rows(contest))[1]
        batch = held.batch(spectra, seed, "temperature")
        with torch.no_grad():
            odds = torch.cat([self(piece).double() for piece in torch.split(batch.x, CHUNK)]) * self.temperature
        log = torch.zeros((), dtype=torch.float64, requires_grad=True)
        doubt = 1 / (len(held) + 2)  # so many simulations say no more than that, though all be right
        search = torch.optim.LBFGS([log], max_iter=STEPS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            search.zero_grad()
            loss = nn.functional.cross_entropy(odds / log.exp(), batch.rival, label_smoothing=doubt)
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


def _embedding(measurements: Sequence[Measurement]) -> Embedding:
    if len(measurements) == 1 and isinstance(measurements[0].points, QPoints):
        return ScatteredEmbedding(measurements[0])
    return PooledEmbedding(pictures(measurements))


def pictures(measurements: Sequence[Measurement]) -> list[Int[Tensor, "_ _ _"]]:
    """The numbers of all bins as pictures, those of one shape together: along the two longest axes of a grid, one for
    every place on the others; or |Q|, path or scan, and energy.
    """
    found: dict[tuple[int, ...], list[Tensor]] = {}
    before = 0
    for measurement in measurements:
        points, energies = measurement.points, measurement.shape[1]
        shape = [*points.shape, energies] if isinstance(points, QGrid) else [1, *measurement.shape]
        long = sorted(sorted(range(len(shape)), key=lambda axis: -shape[axis])[:2])
        rest = [axis for axis in range(len(shape)) if axis not in long]
        every = before + torch.arange(measurement.shape[0] * energies).reshape(shape).permute(*rest, *long)
        planes = every.reshape(-1, *every.shape[-2:])
        found.setdefault(tuple(planes.shape[1:]), []).append(planes)
        before += every.numel()
    return [torch.cat(planes) for planes in found.values()]
