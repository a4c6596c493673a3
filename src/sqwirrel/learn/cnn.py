"""CNN: a plain convolutional network from an energy-integrated (Qh, Qk) map to parameters, as published ones are.

A network of this kind, four convolutions and a perceptron of two layers, was trained on simulated maps of Rb2MnF4 whose
intensity had been integrated over energy, and gave J1 = 0.676, J2 = 0.014 meV for the measurement. No description of it
beyond that was found: the widths, the pooling, the standardised input and the loss are ours, in the manner of K. T.
Butler, M. D. Le, J. Thiyagalingam, T. G. Perring, J. Phys.: Condens. Matter 33, 194006 (2021),
doi:10.1088/1361-648X/abea1c, whose networks tell two models of a manganite apart. It has no uncertainty: it is what
others are compared with.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.learn.embed import Image
from sqwirrel.learn.npe import initialise
from sqwirrel.learn.pairs import Batch, Pairs
from sqwirrel.spectra import Measurement, QGrid

WIDTHS = (16, 32, 64, 64)
HIDDEN = 128
"""Units between the two layers of the perceptron."""
MOMENTS = 512
"""Images that say how large an image usually is."""


class CNN(nn.Module):
    """The mean of z for maps of `sides` pixels, one energy window each.

    Each convolution (3 x 3, ReLU) is followed by a maximum over 2 x 2 pixels. The intensity alone is looked at, less
    the mean of all pixels of some images and over their standard deviation.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, sides: tuple[int, int], parameters: int, seed: int = 0) -> None:
        super().__init__()
        self.sides = sides
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))
        layers: list[nn.Module] = []
        channels, (high, wide) = 1, sides
        for width in WIDTHS:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
            channels, high, wide = width, -(-high // 2), -(-wide // 2)
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(nn.Linear(channels * high * wide, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, parameters))
        initialise(self, seed)

    @classmethod
    def sized_for(cls, pairs: Pairs, seed: int = 0) -> "CNN":
        """A network for the map and the free parameters of some pairs; InputError where there is no such map."""
        network = cls(map_sides(pairs.simulations.experiment.measurement), len(pairs.prior.names), seed)
        level = pairs.batch(min(MOMENTS, len(pairs.simulations)), seed, "moments").x[:, 0]
        network.mean.copy_(level.mean())
        network.spread.copy_(level.std().clamp(min=1e-3))
        return network

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained."""
        return {"mean": self}

    def forward(self, x: Image) -> Float32[Tensor, "batch parameter"]:
        """The mean of z."""
        level = (x[:, 0] - self.mean) / self.spread
        mean: Tensor = self.head(self.body(level.reshape(-1, 1, *self.sides)))
        return mean

    def loss(self, player: str, batch: Batch) -> Float32[Tensor, ""]:
        """Mean squared error."""
        del player
        return torch.nn.functional.mse_loss(self(batch.x), batch.z)


def map_sides(measurement: Measurement) -> tuple[int, int]:
    """Pixels along the two axes of an energy-integrated map; InputError for any other measurement."""
    points, windows = measurement.points, measurement.shape[1]
    sides = [side for side in points.shape if side > 1] if isinstance(points, QGrid) else []
    if len(sides) != 2 or windows != 1:
        raise InputError(
            f"a CNN looks at a grid with two axes and one energy window, got a {type(points).__name__} of "
            f"{measurement.shape} (points, energies); use a Regressor or an NPE"
        )
    return sides[0], sides[1]
