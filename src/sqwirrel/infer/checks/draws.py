"""Whether draws, averages and priors can be trusted."""

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.infer.checks.fit import labelled
from sqwirrel.infer.checks.identify import directions, left_open
from sqwirrel.infer.posterior import LEVELS, Basin, Check, weighted_quantile
from sqwirrel.infer.refine import Optimum
from sqwirrel.infer.sampling.importance import PARETO, Weighted
from sqwirrel.infer.sampling.moving import FORGOTTEN
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import Term
from sqwirrel.model.phonon.model import PhononModel

EFFECTIVE = 100
QUADRATURE = 0.5
"""Largest standard error that the average over |Q| and direction may bring, in units of the parameter's own."""
EDGE = 0.05
"""A 95 % interval this close to a bound, in units of its width, is made by the prior: it cuts off 6 % or more."""
TAIL = 3.0
"""Medians this many standard deviations from the middle of a normal prior are not what it believes."""
WIDE = 0.9
"""A posterior this wide, in units of the prior's standard deviation, has learnt nothing."""
STRANGE = 0.01
"""Fewer simulated spectra than this share are as unlike the others as one that the network has not seen the like of."""


def complete_check(weighted: Weighted, draws: int) -> Check:
    """Whether sampling ran to its end."""
    n = len(weighted.log_weight)
    return Check("complete", n >= draws, n, f"draws made; {draws} were asked for, and fewer come of an interruption")


def seen_check(likelier: float) -> Check:
    """Whether the network that proposed has seen spectra like this one."""
    return Check(
        "seen_before",
        likelier >= STRANGE,
        likelier,
        f"share of simulated spectra that are as unlike the others as this one, at least {STRANGE}",
    )


def sampling_checks(weighted: Weighted) -> list[Check]:
    """Whether the importance weights, or the draws that were moved because of them, can be trusted."""
    k, ess, left = weighted.pareto_k, weighted.effective, weighted.remembered
    tail = (
        f"tail of the importance weights, below {PARETO} for a trustworthy posterior; where it is not, moves = 20 helps"
    )
    if left is None:
        trust = Check("pareto_k", k < PARETO, k, tail)
    else:
        trust = Check(
            "forgotten",
            left < FORGOTTEN,
            left,
            f"correlation of moved draws with where they began, below {FORGOTTEN}; they were moved as the weights have "
            f"a tail of {k:.2f}, not below {PARETO}, so that the evidence is uncertain",
        )
    return [
        trust,
        Check("effective_draws", ess >= EFFECTIVE, ess, f"effective sample size, at least {EFFECTIVE}"),
    ]


def average_checks(target: Target, optimum: Optimum, theta: Float[Tensor, "1 full"], *, settled: bool) -> list[Check]:
    """`quadrature_check` and `order_check` of every term that is averaged; `theta` is where."""
    found = []
    for term in target.terms:
        if term.average is not None:
            checks = [quadrature_check(target, optimum, term, settled=settled)]
            checks.append(order_check(term, target.own(term, theta), term.average.unstable))
            found += labelled(checks, term)
    return found


def quadrature_check(target: Target, optimum: Optimum, term: Term, *, settled: bool) -> Check:
    """Standard error that the average over |Q| and direction brings to the optimum, in standard deviations.

    From the scatter of the average and of its derivatives, which the data's residuals weigh. It fails, too, if the
    anchor has not `settled`.
    """
    error = average_error(target, optimum, term)
    k = int(error.argmax())
    meaning = (
        f"error of the average over |Q| and direction, in standard deviations of '{target.names[k]}', "
        "which it moves most"
    )
    moving = "" if settled else "; the best fit still moves when the average is improved there"
    return Check("quadrature", settled and float(error[k]) <= QUADRATURE, float(error[k]), meaning + moving)


def average_error(target: Target, optimum: Optimum, term: Term) -> Float[Tensor, " parameter"]:
    """What the average of a measurement adds to the error of each parameter, in its standard deviations."""
    covariance = optimum.covariance
    shift = target.push(optimum.z, term) @ covariance
    return (shift.square().mean(0) / covariance.diagonal()).sqrt()


def order_check(term: Term, theta: Float[Tensor, "1 own"], unstable: Float[Tensor, "q 3"]) -> Check:
    """Whether the order is a minimum at all wavevectors of the dense average at `theta`."""
    n = len(unstable)
    springs = isinstance(term.experiment.model, PhononModel)
    what = "a phonon has an imaginary energy" if springs else "the assumed order is no minimum of the energy"
    meaning = f"wavevectors of the dense average where {what}"
    if n:
        meaning += f": {term.experiment.why_unstable(theta, unstable)}"
    return Check("stable_order", n == 0, n, meaning)


def parameter_checks(
    target: Target, draws: Float[Tensor, "draw parameter"], weight: Float[Tensor, " draw"]
) -> list[Check]:
    """Parameters that the prior decides unasked: cut off at a bound that is not zero, far out in the tail of a prior
    that has none, or as wide as the prior.
    """
    meant = torch.tensor([name not in target.assumed for name in target.names])
    lo, hi = target.prior.bounds.T
    low, high = (weighted_quantile(draws, weight, level) for level in LEVELS["interval95"])
    width = (high - low).clamp(min=1e-300)
    below, above = (low - lo) / width, (hi - high) / width
    at_zero = torch.minimum(below.where(lo == 0, torch.inf), above.where(hi == 0, torch.inf)) < EDGE
    close = torch.minimum(below.where(lo != 0, torch.inf), above.where(hi != 0, torch.inf))
    close = close.where(meant, torch.inf)
    among = [k for k, plain in enumerate(meant.tolist()) if plain]
    known = [target.names[k] for k in among], draws[:, among], weight, target.prior.sd[among]
    worst = directions(*known)[0].ratio if among else 0.0
    cut, pressed = _named(target, close < EDGE), _named(target, at_zero)
    away = target.prior.standard(weighted_quantile(draws, weight, 0.5)[None])[0].abs().where(lo.isinf(), 0.0)
    out = _named(target, away > TAIL)
    wide = ", ".join(left_open(*known, WIDE)) if among else ""
    tail = f"; more than {TAIL:g} standard deviations from where a normal prior has them: {out}" if out else ""
    pressed = f"; pressed to zero, where the prior ends and makes the interval: {pressed}" if pressed else ""
    return [
        Check(
            "inside_prior",
            not cut and not out,
            float(close.min()),
            "distance of the 95 % intervals from the prior's bounds, in widths; "
            f"cut off: {cut or 'none'}{tail}{pressed}",
        ),
        Check(
            "identified",
            not wide,
            worst,
            "largest posterior over prior standard deviation, of parameters and of combinations; not determined by the "
            f"data: {wide or 'none'}",
        ),
    ]


def basin_check(basins: tuple[Basin, ...]) -> Check:
    """Whether one basin holds the probability."""
    first = max(basin.probability for basin in basins)
    return Check(
        "one_basin", first >= 0.95, first, f"probability of the best of {len(basins)} basins found; all are reported"
    )


def _named(target: Target, flag: Tensor) -> str:
    return ", ".join(name for name, bad in zip(target.names, flag.tolist(), strict=True) if bad)
