"""Result: what a report is made of, and the predictions that its figures show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.infer import Posterior
from sqwirrel.infer.terms import BulkTerm, PeaksTerm
from sqwirrel.infer.terms.peaks import Explained
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Joint, PeakExperiment
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.observe.counting import Counting, Observed
from sqwirrel.seeds import stream
from sqwirrel.spectra import Peaks, Spectrum
from sqwirrel.spectra.bulk import Bulk

DRAWS = 40
"""Posterior draws behind the predictive bands."""
NOISE = 10
"""Noisy spectra for each of them."""


@dataclass(frozen=True, eq=False)
class Result:
    """A posterior with a spectrum that it came from. `used` is what was taken of `file`; `truth` is empty if unknown;
    `told` is what the config said of the instrument.

    If the posterior has several measurements, `label` says which of the `joint` this is.
    """

    posterior: Posterior
    spectrum: Spectrum
    experiment: Experiment
    prior: Prior
    file: str = ""
    used: Mapping[str, Any] = field(default_factory=dict)
    truth: Mapping[str, float] = field(default_factory=dict)
    label: str = ""
    joint: Joint | None = None
    told: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def observed(self) -> Observed:
        """The valid bins as the likelihood sees them."""
        return self._counting.observe(self.spectrum, self.expected)

    @property
    def _counting(self) -> Counting:
        return self.experiment.instrument.counting

    @property
    def valid(self) -> Bool[Tensor, "point energy"]:
        """True where a bin was measured and used."""
        return self.spectrum.valid

    @property
    def best(self) -> Float[Tensor, " parameter"]:
        """The free parameters at the maximum of the best basin."""
        return self.posterior.basins[0].theta

    @cached_property
    def simulator(self) -> Experiment:
        """The experiment with the dense average that the fit had."""
        known = self.posterior.simulator
        known = known.experiments.get(self.label) if isinstance(known, Joint) else known
        theta, spread = _own(self, self.posterior.anchor)
        finer = self.posterior.finer.get(self.label, 1)
        return (
            known if isinstance(known, Experiment) else self.experiment.anchored(theta[None], spread, finer).experiment
        )

    @cached_property
    def expected(self) -> Float[Tensor, "point energy"]:
        """The model at `best`."""
        return self._predict(self.best[None])[0]

    @cached_property
    def predicted(self) -> Float[Tensor, "draw point energy"]:
        """The model at draws of the posterior."""
        return self._predict(self.posterior.sample(DRAWS, seed=0))

    def replicas(self, start: int, stop: int) -> Float[Tensor, "replica point energy"]:
        """Bins `start` to `stop` of noisy spectra that draws of the posterior predict."""
        here = torch.zeros_like(self.valid)
        here[start:stop] = self.valid[start:stop]
        observed = self._observed(here)
        counting, generator = self._counting, stream(start, "replicas")
        noisy = torch.zeros(DRAWS * NOISE, stop - start, here.shape[1], dtype=torch.float64)
        for k, row in enumerate(noisy):
            expected = self.predicted[k % DRAWS][here].clamp(min=0)
            row[here[start:stop]] = counting.sample(expected, observed, generator)
        return noisy

    @cached_property
    def error(self) -> Float[Tensor, "point energy"]:
        """The standard deviation that the likelihood gives each bin (for counts: that of the data, for drawing)."""
        return self._on_map(self.observed.variance.sqrt())

    @property
    def as_weighed(self) -> Spectrum:
        """The spectrum with `error` in place of its own errors."""
        measured = self.spectrum
        how: dict[str, Any] = {"valid": self.valid, "is_counts": measured.is_counts, "pixels": measured.pixels}
        return Spectrum.from_arrays(measured.intensity, self.error, measured.measurement, **how)

    @cached_property
    def residual(self) -> Float[Tensor, "point energy"]:
        """(data - model) over the standard deviation that the likelihood expects; 0 where not measured."""
        return self.left_of(self.spectrum.intensity)

    def left_of(self, values: Float[Tensor, "point energy"]) -> Float[Tensor, "point energy"]:
        """`residual`, if these values had been measured."""
        observed = replace(self.observed, intensity=values[self.valid])
        return self._on_map(self._counting.residual(self.expected[self.valid], observed))

    @property
    def normal_residual(self) -> Float[Tensor, "point energy"]:
        """`residual` as a normal law would have it: what the search for misfit averages."""
        return self.as_normal(self.residual)

    def as_normal(self, residual: Float[Tensor, "point energy"]) -> Float[Tensor, "point energy"]:
        """Residuals in standard deviations of the likelihood as a normal law would have them; 0 where not measured."""
        return self._on_map(self._counting.as_normal(residual[self.valid]))

    @cached_property
    def information(self) -> Float[Tensor, "parameter parameter"]:
        """Fisher information of all free parameters at `best`."""
        linear = self.simulator.linearise(_full(self, self.best[None]))
        slope = linear.slope[0][:, self.valid]
        return _of_free(self, (slope * self._weight(linear.expected[0][self.valid])) @ slope.T)

    def deviance(self, here: Bool[Tensor, "point energy"]) -> float:
        """Deviance per bin of some valid bins."""
        return float(self._counting.deviance(self.expected[here][None], self._observed(here)).sum()) / int(here.sum())

    def _observed(self, here: Bool[Tensor, "point energy"]) -> Observed:
        """Some of the valid bins as the likelihood sees them."""
        kept = here[self.valid]
        return Observed(self.observed.intensity[kept], self.observed.variance[kept], here)

    def _weight(self, expected: Float[Tensor, " bin"]) -> Float[Tensor, " bin"]:
        """Inverse variance that the likelihood gives each bin."""
        return self._counting.weight(expected[None], self.observed)[0]

    def _predict(self, free: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch point energy"]:
        with torch.no_grad():
            return self.simulator.predict(_full(self, free)).expected

    def _on_map(self, values: Float[Tensor, " bin"]) -> Float[Tensor, "point energy"]:
        full = torch.zeros(self.valid.shape, dtype=torch.float64)
        full[self.valid] = values
        return full


@dataclass(frozen=True, eq=False)
class PeakResult:
    """A posterior with a table of peaks that it came from; fields as those of `Result`."""

    posterior: Posterior
    peaks: Peaks
    experiment: PeakExperiment
    prior: Prior
    file: str = ""
    used: Mapping[str, Any] = field(default_factory=dict)
    truth: Mapping[str, float] = field(default_factory=dict)
    label: str = ""
    joint: Joint | None = None

    @property
    def best(self) -> Float[Tensor, " parameter"]:
        """The free parameters at the maximum of the best basin."""
        return self.posterior.basins[0].theta

    @cached_property
    def explained(self) -> Explained:
        """Which lines the peaks belong to at `best`, and how far from them they lie."""
        return PeaksTerm(self.experiment, self.peaks, self.experiment.names).explained(_full(self, self.best[None]))

    @cached_property
    def information(self) -> Float[Tensor, "parameter parameter"]:
        """Information of all free parameters at `best`, if it were known which mode each peak is."""
        return _of_free(self, self.experiment.slope(_full(self, self.best[None]), self.peaks).information[0])


@dataclass(frozen=True, eq=False)
class BulkResult:
    """A posterior with bulk numbers that it came from; fields as those of `Result`."""

    posterior: Posterior
    bulk: Bulk
    experiment: BulkExperiment
    prior: Prior
    truth: Mapping[str, float] = field(default_factory=dict)
    label: str = ""
    joint: Joint | None = None

    @property
    def best(self) -> Float[Tensor, " parameter"]:
        """The free parameters at the maximum of the best basin."""
        return self.posterior.basins[0].theta

    @cached_property
    def predicted(self) -> Float[Tensor, "draw number"]:
        """The numbers that the model has at `best`, then at draws of the posterior."""
        rows = torch.cat((self.best[None], self.posterior.sample(DRAWS, seed=0)))
        return self.experiment.predict(_full(self, rows)).value

    @cached_property
    def information(self) -> Float[Tensor, "parameter parameter"]:
        """Fisher information of all free parameters at `best`."""
        term = BulkTerm(self.experiment, self.bulk, self.experiment.names)
        return _of_free(self, term.slope(_full(self, self.best[None])).information[0])


AnyResult = Result | PeakResult | BulkResult


@dataclass(frozen=True, eq=False)
class Whole:
    """Everything that one posterior came from: a result for each of its measurements."""

    results: tuple[AnyResult, ...]

    @classmethod
    def of(cls, results: "Whole | AnyResult | Sequence[AnyResult]") -> "Whole":
        """One result, or several of one posterior."""
        if isinstance(results, Whole):
            return results
        return cls((results,) if isinstance(results, AnyResult) else tuple(results))

    @property
    def posterior(self) -> Posterior:
        """The posterior of them all."""
        return self.results[0].posterior

    @property
    def prior(self) -> Prior:
        """Its prior."""
        return self.results[0].prior

    @property
    def truth(self) -> Mapping[str, float]:
        """Parameters that a simulation had; empty if unknown."""
        return self.results[0].truth

    @property
    def best(self) -> Float[Tensor, " parameter"]:
        """The free parameters at the maximum of the best basin."""
        return self.results[0].best

    @property
    def model_names(self) -> tuple[str, ...]:
        """Parameters of the models."""
        return tuple(dict.fromkeys(name for each in self.results for name in each.experiment.model.names))

    def of_model(self, free: Float[Tensor, "row parameter"]) -> Float[Tensor, "row own"]:
        """Parameters of the model, the fixed ones filled in, of rows of free parameters."""
        first, names = self.results[0], self.results[0].experiment.names
        return _full(first, free)[:, [names.index(name) for name in first.experiment.model.names]]

    @cached_property
    def limit_covariance(self) -> Float[Tensor, "parameter parameter"]:
        """Cramer-Rao bound of all free parameters at `best`, from all data."""
        information = torch.stack([each.information for each in self.results]).sum(0)
        size = information.diagonal().clamp(min=1e-300).sqrt()
        normal: Tensor = torch.linalg.pinv(information / size[:, None] / size, hermitian=True)
        return torch.div(torch.div(normal, size[:, None]), size)


def _names(result: AnyResult) -> tuple[str, ...]:
    """What the posterior calls the parameters of the experiment."""
    return result.joint.names_of[result.label] if result.joint is not None else result.experiment.names


def _own(result: AnyResult, full: Float[Tensor, "row full"]) -> Float[Tensor, "row own"]:
    return full if result.joint is None else result.joint.rows(result.label, full)


def _full(result: AnyResult, free: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch own"]:
    """Every parameter of the experiment, the fixed ones filled in."""
    known = dict(zip(result.posterior.names, free.T, strict=True))
    held = {name: free.new_full((len(free),), value) for name, value in result.prior.fixed.items()}
    return torch.stack([{**known, **held}[name] for name in _names(result)], dim=1)


def _of_free(result: AnyResult, own: Float[Tensor, "own own"]) -> Float[Tensor, "parameter parameter"]:
    """An information matrix of the experiment's parameters as one of all free parameters."""
    free, names = result.posterior.names, _names(result)
    here = torch.tensor([k for k, name in enumerate(names) if name in free])
    there = torch.tensor([free.index(names[k]) for k in here.tolist()])
    whole = own.new_zeros(len(free), len(free))
    whole[there[:, None], there] = own[here[:, None], here]
    return whole
