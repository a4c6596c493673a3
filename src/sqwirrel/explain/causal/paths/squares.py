"""shares(): how much of what an intervention changes in a region goes through each path.

Changes are in standard deviations of the counting noise, D^2 = mean |dz|^2 / 2 over pairs of parameters that differ by
the intervention, so that D is what a matched filter sees (M. J. W. Jansen, Comput. Phys. Commun. 117, 35 (1999),
doi:10.1016/S0010-4655(98)00154-4, for the total effect of one variable).
"""

from collections.abc import Mapping
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
    alone: Float[Tensor, "pair path region"]
    joint: Float[Tensor, "pair region"]


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
    def of(cls, paths: tuple[str, ...], squares: Squares, seed: int, left_out: int = 0) -> "Shares":
        """From the squares of all pairs that were kept."""
        whole, alone, joint = (means(each, seed) for each in squares)
        effect = Estimate.of((whole / 2).sqrt())
        defined = torch.where(whole > 0, whole, torch.nan)
        part = alone / defined[:, None]
        rest = Estimate.of(1 - part.sum(1))
        return cls(paths, effect, Estimate.of(part), rest, Estimate.of(joint / defined), left_out)


def shares(
    whole: Float[Tensor, "pair point energy"],
    alone: Mapping[str, Float[Tensor, "pair point energy"]],
    regions: Bool[Tensor, "region _ _"],
    *,
    seed: int = 0,
) -> Shares:
    """Of changes in standard deviations: the whole one, and those through each path alone; `regions` are masks."""
    return Shares.of(tuple(alone), squares(whole, torch.stack(list(alone.values())), regions), seed)


def squares(
    whole: Float[Tensor, "pair point energy"],
    alone: Float[Tensor, "path pair point energy"],
    regions: Bool[Tensor, "region _ _"],
) -> Squares:
    """Sums of squares over the bins of each region."""
    if regions.shape[1:] != whole.shape[1:]:
        raise InputError(
            f"regions have {' x '.join(map(str, regions.shape[1:]))} bins and the changes "
            f"{' x '.join(map(str, whole.shape[1:]))}; give masks on the bins of the spectrum"
        )
    masks = regions.flatten(1).to(whole.dtype)
    of_whole, of_joint = (each.flatten(1) ** 2 @ masks.T for each in (whole, whole - alone.sum(0)))
    return Squares(of_whole, (alone.flatten(2) ** 2 @ masks.T).movedim(0, 1), of_joint)
