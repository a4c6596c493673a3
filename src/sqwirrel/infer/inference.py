"""infer(): from measured spectra and peaks to a posterior, without any network.

Screening of prior draws and Fisher scoring on a coarse average find the basins; Fisher scoring and importance sampling
on the fine one, corrected to a dense one at the best fit, weigh them.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.anchor import Fine, anchor
from sqwirrel.infer.checks import (
    basin_check,
    complete_check,
    emulation_checks,
    fit_checks,
    parameter_checks,
    sampling_checks,
    seen_check,
)
from sqwirrel.infer.importance import Weighted, importance
from sqwirrel.infer.posterior import Basin, Check, Posterior
from sqwirrel.infer.refine import Optimum, basins, refine
from sqwirrel.infer.screen import profile, screen
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import Data, PeaksTerm, Simulator, SpectrumTerm, Term, terms_of
from sqwirrel.learn.proposal import Proposal
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.observe.joint import Joint, Part
from sqwirrel.record import Record
from sqwirrel.spectra import QShells, Spectrum
from sqwirrel.spectra.peaks import Peaks

Progress = Callable[[str, int, int], None]
Draws = Float[Tensor, "draw parameter"]
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
"""The coarse spectrum has at most this many bins along |Q| and energy; not merged are the points of a path, and bins
that have exposures of their own.
"""
COARSE_SAMPLES = 4
"""The coarse average has this many times fewer quadrature points per cell."""


@dataclass(frozen=True, eq=False)
class Averages:
    """An experiment averaged twice: `fine`; and `coarse`, on merged bins, for the search. `merge` says how many bins of
    each measurement are merged along |Q| and energy.

    Made once, it serves any number of data on the same bins.
    """

    fine: Simulator
    coarse: Simulator
    merge: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, experiment: Simulator, data: Data) -> "Averages":
        """The averages of an experiment on the bins of `data`."""
        pairs = {term.label: _coarse(term) for term in terms_of(experiment, data)}
        coarse = {label: each for label, (each, _) in pairs.items()}
        merge = {label: bins for label, (_, bins) in pairs.items()}
        return cls(experiment, experiment.replaced(coarse) if isinstance(experiment, Joint) else coarse[""], merge)

    def rough(self, prior: Prior, data: Data) -> Target:
        """The coarse target of some data; merged counts are averaged, so that scale and background mean the same.

        Averaged counts tell too little by the number of bins merged. A term tells as much as it should beside the one
        that tells too little the least: all of them by `share`.
        """
        if isinstance(data, Mapping):
            merged = {label: _merged(each, self.merge[label]) for label, each in data.items()}
            target = Target.of(self.coarse, prior, merged)
        else:
            target = Target.of(self.coarse, prior, _merged(data, self.merge[""]))
        return target.with_terms(self._weighed(term, self.share(target)) for term in target.terms)

    def share(self, target: Target) -> int:
        """How many times more the data tell than a coarse target of them."""
        return min(self._share(term) for term in target.terms)

    def search(
        self, prior: Prior, data: Data, settings: Settings, tell: Progress, among: Draws | None = None
    ) -> list[Optimum]:
        """The basins of the coarse target, from prior draws or from those `among`."""
        target = self.rough(prior, data)
        share, found = self.share(target), search(target, settings, tell, among)
        return [replace(basin, log_posterior=share * basin.log_posterior) for basin in found]

    def _share(self, term: Term) -> int:
        merged = math.prod(self.merge[term.label])
        return merged if isinstance(term, SpectrumTerm) and term.spectrum.is_counts else 1

    def _weighed(self, term: Term, share: int) -> Term:
        return replace(term, weight=self._share(term) / share) if isinstance(term, SpectrumTerm) else term


def _coarse(term: Term) -> tuple[Part, tuple[int, int]]:
    """The experiment of a term on merged bins with fewer points; peaks are as they are."""
    match term:
        case SpectrumTerm():
            return _merged_experiment(term.experiment, term.spectrum)
        case PeaksTerm():
            return term.experiment, (1, 1)
    raise TypeError(f"nothing searches a {type(term).__name__}")


def _merged_experiment(e: Experiment, spectrum: Spectrum) -> tuple[Experiment, tuple[int, int]]:
    if e.is_emulated:  # as quick on all bins, and taught for these alone
        return e, (1, 1)
    q, energy = (-(-n // most) for n, most in zip(spectrum.measurement.shape, COARSE_BINS, strict=True))
    q = q if isinstance(spectrum.measurement.points, QShells) else 1
    if spectrum.measurement.exposure is not None:
        q, energy = 1, 1
    instrument = replace(e.instrument, background=e.instrument.background.rebinned(q, energy))
    how = {"samples": max(8, e.samples // COARSE_SAMPLES), "cell": 2 * e.cell, "seed": e.seed, "shared": e.amplitudes}
    bins = spectrum.rebin(q=q, energy=energy).measurement
    return Experiment(e.model, bins, instrument, twins=e.twins, **how), (q, energy)  # type: ignore[arg-type]


def _merged(data: Spectrum | Peaks, merge: tuple[int, int]) -> Spectrum | Peaks:
    return data.rebin(q=merge[0], energy=merge[1], mean=True) if isinstance(data, Spectrum) else data


def infer(
    experiment: Simulator | Averages,
    prior: Prior,
    data: Data,
    settings: Settings | None = None,
    *,
    proposal: Proposal | None = None,
    record: Record | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """The posterior of the prior's free parameters given a spectrum or a table of peaks, with every basin found.

    With a `proposal`, draws of its network take the place of prior draws in the search, of a single spectrum.

    Several measurements are given by their labels, {label: data}, with a `Joint` of their experiments.
    `progress(stage, done, total)` is called as the work goes on. An interruption while sampling leaves a posterior of
    the draws made so far, with a failed check that says so; one before that leaves nothing.
    """
    settings, tell, clock = settings or Settings(), progress or (lambda *_: None), time.perf_counter()
    simulator = experiment.fine if isinstance(experiment, Averages) else experiment
    target = Target.of(simulator, prior, data)
    tell("preparing", 0, 1)
    averages = experiment if isinstance(experiment, Averages) else Averages.of(experiment, data)
    among, seen = _proposed(proposal, data, settings)
    fine = anchor(target, averages.search(prior, data, settings, tell, among), tell)
    weighted = importance(
        fine.target,
        fine.basins,
        draws=settings.draws,
        rounds=settings.rounds,
        seed=settings.seed,
        progress=lambda done, total: tell("sampling", done, total),
    )
    seconds = time.perf_counter() - clock
    record = (record or Record.start(seeds={"infer": settings.seed})).with_seconds(infer=seconds)
    checks = [complete_check(weighted, settings.draws), *seen, *fine.checks]
    return _posterior(simulator, fine, weighted, checks, record)


def _proposed(proposal: Proposal | None, data: Data, settings: Settings) -> tuple[Draws | None, list[Check]]:
    """Where a network would look, and whether it has seen the like."""
    if proposal is None:
        return None, []
    if not isinstance(data, Spectrum):
        raise InputError("a network proposes for one spectrum; leave it out for several measurements or peaks")
    return proposal.draws(data, settings.screen, settings.seed), [seen_check(proposal.likelier(data))]


def search(coarse: Target, settings: Settings, tell: Progress, among: Draws | None = None) -> list[Optimum]:
    """The basins of the posterior on a coarse spectrum and a coarse average."""
    starts = _starts(coarse, settings, tell, among)
    return basins(refine(coarse, starts, progress=lambda done, total: tell("searching", done, total)))


def _starts(
    coarse: Target, settings: Settings, tell: Progress, among: Draws | None
) -> Float[Tensor, "start parameter"]:
    """The best prior draws, or of those `among`; with peaks, also where those of a target with blurred peaks lead to.

    A likelihood of sharp peaks is flat far from them, and has basins that a blurred one has not.
    """
    how: dict[str, Any] = {"draws": settings.screen, "keep": settings.starts, "seed": settings.seed}
    how["progress"] = lambda done, total: tell("screening", done, total)
    starts = screen(coarse, **how, among=among)
    if not any(isinstance(term, PeaksTerm) for term in coarse.terms):
        return starts
    wide = coarse.with_terms(term.blurred() if isinstance(term, PeaksTerm) else term for term in coarse.terms)
    first = screen(wide, **how)
    found = basins(refine(wide, first, progress=lambda done, total: tell("searching", done, total)))
    return torch.cat((starts, coarse.prior.constrain(torch.stack([basin.z for basin in found]))))


def random_starts(coarse: Target, *, starts: int, seed: int) -> list[Optimum]:
    """Basins reached from stable prior draws that nobody selected; only the linear nuisances are solved for."""
    theta, value = profile(coarse, coarse.prior.sample(50 * starts, seed))
    return basins(refine(coarse, theta[value.isfinite()][:starts]))


def _posterior(simulator: Simulator, fine: Fine, weighted: Weighted, known: list[Check], record: Record) -> Posterior:
    target, draws, weight = fine.target, fine.target.prior.constrain(weighted.z), weighted.log_weight.exp()
    reported = _reported(fine, weighted)
    per_bin, checks = fit_checks(target, reported[0].theta)
    checks += [*known, *sampling_checks(weighted), *parameter_checks(target, draws, weight), basin_check(reported)]
    checks += emulation_checks(target, fine.basins[0], weighted)
    papers = [paper for term in target.terms for paper in term.experiment.model.papers]
    return Posterior(
        names=target.names,
        units=tuple(simulator.units[name] for name in target.names),
        priors=tuple(str(target.prior.free[name]) for name in target.names),
        draws=draws,
        log_weight=weighted.log_weight,
        limit=_limit(target, fine.basins[0]),
        basins=reported,
        checks=tuple(checks),
        log_evidence=weighted.log_evidence,
        deviance_per_bin=per_bin,
        seconds=record.seconds["infer"],
        record=record.with_papers(*papers, *PAPERS),
        anchor=fine.anchor,
        simulator=_anchored(simulator, target),
    )


def _anchored(simulator: Simulator, target: Target) -> Simulator:
    """The simulator with the averages of the target."""
    parts = {term.label: term.experiment for term in target.terms}
    return simulator.replaced(parts) if isinstance(simulator, Joint) else parts[""]


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
