"""What an instrument does to an image, for a translator to learn: it spreads, it adds a background, and it counts.

    seen = sum_k S_k (w_k level) along one axis after the other, + background

S_k are Gaussians, w_k >= 0 and sum_k w_k = 1 in the pixel that a level leaves (not in that where it arrives): what is
spread keeps its sum, but for what leaves the window, and lines are not moved by more than their width changes from
pixel to pixel. Widths of the Gaussians are learnt, one set for all images; weights are those of a network that sees the
image. The background is smooth and one for all images, so that no intensity can hide in it. It has no gradient: it is
the mean by which levels of the domains differ, taken over the steps of training, which is right where the domains hold
alike things. A critic, who looks at patches, moved it by a sixth where lines are faint.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.learn.translate import networks
from sqwirrel.learn.translate.networks import Body, Cells, Condition, Conv, Generator, Level, Seen, Shape
from sqwirrel.learn.translate.plan import Plan

WIDTHS = (1.0, 2.0, 4.0)
"""Standard deviations of the Gaussians before training, pixels, of images without an end."""
BROADEST, LEAST_BROAD = 8, 5.0
"""Standard deviations are less than the side of an image over this, or than so many pixels of short sides: one without
an end threw a third of the intensity out of the image.
"""
STAYS = 3.0
"""Logarithm of the weight of what is not spread over that of a Gaussian, before training."""
REACH = 5.0
"""Largest such logarithm."""
FAST = 5.0
"""How fast widths and weights that are those of all pixels learn, beside the usual."""
KNOTS = 10
"""Places along each axis between which a background is linear."""
LINEAR = {2: "bilinear", 3: "trilinear"}
SAME = 0.02
"""Counts over levels of one image differ by less than this share, or its errors are not those of counts."""
SPEED, FARTHEST = 1.0, 6.0
"""How fast the weights of the way back learn, beside the usual, and its largest weight."""
SCATTER = 3.0
"""Mean levels behind an instrument scatter by at most so many times what they are and scatter by before it."""
MEMORY = 1000
"""Steps over which the background is averaged, at most."""


class Instrument(nn.Module):
    """From images without artefacts to the level that is expected with them, and its error where `makes_error`: that of
    counts, if `exposure` (counts of a level of `size`) is above 0, else one that is learnt as that of a `Generator`.
    """

    usual: Tensor
    exposure: Tensor
    field: Tensor
    steps: Tensor

    def __init__(self, shape: Shape, *, makes_error: bool) -> None:
        super().__init__()
        self.makes_error, self.axes = makes_error, shape.axes
        for name in ("usual", "exposure", "steps"):
            self.register_buffer(name, torch.zeros(()))
        self.register_buffer("field", torch.zeros([KNOTS] * shape.axes))
        self.body, outputs = Body(shape), (1 + len(WIDTHS)) * shape.axes + makes_error
        self.last = Conv(shape.axes, shape.channels, outputs, shape.speed)
        self.breadth = nn.Parameter(torch.tensor([WIDTHS] * shape.axes).log() / FAST)
        self.share = nn.Parameter(torch.zeros(shape.axes, 1 + len(WIDTHS)))

    def begin(self, seed: int) -> None:
        """Weights of a seed, with which it changes little."""
        networks.begin(self, self.body, seed)
        for each in (*self.last.parameters(), self.share):
            nn.init.zeros_(each)
        with torch.no_grad():
            self.breadth.copy_(torch.tensor([WIDTHS] * self.axes).log() / FAST)
            self.share[:, 0] = STAYS / FAST

    def forward(self, x: Seen, condition: Condition) -> Seen:
        """asinh of the level over size, logarithm of the error over size (0 if it makes none), and 1, in every bin."""
        told = finer(self.last(nn.functional.silu(self.body(x, condition))), tuple(x.shape[2:]))
        level = self.spread(whole(x), told[:, : self.share.numel()]) + self.background(tuple(x.shape[2:]))
        error = torch.zeros_like(level)
        if self.makes_error:
            error = x[:, 1] + self.usual + networks.FARTHEST * torch.tanh(told[:, -1] / networks.FARTHEST)
            error = torch.where(self.exposure > 0, self.counted(level), error)
        return torch.stack((torch.asinh(level), error, torch.ones_like(level)), dim=1)

    def widths(self, axis: int, side: int) -> Float32[Tensor, " gaussian"]:
        """Standard deviations of the Gaussians along an axis of so many pixels."""
        return 1 / ((-FAST * self.breadth[axis]).exp() + 1 / max(side / BROADEST, LEAST_BROAD))

    def spread(self, level: Level, told: Float32[Tensor, "batch weight *axis"]) -> Level:
        """Along one axis after the other; a level's weights sum to one, whatever the network says."""
        kinds = told.reshape(len(told), *self.share.shape, *told.shape[2:])
        for axis in range(self.axes):
            logit = FAST * self.share[axis].reshape(-1, *[1] * self.axes) + kinds[:, axis]
            weight = torch.softmax(REACH * torch.tanh(logit / REACH), dim=1)
            parts = [level * each for each in weight.unbind(1)]
            level = parts[0]
            for part, width in zip(parts[1:], self.widths(axis, level.shape[1 + axis]).unbind(), strict=True):
                level = level + spread(part, 1 + axis, width)
        return level

    def background(self, sides: tuple[int, ...]) -> Float32[Tensor, "*axis"]:
        """In units of size: linear between its knots."""
        found = self.field
        for axis, side in enumerate(sides):
            found = (found.movedim(axis, -1) @ hats(side).mT.to(found)).movedim(-1, axis)
        return found

    def settle(self, made: Seen, own: Seen) -> None:
        """Moves the background towards where mean levels are those of images of the domain."""
        self.steps += 1
        with torch.no_grad():
            miss = (torch.sinh(own[:, 0]) - torch.sinh(made[:, 0])) * own[:, 2]
            both = torch.stack((miss.sum(0), own[:, 2].sum(0)))
            for axis, side in enumerate(own.shape[2:]):
                both = (both.movedim(1 + axis, -1) @ hats(side).to(both)).movedim(-1, 1 + axis)
            rate = max(1 / float(self.steps), 1 / MEMORY)
            self.field += rate * both[0] / both[1].clamp(min=networks.LEAST)

    def expose(self, x: Seen) -> None:
        """Takes the usual exposure from images of the domain, if errors are those of counts in most of them."""
        found = exposure(x)
        if bool((found > 0).float().mean() > 0.5):
            self.exposure.copy_(found[found > 0].median())

    def counted(self, level: Level) -> Level:
        """Logarithm of the error of a level, by Poisson's law; that of one count at least."""
        return 0.5 * (self.exposure * level).clamp(min=1).log() - self.exposure.clamp(min=1e-6).log()


