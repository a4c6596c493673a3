"""What generators and critics of a translator make small.

*critic*: least squares (X. Mao et al., arXiv:1611.04076), patch by patch (P. Isola et al., arXiv:1611.07004).
*contrast*: a patch of the translated image has to be told, among other places of the same image, by the patch that it
was made from (T. Park et al., arXiv:2007.15651); each domain has an encoder and a projection of its own (J. Han et al.,
arXiv:2104.07689). *missed*: distance of levels beyond one standard deviation of the noise, so that nothing is asked to
copy noise.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn

from sqwirrel.learn.translate.networks import Cells, Seen

PATCHES = 64
"""Places of an image that are told apart."""
TEMPERATURE = 0.07
PROJECTED = 64
FAR = -1e4
"""Likeness of a place where nothing was measured: nobody takes it for another."""

Loss = Float32[Tensor, ""]
Projected = Float32[Tensor, "batch place feature"]


class Heads(nn.Module):
    """Projections of cells on to a sphere, one for each layer that is looked at."""

    def __init__(self, channels: int, layers: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(channels, PROJECTED), nn.ReLU(), nn.Linear(PROJECTED, PROJECTED))
            for _ in range(layers)
        )

    def forward(self, cells: Sequence[Tensor], places: Int[Tensor, " place"]) -> list[Projected]:
        """At some places of every layer."""
        flat = [each.flatten(2)[..., places].mT for each in cells]
        pairs = zip(self.layers, flat, strict=True)
        return [nn.functional.normalize(layer(each), dim=-1) for layer, each in pairs]


def places_of(x: Seen, cells: torch.Size, generator: torch.Generator) -> Int[Tensor, " place"]:
    """Numbers of cells at random, none twice."""
    return torch.randperm(cells.numel(), generator=generator)[:PATCHES].to(x.device)


def cover(valid: Float32[Tensor, "batch *axis"], cells: torch.Size) -> Float32[Tensor, "batch *cell"]:
    """Share of every cell that was measured."""
    return nn.functional.interpolate(valid[:, None], size=list(cells), mode="area")[:, 0]


def criticised(found: Cells, target: float, valid: Float32[Tensor, "batch *axis"]) -> Loss:
    """Mean square by which a critic misses the target, over what was measured."""
    weight = cover(valid, found.shape[2:])
    return ((found[:, 0] - target) ** 2 * weight).sum() / weight.sum().clamp(min=1e-6)


def contrast(query: Projected, key: Projected, there: Float32[Tensor, "batch place"]) -> Loss:
    """Mean cross-entropy of finding the own place of each query among the keys; `there` is 0 for places where one of
    the images has nothing.
    """
    alike = query @ key.mT / TEMPERATURE
    own = torch.eye(alike.shape[1], dtype=torch.bool, device=alike.device)
    alike = torch.where((there[:, None] > 0) | own, alike, FAR)
    lost = torch.logsumexp(alike, 2) - alike.diagonal(dim1=1, dim2=2)
    return (lost * there).sum() / there.sum().clamp(min=1)


def missed(made: Seen, x: Seen, *, has_errors: bool) -> Loss:
    """Mean distance of levels beyond their errors, and of the logarithms of errors, over bins that both have."""
    both = x[:, 2] * made[:, 2]
    away = (made[:, 0] - x[:, 0]).abs()
    if has_errors:
        noise = torch.exp(x[:, 1]) / torch.cosh(x[:, 0])  # that of asinh(level)
        away = (away - noise).clamp(min=0) + ERRORS * (made[:, 1] - x[:, 1]).abs()
    return (away * both).sum() / both.sum().clamp(min=1)


def away(made: Seen, x: Seen) -> Loss:
    """Mean distance of levels, of their means over small windows, and of the sums of whole images, in units of the
    mean level of each image: what is uncertain may not get lost, as it does where only single bins are compared. Bins
    that `x` does not have do not count.
    """
    one, two = (torch.sinh(each[:, :1]) * x[:, 2:3] for each in (made, x))
    usual = two.abs().flatten(1).mean(1).clamp(min=1e-3)
    miss, found = one - two, torch.zeros_like(usual)
    for size in (1, *WINDOWS):
        sides = [min(size, side) for side in miss.shape[2:]]
        near = POOL[len(sides)](miss, sides, ceil_mode=True)
        found = found + near.abs().flatten(1).mean(1) / usual
    return (found + miss.flatten(1).mean(1).abs() / usual).mean()


WINDOWS = (4, 16)
POOL = {2: nn.functional.avg_pool2d, 3: nn.functional.avg_pool3d}
ERRORS = 0.25
"""Weight of a logarithm of an error beside a level."""
