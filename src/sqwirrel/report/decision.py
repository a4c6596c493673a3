"""Decision: a verdict on rivals with what its page shows, and the same as plain data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqwirrel.explain.networks import Heard
from sqwirrel.infer.verdict import CONTRADICTS, Verdict
from sqwirrel.record import Record
from sqwirrel.report.content import parameter_rows
from sqwirrel.report.result import AnyResult, Result, Whole


@dataclass(frozen=True, eq=False)
class Decision:
    """A verdict, the results of every rival by name, and what networks find for the best against the next in the data,
    if any were asked.
    """

    verdict: Verdict
    results: Mapping[str, tuple[AnyResult, ...]]
    record: Record
    heard: Heard | None = None

    @property
    def wholes(self) -> dict[str, Whole]:
        """What every rival is a result of, the best first."""
        return {name: Whole.of(self.results[name]) for name in self.verdict.ranked}

    @property
    def spectra(self) -> dict[str, dict[str, Result]]:
        """Results of every spectrum by label, and of these by rival, the best first."""
        found: dict[str, dict[str, Result]] = {}
        for name in self.verdict.ranked:
            for each in self.results[name]:
                if isinstance(each, Result):
                    found.setdefault(each.label, {})[name] = each
        return found


def headline(verdict: Verdict) -> str:
    """One or two sentences: which rival, by how much, and what networks say; or why that cannot be said."""
    best, second = verdict.ranked[:2]
    heard = "" if verdict.opinion is None else f" {_networks(verdict)}"
    if why := verdict.undecided:
        return f"Undecided: {why}.{'' if 'networks' in why else heard}"
    value, error = verdict.log_bayes(second)
    failed = sum(not check.passed for check in verdict.posteriors[best].checks)
    doubt = f", though {failed} checks of its fit failed" * bool(failed)
    return f"{best}: the log Bayes factor against {second} is {value:.1f} ± {error:.1f}{doubt}.{heard}"


def _networks(verdict: Verdict) -> str:
    opinion = verdict.opinion
    assert opinion is not None
    word = "say the same" if opinion.best == verdict.best else "say otherwise"
    return f"Networks {word if opinion.probability[opinion.best] >= CONTRADICTS else 'do not say'}: {opinion.answer}."


def mapping(verdict: Verdict, heard: Heard | None = None) -> dict[str, Any]:
    """The verdict as one object, with what networks find in the data."""
    found = {} if heard is None else heard.mapping()
    best = verdict.best
    return {
        "decided": None if verdict.undecided else best,
        "undecided": verdict.undecided,
        "best": best,
        "rivals": {name: _row(verdict, name) for name in verdict.ranked},
        **({} if verdict.opinion is None else {"networks": verdict.opinion.mapping() | found}),
    }


def _row(verdict: Verdict, name: str) -> dict[str, Any]:
    evidence, posterior = verdict.evidence[name], verdict.posteriors[name]
    against = {} if name == verdict.best else _against(verdict, name)
    return {
        "probability": verdict.probability[name],
        "log_evidence": {"value": evidence.log, "error": evidence.error},
        **against,
        "odds": verdict.odds[name],
        "stable_share_of_prior": evidence.stable,
        "deviance_per_bin": posterior.deviance_per_bin,
        "abstains": posterior.abstains,
        "failed_checks": [check.name for check in posterior.checks if not check.passed],
        "parameters": parameter_rows(posterior),
    }


def _against(verdict: Verdict, name: str) -> dict[str, Any]:
    value, error = verdict.log_bayes(name)
    apart = verdict.apart(name)
    known = apart if math.isfinite(apart) else None
    return {"log_bayes_factor_of_best": {"value": value, "error": error}, "errors_by_scatter_of_windows": known}
