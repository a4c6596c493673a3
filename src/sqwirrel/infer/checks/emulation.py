"""Whether an emulator may stand for the model: what the model itself says of a few draws."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.infer.posterior import Check
from sqwirrel.infer.refine import Optimum
from sqwirrel.infer.sampling.importance import Weighted
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import SpectrumTerm, Term
from sqwirrel.learn.surrogate import Emulator

DRAWS = 4
"""Draws that the model is asked about."""
EMULATION = 0.3
"""Largest shift that an emulator may bring, in standard deviations: it widens a root mean square error by 5 %."""
COVERED = 0.99
"""Share of the prior that an emulator must have learnt."""


def emulation_checks(target: Target, optimum: Optimum, weighted: Weighted) -> list[Check]:
    """None where no term is emulated.

    The shift is that of a step of Fisher scoring, C (g' - g), from a draw with the gradient g of the emulated log
    posterior to the one g' of the model; root mean square over the draws, of the parameter that moves most.
    """
    if not any(_is_emulated(term) for term in target.terms):
        return []
    model = target.with_terms(_modelled(term) for term in target.terms)
    z = _spread_out(weighted)
    real = model.slope(z)
    away = real.gradient - target.slope(z).gradient
    shift = (away @ optimum.covariance).square().mean(0).sqrt() / optimum.covariance.diagonal().sqrt()
    k, covered = int(shift.argmax()), _covered(target)
    meaning = (
        f"error of the emulator in standard deviations of '{target.names[k]}', which it moves most, at most {EMULATION}"
    )
    if covered < COVERED:
        meaning += f"; it has learnt {100 * covered:.0f} % of the prior, and rules out the rest"
    stable = bool(real.log_posterior.isfinite().all())
    if not stable:
        meaning += "; the model itself says that its order is unstable there"
    return [
        Check("emulation", stable and float(shift[k]) <= EMULATION and covered >= COVERED, float(shift[k]), meaning)
    ]


def _is_emulated(term: Term) -> bool:
    return isinstance(term, SpectrumTerm) and term.experiment.is_emulated


def _modelled(term: Term) -> Term:
    if isinstance(term, SpectrumTerm) and term.experiment.is_emulated:
        return replace(term, experiment=term.experiment.modelled_again())
    return term


def _spread_out(weighted: Weighted) -> Float[Tensor, "draw parameter"]:
    """Draws of equal weight, at even shares of the cumulated one."""
    share = weighted.log_weight.exp().cumsum(0)
    at = (torch.arange(DRAWS).to(share) + 0.5) / DRAWS * share[-1]
    return weighted.z[torch.searchsorted(share, at).clamp(max=len(share) - 1)]


def _covered(target: Target) -> float:
    """Share of the prior that every emulator has learnt."""
    full = target.full(target.prior.sample(256, seed=1))
    inside = torch.ones(len(full), dtype=torch.bool)
    for term in target.terms:
        view = term.experiment.view if isinstance(term, SpectrumTerm) else None
        if isinstance(view, Emulator):
            inside &= view.inside(target.own(term, full)[:, : len(view.middle)])
    return float(inside.double().mean())
