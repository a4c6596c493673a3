"""How likely measured peaks are, given the lines that modes make: a sum over all assignments of peaks to lines.

K peaks at one wavevector belong to K distinct lines, or are outliers. With eps the probability of an outlier, w the
weights of the lines, v the variances, and U the even density over the range that was searched:

    p(E_1 ... E_K) = sum_S P(S) prod_(i not in S) U(E_i) sum_a prod_(i in S) w_a(i) N(E_i; omega_a(i), v_i,a(i)) / Z_|S|

S are the peaks that are no outliers, P(S) is proportional to (1 - eps)^|S| eps^(K - |S|) over the S for which there are
lines enough, a runs over the assignments to distinct lines, and Z_k = k! e_k(w), with the elementary symmetric
polynomial, is the sum of prod w over them: the density integrates to one. Both sums are made line by line, with the
subsets of peaks as states.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

DEGENERATE = 1e-4
"""Modes within this many meV are one line: no table tells them apart."""


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


def log_mixture(
    match: Float[Tensor, "batch group peak line"],
    weight: Float[Tensor, "batch group line"],
    outliers: Float[Tensor, " batch"],
) -> Float[Tensor, "batch group"]:
    """Log density of all peaks of each wavevector over that of outliers, from the logs of `log_match`."""
    peaks = match.shape[-2]
    subset = torch.arange(2**peaks, device=match.device)
    has = torch.stack([(subset >> i) & 1 for i in range(peaks)])
    size = has.sum(0)
    total = (subset == 0).to(match.dtype).expand(*weight.shape[:-1], -1)
    every = (torch.arange(peaks + 1, device=match.device) == 0).to(match.dtype).expand(*weight.shape[:-1], -1)
    for w, row in zip(weight[..., None].unbind(-2), match.exp().unbind(-1), strict=True):
        with_one = [row[..., i, None] * has[i] * total[..., subset ^ (1 << i)] for i in range(peaks)]
        total = total + w * torch.stack(with_one).sum(0)
        every = every + w * torch.nn.functional.pad(every[..., :-1], (1, 0))
    share = _chances(every, outliers)
    return (share[..., size] * total).sum(-1).clamp(min=torch.finfo(match.dtype).tiny).log()


def _chances(every: Float[Tensor, "batch group size"], outliers: Float[Tensor, " batch"]) -> Tensor:
    """P(S) / Z_|S| by the size of S, from the elementary symmetric polynomials of the weights."""
    peaks, eps = every.shape[-1] - 1, outliers[:, None]
    possible = every > 0
    chance = torch.stack([(1 - eps) ** k * eps ** (peaks - k) for k in range(peaks + 1)], -1) * possible
    ways = every.new_tensor([math.comb(peaks, k) for k in range(peaks + 1)])
    orders = every.new_tensor([math.factorial(k) for k in range(peaks + 1)])
    return chance / (chance * ways).sum(-1, keepdim=True) / (orders * torch.where(possible, every, 1.0))


def drawn(weight: Float[Tensor, " line"], peaks: int, outliers: float, seed: torch.Generator) -> Int64[Tensor, " peak"]:
    """The line of each peak at one wavevector, -1 for an outlier, by that law; draws that break it are repeated."""
    while True:
        stray = torch.rand(peaks, generator=seed) < outliers
        if int((~stray).sum()) <= int((weight > 0).sum()):
            break
    line, chosen = torch.full((peaks,), -1), torch.zeros(int((~stray).sum()), dtype=torch.int64)
    while len(chosen):
        chosen = torch.multinomial(weight, len(chosen), replacement=True, generator=seed)
        if len(set(chosen.tolist())) == len(chosen):
            break
    line[~stray] = chosen
    return line


def grouped(q: Float[Tensor, "peak 3"]) -> list[Int64[Tensor, "..."]]:
    """Numbers of the peaks that share a wavevector, one table for each number of peaks that do."""
    _, group = torch.unique((q * 1e6).round(), dim=0, return_inverse=True)
    members = [(group == k).nonzero()[:, 0] for k in range(int(group.max()) + 1)]
    sizes = sorted({len(each) for each in members})
    return [torch.stack([each for each in members if len(each) == size]) for size in sizes]
