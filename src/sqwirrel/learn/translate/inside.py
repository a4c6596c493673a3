"""Whether an image is like those of the domain that it is said to come from: outside it, a translator says nothing.

Features are those of `judge.Look`, turned so that those of the domain scatter alike in all directions. The distance of
an image is the energy distance of it alone to half of the rows of the domain. The other half, held out, says how far
images of the domain are: if image and held-out ones come alike, the share of these that are as far is below s with a
probability of s at most (V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World (2005),
doi:10.1007/b106715).
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.translate.domain import Domain, Images, Unpaired
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.seeds import stream

ROWS = 1024
"""Rows of each half, at most."""
FLOOR = 1e-2
"""Variances of features below this share of the mean one count as so much: what is next to nothing tells nothing."""
RARE = 0.005
"""Images are outside of which fewer held-out ones are as far."""


@dataclass(frozen=True, eq=False)
class Inside:
    """What is usual in a domain: bins of its images, how features are turned, those of one half, and distances of the
    other half, in ascending order.
    """

    shape: Int[Tensor, " axis"]
    middle: Float[Tensor, " feature"]
    turn: Float[Tensor, "feature direction"]
    reference: Float[Tensor, "row direction"]
    held: Float[Tensor, " other"]

    @classmethod
    def of(cls, translator: Translator, k: int, domain: Domain, seed: int = 0) -> "Inside":
        """Of the domain with the number `k`; the halves are the first and the last rows."""
        if len(domain) < 4:
            raise InputError(f"{len(domain)} images do not say what is usual in a domain; give at least 4")
        one, other = (_features(translator, k, each, seed) for each in domain.split(len(domain) // 2))
        middle = one.mean(0)
        variance, axes = torch.linalg.eigh((one - middle).mT @ (one - middle) / len(one))
        turn = axes / variance.clamp(min=FLOOR * float(variance.mean()) + 1e-30).sqrt()
        reference = (one - middle) @ turn
        shape = torch.tensor(domain.shape)
        found = cls(shape, middle, turn, reference, reference.new_zeros(0))
        return replace(found, held=found._far(other).sort().values)

    def distance(self, translator: Translator, k: int, images: Images) -> Float[Tensor, " row"]:
        """Of each image."""
        return self._far(_seen(translator, k, images))

    def share(self, distance: Float[Tensor, " row"]) -> Float[Tensor, " row"]:
        """Of held-out images those that are as far, the image itself counted too."""
        nearer = torch.searchsorted(self.held, distance)
        return (1 + len(self.held) - nearer).double() / (1 + len(self.held))

    @property
    def least(self) -> float:
        """The share below which an image is outside; of few held-out ones, one that is further than all."""
        return max(RARE, 1.5 / (1 + len(self.held)))

    def _far(self, features: Float[Tensor, "row feature"]) -> Float[Tensor, " row"]:
        """2 E|x - r| - E|r - r'|, as in `judge.energy_distance`."""
        turned = (features - self.middle) @ self.turn
        within = torch.cdist(self.reference, self.reference).mean()
        return 2 * torch.cdist(turned, self.reference).mean(1) - within


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

    def share(self, images: Images, k: int) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"]]:
        """Distances of images to the domain with the number `k`, and shares of held-out ones that are as far."""
        distance = self.inside[k].distance(self.translator, k, images)
        return distance, self.inside[k].share(distance)


def _features(translator: Translator, k: int, domain: Domain, seed: int) -> Float[Tensor, "row feature"]:
    generator = stream(seed, f"inside {k} {int(domain.rows[0])}")
    rows = torch.randperm(len(domain), generator=generator)[:ROWS]
    return _seen(translator, k, domain.part(rows).every(generator))


def _seen(translator: Translator, k: int, images: Images) -> Float[Tensor, "row feature"]:
    with torch.no_grad():
        found: Tensor = translator.look(translator.seen(k, images).x)
    return found
