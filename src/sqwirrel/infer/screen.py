"""Screening: starting points from the prior, many at a time, with the linear nuisances solved for."""

from collections import Counter
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.target import Target

BLOCK = 16
"""Draws between two words on how far it is."""


def screen(
    target: Target,
    *,
    draws: int,
    keep: int,
    seed: int,
    among: Float[Tensor, "draw parameter"] | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Float[Tensor, "start parameter"]:
    """The `keep` best of `draws` prior draws, or of those `among`, by log posterior, after `profile`.

    Raises InputError when the assumed order is stable for none of them.
    """
    theta = target.prior.sample(draws, seed) if among is None else among
    parts: list[tuple[Tensor, Tensor]] = []
    for block in torch.split(theta, BLOCK):
        progress(BLOCK * len(parts), draws)
        parts.append(profile(target, block))
    profiled, value = (torch.cat(column) for column in zip(*parts, strict=True))
    stable = value.isfinite()
    if not bool(stable.any()):
        raise InputError(_never_stable(target, theta))
    best = value.argsort(descending=True)[: min(keep, int(stable.sum()))]
    return profiled[best]


def profile(
    target: Target, theta: Float[Tensor, "batch parameter"]
) -> tuple[Float[Tensor, "batch parameter"], Float[Tensor, " batch"]]:
    """`theta` with free linear nuisances (scale, background) at their weighted least squares, and its log posterior.

    The solution is clipped to the prior's bounds; a nuisance that terms share is left as it is. The log posterior is
    -inf where the order is unstable.
    """
    bounds = dict(zip(target.names, target.prior.bounds.tolist(), strict=True))
    uses = Counter(name for term in target.terms for name in term.names)
    solve = {name: (lo, hi) for name, (lo, hi) in bounds.items() if uses[name] == 1}
    full, deviance = target.full(theta), theta.new_zeros(len(theta))
    for term in target.terms:
        rows, value = term.profiled(target.own(term, full), solve)
        deviance = deviance + value
        full = full.index_copy(1, torch.tensor([target.every.index(name) for name in term.names]), rows)
    theta = full[:, target.free]
    value = target.prior.log_prob(theta) - 0.5 * deviance
    return theta, torch.where(deviance.isfinite(), value, -torch.inf)


def _never_stable(target: Target, theta: Tensor) -> str:
    reason = target.why_unstable(target.full(theta[:1]))
    return f"the prior never gives a stable order in {len(theta)} draws; for the first of them {reason}"
