"""Bodies of autoencoders: from maps to a few numbers and back, by dense layers or by convolutions."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sqwirrel.learn.embed import SMALLEST
from sqwirrel.learn.strange.denoiser import Finer

DENSE = (256, 128)
WIDTHS = (16, 24, 32)
HIDDEN = 128
SEEN = 2
"""Channels that a body sees: level and validity."""

Shape = tuple[int, int]


def dense(shape: Shape, told: int, latent: int) -> tuple[nn.Module, nn.Module]:
    """Encoder to `told` numbers and decoder from `latent` ones, of fully connected layers."""
    bins, (wide, narrow) = shape[0] * shape[1], DENSE
    encode = nn.Sequential(
        nn.Flatten(),
        nn.Linear(SEEN * bins, wide),
        nn.SiLU(),
        nn.Linear(wide, narrow),
        nn.SiLU(),
        nn.Linear(narrow, told),
    )
    decode = nn.Sequential(
        nn.Linear(latent, narrow), nn.SiLU(), nn.Linear(narrow, wide), nn.SiLU(), nn.Linear(wide, bins),
        nn.Unflatten(1, shape),
    )  # fmt: skip
    return encode, decode


def convolutional(shape: Shape, told: int, latent: int) -> tuple[nn.Module, nn.Module]:
    """The same, of convolutions that halve the sides of a map, and others that double them."""
    sides, steps, layers, channels = [shape], list[Shape](), list[nn.Module](), SEEN
    for width in WIDTHS:
        down, right = (2 if side >= 2 * SMALLEST else 1 for side in sides[-1])
        layers += [nn.Conv2d(channels, width, 3, (down, right), padding=1), nn.GroupNorm(8, width), nn.SiLU()]
        sides.append((-(-sides[-1][0] // down), -(-sides[-1][1] // right)))
        steps.append((down, right))
        channels = width
    flat = channels * sides[-1][0] * sides[-1][1]
    encode = nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, told))
    return encode, _Decoder(sides, steps, latent)


class _Decoder(nn.Module):
    """Latents to a map, through the sizes of the encoder."""

    def __init__(self, sides: list[Shape], steps: list[Shape], latent: int) -> None:
        super().__init__()
        self.sides = sides[::-1]
        high, wide = self.sides[0]
        self.start = nn.Sequential(nn.Linear(latent, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, WIDTHS[-1] * high * wide))
        widths = zip(WIDTHS[::-1], (*WIDTHS[-2::-1], 1), steps[::-1], strict=True)
        self.finer = nn.ModuleList(Finer(*each) for each in widths)

    def forward(self, latent: Tensor) -> Tensor:
        """Of a batch."""
        found = self.start(latent).reshape(len(latent), WIDTHS[-1], *self.sides[0])
        for finer, (high, wide) in zip(self.finer, self.sides[1:], strict=True):
            found = finer(nn.functional.silu(found))[..., :high, :wide]
        made: Tensor = found[:, 0]
        return made


BODIES: dict[str, Callable[[Shape, int, int], tuple[nn.Module, nn.Module]]] = {
    "dense": dense,
    "convolutional": convolutional,
}
"""Kinds by name."""


def numbers(network: nn.Module) -> int:
    """How many weights a network has."""
    return sum(each.numel() for each in network.parameters())


def untouched(x: Tensor) -> Tensor:
    """What a body sees of images: level and validity, 0 where nothing was measured."""
    return torch.stack((torch.where(x[:, 2] > 0, x[:, 0], 0.0), x[:, 2]), dim=1)
