"""discriminate(): which of several models made the data, by evidence, and whether that can be said.

Every rival is inferred from the same data. Its evidence is the mean likelihood of its prior's draws whose order is
stable, so that no model gains or loses by the share of its prior that is (R. E. Kass, A. E. Raftery, J. Am. Stat.
Assoc. 90, 773 (1995), doi:10.1080/01621459.1995.10476572). Where the better one, too, misses something, a Bayes factor
counts every bin as if it did not; then the ratio of the likelihoods must be far from zero by the scatter of its own
parts as well (Q. H. Vuong, Econometrica 57, 307 (1989), doi:10.2307/1912557).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.averages import Averages, Progress, Settings
from sqwirrel.infer.checks.misfit import window_of
from sqwirrel.infer.inference import infer
from sqwirrel.infer.posterior import Posterior
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import Data, Simulator, SpectrumTerm, spectra_of
from sqwirrel.learn.strange import Jury, Opinion
from sqwirrel.model.prior import Prior

DECISIVE = 100.0
"""A Bayes factor that decides, beyond `SURE` of its errors."""
SURE, APART = 2.0, 3.0
"""Errors that a Bayes factor must exceed the decisive one by; and, where the best model misses something, errors that
the ratio of the likelihoods must be from zero by its scatter over windows of bins.
"""
STABLE = 512
"""Draws of a prior that say what share of it is stable."""
ROUGH = 3.0
"""Error of a log evidence whose importance weights cannot be trusted, at least."""
TRUST = ("pareto_k", "effective_draws", "complete")
"""Checks without which an evidence is rough. Moved draws have no `pareto_k`: theirs is that of the weights that failed.
"""
STRANGE = 0.01
"""A simulated spectrum is rarely as strange as data that networks say nothing about."""
CONTRADICTS = 0.95
"""Probability by which networks contradict an evidence for another rival; with less they do not say."""
FEWEST = 5
"""Windows of bins, and stable draws of a prior, that say something."""
Maps = Mapping[str, Float[Tensor, "point energy"]]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A model under the conditions of the data, and what is thought of its parameters before."""

    simulator: Simulator
    prior: Prior


@dataclass(frozen=True, eq=False)
class Evidence:
    """Log of the mean likelihood of stable prior draws, its standard error, the stable share of the prior; and the log
    likelihood of every bin at the best fit with the window that it belongs to, by the labels of the spectra.
    """

    log: float
    error: float
    stable: float
    bins: Maps
    windows: Mapping[str, Int[Tensor, "point energy"]]


@dataclass(frozen=True, eq=False)
class Verdict:
    """Posteriors and evidences of the rivals by name, the `odds` given to them before, and what networks say, if any
    were asked.
    """

    posteriors: Mapping[str, Posterior]
    evidence: Mapping[str, Evidence]
    odds: Mapping[str, float]
    opinion: Opinion | None = None

    @property
    def probability(self) -> dict[str, float]:
        """Of each rival, if one of them is right."""
        log = [self.evidence[name].log + math.log(self.odds[name]) for name in self.odds]
        return dict(zip(self.odds, torch.tensor(log, dtype=torch.float64).softmax(0).tolist(), strict=True))

    @property
    def ranked(self) -> list[str]:
        """The rivals, the one of most evidence first."""
        return sorted(self.evidence, key=lambda name: -self.evidence[name].log)

    @property
    def best(self) -> str:
        """The rival of most evidence."""
        return self.ranked[0]

    def log_bayes(self, name: str) -> tuple[float, float]:
        """Logarithm of the Bayes factor of the best against another, and its error."""
        one, other = self.evidence[self.best], self.evidence[name]
        return one.log - other.log, math.hypot(one.error, other.error)

    def ratio(self, name: str) -> dict[str, Float[Tensor, "point energy"]]:
        """Log likelihood ratio of the best against another in every bin, at their best fits: where it is decided."""
        mine, its = self.evidence[self.best].bins, self.evidence[name].bins
        return {label: mine[label] - its[label] for label in mine}

    def apart(self, name: str) -> float:
        """The sum of `ratio` over its own scatter between windows of bins; NaN where these are few."""
        parts = []
        for label, each in self.ratio(name).items():
            window = self.evidence[name].windows[label].flatten()
            parts.append(torch.zeros(int(window.max()) + 1, dtype=each.dtype).index_add_(0, window, each.flatten()))
        sums = torch.cat(parts) if parts else torch.zeros(0).double()
        sums = sums[sums != 0]
        return float(sums.sum() / (len(sums) ** 0.5 * sums.std())) if len(sums) >= FEWEST else math.nan

    @property
    def undecided(self) -> str:
        """Why it is not said which model is right; empty where it is."""
        if abstains := self.posteriors[self.best].abstains:
            return f"no model describes these data; of the best, {self.best}: {abstains}"
        if self.opinion is not None and self.opinion.likelier < STRANGE:
            return (
                "nothing like these data was simulated for the networks (a simulated spectrum is as strange with "
                f"probability {self.opinion.likelier:.2g})"
            )
        for name in self.ranked[1:]:
            log, error = self.log_bayes(name)
            if log - SURE * error < math.log(DECISIVE):
                return f"{name} is not ruled out: the log Bayes factor against it is {log:.1f} ± {error:.1f}"
            if self.posteriors[self.best].misfits and not self.apart(name) > APART:
                return (
                    f"{self.best} misses something in these data, and its advantage over {name} is not above "
                    f"{APART:g} errors by its scatter between windows of bins ({self._apart_in_words(name)})"
                )
        return self._contradicted

    @property
    def _contradicted(self) -> str:
        if self.opinion is None or self.opinion.best == self.best:
            return ""
        other = self.opinion.best
        if self.opinion.probability[other] < CONTRADICTS:
            return ""  # networks do not say
        return f"two answers contradict each other: the evidence says {self.best}, networks say {self.opinion.answer}"

    def _apart_in_words(self, name: str) -> str:
        apart = self.apart(name)
        return "too few of these" if math.isnan(apart) else f"{apart:.1f}"

    def __str__(self) -> str:
        head = f"{'':>16} {'log evidence':>20} {'probability':>12} {'stable':>7} {'deviance':>9}"
        known = self.opinion
        rows = [
            f"{name:>16} {each.log:>12.1f} ± {each.error:<5.1f} {self.probability[name]:>12.3g} {each.stable:>7.2f} "
            f"{self.posteriors[name].deviance_per_bin:>9.2f}"
            + (f" {known.probability[name]:>9.3g}" if known is not None else "")
            for name, each in ((name, self.evidence[name]) for name in self.ranked)
        ]
        more = [] if known is None else [f"networks: {known}"]
        return "\n".join((head + (f" {'networks':>9}" if known is not None else ""), *rows, *more, self._said()))

    def _said(self) -> str:
        if self.undecided:
            return f"undecided: {self.undecided}"
        failed = [check.name for check in self.posteriors[self.best].checks if not check.passed]
        return f"decided: {self.best}" + (f", though checks of it failed: {', '.join(failed)}" if failed else "")


