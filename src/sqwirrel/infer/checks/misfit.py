"""What the model misses: replicas with counting noise alone, parameters that were held, and how far errors widen.

Predictive p-values: D. B. Rubin, Ann. Stat. 12, 1151 (1984), doi:10.1214/aos/1176346785. Score tests: C. R. Rao, Proc.
Camb. Philos. Soc. 44, 50 (1948), doi:10.1017/S0305004100023987. Sandwich: H. White, Econometrica 50, 1 (1982),
doi:10.2307/1912526.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sqwirrel.infer.checks.fit import WINDOW, labelled
from sqwirrel.infer.posterior import Check
from sqwirrel.infer.refine import Optimum
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import SpectrumTerm, Term
from sqwirrel.observe.counting import STRAY
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement

SCALES = ((1, 1), (3, 3), (5, 7), WINDOW, (15, 25))
"""Bins, along the rows and columns of `planes`, over which residuals are averaged."""
REPLICAS, VALUES = (24, 100), 4_000_000
"""Fewest and most replicas; between them as many as have this many bins."""
LEAST = 0.2
"""Standard deviation of replicas taken at least: where a fit leaves no noise, it leaves what it lacks to converge."""
ALARM = 5.0
"""Standard deviations of replicas by which the residuals of data may differ from them."""
HELD = 4.0
"""Standard deviations by which data may pull at a parameter that is held."""


def misfit_checks(target: Target, optimum: Optimum, seed: int) -> list[Check]:
    """`predictive` of every spectrum, and `held` where parameters are."""
    full, stretch = target.full(target.prior.constrain(optimum.z[None])), target.stretch(optimum.z[None])[0]
    covariance, found = optimum.covariance * stretch * stretch[:, None], []
    for term in target.terms:
        if isinstance(term, SpectrumTerm):
            known = torch.zeros(len(term.names), len(term.names), dtype=full.dtype)
            here, there = target.columns(term)
            known[here[:, None], here] = covariance[there[:, None], there]
            found += labelled([predictive_check(term, target.own(term, full), known, seed)], term)
    return found + held_check(target, optimum)


def predictive_check(
    term: SpectrumTerm, theta: Float[Tensor, "1 own"], covariance: Float[Tensor, "own own"], seed: int
) -> Check:
    """How far sums of squares and maxima of averaged residuals are from those of replicas, at the worst scale.

    Replicas are the best fit with noise, less what a refit would take of that noise: parameters move by the posterior's
    `covariance` (0 for held ones) times the gradient.
    """
    planes, valid = term.experiment.measurement.planes, term.observed.valid
    real, noise = term.residual(theta)[None], _replicas(term, theta, covariance, seed)
    there = valid.take(planes)
    away = torch.stack([_distance(_on(planes, real), _on(planes, noise), there, window) for window in SCALES])
    k = int(away.argmax())
    scale, what = SCALES[k // 2], ("sum of squares", "maximum")[k % 2]
    return Check(
        "predictive",
        float(away.max()) <= ALARM,
        float(away.max()),
        f"{what} of residuals averaged over {scale[0]} x {scale[1]} bins, in standard deviations above noise of the "
        f"model, at most {ALARM:g} at any of {len(SCALES)} scales",
    )


def _replicas(
    term: SpectrumTerm, theta: Float[Tensor, "1 own"], covariance: Float[Tensor, "own own"], seed: int
) -> Float[Tensor, "replica point energy"]:
    """Residuals of noise alone, as a normal law would have them, after a linear refit."""
    counting, valid = term.experiment.instrument.counting, term.observed.valid
    linear = term.experiment.linearise(theta)
    mu, J = linear.expected[0, valid], linear.slope[0][:, valid]
    law = mu.clamp(min=STRAY) if counting.is_poisson else mu
    few, many = REPLICAS
    generator, n = stream(seed, "replicas"), max(few, min(many, VALUES // max(1, len(mu))))
    found = torch.zeros(n, *valid.shape, dtype=mu.dtype)
    for replica in found:
        drawn = replace(term.observed, intensity=counting.sample(law, term.observed, generator))
        push = J @ (counting.weight(law[None], drawn)[0] * (drawn.intensity - law))
        replica[valid] = counting.as_normal(counting.residual(law + (covariance @ push) @ J, drawn))
    return found


def _distance(
    real: Float[Tensor, "1 plane row column"],
    noise: Float[Tensor, "replica plane row column"],
    valid: Bool[Tensor, "plane row column"],
    window: tuple[int, int],
) -> Float[Tensor, " 2"]:
    """Of sum of squares and maximum, in standard deviations of the replicas."""
    count = boxed(valid.to(real.dtype)[None], window).clamp(min=1)
    mine, theirs = (torch.where(valid, boxed(each, window) / count.sqrt(), 0.0).flatten(1) for each in (real, noise))
    pairs = [((x**2).sum(1), x.abs().amax(1)) for x in (mine, theirs)]
    far = [(one - many.mean()) / many.std().clamp(min=LEAST) for one, many in zip(*pairs, strict=True)]
    return torch.cat(far)


def boxed(values: Float[Tensor, "*plane row column"], window: tuple[int, int]) -> Float[Tensor, "*plane row column"]:
    """Sums over the window round each bin, cut at the rim."""
    for axis, width in zip((-2, -1), window, strict=True):
        half, n = width // 2, values.shape[axis]
        total = torch.nn.functional.pad(values.movedim(axis, -1), (1, 0)).cumsum(-1)
        ends = torch.arange(n)
        high, low = (ends + half + 1).clamp(max=n), (ends - half).clamp(min=0)
        values = (total[..., high] - total[..., low]).movedim(-1, axis)
    return values


def held_check(target: Target, optimum: Optimum) -> list[Check]:
    """The held parameter at which the data pull hardest, all free ones following; none if nothing is held."""
    held = [k for k, name in enumerate(target.every) if name in target.prior.fixed]
    if not held:
        return []
    free, rise, fisher = target.free, *_whole(target, optimum)
    stretch = target.stretch(optimum.z[None])[0]
    cross = fisher[held][:, free] * stretch
    left = fisher.diagonal()[held] - torch.einsum("ha,ab,hb->h", cross, optimum.covariance, cross)
    known = left > 1e-6 * fisher.diagonal()[held]
    pull = torch.where(known, rise[held] / left.clamp(min=1e-300).sqrt(), 0.0)
    k = int(pull.abs().argmax())
    name, now = target.every[held[k]], target.prior.fixed[target.every[held[k]]]
    there = now + float(pull[k] / left[k].clamp(min=1e-300).sqrt())
    meaning = (
        f"how hard the data pull at '{name}', held at {now:.4g}, in standard deviations, at most {HELD:g} either way; "
        f"they want about {there:.4g}"
    )
    return [Check("held", abs(float(pull[k])) <= HELD, float(pull[k]), meaning)]


def widening(target: Target, optimum: Optimum) -> Float[Tensor, " parameter"]:
    """How many times larger the scatter of the residuals, correlated within `WINDOW`, makes each error; at least 1.

    NaN where a spectrum has no more windows than free parameters: their scatter then says nothing.
    """
    full, covariance = target.full(target.prior.constrain(optimum.z[None])), optimum.covariance
    scatter, stretch = optimum.precision - optimum.information, target.stretch(optimum.z[None])[0]
    for term in target.terms:
        here, there = target.columns(term)
        spread = torch.zeros_like(scatter)
        spread[there[:, None], there] = _scatter(term, target.own(term, full), here.tolist())
        scatter = scatter + spread * stretch * stretch[:, None]
    real = (covariance @ scatter @ covariance).diagonal()
    return (real / covariance.diagonal()).clamp(min=1).sqrt()


def _scatter(term: Term, theta: Float[Tensor, "1 own"], free: list[int]) -> Float[Tensor, "free free"]:
    """Sum over windows of the squared gradient; of peaks the information, as if they followed their law."""
    if not isinstance(term, SpectrumTerm):
        return term.slope(theta).information[0][free][:, free]
    linear, valid = term.experiment.linearise(theta), term.observed.valid
    mu, J = linear.expected[0, valid], linear.slope[0][free][:, valid]
    weight = term.experiment.instrument.counting.weight(mu[None], term.observed)[0]
    push = torch.zeros(len(free), valid.numel(), dtype=mu.dtype)
    push[:, valid.flatten()] = term.weight * J * weight * (term.observed.intensity - mu)
    window = window_of(term.experiment.measurement).flatten()
    total = torch.zeros(len(free), int(window.max()) + 1, dtype=mu.dtype).index_add_(1, window, push)
    windows = int((torch.bincount(window[valid.flatten()]) > 0).sum())
    left = windows - len(free)  # the fit has made the sum over windows zero, in as many directions
    return total @ total.T * (windows / left if left > 0 else torch.nan)


def window_of(measurement: Measurement) -> Int[Tensor, "point energy"]:
    """The number of the window of `WINDOW` neighbouring bins that each bin belongs to."""
    planes = measurement.planes
    plane, row, column = (torch.arange(n) for n in planes.shape)
    rows, columns = row // WINDOW[0], column // WINDOW[1]
    block = (plane[:, None, None] * (rows[-1] + 1) + rows[:, None]) * (columns[-1] + 1) + columns
    return torch.zeros(measurement.shape, dtype=torch.long).put_(planes, block)


def _whole(target: Target, optimum: Optimum) -> tuple[Float[Tensor, " full"], Float[Tensor, "full full"]]:
    """Gradient and Fisher information of all parameters, held or free, in their own units."""
    full, n = target.full(target.prior.constrain(optimum.z[None])), len(target.every)
    rise, fisher = torch.zeros(n, dtype=full.dtype), torch.zeros(n, n, dtype=full.dtype)
    for term in target.terms:
        slope = term.slope(target.own(term, full))
        where = torch.tensor([target.every.index(name) for name in term.names])
        rise[where] += slope.gradient[0]
        fisher[where[:, None], where] += slope.information[0]
    return rise, fisher


def _on(planes: Tensor, maps: Float[Tensor, "map point energy"]) -> Float[Tensor, "map plane row column"]:
    return maps.flatten(1)[:, planes.flatten()].reshape(len(maps), *planes.shape)
