"""Posterior: what the data say about the parameters, with every basin found and the checks that it passed or failed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.infer.terms import Simulator
from sqwirrel.record import Record
from sqwirrel.seeds import stream

UNLIKE = ("deviance_per_bin", "deviance_per_peak", "peaks_explained")
"""Checks whose failure leaves no answer."""
MISFIT = (*UNLIKE, "residual_structure", "predictive")
"""Checks that say whether the data are described."""
LEVELS = {"interval68": (0.16, 0.84), "interval95": (0.025, 0.975)}


@dataclass(frozen=True)
class Check:
    """One question about the result: its name, whether it passed, the value found, and what that means."""

    name: str
    passed: bool
    value: float
    meaning: str


@dataclass(frozen=True)
class Summary:
    """One parameter: quantiles of its marginal, the Cramer-Rao limit (one standard deviation) at the best fit, and how
    many times wider the misfit makes its error.
    """

    name: str
    unit: str
    median: float
    interval68: tuple[float, float]
    interval95: tuple[float, float]
    limit: float
    prior: str
    widening: float = 1.0


@dataclass(frozen=True, eq=False)
class Basin:
    """A local maximum of the posterior: where, how good, how many starts ended there, its share of the probability."""

    theta: Float[Tensor, " parameter"]
    log_posterior: float
    starts: int
    probability: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """Weighted draws of the free parameters `names`.

    `log_weight` is normalised; `limit` is the Cramer-Rao bound of each parameter (all others free) at the best basin;
    `deviance_per_bin` is -2 log likelihood ratio to a model that meets every bin, over the number of bins (for peaks,
    the mean square residual of those that modes explain). `anchor` are parameters and spread that the averages were
    anchored with, `finer` how many times more points than usual they have, by measurement; `simulator` has these
    averages, None after loading. `widening` is how many times larger the residuals of the data make each error than
    counting does (the sandwich of H. White, Econometrica 50, 1 (1982)). `log_evidence_error` is that of the draws
    that it is from, 0 in files of earlier versions.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    priors: tuple[str, ...]
    draws: Float[Tensor, "draw parameter"]
    log_weight: Float[Tensor, " draw"]
    limit: Float[Tensor, " parameter"]
    basins: tuple[Basin, ...]
    checks: tuple[Check, ...]
    log_evidence: float
    deviance_per_bin: float
    seconds: float
    record: Record
    anchor: Float[Tensor, "2 full"]
    widening: Float[Tensor, " parameter"]
    simulator: Simulator | None = None
    finer: Mapping[str, int] = field(default_factory=dict)
    log_evidence_error: float = 0.0

    def sample(self, n: int, seed: int) -> Float[Tensor, "n parameter"]:
        """Equally weighted draws (with replacement)."""
        index = torch.multinomial(self.log_weight.exp(), n, replacement=True, generator=stream(seed, "posterior"))
        return self.draws[index]

    def quantile(self, level: float) -> Float[Tensor, " parameter"]:
        """Weighted quantile of each marginal, linear between draws."""
        return weighted_quantile(self.draws, self.log_weight.exp(), level)

    @property
    def median(self) -> Float[Tensor, " parameter"]:
        """Median of each marginal."""
        return self.quantile(0.5)

    @property
    def covariance(self) -> Float[Tensor, "parameter parameter"]:
        """Weighted covariance of the draws."""
        weight = self.log_weight.exp()
        away = self.draws - weight @ self.draws
        return (away * weight[:, None]).T @ away

    def summary(self) -> tuple[Summary, ...]:
        """Median, 68 % and 95 % intervals and limit, one row a parameter."""
        inner, outer = ([self.quantile(level) for level in pair] for pair in LEVELS.values())
        columns = (self.median.tolist(), self.limit.tolist(), self.priors, self.widening.tolist())
        rows = zip(self.names, self.units, *columns, strict=True)
        return tuple(
            Summary(name, unit, median, _pair(inner, k), _pair(outer, k), limit, prior, wider)
            for k, (name, unit, median, limit, prior, wider) in enumerate(rows)
        )

    @property
    def widened(self) -> "Posterior":
        """With the draws of each basin stretched from their median by `widening`: intervals that know of the misfit's
        scatter. They may cross the bounds of the prior. A bias that the misfit has everywhere alike is not in them.
        """
        weight, draws, by = self.log_weight.exp(), self.draws.clone(), self.widening.nan_to_num(1.0)
        places = torch.stack([basin.theta for basin in self.basins]) if self.basins else self.median[None]
        home = ((self.draws[:, None] - places) / self.limit).square().sum(2).argmin(1)
        for k in home.unique(sorted=True).tolist():  # type: ignore[no-untyped-call]
            mine = home == k
            if int(mine.sum()) > 1 and float(weight[mine].sum()) > 0:
                middle = weighted_quantile(draws[mine], weight[mine] / weight[mine].sum(), 0.5)
                draws[mine] = middle + (draws[mine] - middle) * by
        return replace(self, draws=draws, widening=torch.ones_like(self.widening))

    @property
    def misfits(self) -> bool:
        """Whether the data have something that the model has not."""
        return any(not check.passed and check.name.startswith(MISFIT) for check in self.checks)

    @property
    def tells_misfit(self) -> bool:
        """Whether the data have something that the model has not, and it is known how much wider that makes errors."""
        return self.misfits and bool(self.widening.isfinite().any())

    @property
    def abstains(self) -> str:
        """Why no answer is given: the data are unlike anything the model makes. Empty where there is an answer."""
        unlike = [
            (each, each.name[len(base) + 1 :])
            for each in self.checks
            for base in UNLIKE
            if not each.passed and each.name.startswith(base)
        ]
        return "; ".join(
            f"{each.meaning}: it is {each.value:.3g}" + (f" ({label})" if label else "") for each, label in unlike
        )

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


def weighted_quantile(
    draws: Float[Tensor, "draw parameter"], weight: Float[Tensor, " draw"], level: float
) -> Float[Tensor, " parameter"]:
    """Quantile of each column under normalised `weight`, linear between the middles of the distribution's steps."""
    if len(draws) == 1:
        return draws[0]
    value, order = draws.sort(dim=0)
    share = weight[order]
    middle = share.cumsum(0) - share / 2
    k = (middle < level).sum(0).clamp(1, len(draws) - 1)[None]
    lo, hi = middle.gather(0, k - 1), middle.gather(0, k)
    fraction = ((level - lo) / (hi - lo).clamp(min=1e-300)).clamp(0, 1)
    return torch.lerp(value.gather(0, k - 1), value.gather(0, k), fraction)[0]


def _pair(mark: list[Tensor], k: int) -> tuple[float, float]:
    return float(mark[0][k]), float(mark[1][k])
