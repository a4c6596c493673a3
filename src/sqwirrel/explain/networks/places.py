"""Where in an image a network looks: features at the places of its pictures, and their way back to the bins.

An image is a row of bins; a network sees them as groups of pictures of one shape, each at fewer places than it has
pixels.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Bool, Float32, Int
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d, adaptive_avg_pool2d, pad

from sqwirrel.errors import InputError
from sqwirrel.learn.embed import Embedding, Image
from sqwirrel.learn.npe import initialise
from sqwirrel.learn.rivals import Classifier
from sqwirrel.learn.rivals.embedding import PooledEmbedding

VALID = 2
"""The channel of an image that says what was measured."""
Values = Float32[Tensor, "batch point energy"]
Flat = Float32[Tensor, "batch place"]
Pictures = Float32[Tensor, "batch _plane _filter _row _column"]
Order = Int[Tensor, "_plane _row _column"]


@dataclass(frozen=True, eq=False)
class Seen:
    """Features at all places of all groups, side by side; the share of all that was measured that each place is; the
    last convolution's answers, of which `last` makes the features.

    `shapes` are the planes, rows and columns of the groups, `orders` the numbers of their bins.
    """

    features: Float32[Tensor, "batch feature place"]
    share: Flat
    before: Float32[Tensor, "batch feature place"]
    last: nn.Module
    shapes: Sequence[tuple[int, ...]]
    orders: Sequence[Order]

    def laid(self, values: Flat, valid: Bool[Tensor, "batch point energy"]) -> Values:
        """Values of places on the bins: each evenly over the measured ones that it covers, so that sums are kept."""
        flat, measured = torch.zeros(valid.shape).flatten(1), valid.flatten(1).float()
        parts = torch.split(values, [prod(shape) for shape in self.shapes], dim=1)
        for part, shape, order in zip(parts, self.shapes, self.orders, strict=True):
            here = measured[:, order]
            rows, columns = (_covered(n, cells) for n, cells in zip(order.shape[1:], shape[1:], strict=True))
            weight = torch.einsum("ih,bpij,jw->bphw", rows, here, columns)
            each = torch.where(weight > 0, part.reshape(-1, *shape) / weight.clamp(min=1e-9), 0.0)
            flat[:, order] = torch.einsum("ih,bphw,jw->bpij", rows, each, columns) * here
        return flat.reshape(valid.shape)


def _covered(pixels: int, cells: int) -> Float32[Tensor, "pixel cell"]:
    """Which pixels each cell averages, as `PooledEmbedding` pools."""
    return adaptive_avg_pool1d(torch.eye(pixels)[None], cells)[0]


def pictured(embed: Embedding) -> PooledEmbedding:
    """The same, if it sees pictures."""
    if not isinstance(embed, PooledEmbedding):
        raise InputError(
            "a network of single points sees no pictures; it can be asked by 'integrated_gradients' and 'occlusion'"
        )
    return embed


def orders(embed: Embedding) -> list[Order]:
    """The numbers of the bins as pictures, of every group; single points are pictures of one bin."""
    if isinstance(embed, PooledEmbedding):
        return embed.groups
    bins = len(embed.get_buffer("place"))
    return [torch.arange(bins)[:, None, None]]


def seen(embed: Embedding, x: Image) -> Seen:
    """What a network sees at the places of images."""
    with_places = pictured(embed)
    convolution, last = list(with_places.rest.children())[-2:]
    with _Listening(convolution, len(x)) as heard:
        groups = with_places.at(x)
    features, share = (torch.cat(parts, -1) for parts in zip(*(_side_by_side(*each) for each in groups), strict=True))
    told = torch.cat([each.movedim(2, 1).flatten(2) for each in heard.answers], -1)
    shapes = [tuple(share.shape[1:]) for _, share in groups]
    gate = torch.cat([each.movedim(1, 0).flatten(1) for each in with_places.gate], -1)
    return Seen(features, share, told, Gated(last, gate), shapes, orders(embed))


class Gated(nn.Module):
    """What makes the features of all places of the last convolution's answers: an activation, then the gate."""

    def __init__(self, activation: nn.Module, gate: Float32[Tensor, "feature place"]) -> None:
        super().__init__()
        self.activation, self.gate = activation, gate

    def forward(self, x: Float32[Tensor, "batch feature place"]) -> Float32[Tensor, "batch feature place"]:
        """Features."""
        found: Tensor = self.gate * self.activation(x)
        return found


def _side_by_side(features: Pictures, share: Float32[Tensor, "batch _plane _row _column"]) -> tuple[Tensor, Tensor]:
    return features.movedim(2, 1).flatten(2), share.flatten(1)


class _Listening:
    """What a layer is told and answers, one entry a group, as long as it is open."""

    def __init__(self, layer: nn.Module, batch: int) -> None:
        self.layer, self.batch = layer, batch
        self.inputs: list[Pictures] = []
        self.answers: list[Pictures] = []

    def __enter__(self) -> "_Listening":
        self.handle = self.layer.register_forward_hook(self._keep)
        return self

    def __exit__(self, *_: object) -> None:
        self.handle.remove()

    def _keep(self, _layer: nn.Module, inputs: tuple[Tensor, ...], answer: Tensor) -> None:
        for each, kept in ((inputs[0], self.inputs), (answer, self.answers)):
            kept.append(each.reshape(self.batch, -1, *each.shape[1:]))


