"""The fine average: basins refined with it, and anchored at the best fit until that holds.

Where the best fit is, more points can be afforded than at every step (`Experiment.anchored`), and the variance of
reduced data can follow the signal (`Term.anchored`). A measurement whose average is still too rough gets more of them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.checks import QUADRATURE, average_checks, average_error
from sqwirrel.infer.posterior import Check
from sqwirrel.infer.refine import Optimum, basins, refine
from sqwirrel.infer.target import Target

MARGIN = 30.0
"""A basin this much worse than the best (log posterior) is reported but not sampled."""
ANCHORS, HELD = 4, 1.0
"""The average is anchored at most so often, until the best fit moves less (root mean square standard deviations)."""
FINER, FINEST = 4, 16
"""An average that is too rough gets so many times more points the next time, at most so many times in all."""
BACK = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Steps of a start that is unstable on the fine average, as shares of the way to the middle of the prior."""


@dataclass(frozen=True, eq=False)
class Fine:
    """The anchored target, its basins worth sampling, those too poor, and how far to trust the average.

    `anchor` has the parameters of the anchor and their spread as its rows, `finer` how many times more points than
    usual each measurement has, by its label (`Experiment.anchored`).
    """

    target: Target
    anchor: Float[Tensor, "2 parameter"]
    finer: dict[str, int]
    basins: list[Optimum]
    poor: list[Optimum]
    checks: list[Check]


def anchor(target: Target, found: list[Optimum], tell: Callable[[str, int, int], None]) -> Fine:
    """The basins of a coarse search on the fine average, anchored.

    Average and variance are those of the best basin; others are compared with them as they are.
    """
    near, far = _split(found)
    optima, worse = _split(_refined(target, near, tell))
    raw, finer = optima[0].log_posterior, dict.fromkeys((term.label for term in target.terms), 1)
    for _ in range(ANCHORS):
        before = optima[0]
        tell("averaging", 0, 1)
        theta = target.full(target.prior.constrain(before.z[None]))
        spread = target.spread(before.z, before.covariance)
        own = ((term, target.own(term, theta), target.own(term, spread)) for term in target.terms)
        used, target = finer, target.with_terms(t.anchored(at, reach, finer[t.label]) for t, at, reach in own)
        optima = _refined(target, optima, tell)
        settled, finer = optima[0].distance(before) < HELD, _finer(target, optima[0], finer)
        if settled and finer == used:
            break
    best = optima[0]
    poor = [_moved(basin, best.log_posterior - raw) for basin in worse]
    poor += [_moved(basin, best.log_posterior - found[0].log_posterior) for basin in far]
    checks = average_checks(target, best, theta, settled=settled)
    return Fine(target, torch.cat((theta, spread[None])), used, optima, poor, checks)


def _finer(target: Target, best: Optimum, now: dict[str, int]) -> dict[str, int]:
    """How many times more points each average should have."""
    rough = {t.label for t in target.terms if t.average and float(average_error(target, best, t).max()) > QUADRATURE}
    return {label: min(FINEST, FINER * n) if label in rough else n for label, n in now.items()}


def _refined(target: Target, near: list[Optimum], tell: Callable[[str, int, int], None]) -> list[Optimum]:
    z = torch.stack([basin.z for basin in near])
    refined = _from(target, z, tell)
    if lost := [k for k, new in enumerate(refined) if not math.isfinite(new.log_posterior)]:
        for k, new in zip(lost, _from(target, _inside(target, z[lost]), tell), strict=True):
            refined[k] = new
    if not any(math.isfinite(new.log_posterior) for new in refined):
        raise InputError(target.why_unstable(target.full(target.prior.constrain(z[:1]))))
    kept = [replace(new, starts=old.starts) for new, old in zip(refined, near, strict=True)]
    return basins([new for new in kept if math.isfinite(new.log_posterior)])


def _from(target: Target, z: Tensor, tell: Callable[[str, int, int], None]) -> list[Optimum]:
    return refine(target, target.prior.constrain(z), progress=lambda done, total: tell("refining", done, total))


def _inside(target: Target, z: Float[Tensor, "start parameter"]) -> Float[Tensor, "start parameter"]:
    """Starts that are unstable, moved towards the middle of the prior as far as they have to be, if that helps.

    A finer average looks at more wavevectors, any of which can be unstable at the edge where a coarse one ended.
    """
    found, lost = z.clone(), torch.ones(len(z), dtype=torch.bool)
    for share in BACK:
        found[lost] = (1 - share) * z[lost]
        lost = ~target.log_posterior(found).isfinite()
        if not bool(lost.any()):
            break
    return found


def _split(optima: list[Optimum]) -> tuple[list[Optimum], list[Optimum]]:
    """Basins within `MARGIN` of the best, and the others."""
    least = optima[0].log_posterior - MARGIN
    return [b for b in optima if b.log_posterior > least], [b for b in optima if b.log_posterior <= least]


def _moved(basin: Optimum, by: float) -> Optimum:
    """With its log posterior on the scale of the anchored average."""
    return replace(basin, log_posterior=basin.log_posterior + by)
