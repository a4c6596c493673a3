"""How likely measured peaks are, given the lines that modes make: a sum over all assignments of peaks to lines.

K peaks at one wavevector belong to K distinct lines, or are outliers. With eps the probability of an outlier, w the
weights of the lines, v the variances, U the even density over the range that was searched, and M what N has within it:

    p(E_1 ... E_K) = sum_S P(S) prod_(i not in S) U_i sum_a prod_(i in S) w_a(i) N(E_i; omega_a(i), v_i,a(i)) / Z_S
    Z_S = sum_a prod_(i in S) w_a(i) M_i,a(i)

S are the peaks that are no outliers, P(S) is proportional to (1 - eps)^|S| eps^(K - |S|) over the S for which there are
lines enough, and a runs over the assignments to distinct lines. Z_S makes the density integrate to one over the ranges:
a line counts as far as it lies within them. Both sums are made line by line, with the subsets of peaks as states.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

DEGENERATE = 1e-4
"""Modes within this many meV are one line: no table tells them apart."""
LEAST = 1e-30
"""A line has at least this within a range: one that is 11 standard deviations outside explains no peak."""


class Lines(NamedTuple):
    """Lines that each peak may belong to: energy (meV), weight (they sum to one), and the variance (meV^2) of the
    energy that the error of q makes.
    """

    energy: Float[Tensor, "batch peak line"]
    weight: Float[Tensor, "batch peak line"]
    variance: Float[Tensor, "batch peak line"]

    @classmethod
    def merged(
        cls,
        energy: Float[Tensor, "batch peak line"],
        weight: Float[Tensor, "batch peak line"],
        variance: Float[Tensor, "batch peak line"],
    ) -> "Lines":
        """Modes, highest first, with those of one energy as one; what is left over has weight 0."""
        apart = (energy.detach().diff(dim=-1).abs() > DEGENERATE).long()
        line = torch.nn.functional.pad(apart.cumsum(-1), (1, 0))
        member = (line[..., None] == torch.arange(energy.shape[-1], device=energy.device)).to(energy.dtype)
        mean = member / member.sum(-2, keepdim=True).clamp(min=1)
        parts = zip((energy, weight, variance), (mean, member, mean), strict=True)
        return cls(*(torch.einsum("bpm,bpml->bpl", part, share) for part, share in parts))


def log_match(
    energy: Float[Tensor, " peak"],
    span: Float[Tensor, " peak"],
    line: Float[Tensor, "batch peak line"],
    variance: Float[Tensor, "batch peak line"],
) -> Float[Tensor, "batch peak line"]:
    """Log of the density of each peak, if it belongs to a line, over the even density on a range of `span` meV."""
    away = (energy[:, None] - line) ** 2 / variance
    return span.log()[:, None] - 0.5 * (away + torch.log(2 * math.pi * variance))


def mass(
    low: Float[Tensor, " peak"],
    high: Float[Tensor, " peak"],
    line: Float[Tensor, "batch peak line"],
    variance: Float[Tensor, "batch peak line"],
) -> Float[Tensor, "batch peak line"]:
    """What the normal law of each line has within the range of each peak, meV; at least `LEAST`."""
    start, end, _ = _range(low[:, None], high[:, None], line, variance)
    between: Tensor = torch.special.ndtr(end) - torch.special.ndtr(start)
    return between.clamp(min=LEAST)


def cut(low: Tensor, high: Tensor, line: Tensor, variance: Tensor, even: Tensor) -> Float[Tensor, " peak"]:
    """Energies that follow the normal law within the range, from numbers that are even on 0 to 1."""
    start, end, side = _range(low, high, line, variance)
    below = torch.special.ndtr(start)
    normal: Tensor = torch.special.ndtri((below + even * (torch.special.ndtr(end) - below)).clamp(min=1e-300))
    return (line + side * variance.sqrt() * normal).clamp(low, high)


def _range(low: Tensor, high: Tensor, line: Tensor, variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The range in standard deviations from the line, mirrored (-1) where all of it would be above: tails are exact
    below."""
    start, end = (low - line) / variance.sqrt(), (high - line) / variance.sqrt()
    above = start > 0
    return torch.where(above, -end, start), torch.where(above, -start, end), 1 - 2.0 * above


def log_mixture(
    match: Float[Tensor, "batch group peak line"],
    inside: Float[Tensor, "batch group peak line"],
    weight: Float[Tensor, "batch group line"],
    outliers: Float[Tensor, " batch"],
) -> Float[Tensor, "batch group"]:
    """Log density of all peaks of each wavevector over that of outliers, from `log_match` and `mass`."""
    total, norm = _sums(weight, match.exp())[-1], _sums(weight, inside)[-1]
    chance = _chances(norm, outliers[:, None, None])
    mean = (chance * total / torch.where(norm > 0, norm, 1.0)).sum(-1)
    return mean.clamp(min=torch.finfo(match.dtype).tiny).log()


def _sums(weight: Float[Tensor, "*more line"], each: Float[Tensor, "*more peak line"]) -> list[Tensor]:
    """For every subset of peaks the sum over its assignments to the first lines, by how many lines these are."""
    peaks = each.shape[-2]
    subset = torch.arange(2**peaks, device=each.device)
    sums = [(subset == 0).to(each.dtype).expand(*weight.shape[:-1], -1)]
    for w, row in zip(weight[..., None].unbind(-2), each.unbind(-1), strict=True):
        with_one = [row[..., i, None] * (subset >> i & 1) * sums[-1][..., subset ^ (1 << i)] for i in range(peaks)]
        sums.append(sums[-1] + w * torch.stack(with_one).sum(0))
    return sums


def _chances(norm: Float[Tensor, "*more subset"], eps: Tensor) -> Float[Tensor, "*more subset"]:
    """P(S)."""
    subset, peaks = torch.arange(norm.shape[-1], device=norm.device), norm.shape[-1].bit_length() - 1
    size = torch.stack([subset >> i & 1 for i in range(peaks)]).sum(0)
    chance = (1 - eps) ** size * eps ** (peaks - size) * (norm > 0)
    return chance / chance.sum(-1, keepdim=True)


def drawn(
    weight: Float[Tensor, " line"],
    inside: Float[Tensor, "peak line"],
    outliers: Float[Tensor, ""],
    seed: torch.Generator,
) -> Int64[Tensor, " peak"]:
    """The line of each peak at one wavevector, -1 for an outlier, by that law: S first, then line by line its peak."""
    sums, line = _sums(weight, inside), torch.full((len(inside),), -1)
    subset = int(torch.multinomial(_chances(sums[-1], outliers), 1, generator=seed))
    for a in reversed(range(len(weight))):
        members = [i for i in range(len(inside)) if subset >> i & 1]
        ways = [sums[a][subset], *(weight[a] * inside[i, a] * sums[a][subset ^ (1 << i)] for i in members)]
        if chosen := int(torch.multinomial(torch.stack(ways), 1, generator=seed)):
            line[members[chosen - 1]] = a
            subset ^= 1 << members[chosen - 1]
    return line


def grouped(q: Float[Tensor, "peak 3"]) -> list[Int64[Tensor, "..."]]:
    """Numbers of the peaks that share a wavevector, one table for each number of peaks that do."""
    _, group = torch.unique((q * 1e6).round(), dim=0, return_inverse=True)
    members = [(group == k).nonzero()[:, 0] for k in range(int(group.max()) + 1)]
    sizes = sorted({len(each) for each in members})
    return [torch.stack([each for each in members if len(each) == size]) for size in sizes]
