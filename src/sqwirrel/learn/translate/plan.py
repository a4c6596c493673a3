"""What a translator goes between, and what is known of how good it is."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.learn.translate.networks import Shape

KINDS = ("instrument", "cycle", "contrast")


@dataclass(frozen=True)
class Plan:
    """What a translator goes between: sizes of its networks, names of the domains, whether images of each have errors;
    and what ties an image to its translation, one of `KINDS`; "instrument" if the second is the first behind one.
    """

    shape: Shape
    names: tuple[str, str] = ("simulated", "measured")
    errors: tuple[bool, bool] = (False, True)
    kind: str = "instrument"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses unknown kinds and names that are one."""
        if self.kind not in KINDS:
            raise InputError(
                f"there is no translator of the kind '{self.kind}'; choose {', '.join(KINDS[:-1])} or {KINDS[-1]}"
            )
        if len(set(self.names)) != 2:
            raise InputError(f"the two domains are both called '{self.names[0]}'; give them different names")

    def towards(self, name: str) -> int:
        """The number of a domain."""
        if name not in self.names:
            raise InputError(f"the translator goes between {' and '.join(self.names)}, not to '{name}'")
        return self.names.index(name)


class Marks(nn.Module):
    """How good it was on held-out images, towards each of the two domains: energy distances over that of two halves of
    the domain, of images as they came (`before`) and translated (`after`), and `spread` over that of the domain.
    """

    before: Tensor
    after: Tensor
    spread: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("before", "after", "spread"):
            self.register_buffer(name, torch.full((2,), torch.nan))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
