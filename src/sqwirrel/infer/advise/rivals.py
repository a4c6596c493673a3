"""advise_between(): where to measure next to decide between models that compete.

A model predicts the law of the counts at a candidate: Poisson, with the expectation spread as its posterior leaves it.
x = 2 sqrt(counts + 3/8) has unit variance whatever the expectation, so the law of x is a density of the posterior's
draws, blurred by one. The value of a candidate is the logarithm of the Bayes factor that it should bring for the true
model against the others,

    sum_t w_t integral p_t(x) log(p_t(x) / p_others(x)) dx,

the rule of H. Chernoff (Ann. Math. Stat. 30, 755 (1959), doi:10.1214/aoms/1177706205) averaged over the models. The
logarithm is cut at what decides: a bin that could bring a factor of 1e30, but hardly ever, is worth little. What
parameters of a model can still adjust is in its spread, and separates nothing.

Later picks know of those before: for each truth the draws of every model are moved and narrowed as the expected counts
would (`candidates.updated`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.advise.candidates import (
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

NOISE = 1.1
"""Expected Bayes factors below are noise of the draws."""
GRID, REACH, STEP = 128, 5.0, 0.7
"""Values of x at which laws are compared, how far beyond the draws, and the widest step, in standard deviations."""
NEIGHBOURS = 8
"""A draw stands for the space to so many draws on both sides."""
AT_ONCE = 512
Beliefs = dict[str, Float[Tensor, "draw candidate"]]
"""x that each model expects, for each draw."""


@dataclass(frozen=True, eq=False)
class Rival:
    """A model with what is known of its parameters, and an experiment that predicts the candidates with it; `fixed` are
    parameters of the candidates that the posterior has not.
    """

    posterior: Posterior
    candidates: Experiment
    fixed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """A candidate: its number, where it is (h, k, l and energy, rlu and meV), its minutes (moving and counting), the
    counts that each model expects there with their spread (posterior and counting), and the Bayes factor of the truth
    expected after it.
    """

    candidate: int
    q: tuple[float, ...]
    energy: tuple[float, float]
    minutes: float
    counts: Mapping[str, tuple[float, float]]
    factor: float


@dataclass(frozen=True, eq=False)
class Separation:
    """What to measure, in order; `gain` is the expected logarithm of the Bayes factor per minute, by each candidate;
    `decisive` the factor that would be enough.
    """

    probes: tuple[Probe, ...]
    gain: Float[Tensor, "point energy"]
    decisive: float

    def __str__(self) -> str:
        lines, spent = [], 0.0
        for probe in self.probes:
            spent += probe.minutes
            counts = ", ".join(f"{name} {mean:.3g} ± {sd:.2g}" for name, (mean, sd) in probe.counts.items())
            place = in_words(probe.q, probe.energy)
            lines.append(f"{place:>32} {spent:7.1f} min, Bayes factor {probe.factor:.3g}; counts: {counts}")
        if self.probes[0].factor < NOISE:
            lines.append("no single candidate tells the models apart: a factor so near to 1 is noise of the draws")
        return "\n".join(lines)


def advise_between(
    rivals: Mapping[str, Rival],
    *,
    minutes: float = 1.0,
    moving: Moving | None = None,
    pick: int = 8,
    decisive: float = 100.0,
    probability: Mapping[str, float] | None = None,
    draws: int = 128,
    seed: int = 1,
) -> Separation:
    """The best `pick` of the candidates, bins or points that all rivals predict, to decide between the rivals.

    `scale` of the candidates must mean counts in `minutes`; `moving` tells the minutes between places. `decisive` is
    the Bayes factor that would be enough; `probability` are those of the models, equal if left out.
    """
    if minutes <= 0 or pick < 1 or draws < 16 or decisive <= 1:
        raise InputError(
            "advice between rivals needs minutes > 0, pick of at least 1, draws of at least 16 and decisive > 1; got "
            f"{minutes}, {pick}, {draws}, {decisive}"
        )
    first = _same(rivals)
    weight, need = _weights(rivals, probability), math.log(decisive)
    spots, beliefs = places(first), {name: _expected(rival, draws, seed) for name, rival in rivals.items()}
    value = _value(dict.fromkeys(rivals, beliefs), weight, need)
    gain = (value / minutes_to(None, spots, minutes, moving)).reshape(first.measurement.shape)
    futures, here, probes, total = dict.fromkeys(rivals, beliefs), None, [], 0.0
    for _ in range(pick):
        time = minutes_to(here, spots, minutes, moving)
        k = best(value, time)
        total, here = total + float(value[k]), spots[k]
        counts = {name: _counts(x[:, k]) for name, x in beliefs.items()}
        probes.append(Probe(k, *where(first, k), float(time[k]), counts, math.exp(min(total, 700.0))))
        if len(probes) < pick:
            futures = {truth: _measured(known, truth, k) for truth, known in futures.items()}
            value = _value(futures, weight, need)
    return Separation(tuple(probes), gain, decisive)


def _same(rivals: Mapping[str, Rival]) -> Experiment:
    """The candidates of the first rival, which must be those of all."""
    if len(rivals) < 2:
        raise InputError(f"advice between rivals needs at least two models, got {len(rivals)}")
    first, *others = (rival.candidates for rival in rivals.values())
    if not all(first.measurement.same_bins(other.measurement) for other in others):
        raise InputError("the candidates of the rivals are not the same bins; make them on one measurement")
    return first


def _weights(rivals: Mapping[str, Rival], probability: Mapping[str, float] | None) -> dict[str, float]:
    known = dict.fromkeys(rivals, 1.0) if probability is None else dict(probability)
    if set(known) != set(rivals) or min(known.values()) <= 0:
        raise InputError(f"each of the rivals {tuple(rivals)} needs a positive probability, got {known}")
    return {name: known[name] / sum(known.values()) for name in rivals}


def _expected(rival: Rival, draws: int, seed: int) -> Float[Tensor, "draw candidate"]:
    """x expected for draws of the posterior; an order that is not stable predicts what the others do on average."""
    with torch.no_grad():
        expected, stable = rival.candidates.predict(
            predicted(rival.posterior, rival.candidates, rival.fixed, draws, seed)
        )
    if not bool(stable.any()):
        raise InputError(f"the order of '{rival.candidates.model.name}' is stable for no draw of its posterior")
    rows = expected.flatten(1)
    rows = torch.where(stable[:, None], rows, rows[stable].mean(0))
    return upright(rows)


def _counts(x: Float[Tensor, " draw"]) -> tuple[float, float]:
    """Mean and standard deviation of the counts."""
    mean = (x / 2) ** 2 - 0.375
    return float(mean.mean()), float((mean.mean() + mean.var()).sqrt())


def _value(futures: Mapping[str, Beliefs], weight: Mapping[str, float], need: float) -> Float[Tensor, " candidate"]:
    """Expected logarithm of the Bayes factor of the truth, averaged over truths."""
    n = next(iter(next(iter(futures.values())).values())).shape[1]
    return torch.cat([_value_of(futures, weight, need, part) for part in torch.split(torch.arange(n), AT_ONCE)])


def _value_of(futures: Mapping[str, Beliefs], weight: Mapping[str, float], need: float, part: Tensor) -> Tensor:
    total = torch.zeros(len(part), dtype=torch.float64)
    laws: dict[int, dict[str, Tensor]] = {}
    for truth, known in futures.items():
        x, step = _grid([each[:, part] for each in known.values()])
        if id(known) not in laws:  # before the first pick all futures are one
            laws[id(known)] = {name: _law(each[:, part], x, step) for name, each in known.items()}
        law = laws[id(known)]
        others = torch.stack([weight[name] * law[name] for name in law if name != truth]).sum(0) / (1 - weight[truth])
        odds = (law[truth].clamp(min=1e-300).log() - others.clamp(min=1e-300).log()).clamp(-need, need)
        total = total + weight[truth] * (law[truth] * odds).sum(0) * step
    return total.clamp(min=0)


def _grid(every: list[Tensor]) -> tuple[Float[Tensor, "x candidate"], Float[Tensor, " candidate"]]:
    low = torch.stack([each.amin(0) for each in every]).amin(0) - REACH
    high = torch.stack([each.amax(0) for each in every]).amax(0) + REACH
    step = (high - low) / (GRID - 1)
    return low + step * torch.arange(GRID, dtype=low.dtype)[:, None], step


def _law(
    draws: Float[Tensor, "draw candidate"], x: Float[Tensor, "x candidate"], step: Float[Tensor, " candidate"]
) -> Float[Tensor, "x candidate"]:
    """Density of x: each draw blurred by counting (or by what the grid resolves) and by the space to its neighbours."""
    ordered, n = draws.sort(dim=0).values, len(draws)
    k = torch.arange(n)
    low, high = (k - NEIGHBOURS).clamp(min=0), (k + NEIGHBOURS).clamp(max=n - 1)
    space = (ordered[high] - ordered[low]) * (NEIGHBOURS / (high - low))[:, None]
    variance = (step / STEP).clamp(min=1.0) ** 2 + space**2
    height, narrow = ((2 * math.pi * variance).rsqrt() / n).float(), (0.5 / variance).sqrt()
    away = (x[:, None] * narrow - ordered * narrow).float()  # seven digits are plenty, and twice as fast
    return torch.einsum("xdc,dc->xc", (-away.square()).exp(), height).double()


def _measured(known: Beliefs, truth: str, k: int) -> Beliefs:
    """What the models expect once candidate `k` has been counted with the result that `truth` expects."""
    return {name: updated(each, k, known[truth][:, k].mean()) for name, each in known.items()}
