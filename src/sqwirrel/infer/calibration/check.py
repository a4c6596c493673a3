"""check(): whether intervals hold and errors are at their limit, on simulated measurements that nobody tuned on."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.averages import Averages, Settings
from sqwirrel.infer.calibration.trials import Calibration, Trial
from sqwirrel.infer.inference import infer
from sqwirrel.infer.posterior import Posterior
from sqwirrel.infer.refine import refine
from sqwirrel.infer.target import Target
from sqwirrel.learn.kept.purpose import Purpose, digest
from sqwirrel.learn.proposal import Proposal
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.observe.views.build import TRUER
from sqwirrel.seeds import stream
from sqwirrel.spectra import Spectrum
from sqwirrel.whole import put_text

KEPT = "square in the parameters' own units"
"""What trials of earlier versions had not: they are refused."""
SAME, FAR = 1.0, 5.0
"""The best basin is the right one if what it is refined to on the experiment's own average is within this distance of
what the truth is refined to, and itself within this one, in standard deviations per parameter.
"""


def check(
    experiment: Experiment,
    prior: Prior,
    n: int,
    seed: int,
    settings: Settings | None = None,
    *,
    proposal: Proposal | None = None,
    truth: Prior | None = None,
    like: Spectrum | None = None,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Infers `n` simulated measurements with known truths, drawn from `truth` (the prior, if not given).

    With a `folder`, finished trials are kept in trials-SEED.jsonl there and not run again, and those of other settings,
    priors or measurements are refused. Reduced data take coverage and errors from `like`. The truths have an order that
    is stable.
    """
    if n < 1:
        raise InputError(f"a check needs at least one simulated measurement, got n = {n}")
    settings = settings or Settings()
    seen = digest([experiment.instrument.counting, None if like is None else [like.valid, *like.noise]])
    where = json.dumps({**Purpose.of(experiment, prior).conditions, "noise": seen})
    _same(
        folder,
        seed,
        f"{settings}\n{prior!r}\n{truth!r}\n{'with' if proposal else 'without'} a network\n{where}\n{KEPT}\n",
    )
    known = _kept(folder, seed)
    averages: Averages | None = None
    for k in range(n):
        if k not in known:
            theta, spectrum = _measured(experiment, truth or prior, prior, seed, k, like)
            averages = averages or Averages.of(experiment, spectrum)
            own = replace(settings, seed=_number(seed, f"infer {k}"))  # the same draws in all trials would add up
            posterior = infer(averages, prior, spectrum, own, proposal=proposal)
            known[k] = judged(posterior, Target.of(experiment, prior, spectrum), theta, k, seed)
            _keep(folder, seed, known[k])
        if progress is not None:
            progress(k + 1, n)
    return Calibration(prior.names, tuple(known[k] for k in range(n)))


def judged(posterior: Posterior, target: Target, truth: Float[Tensor, " parameter"], k: int, seed: int) -> Trial:
    """What a posterior makes of a measurement whose truth is known."""
    z0 = target.prior.unconstrain(truth[None])
    z, weight = target.prior.unconstrain(posterior.draws), posterior.log_weight.exp()
    own, stretch = target.slope(z0).information[0], target.stretch(z0)[0]
    bound, information = torch.linalg.pinv(own, hermitian=True), own / stretch / stretch[:, None]
    oracle, found = (refine(target, theta[None])[0] for theta in (truth, posterior.basins[0].theta))
    away = replace(oracle, z=target.prior.unconstrain(posterior.basins[0].theta[None])[0])
    right = found.distance(oracle) < SAME and oracle.distance(away) < FAR
    missed = not right and oracle.log_posterior > found.log_posterior + 0.5
    error, off = posterior.median - truth, posterior.draws - posterior.median
    place = torch.randn(z0.shape, generator=stream(seed, f"tarp {k}"), dtype=z0.dtype)
    nearer = ((z - place) ** 2).sum(1) < ((z0 - place) ** 2).sum()
    top = float(target.log_posterior(oracle.z[None]) - target.prior.log_density(oracle.z[None]))
    here = float(target.log_posterior(z0) - target.prior.log_density(z0))
    return Trial(
        seed=k,
        truth=truth.tolist(),
        rank=(weight[:, None] * (posterior.draws < truth)).sum(0).tolist(),
        tarp=float(weight[nearer].sum()),
        error=error.tolist(),
        limit=(bound.diagonal().sqrt() * stretch).where(own.diagonal() > 0, torch.inf).tolist(),
        square=float(error @ information @ error) / len(truth),
        expected=float(weight @ ((off @ information) * off).sum(1)) / len(truth),
        excess=2 * (top - here),
        right=right,
        missed=missed,
        effective=1 / float((weight**2).sum()),
        draws=len(weight),
        seconds=posterior.seconds,
        failed=[each.name for each in posterior.checks if not each.passed],
    )


def _measured(
    experiment: Experiment, truth: Prior, prior: Prior, seed: int, k: int, like: Spectrum | None
) -> tuple[Tensor, Spectrum]:
    """The first stable draw of trial `k`, in the order of `prior`, and its spectrum."""
    known = {*truth.names, *truth.fixed, *prior.fixed}
    if missing := [name for name in experiment.names if name not in known]:
        raise InputError(f"the truth says nothing about '{missing[0]}'; give a prior of it, too")
    draws = truth.sample(64, _number(seed, f"truth {k}"))
    column = {name: draws[:, i] for i, name in enumerate(truth.names)}
    fixed = {name: draws.new_full((len(draws),), value) for name, value in {**prior.fixed, **truth.fixed}.items()}
    full = torch.stack([column[name] if name in column else fixed[name] for name in experiment.names], dim=1)
    with torch.no_grad():
        stable = experiment.signal(full).stable
    if not bool(stable.any()):
        raise InputError("the order is stable for none of 64 draws of the truth; narrow the prior")
    row = full[stable][:1]
    names = [experiment.names.index(name) for name in prior.names]
    dense = experiment.anchored(row, more=TRUER).experiment  # as the measurement is, not as the search sees it
    return row[0, names], dense.sample(row, _number(seed, f"noise {k}"), like)


def _number(seed: int, label: str) -> int:
    """A seed for somebody else."""
    return int(torch.randint(2**31, (), generator=stream(seed, label)))


def _same(folder: Path | None, seed: int, purpose: str) -> None:
    """Refuses a folder with trials of other settings, priors or measurements."""
    if folder is None:
        return
    file = folder / f"trials-{seed}.txt"
    if file.exists() and file.read_text(encoding="utf-8") != purpose:
        raise InputError(
            f"the trials in '{folder}' were made with other settings, another prior or another measurement "
            f"({file.name}); choose another folder or seed, or remove them"
        )
    folder.mkdir(parents=True, exist_ok=True)
    put_text(file, purpose)


def _kept(folder: Path | None, seed: int) -> dict[int, Trial]:
    """Trials that were finished before; a line that was cut off is left out."""
    file = folder and folder / f"trials-{seed}.jsonl"
    if file is None or not file.exists():
        return {}
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            trial = Trial(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[trial.seed] = trial
    return found


def _keep(folder: Path | None, seed: int, trial: Trial) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"trials-{seed}.jsonl").open("a", encoding="utf-8") as out:
        out.write(json.dumps(asdict(trial)) + "\n")
