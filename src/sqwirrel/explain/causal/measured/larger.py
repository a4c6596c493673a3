"""The data with more columns: gradient and information of one measurement for parameters that its model has not."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.explain.causal.measured.additions import Addition, with_spins, with_terms
from sqwirrel.explain.causal.measured.apparatus import Rival, wider
from sqwirrel.infer.terms import BulkTerm, PeaksTerm, SpectrumTerm, Term
from sqwirrel.observe import Experiment, PeakExperiment
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.spectra import QShells


class Nuisance(NamedTuple):
    """A parameter that only the other instrument has."""

    name: str
    meaning: str
    unit: str


class Larger(NamedTuple):
    """Gradient of log L and Fisher information of `names`, as all measurements call them, in their units; which of
    them are those of another instrument.
    """

    names: tuple[str, ...]
    gradient: Float[Tensor, " parameter"]
    information: Float[Tensor, "parameter parameter"]
    nuisances: tuple[Nuisance, ...] = ()


def larger(term: Term, added: Sequence[Addition], values: Mapping[str, float]) -> Larger:
    """One measurement at `values`, with the terms `added` and what its instrument might have at 0.

    Expectation and weights are those of the fit; derivatives are those of the experiment's own average.
    """
    match term:
        case SpectrumTerm():
            return _spectrum(term, added, values)
        case PeaksTerm():
            return _peaks(term, added, values)
        case BulkTerm():
            more = BulkTerm.of(BulkExperiment(with_terms(term.experiment.model, added), term.bulk), term.bulk, ())
            slope = more.slope(_row(more.experiment.names, values))
            return Larger(more.experiment.names, slope.gradient[0], slope.information[0])
    raise TypeError(f"nothing adds to a {type(term).__name__}")


def _spectrum(term: SpectrumTerm, added: Sequence[Addition], values: Mapping[str, float]) -> Larger:
    e, observed = term.experiment, term.observed
    powder = isinstance(e.measurement.points, QShells)
    other = wider(e.instrument, powder=powder)
    how = {"samples": e.samples, "cell": e.cell, "seed": e.seed, "twins": e.twins}
    more = Experiment(with_terms(e.model, added), e.measurement, other.instrument, **how)  # type: ignore[arg-type]
    names, nuisances = _named(term, more, other)
    with torch.no_grad():
        mu = e.predict(_row(term.names, values)).expected[:, observed.valid]
    J = more.linearise(_row(names, values)).slope[0][:, observed.valid]
    counting = e.instrument.counting
    weighted = term.weight * J * counting.weight(mu, observed)
    information = counting.efficiency * weighted @ J.T
    return Larger(names, weighted @ (observed.intensity - mu[0]), information, nuisances)


def _named(term: SpectrumTerm, more: Experiment, other: Rival) -> tuple[tuple[str, ...], tuple[Nuisance, ...]]:
    """Every column by the name that it has among all measurements."""
    mine = dict(zip(term.experiment.names, term.names, strict=True))
    mine |= {new: mine[old] for new, old in other.known_as.items()}
    suffix = f"_{term.label}" if term.label else ""
    new = {name: Nuisance(f"{name}{suffix}", meaning, more.units[name]) for name, meaning in other.meanings.items()}
    names = (mine.get(name) or (new[name].name if name in new else name) for name in more.names)
    return tuple(names), tuple(new.values())


def _peaks(term: PeaksTerm, added: Sequence[Addition], values: Mapping[str, float]) -> Larger:
    e = term.experiment
    n, moved = len(e.model.names), len(e.waves.q) > len(e.peaks)
    more = PeakExperiment(with_spins(e.model, added), e.peaks, extra=len(e.names) > n + 1, q_error=moved)
    names = (*more.model.names, *term.names[n:])
    slope = more.slope(_row(names, values), term.peaks)
    return Larger(names, slope.gradient[0], slope.information[0])


def _row(names: Sequence[str], values: Mapping[str, float]) -> Float[Tensor, "1 parameter"]:
    """Parameters, 0 where nothing is known."""
    return torch.tensor([[values.get(name, 0.0) for name in names]], dtype=torch.float64)
