"""Gap: how far each parameter is in one latent alone, the mutual information gap (R. T. Q. Chen, X. Li, R. Grosse, D.
Duvenaud, arXiv:1802.04942).

    gap_k = (I(k, first latent) - I(k, second latent)) / H(k)

with the two latents that know most of parameter k. Both are cut into bins with as many rows each; the bias of the
information in a histogram, (bins - 1)^2 / 2 n, is subtracted (G. A. Miller (1955); A. Treves, S. Panzeri (1995)).
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

BINS = 10


def information(
    latents: Float[Tensor, "row latent"], theta: Float[Tensor, "row parameter"], bins: int = BINS
) -> Float[Tensor, "latent parameter"]:
    """Mutual information of each latent with each parameter, nats, not below 0."""
    one, other = _cut(latents, bins), _cut(theta, bins)
    onto = [torch.nn.functional.one_hot(each, bins).double() for each in (one, other)]
    joint = torch.einsum("nla,npb->lpab", *onto) / len(latents)
    apart = joint.sum(3, keepdim=True) * joint.sum(2, keepdim=True)
    found = torch.xlogy(joint, joint / apart.clamp(min=1e-300)).sum((2, 3))
    return (found - (bins - 1) ** 2 / (2 * len(latents))).clamp(min=0)


def gap(
    latents: Float[Tensor, "row latent"], theta: Float[Tensor, "row parameter"], bins: int = BINS
) -> Float[Tensor, " parameter"]:
    """The gap of each parameter: 1 where one latent is the parameter and no other knows of it."""
    first = information(latents, theta, bins).topk(2, dim=0).values
    return (first[0] - first[1]) / math.log(bins)


def _cut(x: Float[Tensor, "row column"], bins: int) -> Int[Tensor, "row column"]:
    """Bins with as many rows each; what is equal everywhere is in one."""
    rank = x.argsort(0).argsort(0) * bins // len(x)
    return torch.where(x.max(0).values > x.min(0).values, rank, 0)
