"""Whether an image is like those of the domain that it is said to come from: outside it, a translator says nothing.

It is looked at three times: at its shape, by the features (`judge.Look`) of the image over its own root mean square,
turned so that those of the domain scatter alike in all directions; at the logarithm of that root mean square; and at
what principal components of the domain leave of it (`rest.Rest`). The first two are energy distances of the image alone
to rows of one half of the domain. Those of the other half, held out, say how far its images are: if the image and the
held-out ones come alike, the share of these that are as far is below s with a probability of s at most (V. Vovk, A.
Gammerman, G. Shafer, Algorithmic Learning in a Random World (2005), doi:10.1007/b106715); of three looks, thrice the
smallest share is taken.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.translate.domain import Domain, Images, Unpaired
from sqwirrel.learn.translate.rest import Rest
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.seeds import stream

TOGETHER = 64
"""Images that are looked at at once."""
ROWS, HELD = 2048, 4096
"""Rows of the half that says what is usual, and of the half that is held out, at most."""
BINS = 10**8
"""Bins of the rows that say what is usual, at most, but for `FEWEST`: they are all in memory."""
FLOOR = 1e-2
"""Variances below this share of the mean one count as so much: what is next to nothing tells nothing."""
RARE = 0.005
"""Images are outside of which fewer held-out ones are as far."""
LOOKS = ("shape", "size", "what components leave of it")
FEWEST = 50
"""Images that a domain needs; with n held out, 3 of n + 1 maps of the domain are refused if n is below 1200."""
SLACK, SPAN = 0.05, 0.02
"""Conditions may be away from one of the domain by this share of its size, or by this share of the span of all."""
Features = Float[Tensor, "row feature"]
Sizes = Float[Tensor, "row 1"]
Even = Float32[Tensor, "row 3 *axis"]
"""Levels over the root mean square of their image, variances of their noise, validity."""
Far = Float[Tensor, "row look"]


@dataclass(frozen=True, eq=False)
class Inside:
    """What is usual in a domain: bins of its images, what they were measured under, how features are turned, features
    and sizes of rows of one half, what components leave, and distances of rows of the other, in ascending order.
    """

    shape: Int[Tensor, " axis"]
    conditions: Float32[Tensor, "any number"]
    middle: Float[Tensor, " feature"]
    turn: Float[Tensor, "feature direction"]
    features: Float[Tensor, "row direction"]
    sizes: Sizes
    rest: Rest
    held: Float[Tensor, "other look"]

    @classmethod
    def of(cls, translator: Translator, k: int, domain: Domain, seed: int = 0) -> "Inside":
        """Of the domain with the number `k`; the halves are the first and the last rows."""
        if len(domain) < FEWEST:
            raise InputError(f"{len(domain)} images do not say what is usual in a domain; give some thousands")
        usual = min(ROWS, max(BINS // math.prod(domain.shape), FEWEST))
        halves = zip(domain.split(len(domain) // 2), (usual, HELD), strict=True)
        first, second = (_some(k, half, most, seed) for half, most in halves)
        features, sizes, even = _seen(translator, k, _together(_drawn(first, seed)))
        middle, spread = features.mean(0), features.std(0).clamp(min=1e-6)
        one = (features - middle) / spread
        variance, axes = torch.linalg.eigh(one.mT @ one / len(one))
        turn = axes / spread[:, None] / variance.clamp(min=FLOOR * float(variance.mean())).sqrt()
        rest = Rest(domain.shape)
        rest.fit(even)
        found = cls(
            torch.tensor(domain.shape), domain.condition[domain.rows], middle, turn, (features - middle) @ turn, sizes,
            rest, torch.zeros(0, len(LOOKS)).double(),
        )  # fmt: skip
        held = [found._far(*_seen(translator, k, part)) for part in _drawn(second, seed)]
        return replace(found, held=torch.cat(held).sort(0).values)

    def distance(self, translator: Translator, k: int, images: Images) -> Far:
        """Of each image, in shape, in size, and by what components leave of it."""
        return self._far(*_seen(translator, k, images))

    def share(self, distance: Far) -> Float[Tensor, " row"]:
        """Of held-out images those that are as far, the image itself counted too; thrice the smallest of the three."""
        n = len(self.held)
        nearer = torch.searchsorted(self.held.mT.contiguous(), distance.mT.contiguous())
        return (len(LOOKS) * (1 + n - nearer).double() / (1 + n)).amin(0).clamp(max=1)

    @property
    def least(self) -> float:
        """The share below which an image is outside; of few held-out ones, one that is further than all."""
        return max(RARE, 1.5 * len(LOOKS) / (1 + len(self.held)))

    def knows(self, condition: Float32[Tensor, "row number"]) -> Bool[Tensor, "row number"]:
        """Whether images of the domain were measured under conditions like these, number by number."""
        span = self.conditions.amax(0) - self.conditions.amin(0)
        away = (condition[:, None] - self.conditions).abs()
        return (away <= torch.maximum(SLACK * self.conditions.abs(), SPAN * span) + 1e-6).any(1)

    def _far(self, features: Features, sizes: Sizes, even: Even) -> Far:
        both = ((features - self.middle) @ self.turn, sizes), (self.features, self.sizes), self._apart
        return torch.stack((*(_alone(*each) for each in zip(*both, strict=True)), self.rest(even)), dim=1)

    @cached_property
    def _apart(self) -> list[Tensor]:
        return [torch.cdist(each, each).mean() for each in (self.features, self.sizes)]


@dataclass(frozen=True, eq=False)
class Matcher:
    """A translator, and what is usual in its two domains."""

    translator: Translator
    inside: tuple[Inside, Inside]

    @classmethod
    def of(cls, translator: Translator, domains: Unpaired, seed: int = 0) -> "Matcher":
        """With what is usual in the domains that it learnt from."""
        both = (domains.first, domains.second)
        first, second = (Inside.of(translator, k, each, seed) for k, each in enumerate(both))
        return cls(translator, (first, second))

    def share(self, images: Images, k: int) -> tuple[Far, Float[Tensor, " row"]]:
        """Distances of images to the domain with the number `k`, and shares of held-out ones that are as far."""
        distance = self.inside[k].distance(self.translator, k, images)
        return distance, self.inside[k].share(distance)


def _alone(
    x: Float[Tensor, "row direction"], others: Float[Tensor, "other direction"], apart: Float[Tensor, ""]
) -> Float[Tensor, " row"]:
    """2 E|x - y| - E|y - y'|: the energy distance (`judge.energy_distance`) of each row alone; others are `apart`."""
    return 2 * torch.cdist(x, others).mean(1) - apart


