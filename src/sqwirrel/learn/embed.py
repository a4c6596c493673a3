"""From images of spectra to a few features: convolutions on maps and grids, sums over points of scans."""

import math

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.learn.pairs import CHANNELS
from sqwirrel.learn.parts import apart
from sqwirrel.spectra import Measurement, QGrid, QPoints

FEATURES = 64
WIDTHS = (24, 48, 96)
HIDDEN, LEAST = 256, 1e-3
"""Units of each layer on fixed filters; and the least variance that a combination of them is taken to have."""
SMALLEST = 4
"""Maps are halved until a side would be shorter than this."""

Image = Float32[Tensor, "batch channel point energy"]
Features = Float32[Tensor, "batch feature"]


def embedding(*measurements: Measurement) -> "Embedding":
    """The network that fits the bins of a measurement, or of several."""
    if len(measurements) > 1:
        return SeveralEmbedding(measurements)
    (measurement,) = measurements
    points = measurement.points
    if isinstance(points, QPoints):
        return ScatteredEmbedding(measurement)
    if isinstance(points, QGrid):
        sides = [len(edges) - 1 for edges in points.edges]
        return MapEmbedding(_plane(sides, measurement.shape[1]))
    return MapEmbedding((1, *measurement.shape))


class Embedding(nn.Module):
    """What turns images into features, standardised with the moments of some images."""

    mean: Tensor
    spread: Tensor
    size: int = FEATURES

    def fit(self, x: Image) -> None:
        """Takes the moments of some images."""
        raise NotImplementedError


