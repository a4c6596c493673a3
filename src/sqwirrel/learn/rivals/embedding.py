"""From images of rivals to features on the spectrum's own axes: principal components, and small convolutions.

Features are sums over places, so that a decision that weighs them is one, too, for the weights that an image gets: a
class activation map (B. Zhou et al., Learning Deep Features for Discriminative Localization (2016), arXiv:1512.04150).
"""

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn

from sqwirrel.learn.embed import Embedding, Features, Image
from sqwirrel.learn.pairs import CHANNELS
from sqwirrel.spectra import Measurement, QGrid

WIDTHS, CONVOLVED = (8, 16), 32
"""Channels of the convolutions, and features that they make."""
COMPONENTS, BINS_EACH = 192, 4
"""Features that are principal components, at most; fewer on images with less than so many bins for each."""
SHORTEST = 8
"""Sides are halved by a convolution as long as they stay this long."""
SOFT = 0.1
"""Of the usual intensity: below it components see intensities as they are, above it their roots."""
CHUNK = 4096
"""Bins whose products are summed together, in double precision."""
TINY, MEDIAN = 1e-9, 0.455
"""The least variance of a component, of that of the first; the median of chi^2 for one degree of freedom."""

Flat = Float32[Tensor, "batch bin"]


class Places(NamedTuple):
    """Features of the places of some planes, and the share of each in the decision."""

    features: Float32[Tensor, "batch plane feature row column"]
    share: Float32[Tensor, "batch plane row column"]


class Projections(nn.Module):
    """Principal components of images, of the soft roots of their intensities; each measurement, of so many bins, is
    seen relative to its own mean. They are fitted, not trained: those that noise hides are small.
    """

    mean: Float32[Tensor, " bin"]
    axes: Float32[Tensor, "bin component"]

    def __init__(self, sizes: Sequence[int], counted: Sequence[bool]) -> None:
        super().__init__()
        self.sizes, self.counted = list(sizes), list(counted)
        self.register_buffer("mean", torch.zeros(sum(sizes)))
        self.register_buffer("axes", torch.zeros(sum(sizes), max(1, min(COMPONENTS, sum(sizes) // BINS_EACH))))

    def softened(self, x: Image) -> Flat:
        """Soft roots of intensities; 0 where not measured."""
        pieces = []
        for part, is_counted in zip(torch.split(x.flatten(2), self.sizes, -1), self.counted, strict=True):
            valid = part[:, 2]
            y = valid * ((part[:, 0] / 2) ** 2 - 0.375 if is_counted else part[:, 0])
            usual = y.abs().sum(1, keepdim=True) / valid.sum(1, keepdim=True).clamp(min=1)
            relative = y / usual.clamp(min=1e-9)
            pieces.append(relative.sign() * ((relative.abs() + SOFT).sqrt() - SOFT**0.5))
        return torch.cat(pieces, 1)

    def away(self, x: Image) -> Flat:
        """What is projected: how far each measured bin is from the mean image."""
        return torch.where(x.flatten(2)[:, 2] > 0, self.softened(x) - self.mean, 0.0)

    def fit(self, clean: Flat, noisy: Flat) -> None:
        """The principal components of softened images without noise, as large as they are among those with noise: of
        variance 1 where noise hides nothing, elsewhere of the share that is not noise.
        """
        self.mean.copy_(clean.mean(0))
        away, found = clean - self.mean, min(self.axes.shape[1], len(clean) - 1)
        gram = torch.stack([piece.double() @ piece.double().T for piece in torch.split(away, CHUNK, 1)]).sum(0) / len(
            away
        )
        variance, turn = (each.flip(-1)[..., :found] for each in torch.linalg.eigh(gram))
        variance = variance.clamp(min=TINY * max(float(variance[0]), TINY))
        axes = away.T @ (turn / (len(away) * variance).sqrt()).float()
        axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()  # else that is left to chance
        seen = ((noisy - self.mean) @ axes).square().median(0).values.double() / MEDIAN
        self.axes.zero_()[:, :found] = axes * (variance.sqrt() / torch.maximum(seen, variance)).float()

    def forward(self, x: Image) -> Float32[Tensor, "batch component"]:
        """The components of images."""
        return self.away(x) @ self.axes


class PooledEmbedding(Embedding):
    """Features of a map, or of several: `projections` of all bins, and what convolutions find at every place, averaged
    over the places that were measured.

    `groups` are the numbers of the bins (point by point, each at all its energies) as planes of one shape. Every plane
    is seen by the same convolutions, with a bias of its own; two channels say where in it a pixel is. What is found is
    weighted by a `gate`, one number a feature and place, as rivals differ in where they have intensity.
    """

    def __init__(self, measurements: Sequence[Measurement], counted: Sequence[bool] | None = None) -> None:
        super().__init__()
        groups, sizes = pictures(measurements), [prod(each.shape) for each in measurements]
        self.projections = Projections(sizes, [False] * len(sizes) if counted is None else counted)
        self.components = self.projections.axes.shape[1]
        self.size = self.components + CONVOLVED
        bins = sum(sizes)
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
        self.first, self.rest = layers[0], nn.Sequential(*layers[1:], nn.Conv2d(channels, CONVOLVED, 1), nn.SiLU())
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(len(group), WIDTHS[0], 1, 1)) for group in groups)
        sides = [[-(-side // by) for side, by in zip(group.shape[1:], gone, strict=True)] for group in groups]
        gates = [torch.ones(len(group), CONVOLVED, *side) for group, side in zip(groups, sides, strict=True)]
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

    def fit_components(self, images: Iterable[tuple[Image, Image]]) -> None:
        """Takes the components of some images, without noise and with it, given in pieces."""
        softened = [[self.projections.softened(x) for x in piece] for piece in images]
        self.projections.fit(*(torch.cat(each) for each in zip(*softened, strict=True)))

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
        """Features of each image: its components, then what convolutions found."""
        pooled = torch.stack([(features * share[:, :, None]).sum((1, 3, 4)) for features, share in self.at(x)])
        return torch.cat((self.projections(x), pooled.sum(0)), 1)

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
