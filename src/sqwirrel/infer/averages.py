"""Averages: an experiment averaged coarsely for the search and finely for the answer, and the search itself.

Screening of prior draws and Fisher scoring on merged bins with fewer quadrature points find the basins.
"""

import math
from collections import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.refine import Optimum, basins, refine
from sqwirrel.infer.screen import profile, screen
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import BulkTerm, Data, Kept, PeaksTerm, Simulator, SpectrumTerm, Term, terms_of
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.observe.joint import Joint, Part
from sqwirrel.spectra import QShells, Spectrum

Progress = abc.Callable[[str, int, int], None]
Draws = Float[Tensor, "draw parameter"]


@dataclass(frozen=True)
class Settings:
    """How hard to look: prior draws screened, starts refined, posterior draws, rounds of importance sampling, seed; and
    the most moves of draws whose weights fail, by Hamiltonian Monte Carlo (20 are plenty; each costs as much as some
    thousand draws), 0 for none. `guesses` are further starts, {name: value} each.
    """

    screen: int = 256
    starts: int = 8
    draws: int = 500
    rounds: int = 2
    seed: int = 1
    moves: int = 0
    guesses: tuple[Mapping[str, float], ...] = ()

    def __post_init__(self) -> None:
        if min(self.screen, self.starts, self.rounds, self.moves + 1) < 1 or self.draws < max(50, 10 * self.rounds):
            raise InputError(
                "infer needs screen, starts and rounds of at least 1, at least 50 draws and 10 a round, moves of 0 on; "
                f"got screen = {self.screen}, starts = {self.starts}, rounds = {self.rounds}, draws = {self.draws}, "
                f"moves = {self.moves}"
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
    """The experiment of a term on merged bins with fewer points; other data are as they are."""
    match term:
        case SpectrumTerm():
            return _merged_experiment(term.experiment, term.spectrum)
        case PeaksTerm() | BulkTerm():
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


def _merged(data: Kept, merge: tuple[int, int]) -> Kept:
    return data.rebin(q=merge[0], energy=merge[1], mean=True) if isinstance(data, Spectrum) else data


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
    guessed = _guessed(coarse, settings.guesses) if settings.guesses else coarse.prior.bounds.T[:0]
    starts = torch.cat((screen(coarse, **how, among=among), guessed))
    if not any(isinstance(term, PeaksTerm) for term in coarse.terms):
        return starts
    wide = coarse.with_terms(term.blurred() if isinstance(term, PeaksTerm) else term for term in coarse.terms)
    first = screen(wide, **how)
    found = basins(refine(wide, first, progress=lambda done, total: tell("searching", done, total)))
    return torch.cat((starts, coarse.prior.constrain(torch.stack([basin.z for basin in found]))))


def _guessed(coarse: Target, guesses: Sequence[Mapping[str, float]]) -> Float[Tensor, "guess parameter"]:
    """A start each: what a guess does not say, amplitudes by least squares, the others from the middle of the prior."""
    theta = coarse.prior.constrain(torch.zeros(len(guesses), len(coarse.names), dtype=torch.float64))
    said = torch.zeros_like(theta, dtype=torch.bool)
    for k, guess in enumerate(guesses):
        for name, value in guess.items():
            _check_guess(coarse.prior, name, value)
            column = coarse.names.index(name)
            theta[k, column], said[k, column] = value, True
    starts, reached = profile(coarse, theta)
    if not bool(reached.isfinite().all()):
        bad = int(reached.isfinite().long().argmin())
        reason = coarse.why_unstable(coarse.full(theta[bad : bad + 1]))
        rest = ", ".join(name for name, known in zip(coarse.names, said[bad].tolist(), strict=True) if not known)
        raise InputError(
            f"[infer] guess {bad + 1} is no start, with {rest or 'nothing'} at the middle of the prior: {reason}"
        )
    return torch.where(said, theta, starts)


def _check_guess(prior: Prior, name: str, value: float) -> None:
    if name not in prior.names:
        raise InputError(f"[infer] guess names '{name}', which is not free; free are {', '.join(prior.names)}")
    (low, high), unit = prior.free[name].bounds, prior.free[name].unit
    if not low <= value <= high:
        raise InputError(
            f"[infer] guess {name} = {value:g} is outside of its prior, {low:g} to {high:g} {unit}".rstrip()
            + "; change one of them"
        )


def random_starts(coarse: Target, *, starts: int, seed: int) -> list[Optimum]:
    """Basins reached from stable prior draws that nobody selected; only the linear nuisances are solved for."""
    theta, value = profile(coarse, coarse.prior.sample(50 * starts, seed))
    return basins(refine(coarse, theta[value.isfinite()][:starts]))