class MapEmbedding(Embedding):
    """Convolutions over the two longest axes of a map; what is on other axes are further channels.

    `sides` are the number of such planes, and the shape of each; points and energies in their order make them up. The
    images are standardised with the moments of `fitted` ones; the logarithm of their sum is a feature of its own.
    """

    def __init__(self, sides: tuple[int, int, int]) -> None:
        super().__init__()
        self.planes, self.height, self.width = sides
        shape = (CHANNELS, self.height * self.planes * self.width)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("spread", torch.ones(shape))
        layers: list[nn.Module] = []
        channels, high, wide = CHANNELS * self.planes, self.height, self.width
        for width in WIDTHS:
            down, right = (2 if side >= 2 * SMALLEST else 1 for side in (high, wide))
            layers += [nn.Conv2d(channels, width, 3, (down, right), padding=1), nn.GroupNorm(8, width), nn.SiLU()]
            channels, high, wide = width, -(-high // down), -(-wide // right)
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(
            nn.Linear(channels * high * wide + 1, 2 * FEATURES), nn.SiLU(), nn.Linear(2 * FEATURES, FEATURES)
        )

    def fit(self, x: Image) -> None:
        """Takes the moments of some images."""
        flat = x.flatten(2)
        self.mean.copy_(flat.mean(0))
        self.spread.copy_(flat.std(0).clamp(min=1e-3))

    def forward(self, x: Image) -> Features:
        """Features of each image."""
        flat = x.flatten(2)
        even = (flat - self.mean) / self.spread
        total = torch.log1p(flat[:, 0].clamp(min=0).mean(1, keepdim=True))
        planes = even.reshape(len(x), CHANNELS * self.planes, self.height, self.width)
        features: Tensor = self.head(torch.cat((self.body(planes), total), dim=1))
        return features


class ScatteredEmbedding(Embedding):
    """A network on every point with its place, averaged over the points that were measured."""

    place: Tensor

    def __init__(self, measurement: Measurement) -> None:
        super().__init__()
        assert isinstance(measurement.points, QPoints)
        where = torch.cat((measurement.points.q, measurement.energy_centres.expand(*measurement.shape)), dim=1)
        where = (where - where.mean(0)) / where.std(0).clamp(min=1e-6)
        self.register_buffer("place", where.float())
        self.register_buffer("mean", torch.zeros(CHANNELS))
        self.register_buffer("spread", torch.ones(CHANNELS))
        inputs = CHANNELS + where.shape[1]
        self.body = nn.Sequential(nn.Linear(inputs, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU())
        self.head = nn.Sequential(nn.Linear(256, 2 * FEATURES), nn.SiLU(), nn.Linear(2 * FEATURES, FEATURES))

    def fit(self, x: Image) -> None:
        """Takes the moments of some images."""
        each = x.flatten(2).transpose(0, 1).flatten(1)
        self.mean.copy_(each.mean(1))
        self.spread.copy_(each.std(1).clamp(min=1e-3))

    def forward(self, x: Image) -> Features:
        """Features of each image."""
        points = x.flatten(2).mT
        valid = points[..., 2:3]
        even = (points - self.mean) / self.spread
        each = self.body(torch.cat((even, self.place.expand(len(x), -1, -1)), dim=-1))
        mean = (each * valid).sum(1) / valid.sum(1).clamp(min=1)
        largest = torch.where(valid > 0, each, -1e3).amax(1)
        features: Tensor = self.head(torch.cat((mean, largest), dim=1))
        return features


class Projection(Embedding):
    """A perceptron on fixed filters: sums of the bins, in standard deviations of their noise, with given weights.

    It sees nothing else of an image: what the filters do not move with, it does not move with. The sums are made
    independent of each other, with variance 1, over some images: what tells alike parameters apart is small beside what
    moves them all.
    """

    filters: Tensor

    def __init__(self, filters: Float32[Tensor, "filter bin"]) -> None:
        super().__init__()
        self.register_buffer("filters", filters.clone())
        self.register_buffer("mean", torch.zeros(len(filters)))
        self.register_buffer("spread", torch.eye(len(filters)))
        layers = [nn.Linear(len(filters), HIDDEN), nn.SiLU()]
        for _ in range(2):
            layers += [nn.Linear(HIDDEN, HIDDEN), nn.SiLU()]
        self.head = nn.Sequential(*layers, nn.Linear(HIDDEN, FEATURES))

    def filtered(self, x: Image) -> Float32[Tensor, "batch filter"]:
        """The sums. Levels are in units of the median error, errors relative to it (log)."""
        level, size = x[:, 0].flatten(1), x[:, 1].flatten(1)
        if level.shape[1] != self.filters.shape[1]:
            raise InputError(
                f"the filters are of {self.filters.shape[1]} bins, the images have {level.shape[1]}; make the causal "
                "map on the bins that the network is trained for"
            )
        return (level * torch.exp(-size)) @ self.filters.T

    def fit(self, x: Image) -> None:
        """Takes the moments of some images."""
        sums = self.filtered(x).double()
        self.mean.copy_(sums.mean(0))
        variance, axes = torch.linalg.eigh(torch.cov(sums.T).reshape(len(self.mean), -1))
        self.spread.copy_(axes * variance.clamp(min=LEAST).rsqrt())

    def forward(self, x: Image) -> Features:
        """Features of each image."""
        features: Tensor = self.head((self.filtered(x) - self.mean) @ self.spread)
        return features


class SeveralEmbedding(Embedding):
    """A network for each of several measurements, and one on what they say together."""

    def __init__(self, measurements: tuple[Measurement, ...]) -> None:
        super().__init__()
        self.measurements = measurements
        self.each = nn.ModuleList(embedding(one) for one in measurements)
        self.head = nn.Sequential(
            nn.Linear(len(measurements) * FEATURES, 2 * FEATURES), nn.SiLU(), nn.Linear(2 * FEATURES, FEATURES)
        )

    def fit(self, x: Image) -> None:
        """Takes the moments of some images."""
        for embed, piece in zip(self.each, apart(x, self.measurements), strict=True):
            embed.fit(piece)  # type: ignore[operator]

    def forward(self, x: Image) -> Features:
        """Features of each image."""
        pieces = zip(self.each, apart(x, self.measurements), strict=True)
        features: Tensor = self.head(torch.cat([embed(piece) for embed, piece in pieces], dim=1))
        return features


def _plane(sides: list[int], energies: int) -> tuple[int, int, int]:
    """Planes and their shape for a grid: the last two axes longer than one span a plane."""
    long = [side for side in (*sides, energies) if side > 1] or [1]
    height, width = (long[-2] if len(long) > 1 else 1), long[-1]
    return math.prod(long) // (height * width), height, width
