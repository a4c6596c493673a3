"""What a network holds alike: a chart of its features by t-SNE, and an atlas of what it sees and says in each part.

L. van der Maaten, G. Hinton, J. Mach. Learn. Res. 9, 2579 (2008); P. G. Poličar, M. Stražar, B. Zupan, J. Stat. Softw.
109, 3 (2024), doi:10.18637/jss.v109.i03 (openTSNE); atlas: S. Carter et al., Distill (2019),
doi:10.23915/distill.00015, with one difference: a cell shows the mean of the images in it. A picture that was
optimised to have the features of a cell looks more telling, but shows what the optimiser makes up.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.embed import Features, Image
from sqwirrel.learn.rivals import Classifier

PERPLEXITY = 30.0
"""Neighbours that count, at most a third of all images."""
FEWEST = 10

Places = Float[Tensor, "image two"]


@dataclass(frozen=True, eq=False)
class Chart:
    """A plane on which images with like features lie near each other; distances between groups mean little."""

    places: Places
    fitted: Any

    @classmethod
    def of(cls, features: Features, seed: int) -> "Chart":
        """A chart of these features: the same for the same seed."""
        from openTSNE import TSNE

        if len(features) < FEWEST:
            raise InputError(f"a chart needs {FEWEST} images or more, got {len(features)}")
        tsne = TSNE(perplexity=min(PERPLEXITY, (len(features) - 1) / 3), random_state=seed, n_jobs=1)
        fitted = tsne.fit(features.double().numpy())
        return cls(torch.from_numpy(np.array(fitted)), fitted)

    def transform(self, features: Features) -> Places:
        """Places of other features among those that it was made of."""
        return torch.from_numpy(np.array(self.fitted.transform(features.double().numpy())))


@dataclass(frozen=True, eq=False)
class Atlas:
    """Cells of a chart that hold images: their place on the grid, how many images, the mean of their features, of
    the log odds that the network gives them, and the mean image.
    """

    edges: tuple[Float[Tensor, " edge"], Float[Tensor, " edge"]]
    cell: Int[Tensor, "cell two"]
    count: Int[Tensor, " cell"]
    features: Float32[Tensor, "cell feature"]
    odds: Float32[Tensor, "cell rival"]
    images: Float32[Tensor, "cell channel point energy"]


def features_of(classifier: Classifier, x: Image) -> Features:
    """What the last layer of a classifier decides by."""
    with torch.no_grad():
        found: Tensor = classifier.embed(x)
    return found


def atlas(classifier: Classifier, x: Image, chart: Chart, sides: int = 6) -> Atlas:
    """Of the images that a chart was made of, in `sides` cells along each of its axes."""
    if len(chart.places) != len(x):
        raise InputError(f"the chart is one of {len(chart.places)} images, got {len(x)}; give those it was made of")
    axes = chart.places.T.contiguous()
    edges = [torch.linspace(float(axis.min()), float(axis.max()), sides + 1).double() for axis in axes]
    at = [torch.bucketize(axis, edge[1:-1]) for axis, edge in zip(axes, edges, strict=True)]
    cell, member = torch.unique(torch.stack(at, 1), dim=0, return_inverse=True)
    share = torch.nn.functional.one_hot(member).T.float()
    count = share.sum(1)
    weight, features = share / count[:, None], features_of(classifier, x)
    images = torch.einsum("kb,bcpe->kcpe", weight, x)
    with torch.no_grad():
        odds: Tensor = classifier.head(features) / classifier.temperature
    return Atlas((edges[0], edges[1]), cell, count.long(), weight @ features, weight @ odds, images)
