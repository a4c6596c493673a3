"""What the filters of a network have learnt: answers by layer, images that they answer to most, and whether they live.

A unit is a filter of a layer; its answer to an image is the mean over all that was measured, as the network pools it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float32, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.networks.places import (
    Values,
    answers,
    averaged,
    blurred,
    is_told,
    layers,
    measured,
    on_bins,
    pictured,
    rolled,
    scales,
    untrained,
    usual,
)
from sqwirrel.learn.embed import Embedding, Image
from sqwirrel.learn.rivals import Classifier
from sqwirrel.seeds import stream

CHANNEL_NAMES = ("intensity", "error", "measured", "row", "column")
"""What the first filters see."""
DEAD, TURNED = 0.01, 0.99
"""A dead filter varies less than this share of its layer's median; an untrained one has a cosine above this."""
JITTER, LARGEST, FIRST = 2, 1.0, 0.1
"""Ascent: pixels a picture is moved by, and root mean square of images (standard deviations), at most and at first."""

Answer = Callable[[Image], Float32[Tensor, " batch"]]


def activations(classifier: Classifier, x: Image) -> dict[str, Float32[Tensor, "batch unit point energy"]]:
    """Answers of all units of every layer, at the bins that their places cover."""
    embed, shape = classifier.embed, (x.shape[2], x.shape[3])
    with torch.no_grad():
        return {name: on_bins(embed, answers(embed, x, passing), shape) for name, (_, passing) in layers(embed).items()}


def first_filters(classifier: Classifier) -> Float32[Tensor, "unit channel row column"]:
    """Weights of the first convolution on what `CHANNEL_NAMES` says, standardised."""
    return pictured(classifier.embed).first.weight.detach().clone()  # type: ignore[operator]


def components(classifier: Classifier, like: Image) -> Float32[Tensor, "component point energy"]:
    """What each principal component adds up: its weight for every bin (of soft roots of intensities)."""
    axes = pictured(classifier.embed).projections.axes
    return axes.T.detach().clone().reshape(-1, like.shape[2], like.shape[3])


@dataclass(frozen=True)
class Unit:
    """A filter by layer and number; its answer to images can be asked for."""

    classifier: Classifier
    layer: str
    number: int

    def __post_init__(self) -> None:
        known = layers(self.classifier.embed)
        if self.layer not in known:
            raise InputError(f"there is no layer '{self.layer}'; choose one of {', '.join(known)}")
        if not 0 <= self.number < (count := known[self.layer][0].out_channels):
            raise InputError(f"'{self.layer}' has units 0 to {count - 1}, got {self.number}")

    def __call__(self, x: Image) -> Float32[Tensor, " batch"]:
        """Mean answer to each image."""
        embed = self.classifier.embed
        return averaged(embed, x, answers(embed, x, layers(embed)[self.layer][1]))[:, self.number]


def most_active(answer: Answer, x: Image, n: int = 9) -> Int[Tensor, " rank"]:
    """Rows of the images to which a unit (or a `Contrast`) answers most, the most first."""
    with torch.no_grad():
        return answer(x).argsort(descending=True)[:n]


@dataclass(frozen=True)
class Ascent:
    """How to climb: steps, and the root mean square of one (standard deviations)."""

    steps: int = 100
    rate: float = 0.1


def maximised(embed: Embedding, answer: Answer, like: Image, seed: int, ascent: Ascent | None = None) -> Values:
    """Images that a unit (or a `Contrast`) answers to most, in standard deviations from the mean image.

    Gradient ascent from noise, one start for each image of `like`, from which coverage and errors are taken. Slopes
    are smoothed, pictures are moved at random by up to `JITTER` pixels, and the root mean square is held to that of a
    usual image (J. Yosinski et al., Understanding Neural Networks Through Deep Visualization (2015), arXiv:1506.06579).
    """
    ascent, generator = ascent or Ascent(), stream(seed, "ascent")
    valid = measured(like)
    now = blurred(embed, torch.randn(valid.shape, generator=generator))
    now = _held(now * valid, FIRST)
    for _ in range(ascent.steps):
        by = torch.randint(-JITTER, JITTER + 1, (2,), generator=generator).tolist()
        slope = _slope(embed, answer, like, rolled(embed, now, (by[0], by[1])))
        uphill = blurred(embed, rolled(embed, slope, (-by[0], -by[1]))) * valid
        size = _size(uphill).clamp(min=1e-12)
        now = _held(now + ascent.rate * uphill / size, LARGEST)
    return now


def as_image(embed: Embedding, values: Values, like: Image) -> Image:
    """Images with these intensities, in standard deviations from the mean image; the rest is that of `like`."""
    mean, spread = scales(embed, values[0].numel())
    intensity = (mean + spread * values.flatten(1)).reshape(values.shape)
    image = torch.cat((intensity[:, None], like[:, 1:]), dim=1)
    return torch.where(measured(like)[:, None], image, 0.0)


def from_mean(embed: Embedding, x: Image) -> Values:
    """Intensities of images in standard deviations from the mean image."""
    return (x - usual(embed, x))[:, 0] / scales(embed, x[0, 0].numel())[1].reshape(x.shape[2:])


def _slope(embed: Embedding, answer: Answer, like: Image, values: Values) -> Values:
    values = values.detach().requires_grad_()
    with torch.enable_grad():
        total = answer(as_image(embed, values, like)).sum()
    (slope,) = torch.autograd.grad(total, values)
    return slope


def _size(values: Values) -> Float32[Tensor, "batch 1 1"]:
    return (values**2).mean((1, 2), keepdim=True).sqrt()


def _held(values: Values, largest: float) -> Values:
    """The same, made no larger than this."""
    return values * (largest / _size(values).clamp(min=1e-12)).clamp(max=1)


@dataclass(frozen=True, eq=False)
class Health:
    """Of the filters of a layer: how much their answers vary from image to image, relative to the median filter; and
    the cosine between their weights, on channels that say anything, now and before training.
    """

    variation: Float32[Tensor, " unit"]
    cosine: Float32[Tensor, " unit"]

    @property
    def dead(self) -> Bool[Tensor, " unit"]:
        """Filters that answer alike to all images."""
        return self.variation <= DEAD

    @property
    def untrained(self) -> Bool[Tensor, " unit"]:
        """Filters that still have the random direction that they began with.

        On white input the cosine is the correlation between a filter's answers now and before training: above .99
        less than 2 % of the variance is new. Lengths say nothing, as the layers are normalised and weights decay.
        """
        return self.cosine > TURNED


def health(classifier: Classifier, x: Image, seed: int) -> dict[str, Health]:
    """Of all layers, by the answers to a set of images; `seed` is that of the network before training."""
    embed, before = classifier.embed, layers(untrained(classifier, seed).embed)
    found = {}
    for name, (convolution, passing) in layers(embed).items():
        with torch.no_grad():
            variation = torch.minimum(*(_variation(answers(embed, x, each)) for each in (convolution, passing)))
            told = is_told(embed, x, convolution)
            now, then = (each.weight[:, told].flatten(1) for each in (convolution, before[name][0]))
            found[name] = Health(variation, torch.nn.functional.cosine_similarity(now, then))
    return found


def _variation(found: Sequence[Tensor]) -> Float32[Tensor, " unit"]:
    """Standard deviation between images, over all places, relative to the median filter."""
    flat = torch.cat([each.movedim(2, 1).flatten(2) for each in found], -1)
    spread = flat.var(0).mean(-1).sqrt()
    return spread / spread.median().clamp(min=1e-12)
