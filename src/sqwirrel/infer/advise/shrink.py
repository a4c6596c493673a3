"""advise(): where to measure next, from what a posterior leaves open and what each candidate would tell.

A candidate of expected counts mu and derivatives J adds J J^T / mu to the information (the posterior's inverse
covariance), averaged over draws of the posterior: the Bayesian alphabetic criteria of K. Chaloner, I. Verdinelli, Stat.
Sci. 10, 273 (1995), doi:10.1214/ss/1177009939. Candidates are picked one after the other, each knowing of those before
it, by the shrinkage of the wanted errors per minute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.advise.candidates import Kind, Moving, in_words, minutes_to, places, predicted, where
from sqwirrel.infer.posterior import Posterior
from sqwirrel.observe import Experiment

LEAST = 1e-6
"""Counts below this are taken for it: an empty bin without background tells nothing of parameters."""


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
    """What to measure, in order; `before` are the standard deviations now, `gain` the shrinkage by each candidate
    alone, in logarithms of a standard deviation (mean of the wanted ones) per minute.
    """

    before: Mapping[str, float]
    picks: tuple[Pick, ...]
    gain: Float[Tensor, "point energy"]

    def __str__(self) -> str:
        lines = [f"{'now':>44} " + ", ".join(f"{name} {sd:.3g}" for name, sd in self.before.items())]
        spent = 0.0
        for pick in self.picks:
            spent += pick.minutes
            sds = ", ".join(f"{name} {sd:.3g}" for name, sd in pick.sd.items())
            lines.append(f"{in_words(pick.q, pick.energy):>32} {spent:7.1f} min {sds}")
        return "\n".join(lines)


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
    if unknown := [name for name in names if name not in posterior.names]:
        raise InputError(f"the posterior has parameters {posterior.names}, nothing about '{unknown[0]}'")
    if minutes <= 0 or pick < 1 or draws < 1:
        raise InputError(f"advice needs minutes > 0, pick and draws of at least 1; got {minutes}, {pick}, {draws}")
    columns = [posterior.names.index(name) for name in names]
    told = information(posterior, candidates, fixed or {}, draws, seed)
    shape = told.shape[:2]
    told = told.sum(1) if each == "point" else told.flatten(0, 1)
    spots, know = places(candidates, each), torch.linalg.inv(_regular(posterior.covariance))
    before, here, picks, first = _sd(know[None], columns)[0], None, [], None
    for _ in range(pick):
        after = _sd(know + told, columns)
        time = minutes_to(here, spots, minutes, moving)
        gain = (_sd(know[None], columns) / after).log().mean(1) / time
        first = gain if first is None else first
        k = int(gain.argmax())
        know, here = know + told[k], spots[k]
        sd = dict(zip(names, after[k].tolist(), strict=True))
        picks.append(Pick(k, *where(candidates, k, each), minutes=float(time[k]), sd=sd))
    assert first is not None
    width = shape[1] if each == "bin" else 1
    return Advice(dict(zip(names, before.tolist(), strict=True)), tuple(picks), first.reshape(shape[0], width))


def information(
    posterior: Posterior, candidates: Experiment, fixed: Mapping[str, float], draws: int, seed: int
) -> Float[Tensor, "point energy parameter parameter"]:
    """Fisher information of every bin about the free parameters, averaged over draws of the posterior."""
    rows = predicted(posterior, candidates, fixed, draws, seed)
    total = torch.zeros(*candidates.measurement.shape, len(posterior.names), len(posterior.names), dtype=rows.dtype)
    for row in torch.split(rows, 1):
        expected, slope, _ = candidates.linearise(row)
        free = torch.zeros(len(posterior.names), *expected.shape[1:], dtype=rows.dtype)
        for k, name in enumerate(posterior.names):
            if name in candidates.names:
                free[k] = slope[0, candidates.names.index(name)]
        total += torch.einsum("ape,bpe->peab", free, free) / expected[0].clamp(min=LEAST)[..., None, None]
    return total / draws


def _regular(covariance: Float[Tensor, "parameter parameter"]) -> Float[Tensor, "parameter parameter"]:
    """A covariance of few draws, with a little added where a direction has none."""
    return covariance + 1e-9 * torch.diag(covariance.diagonal())


def _sd(information: Float[Tensor, "candidate parameter parameter"], columns: list[int]) -> Tensor:
    """Standard deviations of some parameters, all others free."""
    size = information.diagonal(dim1=-2, dim2=-1).sqrt()
    even = information / size[:, :, None] / size[:, None]
    sd: Tensor = torch.linalg.inv(even).diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt() / size
    return sd[:, columns]
