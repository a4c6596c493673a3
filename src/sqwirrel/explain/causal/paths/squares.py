"""shares(): how much of what an intervention changes in a region goes through each path.

Changes are in standard deviations of the counting noise, D^2 = mean |dz|^2 / 2 over pairs of parameters that differ by
the intervention, so that D is what a matched filter sees (M. J. W. Jansen, Comput. Phys. Commun. 117, 35 (1999),
doi:10.1016/S0010-4655(98)00154-4, for the total effect of one variable).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.paths.resample import Estimate, means


class Squares(NamedTuple):
    """|dz|^2 of every pair in every region: of the whole change, through each path alone, and of the whole less the
    sum of all paths.
    """

    whole: Float[Tensor, "pair region"]
    alone: dict[str, Float[Tensor, "pair region"]]
    joint: Float[Tensor, "pair region"]

    @classmethod
    def of(
        cls,
        whole: Float[Tensor, "pair point energy"],
        alone: Mapping[str, Float[Tensor, "pair point energy"]],
        regions: Bool[Tensor, "region _ _"],
    ) -> "Squares":
        """Of changes in standard deviations, summed over the bins of each region."""
        if regions.shape[1:] != whole.shape[1:]:
            raise InputError(
                f"regions have {' x '.join(map(str, regions.shape[1:]))} bins and the changes "
                f"{' x '.join(map(str, whole.shape[1:]))}; give masks on the bins of the spectrum"
            )
        masks = regions.flatten(1).to(whole.dtype).T

        def summed(change: Tensor) -> Tensor:
            return change.flatten(1) ** 2 @ masks

        joint = whole - torch.stack(list(alone.values())).sum(0)
        return cls(summed(whole), {name: summed(each) for name, each in alone.items()}, summed(joint))

    def plus(self, other: "Squares") -> "Squares":
        """Of the same pairs in the bins of both; a path that one does not have changes nothing there."""
        none, names = torch.zeros_like(self.whole), dict.fromkeys((*self.alone, *other.alone))
        alone = {name: self.alone.get(name, none) + other.alone.get(name, none) for name in names}
        return Squares(self.whole + other.whole, alone, self.joint + other.joint)

    def kept(self, good: Bool[Tensor, " pair"]) -> "Squares":
        """Of some of the pairs."""
        return Squares(self.whole[good], {name: each[good] for name, each in self.alone.items()}, self.joint[good])

    @classmethod
    def joined(cls, parts: "Sequence[Squares]") -> "Squares":
        """Of the pairs of all parts."""
        alone = {name: torch.cat([part.alone[name] for part in parts]) for name in parts[0].alone}
        return cls(torch.cat([part.whole for part in parts]), alone, torch.cat([part.joint for part in parts]))


@dataclass(frozen=True, eq=False)
class Shares:
    """What goes through each of `paths`, region by region, with bootstrap intervals over the pairs.

    `effect` is D of the whole change, in standard deviations. `alone` (path, region) is D^2 through a path alone
    over D^2 of the whole. `rest` is 1 less their sum: paths that act on the same bins (it is negative where they undo
    each other) and what only several together do; the latter by itself is `joint`, D^2 of the whole less the sum of all
    paths over that of the whole. Shares are NaN where nothing changes. `left_out` pairs had no stable order.
    """

    paths: tuple[str, ...]
    effect: Estimate
    alone: Estimate
    rest: Estimate
    joint: Estimate
    left_out: int = 0

    @classmethod
    def of(cls, squares: Squares, seed: int, good: Bool[Tensor, " pair"] | None = None) -> "Shares":
        """From the squares of all pairs, or of the good ones."""
        found, pairs = squares if good is None else squares.kept(good), len(squares.whole)
        if not (count := len(found.whole)):
            raise InputError(f"none of {pairs} pairs has a stable order; narrow the prior, or choose another order")
        whole, joint = means(found.whole, seed), means(found.joint, seed)
        alone = means(torch.stack(list(found.alone.values()), dim=1), seed)
        defined = torch.where(whole > 0, whole, torch.nan)
        part = alone / defined[:, None]
        effect, rest, both = (Estimate.of(x) for x in ((whole / 2).sqrt(), 1 - part.sum(1), joint / defined))
        return cls(tuple(found.alone), effect, Estimate.of(part), rest, both, pairs - count)


def shares(
    whole: Float[Tensor, "pair point energy"],
    alone: Mapping[str, Float[Tensor, "pair point energy"]],
    regions: Bool[Tensor, "region _ _"],
    *,
    seed: int = 0,
) -> Shares:
    """Of changes in standard deviations: the whole one, and those through each path alone; `regions` are masks."""
    return Shares.of(Squares.of(whole, alone, regions), seed)