def discriminate(
    rivals: Mapping[str, Hypothesis],
    data: Data,
    settings: Settings | None = None,
    *,
    odds: Mapping[str, float] | None = None,
    jury: Jury | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Infers every rival from the data and weighs their evidence; `odds` are even unless given. What a `jury` of
    networks says of the data is the second answer, which must agree.
    """
    tell, odds = progress or (lambda *_: None), checked(list(rivals), odds)
    _same_rivals(jury, list(rivals))
    found = {
        name: infer(each.simulator, each.prior, data, settings, progress=_named(name, tell))
        for name, each in rivals.items()
    }
    return judged(rivals, found, data, odds, jury)


def judged(
    rivals: Mapping[str, Hypothesis],
    posteriors: Mapping[str, Posterior],
    data: Data,
    odds: Mapping[str, float] | None = None,
    jury: Jury | None = None,
) -> Verdict:
    """The verdict on rivals that were inferred from the data."""
    odds = checked(list(rivals), odds)
    _same_rivals(jury, list(rivals))
    evidence = {name: _evidence(each, posteriors[name], data) for name, each in rivals.items()}
    return Verdict(posteriors, evidence, odds, None if jury is None else jury.opinion(spectra_of(data)))


def checked(names: Sequence[str], odds: Mapping[str, float] | None) -> Mapping[str, float]:
    """Odds of two rivals or more, even ones if none are given."""
    if len(names) < 2:
        raise InputError(f"a choice needs two models or more, got {list(names)}")
    odds = odds or dict.fromkeys(names, 1.0)
    if set(odds) != set(names) or not all(0 < each < math.inf for each in odds.values()):
        raise InputError(f"odds are a positive number for each of {list(names)}, got {dict(odds)}")
    return odds


def _same_rivals(jury: Jury | None, names: list[str]) -> None:
    if jury is not None and set(jury.contest.names) != set(names):
        raise InputError(f"the networks tell {jury.contest.names} apart, not {names}; train some for these")


def _evidence(rival: Hypothesis, posterior: Posterior, data: Data) -> Evidence:
    share = _stable(rival, data, posterior.record.seeds.get("infer", 0))
    weight, n = posterior.log_weight.exp(), len(posterior.draws)
    drawn = max(posterior.log_evidence_error**2, float((weight**2).sum()) - 1 / n)
    error = math.sqrt(max(0.0, drawn + (1 - share) / (share * STABLE)))
    passed = {check.name for check in posterior.checks if check.passed}
    trusted = passed.issuperset(TRUST) and share * STABLE >= FEWEST
    target = fitted(rival, posterior, data)
    full = target.full(posterior.basins[0].theta[None])
    spectra = [term for term in target.terms if isinstance(term, SpectrumTerm)]
    return Evidence(
        posterior.log_evidence - math.log(share),
        error if trusted else max(error, ROUGH),
        share,
        {term.label: term.log_likelihood(target.own(term, full)) for term in spectra},
        {term.label: window_of(term.experiment.measurement) for term in spectra},
    )


def _stable(rival: Hypothesis, data: Data, seed: int) -> float:
    """The share of prior draws whose order is stable wherever a coarse average looks."""
    target = Averages.of(rival.simulator, data).rough(rival.prior, data)
    stable = target.deviance(rival.prior.sample(STABLE, seed)).isfinite()
    return max(1, int(stable.sum())) / STABLE


def fitted(rival: Hypothesis, posterior: Posterior, data: Data) -> Target:
    """With the average and the variances that the fit had."""
    target, (theta, spread) = Target.of(posterior.simulator or rival.simulator, rival.prior, data), posterior.anchor
    own = [(term, target.own(term, theta[None]), target.own(term, spread)) for term in target.terms]
    if posterior.simulator is not None:
        return target.with_terms(term.reweighed(at) for term, at, _ in own)
    return target.with_terms(t.anchored(at, reach, posterior.finer.get(t.label, 1)) for t, at, reach in own)


def _named(name: str, tell: Progress) -> Progress:
    return lambda stage, done, total: tell(f"{name}: {stage}", done, total)