def layers(embed: Embedding) -> dict[str, tuple[nn.Conv2d, nn.Module]]:
    """Convolutions by name, each with the activation that follows it."""
    every = [module for part in (pictured(embed).first, pictured(embed).rest) for module in part.modules()]
    convolutions = [module for module in every if isinstance(module, nn.Conv2d)]
    passing = [module for module in every if isinstance(module, nn.SiLU)]
    names = [*(f"layer {k + 1}" for k in range(len(convolutions) - 1)), "features"]
    return dict(zip(names, zip(convolutions, passing, strict=True), strict=True))


def answers(embed: Embedding, x: Image, layer: nn.Module) -> list[Pictures]:
    """What a layer answers to images, one entry for every group of pictures."""
    with _Listening(layer, len(x)) as heard:
        embed(x)
    return heard.answers


def is_told(embed: Embedding, x: Image, layer: nn.Module) -> Bool[Tensor, " input"]:
    """Which channels of what a layer sees are not always 0: training leaves weights on the others alone."""
    with _Listening(layer, len(x)) as heard:
        embed(x)
    return torch.stack([each.abs().amax((0, 1, 3, 4)) for each in heard.inputs]).amax(0) > 0


def measured(x: Image) -> Bool[Tensor, "batch point energy"]:
    """Which bins of images were measured."""
    return x[:, VALID] > 0


def usual(embed: Embedding, x: Image) -> Image:
    """The mean image, with the coverage of each of these images."""
    mean = embed.mean.reshape(x.shape[1], -1)
    wide = mean.expand(-1, prod(x.shape[2:])).reshape(x.shape[1:]).expand(x.shape).clone()
    wide[:, VALID] = x[:, VALID]
    return torch.where(measured(x)[:, None], wide, 0.0)


def scales(embed: Embedding, bins: int) -> tuple[Float32[Tensor, " bin"], Float32[Tensor, " bin"]]:
    """Mean and standard deviation of the intensity of the images that an embedding was fitted to, in every bin."""
    mean, spread = (each.reshape(len(each), -1)[0].expand(bins) for each in (embed.mean, embed.spread))
    return mean, spread


def tiles(
    embed: Embedding, shape: tuple[int, int], window: tuple[int, int], shift: float = 0.0
) -> Int[Tensor, "point energy"]:
    """Numbers of windows of pixels, for every bin of an image of `shape`, cut apart `shift` windows later."""
    numbers, first = torch.zeros(shape, dtype=torch.long).flatten(), 0
    for order in orders(embed):
        sides = [
            (torch.arange(n) + round(shift * step)) // step for n, step in zip(order.shape[1:], window, strict=True)
        ]
        across = int(sides[1].max()) + 1
        in_plane = sides[0][:, None] * across + sides[1]
        each = int(in_plane.max()) + 1
        numbers[order] = first + torch.arange(len(order))[:, None, None] * each + in_plane
        first += len(order) * each
    return numbers.reshape(shape)


def rolled(embed: Embedding, values: Values, by: tuple[int, int]) -> Values:
    """The same with every picture moved by some pixels, in at the other end."""
    flat = values.flatten(1).clone()
    for order in orders(embed):
        flat[:, order] = flat[:, order].roll(by, (-2, -1))
    return flat.reshape(values.shape)


def blurred(embed: Embedding, values: Values) -> Values:
    """The same with every picture smoothed over the neighbours, 1 : 2 : 1 along rows and columns."""
    flat = values.flatten(1).clone()
    for order in orders(embed):
        pictures = pad(flat[:, order], (1, 1, 1, 1), mode="replicate")
        rows = (pictures[..., :-2, :] + 2 * pictures[..., 1:-1, :] + pictures[..., 2:, :]) / 4
        flat[:, order] = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4
    return flat.reshape(values.shape)


def on_bins(
    embed: Embedding, found: Sequence[Pictures], shape: tuple[int, int]
) -> Float32[Tensor, "batch filter point energy"]:
    """Answers of a layer at its places as values of the bins that each place covers."""
    flat = torch.zeros(*found[0].shape[:1], found[0].shape[2], prod(shape))
    for part, order in zip(found, orders(embed), strict=True):
        rows, columns = (_covered(n, cells) for n, cells in zip(order.shape[1:], part.shape[3:], strict=True))
        rows, columns = (each / each.sum(1, keepdim=True) for each in (rows, columns))
        flat[:, :, order] = torch.einsum("ih,bpchw,jw->bcpij", rows, part, columns)
    return flat.reshape(*flat.shape[:2], *shape)


def averaged(embed: Embedding, x: Image, found: Sequence[Pictures]) -> Float32[Tensor, "batch filter"]:
    """Answers of a layer, averaged over all that was measured."""
    sums, weights = torch.zeros(len(x), found[0].shape[2]), torch.zeros(len(x), 1)
    for part, order in zip(found, orders(embed), strict=True):
        share = adaptive_avg_pool2d(x.flatten(2)[:, VALID, order], (part.shape[3], part.shape[4]))
        pixels = order[0].numel() / share[0, 0].numel()
        sums = sums + pixels * torch.einsum("bpchw,bphw->bc", part, share)
        weights = weights + pixels * share.sum((1, 2, 3))[:, None]
    return sums / weights.clamp(min=1e-6)


def untrained(classifier: Classifier, seed: int) -> Classifier:
    """The same network with weights drawn anew; with the seed that it was made with, as it was before training.

    Its principal components stay: they are fitted to simulations, not trained.
    """
    fresh = deepcopy(classifier)
    initialise(fresh, seed)
    fresh.temperature.fill_(1.0)
    return fresh
