"""advise(): where to measure next, from what a posterior leaves open and what each candidate would tell.

A candidate of expected counts mu and derivatives J adds J J^T / mu to the information (the posterior's inverse
covariance). How far that shrinks the wanted errors, in logarithms, is averaged over draws of the posterior:
K. Chaloner, I. Verdinelli, Stat. Sci. 10, 273 (1995), doi:10.1214/ss/1177009939.

Derivatives promise too much while a posterior is wide: one count cannot find a mode that may be anywhere. So no more is
believed than what the best linear estimate from the counts, over draws of the posterior, leaves: an upper bound of the
expected variance, whatever the posterior is like, and the same as the former where it is narrow. Candidates are picked
one after the other, each knowing of those before it, by the shrinkage per minute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.advise.candidates import (
    Kind,
    Moving,
    best,
    in_words,
    minutes_to,
    places,
    predicted,
    updated,
    upright,
    where,
)
from sqwirrel.infer.posterior import Posterior
from sqwirrel.observe import Experiment

HELPS = 0.01
"""Advice that shrinks no error by this share is none."""
LEAST = 1e-6
"""Counts below this are taken for it: an empty bin without background tells nothing of parameters."""
TOGETHER = 16
"""Draws that are worked on at once."""
SPREAD = 256
"""Draws of the posterior that the linear estimate is made from."""


@dataclass(frozen=True)
class Pick:
    """A candidate: its number, where it is (h, k, l and energy, rlu and meV), its minutes (moving and counting), and
    the standard deviations of the wanted parameters after it.
    """

    candidate: int
    q: tuple[float, ...]
    energy: tuple[float, float]
    minutes: float
    sd: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Advice:
    """What to measure, in order; `before` are the standard deviations now, in their `units`, `gain` the shrinkage by
    each candidate alone, in logarithms of a standard deviation (mean of the wanted ones) per minute.
    """

    before: Mapping[str, float]
    picks: tuple[Pick, ...]
    gain: Float[Tensor, "point energy"]
    units: Mapping[str, str]

    def __str__(self) -> str:
        lines = [f"{'errors now':>44} {self._said(self.before)}"]
        spent = 0.0
        for pick in self.picks:
            spent += pick.minutes
            lines.append(f"{in_words(pick.q, pick.energy):>32} {spent:7.1f} min {self._said(pick.sd)}")
        last = self.picks[-1].sd
        if all(last[name] > (1 - HELPS) * sd for name, sd in self.before.items()):
            lines.append("no candidate helps: all of these together shrink no error by as much as 1 %")
        return "\n".join(lines)

    def _said(self, errors: Mapping[str, float]) -> str:
        return ", ".join(f"{name} {sd:.3g} {self.units[name]}".rstrip() for name, sd in errors.items())


def advise(
    posterior: Posterior,
    candidates: Experiment,
    wanted: Sequence[str] = (),
    *,
    minutes: float = 1.0,
    moving: Moving | None = None,
    pick: int = 8,
    each: Kind = "bin",
    fixed: Mapping[str, float] | None = None,
    draws: int = 32,
    seed: int = 1,
) -> Advice:
    """The best `pick` of the candidates for the `wanted` parameters (those of the model by default).

    `candidates` simulates them with the parameters of the posterior and those `fixed`; its `scale` must mean counts in
    `minutes`. A candidate is a bin, or with `each = "point"` all energies of a point at once. `moving` tells the
    minutes between places; without it moving is free. A candidate may be picked again.
    """
    names = tuple(wanted) or tuple(name for name in candidates.model.names if name in posterior.names)
    if not names:
        raise InputError("the posterior has no parameter of the model; say in `wanted` which errors should shrink")
    if unknown := [name for name in names if name not in posterior.names]:
        raise InputError(f"the posterior has parameters {posterior.names}, nothing about '{unknown[0]}'")
    if minutes <= 0 or pick < 1 or draws < 1:
        raise InputError(f"advice needs minutes > 0, pick and draws of at least 1; got {minutes}, {pick}, {draws}")
    columns = [posterior.names.index(name) for name in names]
    told = _told(whitened(posterior, candidates, fixed or {}, draws, seed), each)
    known = torch.linalg.inv(_regular(posterior.covariance)).expand(draws, -1, -1)
    spread = _spread(posterior, candidates, fixed or {}, columns, seed, each)
    spots, here, picks, first = places(candidates, each), None, [], None
    now = before = _now(known, columns)
    for _ in range(pick):
        after = torch.stack([_after(*pair, columns) for pair in zip(known, told, strict=True)]).mean(0)
        less = torch.minimum(_now(known, columns) - after, -_explained(*spread))
        time = minutes_to(here, spots, minutes, moving)
        first = less.mean(1) / time if first is None else first
        k = best(less.mean(1), time)
        known, here, spread, now = known + _product(told[:, k]), spots[k], _counted(*spread, k), now - less[k]
        sd = dict(zip(names, now.exp().tolist(), strict=True))
        picks.append(Pick(k, *where(candidates, k, each), minutes=float(time[k]), sd=sd))
    assert first is not None
    points, bins = candidates.measurement.shape
    gain = first.reshape(points, bins if each == "bin" else 1)
    units = dict(zip(posterior.names, posterior.units, strict=True))
    return Advice(dict(zip(names, before.exp().tolist(), strict=True)), tuple(picks), gain, units)


def information(
    posterior: Posterior, candidates: Experiment, fixed: Mapping[str, float], draws: int, seed: int
) -> Float[Tensor, "point energy parameter parameter"]:
    """Fisher information of every bin about the free parameters, averaged over draws of the posterior."""
    slope = whitened(posterior, candidates, fixed, draws, seed)
    return torch.einsum("dape,dbpe->peab", slope, slope) / draws


def whitened(
    posterior: Posterior, candidates: Experiment, fixed: Mapping[str, float], draws: int, seed: int
) -> Float[Tensor, "draw parameter point energy"]:
    """Derivatives of the expected counts by the free parameters, in standard deviations of the counts."""
    rows = predicted(posterior, candidates, fixed, draws, seed)
    slopes = torch.zeros(draws, len(posterior.names), *candidates.measurement.shape, dtype=rows.dtype)
    for k, part in enumerate(torch.split(rows, TOGETHER)):
        expected, slope, _ = candidates.linearise(part)
        slope = slope / expected.clamp(min=LEAST).sqrt()[:, None]
        for column, name in enumerate(posterior.names):
            if name in candidates.names:
                slopes[k * TOGETHER : (k + 1) * TOGETHER, column] = slope[:, candidates.names.index(name)]
    return slopes


def _spread(
    posterior: Posterior, candidates: Experiment, fixed: Mapping[str, float], columns: list[int], seed: int, each: Kind
) -> tuple[Float[Tensor, "draw wanted"], Float[Tensor, "draw candidate bin"]]:
    """The wanted parameters of draws, and the counts that these expect, upright, of every bin of a candidate."""
    rows = predicted(posterior, candidates, fixed, SPREAD, seed)
    with torch.no_grad():
        x = upright(candidates.predict(rows).expected)
    return posterior.sample(SPREAD, seed)[:, columns], x if each == "point" else x.flatten(1)[..., None]


def _explained(
    theta: Float[Tensor, "draw wanted"], x: Float[Tensor, "draw candidate bin"]
) -> Float[Tensor, "candidate wanted"]:
    """Logarithm of the share of a standard deviation that the best linear estimate from the counts leaves."""
    n = len(theta) - 1
    theta, x = (theta - theta.mean(0)) / n**0.5, (x - x.mean(0)) / n**0.5
    inner = torch.einsum("dca,dcb->cab", x, x) + torch.eye(x.shape[2], dtype=x.dtype)
    cross = torch.einsum("dca,dw->caw", x, theta)
    share = (cross * torch.linalg.solve(inner, cross)).sum(1) / (theta**2).sum(0)
    left: Tensor = (1 - share).clamp(min=1e-12).log() / 2
    return left


def _counted(
    theta: Float[Tensor, "draw wanted"], x: Float[Tensor, "draw candidate bin"], k: int
) -> tuple[Float[Tensor, "draw wanted"], Float[Tensor, "draw candidate bin"]]:
    """Both once candidate `k` has been counted, with the result that is expected."""
    w, bins = theta.shape[1], x.shape[2]
    every = torch.cat((theta, x.flatten(1)), dim=1)
    for column in range(w + k * bins, w + (k + 1) * bins):
        every = updated(every, column, every[:, column].mean())
    after: Tensor = every[:, w:].reshape(x.shape)
    return every[:, :w], after


def _told(
    slope: Float[Tensor, "draw parameter point energy"], each: Kind
) -> Float[Tensor, "draw candidate parameter rank"]:
    """A factor R of the information R R^T of each candidate."""
    if each == "bin":
        return slope.flatten(2).mT[..., None]
    factor, size, _ = torch.linalg.svd(slope.permute(0, 2, 1, 3), full_matrices=False)
    root: Tensor = factor * size[..., None, :]
    return root


def _product(factor: Float[Tensor, "*batch parameter rank"]) -> Float[Tensor, "*batch parameter parameter"]:
    product: Tensor = factor @ factor.mT
    return product


def _now(known: Float[Tensor, "draw parameter parameter"], columns: list[int]) -> Float[Tensor, " wanted"]:
    """Logarithms of standard deviations, all other parameters free, averaged over draws."""
    return torch.stack([_inverse(each).diagonal()[columns].log() / 2 for each in known]).mean(0)


def _after(
    known: Float[Tensor, "parameter parameter"],
    told: Float[Tensor, "candidate parameter rank"],
    columns: list[int],
) -> Float[Tensor, "candidate wanted"]:
    """Logarithms of standard deviations once a candidate is measured: (K + R R^T)^-1 by Woodbury's identity."""
    covariance = _inverse(known)
    moved = covariance @ told
    inner = torch.eye(told.shape[2], dtype=told.dtype) + told.mT @ moved
    less = (moved[:, columns] * torch.linalg.solve(inner, moved.mT).mT[:, columns]).sum(2)
    variance = covariance.diagonal()[columns]
    after: Tensor = (variance - less).clamp(min=1e-12 * variance).log() / 2
    return after


def _inverse(information: Float[Tensor, "parameter parameter"]) -> Float[Tensor, "parameter parameter"]:
    size = information.diagonal().sqrt()
    inverse: Tensor = torch.linalg.inv(information / size[:, None] / size) / size[:, None] / size
    return inverse


def _regular(covariance: Float[Tensor, "parameter parameter"]) -> Float[Tensor, "parameter parameter"]:
    """A covariance of few draws, with a little added where a direction has none."""
    return covariance + 1e-9 * torch.diag(covariance.diagonal())
