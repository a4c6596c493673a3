"""spoken(): what speaks for a rival in measured data, by the networks of a jury, on the bins of each measurement."""

import torch
from jaxtyping import Float32
from torch import Tensor

from sqwirrel.explain.networks.attribution import attribution
from sqwirrel.learn.parts import Like, apart
from sqwirrel.learn.rivals import Classifier
from sqwirrel.learn.strange import Jury


def spoken(
    jury: Jury, data: Like, one: str, other: str, method: str = "cam"
) -> dict[str, Float32[Tensor, "point energy"]]:
    """Log odds per bin of rival `one` against `other`, the mean of all members, by the labels of the measurements."""
    pairs, names = next(iter(jury.contest.pairs.values())), jury.contest.names
    x, rivals = pairs.image(data), (names.index(one), names.index(other))
    members = [member for member in jury.committee.members if isinstance(member, Classifier)]
    mean = torch.stack([attribution(member, x, *rivals, method)[0] for member in members]).mean(0)
    pieces = zip(pairs.parts, apart(mean, pairs.measurements), strict=True)
    return {part.label: piece for part, piece in pieces}
