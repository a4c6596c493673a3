"""infer(): from measured spectra and peaks to a posterior, without any network.

Screening of prior draws and Fisher scoring on a coarse average find the basins; Fisher scoring and importance sampling
on the fine one, corrected to a dense one at the best fit, weigh them.
"""

import time
from dataclasses import replace

import torch

from sqwirrel.infer.anchor import Fine, anchor
from sqwirrel.infer.averages import Averages, Draws, Progress, Settings
from sqwirrel.infer.checks import (
    basin_check,
    complete_check,
    emulation_checks,
    fit_checks,
    misfit_checks,
    parameter_checks,
    sampling_checks,
    seen_check,
    widening,
)
from sqwirrel.infer.posterior import Basin, Check, Posterior
from sqwirrel.infer.refine import Optimum
from sqwirrel.infer.sampling.importance import PARETO, Weighted, importance
from sqwirrel.infer.sampling.moving import moved
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import Data, Simulator, spectra_of
from sqwirrel.learn.proposal import Proposal
from sqwirrel.model.prior import Prior
from sqwirrel.observe.joint import Joint
from sqwirrel.record import Record

PAPERS = (
    "J.-M. Cornuet, J.-M. Marin, A. Mira, C. P. Robert, Scand. J. Stat. 39, 798 (2012), "
    "doi:10.1111/j.1467-9469.2011.00756.x",
    "S. Duane, A. Kennedy, B. Pendleton, D. Roweth, Phys. Lett. B 195, 216 (1987), doi:10.1016/0370-2693(87)91197-X",
    "A. Vehtari, D. Simpson, A. Gelman, Y. Yao, J. Gabry, J. Mach. Learn. Res. 25, 72 (2024), arXiv:1507.02646",
)


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

    With a `proposal`, draws of its network take the place of prior draws in the search.

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
    weighted = _sampled(fine, settings, tell)
    seconds = time.perf_counter() - clock
    record = (record or Record.start(seeds={"infer": settings.seed})).with_seconds(infer=seconds)
    checks = [complete_check(weighted, settings.draws), *seen, *fine.checks]
    checks += misfit_checks(fine.target, fine.basins[0], settings.seed)
    return _posterior(simulator, fine, weighted, checks, record)


def _sampled(fine: Fine, settings: Settings, tell: Progress) -> Weighted:
    """Importance draws; moved ones where the weights have too heavy a tail. An interruption leaves what there is."""
    weighted = importance(
        fine.target,
        fine.basins,
        draws=settings.draws,
        rounds=settings.rounds,
        seed=settings.seed,
        progress=lambda done, total: tell("sampling", done, total),
    )
    if weighted.pareto_k < PARETO or not settings.moves or len(weighted.z) < settings.draws:
        return weighted
    how = {"draws": settings.draws, "moves": settings.moves, "seed": settings.seed}
    try:
        return moved(fine.target, weighted, fine.basins, **how, progress=lambda done, n: tell("moving", done, n))
    except KeyboardInterrupt:
        return replace(weighted, remembered=1.0)  # nothing was forgotten


def _proposed(proposal: Proposal | None, data: Data, settings: Settings) -> tuple[Draws | None, list[Check]]:
    """Where a network would look, and whether it has seen the like."""
    if proposal is None:
        return None, []
    spectra = spectra_of(data)
    return proposal.draws(spectra, settings.screen, settings.seed), [seen_check(proposal.likelier(spectra))]


def _posterior(simulator: Simulator, fine: Fine, weighted: Weighted, known: list[Check], record: Record) -> Posterior:
    target, draws, weight = fine.target, fine.target.prior.constrain(weighted.z), weighted.log_weight.exp()
    reported = _reported(fine, weighted)
    per_bin, checks = fit_checks(target, reported[0].theta)
    checks += [*known, *sampling_checks(weighted), *parameter_checks(target, draws, weight), basin_check(reported)]
    checks += emulation_checks(target, fine.basins[0], weighted)
    models = [term.experiment.model for term in target.terms]
    papers = [paper for each in models for paper in (*each.papers, *each.theory)]
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
        log_evidence_error=weighted.log_evidence_error,
        deviance_per_bin=per_bin,
        seconds=record.seconds["infer"],
        record=record.with_papers(*papers, *PAPERS),
        anchor=fine.anchor,
        finer=fine.finer,
        widening=widening(target, fine.basins[0]),
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