def _some(k: int, domain: Domain, most: int, seed: int) -> Domain:
    """So many rows of a domain at most."""
    generator = stream(seed, f"inside {k} {int(domain.rows[0])}")
    return domain.part(torch.randperm(len(domain), generator=generator)[:most])


def _drawn(domain: Domain, seed: int) -> Iterator[Images]:
    """Its images, a few at a time."""
    for n, rows in enumerate(torch.split(torch.arange(len(domain)), TOGETHER)):
        yield domain.part(rows).every(stream(seed, f"inside {int(domain.rows[0])} {n}"))


def _together(parts: Iterable[Images]) -> Images:
    return Images(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _seen(translator: Translator, k: int, images: Images) -> tuple[Features, Sizes, Even]:
    """Features of images over their root mean square; its logarithm, in units of the translator; those images."""
    x = translator.seen(k, images).x
    level, axes = torch.sinh(x[:, 0]), tuple(range(1, x.ndim - 1))
    square = (level**2 * x[:, 2]).sum(axes) / x[:, 2].sum(axes).clamp(min=1)
    size = square.sqrt().clamp(min=1e-9)
    each = size.reshape(-1, *[1] * len(axes))
    noise = (torch.exp(x[:, 1]) / each) ** 2 * x[:, 2] * translator.plan.errors[k]
    with torch.no_grad():
        features = translator.look(torch.cat((torch.asinh(level / each)[:, None], x[:, 1:]), dim=1))
    return features, size.log().double()[:, None], torch.stack((level / each, noise, x[:, 2]), dim=1)
