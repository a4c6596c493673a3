"""Whether an attribution can be trusted: against physics, against the network's own answer, against other networks.

The physical map is that of `sqwirrel.explain.expected_ratio`. A map that a network with random weights, or one that
learnt random labels, would draw as well says nothing of what was learnt (J. Adebayo et al., Sanity Checks for Saliency
Maps (2018), arXiv:1810.03292). Deletion and insertion: V. Petsiuk, A. Das, K. Saenko, RISE (2018), arXiv:1806.07421.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int
from scipy.stats import rankdata
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.networks.attribution import Contrast, attribution
from sqwirrel.explain.networks.places import Values, measured, untrained, usual
from sqwirrel.learn.embed import Image
from sqwirrel.learn.rivals import Classifier, Contest, Labelled
from sqwirrel.seeds import stream

TOP, STEPS = 5, 20
"""Tiles that count as the top, and steps of a curve."""

Map = Float[Tensor, "point energy"]
Tiles = Int[Tensor, "point energy"]


def tile_sums(values: Map, tiles: Tiles) -> Float[Tensor, " tile"]:
    """Sums of a map over tiles: groups of bins with one number; bins with a negative one belong to none."""
    if values.shape != tiles.shape:
        raise InputError(f"a map of {tuple(values.shape)} bins needs tiles for each, got {tuple(tiles.shape)}")
    inside = tiles >= 0
    sums = values.new_zeros(int(tiles.max()) + 1)
    sums.index_add_(0, tiles[inside], values[inside])
    return sums


def rank_correlation(one: Map, other: Map, tiles: Tiles) -> float:
    """Spearman's, of the sums over tiles: 1 if they have the same order, near 0 by chance; 0 of what is constant."""
    ranks = [torch.from_numpy(rankdata(tile_sums(each.double(), tiles).numpy())) for each in (one, other)]
    away = [each - each.mean() for each in ranks]
    size = float(away[0].norm() * away[1].norm())
    return float(away[0] @ away[1]) / size if size > 0 else 0.0


def top_overlap(one: Map, other: Map, tiles: Tiles, top: int = TOP) -> float:
    """The share of the `top` tiles of one map that are among those of the other; by chance top / (all tiles)."""
    sums = [tile_sums(each.double(), tiles) for each in (one, other)]
    if not 0 < top <= len(sums[0]):
        raise InputError(f"there are {len(sums[0])} tiles, of which {top} cannot be the top")
    first, second = (set(each.topk(top).indices.tolist()) for each in sums)
    return len(first & second) / top


@dataclass(frozen=True, eq=False)
class Curve:
    """The score, log odds, of images with a growing share of their bins exchanged."""

    share: Float32[Tensor, " step"]
    score: Float32[Tensor, "batch step"]

    @property
    def area(self) -> Float32[Tensor, " batch"]:
        """The mean score on the way, log odds."""
        return torch.trapezoid(self.score, self.share)


def deletion(contrast: Contrast, x: Image, values: Values, steps: int = STEPS) -> Curve:
    """From images to the mean image, the bins with the largest values first: falls fast for a right map."""
    return _curve(contrast, x, usual(contrast.classifier.embed, x), values, steps)


def insertion(contrast: Contrast, x: Image, values: Values, steps: int = STEPS) -> Curve:
    """From the mean image to images, the bins with the largest values first: rises fast for a right map."""
    return _curve(contrast, usual(contrast.classifier.embed, x), x, values, steps)


def _curve(contrast: Contrast, start: Image, end: Image, values: Values, steps: int) -> Curve:
    share = torch.linspace(0, 1, steps + 1)
    if values.shape != start[:, 0].shape:
        raise InputError(f"a map is needed for every image, {tuple(start[:, 0].shape)}, got {tuple(values.shape)}")
    place = _order(values, measured(start))
    with torch.no_grad():
        score = [contrast(torch.where((place < each)[:, None], end, start)) for each in share]
    return Curve(share, torch.stack(score, 1))


def _order(values: Values, valid: Bool[Tensor, "batch point energy"]) -> Values:
    """The share of measured bins of an image with a larger value than each."""
    held = torch.where(valid, values, float("-inf")).flatten(1)
    place = held.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return (place / valid.flatten(1).sum(1, keepdim=True)).reshape(values.shape)


def kinship(
    networks: tuple[Classifier, Classifier], x: Image, one: int, other: int, method: str = "cam"
) -> Float[Tensor, " batch"]:
    """Spearman's rank correlation, bin by bin, of what speaks for `one` against `other` in each image for two networks.

    For a network and those with other weights (`untrained`), or one that learnt from `Mislabelled`, it must scatter
    round 0, by several tenths for single networks; for two that learnt the same apart it must be well above.
    """
    maps = [attribution(network, x, one, other, method) for network in networks]
    valid = measured(x)
    each = [rank_correlation(a[v][None], b[v][None], _each(v)) for a, b, v in zip(*maps, valid, strict=True)]
    return torch.tensor(each, dtype=torch.float64)


def _each(valid: Bool[Tensor, "point energy"]) -> Int[Tensor, "one bin"]:
    return torch.arange(int(valid.sum()))[None]


def by_chance(
    classifier: Classifier, score: Callable[[Classifier], float], n: int = 8, seed: int = 0
) -> Float[Tensor, " network"]:
    """The same score of `n` networks with weights drawn anew.

    Maps are smooth, so that those of a single random network often resemble any other: .4 is a usual rank correlation,
    of either sign, for 30 tiles. A score means something if it is beyond all of these.
    """
    return torch.tensor([score(untrained(classifier, seed + k)) for k in range(n)], dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Mislabelled:
    """The images of a contest with labels that are drawn at random: all there is to learn is that there is nothing."""

    contest: Contest

    def __len__(self) -> int:
        return len(self.contest)

    def split(self, last: int) -> tuple["Mislabelled", "Mislabelled"]:
        """All but the last simulations, and the last ones."""
        first, other = self.contest.split(last)
        return Mislabelled(first), Mislabelled(other)

    def batch(self, rows: int, seed: int, label: str) -> Labelled:
        """Random rows: a function of `seed` and `label`."""
        return _shuffled(self.contest.batch(rows, seed, label), stream(seed, f"{label}, labels"))

    def every(self, generator: torch.Generator) -> Labelled:
        """Each row once."""
        return _shuffled(self.contest.every(generator), generator)


def _shuffled(batch: Labelled, generator: torch.Generator) -> Labelled:
    return batch._replace(rival=batch.rival[torch.randperm(len(batch.rival), generator=generator)])
