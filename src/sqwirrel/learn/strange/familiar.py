"""Familiar: what simulated images look like, by several scores of strangeness, and how usual an image is among them.

An image is compared with simulated ones by the worst of its scores. Each sees what others do not:

- *features* (Mahalanobis distance, K. Lee et al., arXiv:1807.03888): what a trained network responds to, however small
  it is in the image: components, and what its convolutions have not learnt to ignore.
- *components*: what no sum of principal components makes, wherever it is. Flat images are no strangers to them.
- *autoencoder*: what is not on the curved sheet of simulated images. It is sharper than the components, and as good as
  its training.
- *centroids*: whether what weighs the features is that of a rival. Images between rivals look uncertain, though
  they may be simulated ones; strange ones may look certain.

The noise of a measured frame is never quite the simulated one. What components and an autoencoder leave is therefore
weighed by the noise that the image itself has (`beyond_noise`), and features are compared with those of noisier images
too (`noisier`): all but `Components.rest`, which a `Proposal` uses. A bright image leaves more, whatever made it: a
`Levelled` score is compared with images as bright as itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqwirrel.learn.embed import Image
from sqwirrel.learn.strange.pixels import brightness, measured

RIDGE = 1e-3
"""Share of the mean variance of the features that is added to each."""
CHUNK = 128
"""Images that are scored at once."""

Score = Callable[[Image], Float[Tensor, " batch"]]
"""Larger is stranger."""


def by_parts(what: Callable[[Image], Tensor], x: Image) -> Float[Tensor, "batch ..."]:
    """Something of many images, a few at once, in double precision."""
    with torch.no_grad():
        return torch.cat([what(piece).double() for piece in torch.split(x, CHUNK)])


class Mahalanobis(NamedTuple):
    """Means of the features of each kind of image, and their precision about them, the same for all kinds."""

    means: Float[Tensor, "kind feature"]
    precision: Float[Tensor, "feature feature"]

    @classmethod
    def of(cls, features: Float[Tensor, "row feature"], kind: Int[Tensor, " row"] | None = None) -> "Mahalanobis":
        """From the features of some images, and the number of the kind of each."""
        kind = torch.zeros(len(features), dtype=torch.long) if kind is None else kind
        means = torch.stack([features[kind == k].mean(0) for k in range(int(kind.max()) + 1)])
        covariance = torch.cov((features - means[kind]).T)
        covariance = covariance + RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance)).to(covariance)
        return cls(means, torch.linalg.inv(covariance))

    def __call__(self, features: Float[Tensor, "row feature"]) -> Float[Tensor, " row"]:
        """Squared distance from the nearest kind."""
        away = features[:, None] - self.means
        return torch.einsum("rka,ab,rkb->rk", away, self.precision, away).amin(1)


@dataclass(frozen=True, eq=False)
class Levelled:
    """The logarithm of a score that is positive, less what is usual for images as bright, over its usual scatter.

    Both are parabolas in the logarithm of the brightness; beyond the brightness of the images that it was made from
    they stay as they were at the end.
    """

    score: Score
    usual: Float[Tensor, "term 2"]
    reach: tuple[float, float]

    @classmethod
    def of(cls, score: Score, x: Image) -> "Levelled":
        """From images of all kinds of brightness that the score was not made from."""
        level = brightness(x).double().log()
        reach, found = (float(level.min()), float(level.max())), by_parts(score, x).clamp(min=1e-12).log()
        terms = _terms(level, reach)
        middle = torch.linalg.lstsq(terms, found[:, None]).solution[:, 0]
        scatter = ((found - terms @ middle) ** 2).clamp(min=1e-12).log()
        spread = torch.linalg.lstsq(terms, scatter[:, None]).solution[:, 0]
        return cls(score, torch.stack((middle, spread), dim=1), reach)

    def __call__(self, x: Image) -> Float[Tensor, " batch"]:
        """How far above its like an image is."""
        terms = _terms(brightness(x).double().log(), self.reach)
        middle, spread = (terms @ self.usual).unbind(1)
        return (self.score(x).double().clamp(min=1e-12).log() - middle) * torch.exp(-spread / 2)


@dataclass(frozen=True, eq=False)
class Familiar:
    """Scores by name, and their usual values: those of simulated images that no score was made from."""

    scores: Mapping[str, Score]
    usual: Float[Tensor, "reference score"]

    @classmethod
    def of(cls, scores: Mapping[str, Score], x: Image) -> "Familiar":
        """With images that none of the scores was made from."""
        return cls(scores, _all(scores, x))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the scores."""
        return tuple(self.scores)

    def far(self, x: Image) -> Float[Tensor, "batch score"]:
        """All scores of some images."""
        return _all(self.scores, x)

    def each(self, x: Image) -> dict[str, Float[Tensor, " batch"]]:
        """Probability that a simulated image is at least as strange, score by score."""
        far = self.far(x)
        usual = self.usual.T.contiguous().sort(1).values
        as_far = len(self.usual) - torch.searchsorted(usual, far.T.contiguous())
        return dict(zip(self.names, (1 + as_far) / (1 + len(self.usual)), strict=True))

    def likelier(self, x: Image) -> Float[Tensor, " batch"]:
        """Probability that a simulated image is at least as strange by the worst score, times the number of scores (C.
        E. Bonferroni): at most this share of simulated images is called stranger.
        """
        worst = torch.stack(list(self.each(x).values())).amin(0)
        return (len(self.scores) * worst).clamp(max=1.0)


def auroc(inside: Float[Tensor, " row"], outside: Float[Tensor, " other"]) -> float:
    """Probability that a strange image has a larger score than a usual one, ties counted half: the area under the curve
    of receiver operating characteristics (J. A. Hanley, B. J. McNeil, Radiology 143, 29 (1982),
    doi:10.1148/radiology.143.1.7063747).
    """
    inside, outside = inside.double().sort().values, outside.double().contiguous()
    below = torch.searchsorted(inside, outside)
    ties = torch.searchsorted(inside, outside, right=True) - below
    return float((below + ties / 2).double().mean()) / len(inside)


def _all(scores: Mapping[str, Score], x: Image) -> Float[Tensor, "batch score"]:
    return torch.stack([by_parts(score, measured(x)) for score in scores.values()], dim=1)


def _terms(level: Float[Tensor, " row"], reach: tuple[float, float]) -> Float[Tensor, "row 3"]:
    """1, t, t squared, with t from -1 to 1 within reach."""
    low, high = reach
    t = 2 * (level.clamp(low, high) - low) / max(high - low, 1e-9) - 1
    return torch.stack((torch.ones_like(t), t, t**2), dim=1)
