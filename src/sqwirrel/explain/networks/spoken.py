"""What speaks for a rival in measured data, by the networks of a jury, on the bins of each measurement; and how far to
trust it: against the evidence, between members, and against networks with random weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import fmean

import torch
from jaxtyping import Bool, Float, Float32, Int, Shaped
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.networks.attribution import attribution
from sqwirrel.explain.networks.places import measured, untrained
from sqwirrel.explain.networks.trust import rank_correlation
from sqwirrel.learn.embed import Image
from sqwirrel.learn.parts import Like, apart, in_a_row
from sqwirrel.learn.rivals import Classifier
from sqwirrel.learn.strange import Jury

CHANCE, FEW = 8, 5
"""Committees with random weights that say what chance does; fewest windows of which a rank correlation of 1 has a
chance below 1 %, one in 5!.
"""

Maps = Mapping[str, Float[Tensor, "point energy"]]
Windows = Mapping[str, Int[Tensor, "point energy"]]


@dataclass(frozen=True, eq=False)
class Heard:
    """What a jury finds for rival `one` against `other`: `maps`, log odds per bin by the labels of the measurements,
    the mean of all members; and rank correlations of sums over windows of bins, of all measurements together.

    `evidence`: of the map with where the evidence is decided, `by_label` the same for each measurement of enough
    windows. `members`: between members, the mean of all pairs, None of a single one. `chance_evidence`,
    `chance_members`: the same two of committees with random weights, as many members each; none of the second of a
    single one. `windows` is how many windows have a measured bin.
    """

    one: str
    other: str
    maps: Maps
    evidence: float
    by_label: Mapping[str, float]
    members: float | None
    chance_evidence: tuple[float, ...]
    chance_members: tuple[float, ...]
    windows: int

    @cached_property
    def doubts(self) -> list[str]:
        """Why not to read the map; empty if nothing speaks against it."""
        found, far = [], max(map(abs, self.chance_evidence))
        if self.windows < FEW:
            found.append(f"the data have {self.windows} windows, too few for a rank correlation, which needs {FEW}")
        if not self.evidence > far:
            found.append(
                f"it agrees with where the evidence is decided no better than random networks may "
                f"({self.evidence:.2f}, of which chance reaches {far:.2f})"
            )
        reach = max(map(abs, self.chance_members), default=0.0)
        if self.members is not None and not self.members > reach:
            found.append(
                f"its members agree no better than random networks may ({self.members:.2f}, of which chance reaches "
                f"{reach:.2f})"
            )
        return found

    def mapping(self) -> dict[str, object]:
        """Plain words and numbers."""
        return {
            "agreement": dict(self.by_label),
            "trust": {
                "for": self.one,
                "against": self.other,
                "with_evidence": self.evidence,
                "between_members": self.members,
                "random_with_evidence": list(self.chance_evidence),
                "random_between_members": list(self.chance_members),
                "windows": self.windows,
                "doubts": self.doubts,
            },
        }


def heard(jury: Jury, data: Like, rivals: tuple[str, str], ratio: Maps, windows: Windows) -> Heard:
    """What a jury finds for the first rival against the second, and how far to trust it; `ratio` is the log likelihood
    ratio of their best fits in every bin, `windows` the numbers of the windows, both by the labels of the measurements.
    """
    if missing := [label for label in _labels(jury) if label not in ratio or label not in windows]:
        raise InputError(f"the networks see the measurement '{missing[0]}', of which no ratio is given")
    one, other = rivals
    x, numbers = _asked(jury, data, one, other)
    members, physics = _members(jury), in_a_row([ratio[label] for label in _labels(jury)])
    tiles, by_label = _tiles(jury, x, windows)
    each = _maps(members, x, numbers)
    found = _by_label(jury, each.mean(0))
    chance = [_maps([untrained(one, _seed(k, n)) for n, one in enumerate(members)], x, numbers) for k in range(CHANCE)]
    return Heard(
        one,
        other,
        found,
        rank_correlation(each.mean(0), physics, tiles),
        {
            label: rank_correlation(found[label], ratio[label], by_label[label])
            for label in found
            if int(by_label[label].max()) + 1 >= FEW
        },
        _between(each, tiles) if len(each) > 1 else None,
        tuple(rank_correlation(random.mean(0), physics, tiles) for random in chance),
        tuple(_between(random, tiles) for random in chance if len(random) > 1),
        int(tiles.max()) + 1,
    )


def _between(maps: Float[Tensor, "member point energy"], tiles: Int[Tensor, "point energy"]) -> float:
    """The mean rank correlation of all pairs of two maps or more."""
    return fmean(rank_correlation(one, other, tiles) for one, other in combinations(maps, 2))


def _seed(k: int, member: int) -> int:
    return 1000 * (member + 1) + k


def _asked(jury: Jury, data: Like, one: str, other: str) -> tuple[Image, tuple[int, int]]:
    names = jury.contest.names
    return next(iter(jury.contest.pairs.values())).image(data), (names.index(one), names.index(other))


def _members(jury: Jury) -> list[Classifier]:
    return [member for member in jury.committee.members if isinstance(member, Classifier)]


def _maps(members: Sequence[Classifier], x: Image, rivals: tuple[int, int]) -> Float32[Tensor, "member point energy"]:
    return torch.stack([attribution(member, x, *rivals)[0] for member in members])


def _labels(jury: Jury) -> list[str]:
    return [part.label for part in next(iter(jury.contest.pairs.values())).parts]


def _by_label(jury: Jury, row: Shaped[Tensor, "point energy"]) -> dict[str, Shaped[Tensor, "_point _energy"]]:
    pairs = next(iter(jury.contest.pairs.values()))
    return dict(zip(_labels(jury), apart(row, pairs.measurements), strict=True))


def _tiles(jury: Jury, x: Image, windows: Windows) -> tuple[Int[Tensor, "point energy"], Windows]:
    """Numbers of the windows of all measurements in an image, and of each measurement by itself, without those in
    which nothing was measured.
    """
    parts, first = [], 0
    for label in _labels(jury):
        parts.append(windows[label] + first)
        first = int(parts[-1].max()) + 1
    valid = measured(x)[0]
    by_label = {label: _numbered(windows[label], each) for label, each in _by_label(jury, valid).items()}
    return _numbered(in_a_row(parts), valid), by_label


def _numbered(windows: Int[Tensor, "point energy"], valid: Bool[Tensor, "point energy"]) -> Int[Tensor, "point energy"]:
    """Numbers without gaps of the windows that have a valid bin; -1 of the other bins."""
    found = torch.full_like(windows, -1)
    found[valid] = torch.unique(windows[valid], return_inverse=True)[1]
    return found
