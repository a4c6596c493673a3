"""Gaps: bins that are taken out of simulated images, one by one and in blocks, as a detector loses them."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.embed import Image
from sqwirrel.learn.strange.pixels import Planes
from sqwirrel.seeds import stream


@dataclass(frozen=True)
class Gaps:
    """At most the share `pixels` of all bins is lost one by one, and the share `blocks` of planes loses a rectangle,
    of at most half of each side.
    """

    pixels: float = 0.0
    blocks: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.pixels < 1 and 0 <= self.blocks <= 1):
            raise InputError(f"gaps take a share of pixels below 1 and a share of blocks up to 1, got {self}")

    def cut(self, x: Image, planes: Planes) -> Image:
        """Images with gaps, a function of the images: a training that was interrupted ends as one that was not."""
        if self.pixels == self.blocks == 0:
            return x
        generator = stream(int(x.double().sum().abs() * 1e3) % 2**31, "gaps")
        rows, bins = len(x), x[0, 0].numel()
        most = self.pixels * torch.rand(rows, 1, generator=generator)
        lost = torch.rand(rows, bins, generator=generator) < most
        for order in planes:
            lost[:, order.flatten()] |= self._blocks(rows, order.shape, generator).flatten(1)
        return torch.where(lost.reshape(x[:, :1].shape), 0.0, x)

    def _blocks(
        self, rows: int, shape: torch.Size, generator: torch.Generator
    ) -> Bool[Tensor, "batch plane row column"]:
        hit = torch.rand(rows, shape[0], generator=generator) < self.blocks
        inside = []
        for side in shape[1:]:
            where = torch.arange(side) / side
            start, length = torch.rand(2, rows, shape[0], 1, generator=generator)
            inside.append((where >= start - 0.5 * length) & (where < start))
        block: Tensor = hit[..., None, None] & inside[0][..., :, None] & inside[1][..., None, :]
        return block
