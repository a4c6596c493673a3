"""A handful of measured frames as a domain: fewer counts, mirrors that the crystal has, and windows; images of files.

Fewer counts: of n counts those that a coin of the probability s keeps, over s; of reduced data y with the error e,
y + sqrt(1/s - 1) e times a normal number, with the error e / sqrt(s). Neither moves what is expected.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sqwirrel.errors import InputError

Frame = Float32[Tensor, "3 *axis"]
Window = Float32[Tensor, "3 *side"]


@dataclass(frozen=True)
class Augment:
    """The least share of the counts that is kept (each copy has its own), axes along which a frame may be mirrored, and
    bins of a window that is cut from it; no window leaves frames whole.
    """

    thin: float = 1.0
    mirrors: tuple[int, ...] = ()
    crop: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Refuses shares that are none."""
        if not 0 < self.thin <= 1:
            raise InputError(f"the least share of counts lies above 0 and is 1 at most, got {self.thin:g}")

    def shape(self, frames: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """Bins of what comes of frames of such shapes."""
        if self.crop is None:
            if len(set(frames)) > 1:
                raise InputError(f"frames have different shapes, {sorted(set(frames))}; give a crop that fits in all")
            return self._mirrored(frames[0])
        for each in frames:
            if len(each) != len(self.crop) or any(one > side for one, side in zip(self.crop, each, strict=True)):
                raise InputError(f"a window of {self.crop} bins does not fit in a frame of {each}")
        return self._mirrored(self.crop)

    def _mirrored(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= axis < len(shape) for axis in self.mirrors):
            raise InputError(f"frames have the axes 0 to {len(shape) - 1}, they cannot be mirrored in {self.mirrors}")
        return shape


def augmented(x: Frame, augment: Augment, generator: torch.Generator, *, is_counts: bool) -> Window:
    """One frame, with fewer counts, mirrored and cut at random."""
    share = augment.thin + (1 - augment.thin) * float(torch.rand((), generator=generator))
    x = _thinned_counts(x, share, generator) if is_counts else _thinned(x, share, generator)
    turned = torch.rand(len(augment.mirrors), generator=generator) < 0.5
    x = x.flip([1 + axis for axis, turn in zip(augment.mirrors, turned, strict=True) if turn])
    for axis, size in enumerate(augment.crop or ()):
        start = int(torch.randint(x.shape[1 + axis] - size + 1, (), generator=generator))
        x = x.narrow(1 + axis, start, size)
    return x


def _thinned_counts(x: Frame, share: float, generator: torch.Generator) -> Frame:
    kept = torch.binomial(x[0].clamp(min=0), torch.full_like(x[0], share), generator=generator)
    found = torch.stack((kept / share, kept.clamp(min=1).sqrt().div(share).log(), x[2]))
    return torch.where(x[2] > 0, found, 0.0)


def _thinned(x: Frame, share: float, generator: torch.Generator) -> Frame:
    more = (1 / share - 1) ** 0.5 * torch.exp(x[1]) * torch.randn(x[0].shape, generator=generator)
    found = torch.stack((x[0] + more, x[1] - 0.5 * torch.tensor(share).log(), x[2]))
    return torch.where(x[2] > 0, found, 0.0)


def _array(file: Path) -> NDArray[np.generic]:
    found: NDArray[np.generic] = np.load(file, allow_pickle=False)
    return found


def _photograph(file: Path) -> NDArray[np.generic]:
    with Image.open(file) as found:
        return np.asarray(found if len(found.getbands()) == 1 else found.convert("RGB"))


READ = {".npy": _array, ".png": _photograph, ".tif": _photograph, ".tiff": _photograph}
"""How files of images are read, by the end of their names."""


def pictures(folder: Path) -> Float[Tensor, "row *axis"]:
    """Levels of all images of a folder, in the order of their names; colours are averaged."""
    files = sorted(each for each in folder.glob("*") if each.suffix.lower() in READ)
    if not files:
        raise InputError(f"{folder} holds no image; give a folder of {', '.join(READ)} files")
    found = list[Tensor]()
    for file in files:
        try:
            array = np.asarray(READ[file.suffix.lower()](file), dtype=np.float64)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{file} cannot be read as an image ({error}); leave it out or save it anew") from None
        if file.suffix.lower() != ".npy" and array.ndim == 3:
            array = array.mean(2)
        found.append(torch.from_numpy(array))
        if found[-1].shape != found[0].shape:
            raise InputError(
                f"{file.name} has {tuple(array.shape)} pixels and {files[0].name} {tuple(found[0].shape)}; "
                "cut all images of a folder to one shape"
            )
    return torch.stack(found)
