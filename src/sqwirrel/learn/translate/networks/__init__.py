"""Networks of a translator: a generator that changes an image, and a critic that looks at its patches.

Levels are seen as asinh(level / size): `size` is one number for both domains, so that the absolute scale survives and
the inverse is exact. Pixels are put together four by four along each axis (W. Shi et al., arXiv:1609.05158), residual
blocks act on these cells, with the condition as scale and shift of their channels (E. Perez et al., arXiv:1709.07871),
and what comes out says how the image is changed: an untrained generator changes nothing. There is no normalisation over
an image, which would take its scale away.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.learn.npe import initialise

BY = 4
"""Pixels of a cell along each axis."""
CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
NARROW, WIDE = 1.0, 2.5
"""Standard deviations of the Gaussians that smooth an image, pixels."""
LEAST = 1e-3
"""Least share of what was measured under a Gaussian that counts."""
CRITIC = 0.5
"""How fast the weights of a critic learn, beside the usual."""
SMALL = 0.1
"""Of the usual size are the weights that end a block, before training."""
FARTHEST = 2.0
"""Largest weight that a generator gives, and largest change of the logarithm of an error."""
HIGHEST = 10.0
"""Largest logarithm of an error over size that networks see."""

Seen = Float32[Tensor, "batch 3 *axis"]
Level = Float32[Tensor, "batch *axis"]
Cells = Float32[Tensor, "batch wide *cell"]
Condition = Float32[Tensor, "batch number"]


class Made(NamedTuple):
    """What a generator makes: the level that is expected, and its error (one standard deviation); 0 where there is no
    noise.
    """

    level: Level
    error: Level


@dataclass(frozen=True)
class Shape:
    """Sizes of both networks: axes of the images, numbers of a condition, channels, residual blocks; and how fast the
    weights of generators learn, beside the usual.
    """

    axes: int
    conditions: int = 0
    channels: int = 32
    blocks: int = 4
    speed: float = 0.25


class Conv(nn.Module):
    """A convolution of neighbours that learns slowly: its weights are larger by 1 / `speed` than they act, so that a
    step of an optimiser, which has one size for all weights, is smaller beside them (T. Karras et al.,
    arXiv:1710.10196). Adversaries that learn fast run away from each other.
    """

    def __init__(self, axes: int, inputs: int, outputs: int, speed: float) -> None:
        super().__init__()
        self.speed = speed
        self.conv = CONV[axes](inputs, outputs, 3, padding=1)

    def times(self, factor: float) -> None:
        """Multiplies the weights."""
        with torch.no_grad():
            self.conv.weight.mul_(factor)

    def forward(self, x: Float32[Tensor, "batch into *cell"]) -> Float32[Tensor, "batch out *cell"]:
        """Of a batch."""
        found: Tensor = self.conv(x)
        return self.speed * found


class Body(nn.Module):
    """From pixels to cells, and residual blocks on them; `halfway` are the cells before the blocks and amid them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.first = Conv(shape.axes, 3 * BY**shape.axes, shape.channels, shape.speed)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))

    def forward(self, x: Seen, condition: Condition) -> Cells:
        """Cells after all blocks."""
        found: Tensor = self.first(together(x))
        for block in self.blocks:
            found = block(found, condition)
        return found

    def halfway(self, x: Seen, condition: Condition) -> list[Cells]:
        """Cells after the first convolution, and after half of the blocks."""
        found: Tensor = self.first(together(x))
        kept = [found]
        for block in self.blocks[: (len(self.blocks) + 1) // 2]:
            found = block(found, condition)
        return [*kept, found]


class Block(nn.Module):
    """Two convolutions beside the identity; the condition scales and shifts the channels between them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        wide = shape.channels
        self.one, self.two = (Conv(shape.axes, wide, wide, shape.speed) for _ in range(2))
        self.told = nn.Linear(1 + shape.conditions, 2 * wide)

    def forward(self, x: Cells, condition: Condition) -> Cells:
        """With what the block adds."""
        known = self.told(torch.cat((condition.new_ones(len(condition), 1), condition), dim=1))
        scale, shift = known.reshape(len(x), 2, -1, *[1] * (x.ndim - 2)).unbind(1)
        found: Tensor = self.two(nn.functional.silu((1 + scale) * self.one(nn.functional.silu(x)) + shift))
        return x + found


class Generator(nn.Module):
    """From images of one domain to the level that is expected in the other, and to its error where `makes_error`.

    The level is a sum of the image as it is and smoothed (`smoother`), each with a weight of its own in every pixel,
    and of something more: what a resolution does and what undoes noise is a sum of such images, in units of the level.
    Weights are smooth, so that no pattern of cells appears, and none is beyond `farthest`: a generator that flees from
    its critic does not get far. Errors are added to by their logarithm, and by `usual`, by which those of the domains
    differ.
    """

    usual: Tensor

    def __init__(self, shape: Shape, *, makes_error: bool, farthest: float = FARTHEST) -> None:
        super().__init__()
        self.makes_error, self.farthest = makes_error, farthest
        self.register_buffer("usual", torch.zeros(()))
        self.body = Body(shape)
        self.last = Conv(shape.axes, shape.channels, (4 + shape.axes + makes_error) * BY**shape.axes, shape.speed)

    def begin(self, seed: int) -> None:
        """Weights of a seed, with which it changes nothing."""
        begin(self, self.body, seed)
        for each in self.last.parameters():
            nn.init.zeros_(each)

    def forward(self, x: Seen, condition: Condition) -> Seen:
        """asinh of the level over size, logarithm of the error over size (0 if it makes none), and 1, in every bin."""
        share = even(apart(self.last(nn.functional.silu(self.body(x, condition))), tuple(x.shape[2:])))
        share, level = self.farthest * torch.tanh(share / self.farthest), torch.sinh(x[:, 0])
        made = level + share[:, 0] + share[:, 1] * level
        for k, smooth in enumerate(smoother(level, x[:, 2])):
            made = made + share[:, 2 + k] * smooth
        made = torch.asinh(made)
        error = x[:, 1] + self.usual + share[:, -1] if self.makes_error else torch.zeros_like(made)
        return torch.stack((made, error, torch.ones_like(made)), dim=1)


class Critic(nn.Module):
    """How much every patch of an image is like those of a domain: 1 is, 0 is not."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.body = Body(replace(shape, blocks=1, speed=CRITIC))
        self.last = Conv(shape.axes, shape.channels, 1, CRITIC)

    def begin(self, seed: int) -> None:
        """Weights of a seed."""
        begin(self, self.body, seed)

    def forward(self, x: Seen, condition: Condition) -> Cells:
        """One number a cell."""
        found: Tensor = self.last(nn.functional.leaky_relu(self.body(x, condition), 0.2))
        return found


def begin(network: nn.Module, body: Body, seed: int) -> None:
    """Weights of a seed; those that end a block are small, so that what goes through many blocks keeps its size."""
    initialise(network, seed)
    for module in network.modules():
        if isinstance(module, Conv):
            module.times(1 / module.speed)
    for block in body.blocks:
        block.two.times(SMALL)  # type: ignore[union-attr, operator]


def smoother(x: Level, valid: Level) -> list[Level]:
    """An image smoothed narrowly, widely, and widely along each axis alone, over what was measured, gaps filled from
    around (H. Knutsson, C.-F. Westin, Normalized and differential convolution (1993), doi:10.1109/CVPR.1993.341081).
    """
    both, axes = torch.stack((x * valid, valid)), range(1, x.ndim)
    narrow, wide = both, both
    along = [gaussian(both, axis + 1, WIDE) for axis in axes]
    for axis in axes:
        narrow = gaussian(narrow, axis + 1, NARROW)
        wide = gaussian(wide, axis + 1, WIDE)
    return [level / cover.clamp(min=LEAST) for level, cover in (narrow, wide, *along)]


def gaussian(x: Float32[Tensor, "*shape"], axis: int, width: float) -> Float32[Tensor, "*shape"]:
    """Smoothed along an axis by a Gaussian of so many pixels; beyond its ends an image is 0."""
    at = torch.arange(x.shape[axis]).to(x)
    kernel = torch.exp(-0.5 * ((at[:, None] - at) / width) ** 2) / (width * math.sqrt(2 * math.pi))
    return (x.movedim(axis, -1) @ kernel).movedim(-1, axis)


def even(x: Float32[Tensor, "batch channel *axis"]) -> Float32[Tensor, "batch channel *axis"]:
    """Every pixel with a quarter of its neighbours along each axis: no pattern of single pixels is left."""
    for axis in range(2, x.ndim):
        n = x.shape[axis]
        first, last = x.narrow(axis, 0, 1), x.narrow(axis, n - 1, 1)
        wide = torch.cat((first, x, last), axis)
        x = 0.5 * x + 0.25 * (wide.narrow(axis, 0, n) + wide.narrow(axis, 2, n))
    return x


def together(x: Float32[Tensor, "batch channel *axis"]) -> Cells:
    """Cells of `BY` pixels along each axis, their pixels as channels; 0 beyond the ends of the image."""
    sides = x.shape[2:]
    ends = [end for side in reversed(sides) for end in (0, -side % BY)]
    x = nn.functional.pad(x, ends)
    cut = x.reshape(*x.shape[:2], *[each for side in x.shape[2:] for each in (side // BY, BY)])
    n = len(sides)
    order = (0, 1, *range(3, 3 + 2 * n, 2), *range(2, 2 + 2 * n, 2))
    return cut.permute(order).flatten(1, 1 + n)


def apart(x: Cells, sides: tuple[int, ...]) -> Float32[Tensor, "batch channel *axis"]:
    """The opposite of `together`."""
    n, cells = len(sides), x.shape[2:]
    cut = x.reshape(len(x), -1, *[BY] * n, *cells)
    order = (0, 1, *[axis for k in range(n) for axis in (2 + n + k, 2 + k)])
    whole = cut.permute(order).reshape(len(x), -1, *[BY * side for side in cells])
    for axis, side in enumerate(sides):
        whole = whole.narrow(2 + axis, 0, side)
    return whole


def seen(x: Seen, size: float, *, has_errors: bool) -> Seen:
    """What networks see of images: asinh(level / size), log(error / size), validity; 0 where nothing was measured."""
    logged = x[:, 1] - torch.log(torch.tensor(size)) if has_errors else torch.zeros_like(x[:, 1])
    stack = torch.stack((torch.asinh(x[:, 0] / size), logged.clamp(-HIGHEST, HIGHEST), x[:, 2]), dim=1)
    return torch.where(x[:, 2:3] > 0, stack, 0.0)


def made(x: Seen, size: float, *, has_errors: bool) -> Made:
    """The opposite: levels and errors in the unit of the domains."""
    error = size * torch.exp(x[:, 1]) if has_errors else torch.zeros_like(x[:, 1])
    return Made(size * torch.sinh(x[:, 0]), error)


def noisy(x: Seen, valid: Level, noise: Level) -> Seen:
    """What a generator makes as it would have been measured: with noise of its errors, in bins that are valid."""
    level = torch.asinh(torch.sinh(x[:, 0]) + torch.exp(x[:, 1]) * noise)
    return torch.where(valid[:, None] > 0, torch.stack((level, x[:, 1], valid), dim=1), 0.0)


def whole(x: Seen, valid: Level) -> Seen:
    """What a generator makes without noise, in bins that are valid."""
    return torch.where(valid[:, None] > 0, torch.stack((x[:, 0], x[:, 1], valid), dim=1), 0.0)


def usual_error(x: Seen) -> Float32[Tensor, ""]:
    """Mean logarithm of the errors of what was measured."""
    return x[:, 1].sum() / x[:, 2].sum().clamp(min=1)


def means(x: Seen) -> Float32[Tensor, " row"]:
    """Mean level of each image, over what was measured."""
    axes = tuple(range(1, x.ndim - 1))
    return (x[:, 0] * x[:, 2]).sum(axes) / x[:, 2].sum(axes).clamp(min=1)


def rms(x: Float32[Tensor, "batch 3 *axis"]) -> Float32[Tensor, ""]:
    """Root mean square level over what was measured."""
    square = (x[:, 0] ** 2 * x[:, 2]).sum() / x[:, 2].sum().clamp(min=1)
    if not bool(square > 0):
        raise InputError("images of a domain are 0 in all measured bins; check what it was made of")
    return square.sqrt()


def numbers(network: nn.Module) -> int:
    """How many weights a network has."""
    return sum(each.numel() for each in network.parameters())