def generator_of(plan: Plan, k: int) -> Generator | Instrument:
    """That towards one of the domains."""
    if plan.kind != "instrument":
        return Generator(plan.shape, makes_error=plan.errors[k])
    if k == 1:
        return Instrument(plan.shape, makes_error=plan.errors[1])
    return Generator(replace(plan.shape, speed=SPEED), makes_error=plan.errors[0], farthest=FARTHEST)


def finer(cells: Cells, sides: tuple[int, ...]) -> Float32[Tensor, "batch weight *axis"]:
    """Pixel by pixel, smoothly from cell to cell: what an instrument does changes slowly over an image."""
    sizes = [networks.BY * side for side in cells.shape[2:]]
    found = nn.functional.interpolate(networks.even(cells), size=sizes, mode=LINEAR[len(sides)], align_corners=False)
    for axis, side in enumerate(sides):
        found = found.narrow(2 + axis, 0, side)
    return found


def hats(side: int) -> Float32[Tensor, "side knot"]:
    """What every knot has to say in every one of so many pixels, linear between knots."""
    at = torch.linspace(0, KNOTS - 1, side)
    return (1 - (at[:, None] - torch.arange(KNOTS)).abs()).clamp(min=0)


def whole(x: Seen) -> Level:
    """Levels in units of size, gaps filled from around."""
    level = torch.sinh(x[:, 0])
    if bool((x[:, 2] > 0).all()):
        return level
    return torch.where(x[:, 2] > 0, level, networks.smoother(level, x[:, 2])[1])


def spread(x: Level, axis: int, width: Tensor) -> Level:
    """By a Gaussian that has the sum 1 along an unending axis; what leaves the image is lost."""
    at = torch.arange(x.shape[axis]).to(x)
    edge = (at[:, None] - at + 0.5) / (width * math.sqrt(2))
    kernel = 0.5 * (torch.erf(edge) - torch.erf(edge - 1 / (width * math.sqrt(2))))
    return (x.movedim(axis, -1) @ kernel.mT).movedim(-1, axis)


def exposure(x: Seen) -> Float32[Tensor, " row"]:
    """Counts of a level of size, image by image; 0 if its errors are not those of counts, or nothing was counted."""
    level, there = torch.sinh(x[:, 0]).flatten(1), (x[:, 2] > 0).flatten(1) & (x[:, 0] > 0).flatten(1)
    each = torch.where(there, level * torch.exp(-2 * x[:, 1].flatten(1)), 0.0)
    n = there.sum(1).clamp(min=1)
    mean = each.sum(1) / n
    away = torch.where(there, each - mean[:, None], 0.0).square().sum(1) / n
    return torch.where(away.sqrt() <= SAME * mean, mean, 0.0)


def counts(made: Seen, valid: Level, exposures: Float32[Tensor, " row"], generator: torch.Generator) -> Seen:
    """What is expected as it would have been counted, in bins that are valid, with errors of the counts. The gradient
    is that of a normal number times the error.
    """
    each = exposures.reshape(-1, *[1] * (valid.ndim - 1))
    expected = (each * torch.sinh(made[:, 0])).clamp(min=0)
    drawn = torch.poisson(expected.detach(), generator=generator)
    error = expected.clamp(min=1).sqrt()
    drawn = expected + error * ((drawn - expected) / error).detach()
    seen = torch.stack((torch.asinh(drawn / each), 0.5 * drawn.clamp(min=1).log() - each.log(), valid), dim=1)
    return torch.where(valid[:, None] > 0, seen, 0.0)


def check_scales(first: Seen, second: Seen, names: tuple[str, str]) -> None:
    """Refuses images that no instrument makes of others, as it keeps intensity."""
    one, other = networks.means(first), networks.means(second)
    if float(other.std()) > SCATTER * float(one.abs().mean() + one.std()):
        raise InputError(
            f"mean levels of '{names[1]}' images scatter by {float(other.std()):.3g}, and those of '{names[0]}' images "
            f"are {float(one.mean()):.3g} on average; an instrument keeps them: bring both to one scale, or choose "
            "kind = 'cycle'"
        )
