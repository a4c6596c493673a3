"""Denoiser: an autoencoder from noisy images with gaps to what they would be without noise and whole.

P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, Extracting and Composing Robust Features with Denoising
Autoencoders (2008), doi:10.1145/1390156.1390294. All goes through a few numbers, with no way round them: what it makes
is like the simulations, and an image that is not is far from it. It is for looking and for judging how strange an
image is; nothing hands its images to inference.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from sqwirrel.learn.embed import Image
from sqwirrel.learn.npe import initialise
from sqwirrel.learn.pairs import Batch
from sqwirrel.learn.rivals.contest import Labelled
from sqwirrel.learn.rivals.embedding import pictures
from sqwirrel.learn.strange.gaps import Gaps
from sqwirrel.learn.strange.linear import LinearGuess
from sqwirrel.learn.strange.pixels import Level, Planes, beyond_noise, brightness, measured
from sqwirrel.learn.train import Source
from sqwirrel.spectra import Measurement

WIDTHS, NARROW = (12, 16), 8
"""Channels of the convolutions, and of what every plane is told by."""
LATENT = 32
"""Numbers that say what an image is."""
SMALLEST = 4
"""Sides are halved by a convolution until they would be shorter than this."""
HIDDEN = 64
TOGETHER = 64
"""Images that are looked at together."""
MOMENTS = 512
"""Images that say what the best linear guess is."""
SEEN = 4
"""Channels that the convolutions see: what the linear guess leaves of an image, the guess, errors, validity."""


Noisy = Batch | Labelled
"""Images, and the same without noise."""


class Denoiser(nn.Module):
    """What images would be without noise, in the bins of `planes` (see `pictures`).

    The best linear guess comes first; convolutions over every plane, that look at the image and at the guess, and a few
    numbers in which all planes meet, correct it. Images are taken in units of their own root mean square, so that their
    scale does not matter. `gaps` are cut into the images that it learns from.
    """

    def __init__(self, planes: Planes, gaps: Gaps | None = None, seed: int = 0) -> None:
        super().__init__()
        self.gaps = gaps or Gaps()
        for k, group in enumerate(planes):
            self.register_buffer(f"order_{k}", group)
        self.linear = LinearGuess(sum(group.numel() for group in planes), LATENT)
        self.encode, steps = _encoder(planes)
        self.sides = [_sides(group.shape[1:], steps) for group in planes]
        shapes = [(len(group), sides[-1]) for group, sides in zip(planes, self.sides, strict=True)]
        self.read = nn.ModuleList(_Each(n, NARROW * high * wide, NARROW) for n, (high, wide) in shapes)
        self.write = nn.ModuleList(_Each(n, NARROW, NARROW * high * wide) for n, (high, wide) in shapes)
        told = NARROW * sum(len(group) for group in planes)
        self.inward = nn.Sequential(nn.Linear(told + LATENT + 1, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, LATENT))
        self.outward = nn.Sequential(nn.SiLU(), nn.Linear(LATENT, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, told))
        self.more = nn.Linear(LATENT, LATENT)
        finest = Finer(NARROW, 1, steps[0])
        self.decode = nn.ModuleList((Finer(NARROW, NARROW, steps[1]), finest))
        initialise(self, seed)
        for last in (self.more, finest):
            for each in last.parameters():
                nn.init.zeros_(each)

    @classmethod
    def sized_for(
        cls, source: Source[Noisy], measurements: Sequence[Measurement], gaps: Gaps | None = None, seed: int = 0
    ) -> "Denoiser":
        """A network for the bins of some measurements, that begins as the best linear guess for images of `source`."""
        network = cls(pictures(measurements), gaps, seed)
        batch = source.batch(MOMENTS, seed, "moments")
        network.linear.fit(measured(batch.clean)[:, 0].flatten(1) / brightness(batch.x)[:, None])
        return network

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained."""
        return {"denoiser": self}

    @property
    def planes(self) -> Planes:
        """Numbers of the bins as planes."""
        return [self.get_buffer(f"order_{k}") for k in range(len(self.sides))]

    def forward(self, x: Image) -> Level:
        """Intensities without noise, in gaps too."""
        x = measured(x)
        size = brightness(x)[:, None]
        level, error, valid = x.flatten(2).unbind(1)
        weight = valid * (size * torch.exp(-error)) ** 2
        shares = self.linear(level / size, weight)
        guess, spread, unit = self.linear.made(shares), self.linear.spread, self.linear.variance.sqrt()
        left = (level / size - guess) * weight.sqrt()
        told = self._told(torch.stack((left, (guess - self.linear.mean) / spread, error, valid), dim=1))
        latent = self.inward(torch.cat((told, shares / unit, size.log()), dim=1))
        made = self.linear.made(shares + unit * self.more(latent)) + spread * self._made(self.outward(latent))
        return (size * made).reshape(x[:, 0].shape)

    def denoised(self, x: Image) -> Level:
        """As `forward`, with no gradient."""
        with torch.no_grad():
            found: Tensor = self(x)
            return found

    def left(self, source: Source[Noisy], seed: int = 0) -> Float32[Tensor, "1 point energy"]:
        """Mean square by which it misses images that have no noise, bin by bin, in units of their brightness: what few
        numbers do not hold.
        """
        batch = source.batch(MOMENTS, seed, "left")
        still = torch.stack((batch.clean[:, 0], batch.x[:, 1], batch.x[:, 2]), dim=1)
        away = [(self.denoised(x) - x[:, 0]) / brightness(x)[:, None, None] for x in torch.split(still, TOGETHER)]
        return (torch.cat(away) ** 2).mean(0, keepdim=True)

    def restored(self, x: Image, left: Float32[Tensor, "1 point energy"]) -> Level:
        """Between an image and what is made of it, as far as the errors of both say: made where nothing was measured.

        Few numbers do not hold all that a bright image shows, which is then the better of the two.
        """
        noise = torch.exp(2 * x[:, 1])
        missed = left * brightness(x)[:, None, None] ** 2
        trust = torch.where(x[:, 2] > 0, noise / (noise + missed).clamp(min=1e-30), 1.0)
        return torch.lerp(measured(x)[:, 0], self.denoised(x), trust)

    def score(self, x: Image) -> Float[Tensor, " batch"]:
        """What is left of an image beside its denoised one, against what the noise explains."""
        x = measured(x)
        return beyond_noise(x, self.denoised(x), self.planes).double()

    def loss(self, player: str, batch: Noisy) -> Float32[Tensor, ""]:
        """Mean logarithm of 1 + mean squared error, in units of the noise's variance: bright images, whose errors are
        larger, do not outweigh all others. Bins in gaps that were cut count, those that nobody measured do not.
        """
        del player
        valid = batch.x[:, 2]
        guess = self(self.gaps.cut(batch.x, self.planes))
        away = (guess - batch.clean[:, 0]) * torch.exp(-batch.x[:, 1]) * valid
        return torch.log1p((away**2).sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)).mean()

    def _told(self, seen: Float32[Tensor, "batch channel bin"]) -> Float32[Tensor, "batch number"]:
        """A few numbers of every plane."""
        found = []
        for order, read in zip(self.planes, self.read, strict=True):
            planes = seen[..., order].movedim(1, 2)
            maps = self.encode(planes.flatten(0, 1)).unflatten(0, planes.shape[:2])
            found.append(read(maps.flatten(2)).flatten(1))
        return torch.cat(found, dim=1)

    def _made(self, told: Float32[Tensor, "batch number"]) -> Float32[Tensor, "batch bin"]:
        """All planes from such numbers, bin by bin in their own order."""
        found = told.new_zeros(len(told), len(self.linear.mean))
        pieces = torch.split(told, [NARROW * len(order) for order in self.planes], dim=1)
        for order, write, sides, piece in zip(self.planes, self.write, self.sides, pieces, strict=True):
            maps = write(piece.reshape(-1, len(order), NARROW)).reshape(-1, NARROW, *sides[-1])
            for finer, (high, wide) in zip(self.decode, sides[-2::-1], strict=True):
                maps = finer(nn.functional.silu(maps))[..., :high, :wide]
            found[:, order.flatten()] = maps.reshape(len(told), -1)
        return found


