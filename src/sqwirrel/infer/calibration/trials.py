"""What many simulated measurements with known truths say together: errors over their limits, coverage, evenness.

Ranks: S. Talts et al., arXiv:1804.06788. TARP: P. Lemos, A. Coogan, Y. Hezaveh, L. Perreault-Levasseur, ICML (2023),
arXiv:2302.03026. Limit: H. Cramer (1946), C. R. Rao (1945).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from scipy.stats import chi2, kstest

LEVELS = (0.5, 0.68, 0.9, 0.95)


@dataclass(frozen=True)
class Trial:
    """One simulated measurement and what was made of it; rows are of the free parameters.

    `rank` is the share of the posterior below the truth, `tarp` the share of draws that lie nearer to a random place
    than the truth does, `error` median less truth, `limit` the Cramer-Rao limit at the truth, `square` the error in the
    metric of the parameters' Fisher information at the truth, over their number, `expected` the mean of that over the
    posterior in place of the truth, `excess` 2 (log L at its best - at the truth). `right` says whether the best basin
    is that of the truth, `missed` whether the truth's is better and was not found.
    """

    seed: int
    truth: list[float]
    rank: list[float]
    tarp: float
    error: list[float]
    limit: list[float]
    square: float
    expected: float
    excess: float
    right: bool
    missed: bool
    effective: float
    draws: int
    seconds: float
    failed: list[str]


@dataclass(frozen=True)
class Calibration:
    """What the trials say, all together; `str` is a table."""

    names: tuple[str, ...]
    trials: tuple[Trial, ...]

    def coverage(self, level: float) -> list[float]:
        """Share of truths inside the central interval, parameter by parameter."""
        rank = torch.tensor([trial.rank for trial in self.trials])
        return ((rank - 0.5).abs() <= level / 2).double().mean(0).tolist()

    @property
    def rho(self) -> list[float]:
        """Root mean square of errors over their limits: 1 at the limit."""
        error, limit = (torch.tensor([getattr(t, name) for t in self.trials]) for name in ("error", "limit"))
        return ((error / limit) ** 2).mean(0).sqrt().tolist()

    @property
    def R(self) -> float:  # noqa: N802 (the field's name)
        """Mean square error of all parameters in the metric of the information: 1 at the limit."""
        return float(torch.tensor([trial.square for trial in self.trials]).mean())

    @property
    def R_error(self) -> float:  # noqa: N802
        """One standard deviation of R, from the scatter of the trials."""
        return float(torch.tensor([trial.square for trial in self.trials]).std() / len(self.trials) ** 0.5)

    @property
    def R_expected(self) -> float:  # noqa: N802
        """R if truths were drawn from the posteriors, where the information hardly changes across each of them."""
        return float(torch.tensor([trial.expected for trial in self.trials]).mean())

    @property
    def even(self) -> dict[str, float]:
        """Probabilities that ranks, TARP and 2 Delta log L are as uneven by chance (Kolmogorov-Smirnov)."""
        ranks = torch.tensor([trial.rank for trial in self.trials]).T.tolist()
        found = {name: float(kstest(row, "uniform").pvalue) for name, row in zip(self.names, ranks, strict=True)}
        share = chi2(len(self.names)).cdf([trial.excess for trial in self.trials])
        return {
            **found,
            "tarp": float(kstest([trial.tarp for trial in self.trials], "uniform").pvalue),
            "likelihood": float(kstest(share, "uniform").pvalue),
        }

    def share(self, name: str) -> float:
        """Share of the trials that are `right` or `missed`."""
        return sum(bool(getattr(trial, name)) for trial in self.trials) / len(self.trials)

    def mapping(self) -> dict[str, object]:
        """Everything as plain numbers, the trials last."""
        return {
            "n": len(self.trials),
            "names": list(self.names),
            "rho": self.rho,
            "R": self.R,
            "R_error": self.R_error,
            "R_expected": self.R_expected,
            "coverage": {f"{100 * level:g}": self.coverage(level) for level in LEVELS},
            "even": self.even,
            "right_basin": self.share("right"),
            "missed_basin": self.share("missed"),
            "ess": _median([trial.effective / trial.draws for trial in self.trials]),
            "seconds": _median([trial.seconds for trial in self.trials]),
            "failed_checks": _counts(self.trials),
            "trials": [asdict(trial) for trial in self.trials],
        }

    def __str__(self) -> str:
        head = f"{'':>18} {'rho':>6} " + " ".join(f"{100 * level:>5g}%" for level in LEVELS) + "  p(ranks)"
        cover = [self.coverage(level) for level in LEVELS]
        rows = [
            f"{name:>18} {self.rho[k]:6.3f} "
            + " ".join(f"{100 * each[k]:6.1f}" for each in cover)
            + f"  {self.even[name]:8.2g}"
            for k, name in enumerate(self.names)
        ]
        noise = 100 * math.sqrt(0.09 / len(self.trials))
        return "\n".join(
            (
                head,
                *rows,
                f"{len(self.trials)} simulated measurements (90 % is known to {noise:.1f}); R = {self.R:.3f} +- "
                f"{self.R_error:.3f}, {self.R_expected:.3f} by the posteriors; right basin "
                f"{100 * self.share('right'):.1f} %, missed {100 * self.share('missed'):.1f} %",
            )
        )


def _counts(trials: Sequence[Trial]) -> dict[str, int]:
    every = [name for trial in trials for name in trial.failed]
    return {name: every.count(name) for name in sorted(set(every))}


def _median(values: list[float]) -> float:
    return float(torch.tensor(values).median())
