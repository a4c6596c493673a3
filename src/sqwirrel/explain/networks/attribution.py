"""What in an image speaks for one rival against another, for a trained classifier, bin by bin.

The score is the difference of the log odds. "cam" is exact: the decision is a sum over bins and places, with weights
that the whole image tells, which share the offset of the last layer (B. Zhou et al., arXiv:1512.04150). "grad_cam" has
slopes in place of weights: those of every component, and mean ones of the answers of the last convolution (R. R.
Selvaraju et al., arXiv:1610.02391). "integrated_gradients" sums slopes along the way from the mean image and is
complete: a map sums up to the score minus that of the mean image (M. Sundararajan, A. Taly, Q. Yan, arXiv:1703.01365).
"occlusion" puts the mean image in place of windows of bins (M. D. Zeiler, R. Fergus, arXiv:1311.2901).
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.explain.networks.places import Seen, Values, measured, orders, pictured, seen, tiles, usual
from sqwirrel.learn.embed import Features, Image
from sqwirrel.learn.rivals import Classifier
from sqwirrel.learn.rivals.embedding import PooledEmbedding

STEPS = 64
"""Points on the way from the mean image."""
BINS, ROWS = 1_000_000, 256
"""Bins, and images, at most, that are looked at together."""
PARTS = 8
"""A window is this part of a picture on each side."""


class Contrast(nn.Module):
    """The difference of the log odds of rivals `one` and `other`, by their numbers, of images."""

    def __init__(self, classifier: nn.Module, one: int, other: int) -> None:
        super().__init__()
        if not isinstance(classifier, Classifier):
            raise InputError("one network is asked at a time; of a committee give each of its members")
        rivals = classifier.head.rivals
        if one == other or not (0 <= one < rivals and 0 <= other < rivals):
            raise InputError(f"two rivals from 0 to {rivals - 1} are needed, got {one} and {other}")
        self.classifier, self.one, self.other = classifier, one, other

    def forward(self, x: Image) -> Float32[Tensor, " batch"]:
        """Log odds of one minus those of the other."""
        return self.of(self.classifier.embed(x))

    def of(self, features: Features) -> Float32[Tensor, " batch"]:
        """The same from features."""
        odds: Tensor = self.classifier.head(features) / self.classifier.temperature
        return odds[:, self.one] - odds[:, self.other]

    def weight(self, features: Features) -> Float32[Tensor, "batch feature"]:
        """What a unit of each feature adds to the score, as the others are."""
        weight = self.classifier.head.weight(features)
        return (weight[:, self.one] - weight[:, self.other]) / self.classifier.temperature

    @property
    def offset(self) -> Float32[Tensor, ""]:
        """The score without any feature."""
        bias = self.classifier.head.base.bias
        return (bias[self.one] - bias[self.other]) / self.classifier.temperature


Method = Callable[[Contrast, Image], Values]


def attribution(classifier: nn.Module, x: Image, one: int, other: int, method: str = "cam") -> Values:
    """What speaks for rival `one` (positive) against rival `other` in every bin of images; 0 where none was measured.

    Log odds per bin; the sum of a "grad_cam" is those only roughly.
    """
    if method not in METHODS:
        raise InputError(f"there is no method '{method}'; choose one of {', '.join(METHODS)}")
    contrast = Contrast(classifier, one, other)
    parts = [METHODS[method](contrast, rows) for rows in torch.split(x, _rows(x))]
    return torch.cat(parts).detach()


def _rows(x: Image) -> int:
    return max(1, min(ROWS, BINS // x[0, 0].numel()))


def _cam(contrast: Contrast, x: Image) -> Values:
    embed = pictured(contrast.classifier.embed)
    with torch.no_grad():
        found, weight = seen(embed, x), contrast.weight(embed(x))
        each = torch.einsum("bf,bfp->bp", weight[:, embed.components :], found.features) + contrast.offset
    return found.laid(each * found.share, measured(x)) + _of_components(embed, x, weight)


def _of_components(embed: PooledEmbedding, x: Image, weight: Float32[Tensor, "batch feature"]) -> Values:
    """What every bin adds by way of the components, if features are weighed so."""
    known = embed.projections
    with torch.no_grad():
        found = known.away(x) * (weight[:, : embed.components] @ known.axes.T)
    return found.reshape(x[:, 0].shape)


class _Tail(nn.Module):
    """A network from the answers of its last convolution on."""

    def __init__(self, contrast: Contrast, found: Seen, features: Features) -> None:
        super().__init__()
        self.start, self.last = nn.Identity(), found.last
        self.contrast, self.share = contrast, found.share
        self.components = features[:, : -found.features.shape[1]]

    def forward(self, before: Float32[Tensor, "batch feature place"]) -> Float32[Tensor, " batch"]:
        features = torch.einsum("bfp,bp->bf", self.last(self.start(before)), self.share)
        return self.contrast.of(torch.cat((self.components, features), 1))


def _grad_cam(contrast: Contrast, x: Image) -> Values:
    from captum.attr import LayerGradCam

    embed = pictured(contrast.classifier.embed)
    with torch.no_grad():
        found, features = seen(embed, x), embed(x)
    tail = _Tail(contrast, found, features)
    each = LayerGradCam(tail, tail.start).attribute(found.before.requires_grad_())[:, 0].detach()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(contrast.of(features.requires_grad_()).sum(), features)
    return found.laid(each * found.share * each.shape[1], measured(x)) + _of_components(embed, x, slope)


def _integrated_gradients(contrast: Contrast, x: Image) -> Values:
    from captum.attr import IntegratedGradients

    way = IntegratedGradients(contrast)
    baseline = usual(contrast.classifier.embed, x)
    found: Tensor = way.attribute(x, baseline, n_steps=STEPS, internal_batch_size=_rows(x))
    return found.sum(1).float() * measured(x)


def _occlusion(contrast: Contrast, x: Image) -> Values:
    """The mean over two cuts into windows, half a window apart."""
    from captum.attr import FeatureAblation

    embed, valid, found = contrast.classifier.embed, measured(x), torch.zeros(x[:, 0].shape)
    high, wide = (max(order.shape[k] for order in orders(embed)) for k in (1, 2))
    window = (-(-high // PARTS), -(-wide // PARTS))
    for shift in (0.0, 0.5):
        numbers = tiles(embed, (x.shape[2], x.shape[3]), window, shift)
        with torch.no_grad():
            lost = FeatureAblation(contrast).attribute(
                x,
                baselines=usual(embed, x),
                feature_mask=numbers.expand(1, x.shape[1], -1, -1),
                perturbations_per_eval=max(1, _rows(x) // len(x)),
            )[:, 0]
        found += lost * valid / _sizes(numbers, valid) / 2
    return found


def _sizes(numbers: Tensor, valid: Tensor) -> Tensor:
    """How many measured bins the window of every bin has, in each image."""
    count = torch.zeros(len(valid), int(numbers.max()) + 1).index_add_(1, numbers.flatten(), valid.flatten(1).float())
    return count.clamp(min=1)[:, numbers]


METHODS: Mapping[str, Method] = {
    "cam": _cam,
    "grad_cam": _grad_cam,
    "integrated_gradients": _integrated_gradients,
    "occlusion": _occlusion,
}