class _Each(nn.Module):
    """A linear layer of its own for every plane."""

    def __init__(self, planes: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(planes, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(planes, outputs))

    def reset_parameters(self) -> None:
        """Weights that keep the size of what goes through."""
        nn.init.normal_(self.weight, std=self.weight.shape[1] ** -0.5)

    def forward(self, x: Float32[Tensor, "batch plane into"]) -> Float32[Tensor, "batch plane outof"]:
        """Plane by plane."""
        return torch.einsum("bpi,pio->bpo", x, self.weight) + self.bias


class Finer(nn.Module):
    """A convolution that makes `by` pixels of every one (W. Shi et al., arXiv:1609.05158)."""

    def __init__(self, inputs: int, outputs: int, by: tuple[int, int]) -> None:
        super().__init__()
        self.outputs, self.by = outputs, by
        self.conv = nn.Conv2d(inputs, outputs * by[0] * by[1], 3, padding=1)

    def forward(self, x: Float32[Tensor, "batch into row column"]) -> Float32[Tensor, "batch outof high wide"]:
        """On a finer grid."""
        found: Tensor = self.conv(x)
        apart = found.reshape(len(x), self.outputs, *self.by, *x.shape[2:]).permute(0, 1, 4, 2, 5, 3)
        return apart.flatten(4, 5).flatten(2, 3)


def _encoder(planes: Planes) -> tuple[nn.Sequential, list[tuple[int, int]]]:
    """Convolutions for planes of any of the shapes, and their steps."""
    sides = [min(group.shape[axis] for group in planes) for axis in (1, 2)]
    layers, steps, channels = list[nn.Module](), list[tuple[int, int]](), SEEN
    for width in WIDTHS:
        down, right = (2 if side >= 2 * SMALLEST else 1 for side in sides)
        layers += [nn.Conv2d(channels, width, 3, (down, right), padding=1), nn.GroupNorm(4, width), nn.SiLU()]
        sides, channels = [-(-sides[0] // down), -(-sides[1] // right)], width
        steps.append((down, right))
    return nn.Sequential(*layers, nn.Conv2d(channels, NARROW, 1), nn.SiLU()), steps


def _sides(whole: Sequence[int], steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Shapes of a plane after no, one, two ... convolutions."""
    found = [(whole[0], whole[1])]
    for down, right in steps:
        found.append((-(-found[-1][0] // down), -(-found[-1][1] // right)))
    return found
