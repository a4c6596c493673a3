"""infer(): from a measured spectrum to a posterior, without any network.

Screening of prior draws and Fisher scoring on a coarse average find the basins; Fisher scoring and importance sampling
on the fine one, corrected to a dense one at the best fit, weigh them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from sqwirrel.errors import InputError
from sqwirrel.infer.anchor import Fine, anchor
from sqwirrel.infer.checks import basin_check, complete_check, fit_checks, parameter_checks, sampling_checks
from sqwirrel.infer.importance import Weighted, importance
from sqwirrel.infer.posterior import Basin, Check, Posterior
from sqwirrel.infer.refine import Optimum, basins, refine
from sqwirrel.infer.screen import profile, screen
from sqwirrel.infer.target import Target
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.record import Record
from sqwirrel.spectra import QShells, Spectrum

Progress = Callable[[str, int, int], None]
PAPERS = (
    "J.-M. Cornuet, J.-M. Marin, A. Mira, C. P. Robert, Scand. J. Stat. 39, 798 (2012), "
    "doi:10.1111/j.1467-9469.2011.00756.x",
    "A. Vehtari, D. Simpson, A. Gelman, Y. Yao, J. Gabry, J. Mach. Learn. Res. 25, 72 (2024), arXiv:1507.02646",
    "S. Toth, B. Lake, J. Phys.: Condens. Matter 27, 166002 (2015), doi:10.1088/0953-8984/27/16/166002",
)


@dataclass(frozen=True)
class Settings:
    """How hard to look: prior draws screened, starts refined, posterior draws, rounds of importance sampling, seed."""

    screen: int = 256
    starts: int = 8
    draws: int = 500
    rounds: int = 2
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.screen, self.starts, self.rounds) < 1 or self.draws < 50:
            raise InputError(
                "infer needs screen, starts and rounds of at least 1 and draws of at least 50, got "
                f"screen = {self.screen}, starts = {self.starts}, rounds = {self.rounds}, draws = {self.draws}"
            )


COARSE_BINS = (40, 80)
"""The coarse spectrum has at most this many bins along |Q| and energy; the points of a path are not merged."""
COARSE_SAMPLES = 4
"""The coarse average has this many times fewer quadrature points per cell."""


@dataclass(frozen=True, eq=False)
class Averages:
    """An experiment averaged twice: `fine`; and `coarse`, on merged bins, for the search.

    Made once, it serves any number of spectra on the same bins.
    """

    fine: Experiment
    coarse: Experiment
    merge: tuple[int, int]

    @classmethod
    def of(cls, experiment: Experiment, spectrum: Spectrum) -> "Averages":
        """The averages of an experiment on the bins of `spectrum`."""
        q, energy = (-(-n // most) for n, most in zip(spectrum.measurement.shape, COARSE_BINS, strict=True))
        q = q if isinstance(spectrum.measurement.points, QShells) else 1
        e, bins = experiment, spectrum.rebin(q=q, energy=energy).measurement
        samples = max(8, e.samples // COARSE_SAMPLES)
        coarse = e.on(bins, samples=samples, cell=2 * e.cell)
        return cls(experiment, coarse, (q, energy))

    def rough(self, prior: Prior, spectrum: Spectrum) -> Target:
        """The coarse target of a spectrum; merged counts are averaged, so that scale and background mean the same."""
        return Target.of(self.coarse, prior, spectrum.rebin(q=self.merge[0], energy=self.merge[1], mean=True))

    def search(self, prior: Prior, spectrum: Spectrum, settings: Settings, tell: Progress) -> list[Optimum]:
        """The basins of the coarse target; averaged counts tell too little by the number of bins merged."""
        share = self.merge[0] * self.merge[1] if spectrum.is_counts else 1
        found = search(self.rough(prior, spectrum), settings, tell)
        return [replace(basin, log_posterior=share * basin.log_posterior) for basin in found]


def infer(
    experiment: Experiment | Averages,
    prior: Prior,
    spectrum: Spectrum,
    settings: Settings | None = None,
    *,
    record: Record | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """The posterior of the prior's free parameters given `spectrum`, with every basin found.

    `progress(stage, done, total)` is called as the work goes on. An interruption while sampling leaves a posterior of
    the draws made so far, with a failed check that says so; one before that leaves nothing.
    """
    settings, tell, clock = settings or Settings(), progress or (lambda *_: None), time.perf_counter()
    fine_only = experiment.fine if isinstance(experiment, Averages) else experiment
    target = Target.of(fine_only, prior, spectrum)
    tell("preparing", 0, 1)
    averages = experiment if isinstance(experiment, Averages) else Averages.of(experiment, spectrum)
    fine = anchor(target, spectrum, averages.search(prior, spectrum, settings, tell), tell)
    weighted = importance(
        fine.target,
        fine.basins,
        draws=settings.draws,
        rounds=settings.rounds,
        seed=settings.seed,
        progress=lambda done, total: tell("sampling", done, total),
    )
    seconds = time.perf_counter() - clock
    record = record or Record.start(seeds={"infer": settings.seed})
    checks = [complete_check(weighted, settings.draws), *fine.checks]
    return _posterior(fine, weighted, checks, seconds, record)


def search(coarse: Target, settings: Settings, tell: Progress) -> list[Optimum]:
    """The basins of the posterior on a coarse spectrum and a coarse average."""
    tell("screening", 0, 1)
    starts = screen(coarse, draws=settings.screen, keep=settings.starts, seed=settings.seed)
    return basins(refine(coarse, starts, progress=lambda done, total: tell("searching", done, total)))


def random_starts(coarse: Target, *, starts: int, seed: int) -> list[Optimum]:
    """Basins reached from stable prior draws that nobody selected; only the linear nuisances are solved for."""
    theta, value = profile(coarse, coarse.prior.sample(50 * starts, seed))
    return basins(refine(coarse, theta[value.isfinite()][:starts]))


def _posterior(fine: Fine, weighted: Weighted, known: list[Check], seconds: float, record: Record) -> Posterior:
    target, draws, weight = fine.target, fine.target.prior.constrain(weighted.z), weighted.log_weight.exp()
    reported = _reported(fine, weighted)
    per_bin, checks = fit_checks(target, reported[0].theta)
    checks += [*known, *sampling_checks(weighted), *parameter_checks(target, draws, weight), basin_check(reported)]
    return Posterior(
        names=target.names,
        units=tuple(target.experiment.units[name] for name in target.names),
        priors=tuple(str(target.prior.free[name]) for name in target.names),
        draws=draws,
        log_weight=weighted.log_weight,
        limit=_limit(target, fine.basins[0]),
        basins=reported,
        checks=tuple(checks),
        log_evidence=weighted.log_evidence,
        deviance_per_bin=per_bin,
        seconds=seconds,
        record=record.with_seconds(infer=seconds).with_papers(*target.experiment.model.papers, *PAPERS),
        anchor=fine.anchor,
        simulator=target.experiment,
    )


def _limit(target: Target, optimum: Optimum) -> torch.Tensor:
    """Cramer-Rao bound of each parameter, all others free, from the Fisher information of the data alone."""
    bound = replace(optimum, precision=optimum.information).covariance.diagonal().sqrt()
    return bound * target.stretch(optimum.z[None])[0]


def _reported(fine: Fine, weighted: Weighted) -> tuple[Basin, ...]:
    """Sampled basins with the probability of the draws nearest to them, then the poorer ones."""
    away = weighted.z - torch.stack([b.z for b in fine.basins])[:, None]
    near = torch.stack([((d @ b.precision) * d).sum(-1) for d, b in zip(away, fine.basins, strict=True)]).argmin(0)
    weight = weighted.log_weight.exp()
    share = [float(weight[near == k].sum()) for k in range(len(fine.basins))] + [0.0] * len(fine.poor)
    every = (*fine.basins, *fine.poor)
    theta = fine.target.prior.constrain(torch.stack([b.z for b in every]))
    rows = zip(theta, every, share, strict=True)
    return tuple(Basin(row, b.log_posterior, b.starts, probability) for row, b, probability in rows)
