"""Result: what a report is made of, and the predictions that its figures show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.infer import Posterior
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.observe.counting import Observed
from sqwirrel.seeds import stream
from sqwirrel.spectra import Spectrum

DRAWS = 40
"""Posterior draws behind the predictive bands."""
NOISE = 10
"""Noisy spectra for each of them."""


@dataclass(frozen=True, eq=False)
class Result:
    """A posterior with all that it came from. `used` is what was taken of `file`; `truth` is empty if unknown."""

    posterior: Posterior
    spectrum: Spectrum
    experiment: Experiment
    prior: Prior
    file: str = ""
    used: Mapping[str, Any] = field(default_factory=dict)
    truth: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def observed(self) -> Observed:
        """The valid bins as the likelihood sees them."""
        return self.experiment.instrument.counting.observe(self.spectrum, self.expected)

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
        theta, spread = self.posterior.anchor
        known = self.posterior.simulator
        return known if isinstance(known, Experiment) else self.experiment.anchored(theta[None], spread).experiment

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
        kept = here[self.valid]
        observed = Observed(self.observed.intensity[kept], self.observed.variance[kept], here)
        counting, generator = self.experiment.instrument.counting, stream(start, "replicas")
        noisy = torch.zeros(DRAWS * NOISE, stop - start, here.shape[1], dtype=torch.float64)
        for k, row in enumerate(noisy):
            expected = self.predicted[k % DRAWS][here].clamp(min=0)
            row[here[start:stop]] = counting.sample(expected, observed, generator)
        return noisy

    @cached_property
    def error(self) -> Float[Tensor, "point energy"]:
        """The standard deviation that the likelihood gives each bin (for counts: that of the data, for drawing)."""
        return self._on_map(self.observed.variance.sqrt())

    @cached_property
    def residual(self) -> Float[Tensor, "point energy"]:
        """(data - model) over the standard deviation that the likelihood expects; 0 where not measured."""
        mu, observed = self.expected[self.valid], self.observed
        return self._on_map((observed.intensity - mu) * self._weight(mu).sqrt())

    @cached_property
    def limit_covariance(self) -> Float[Tensor, "parameter parameter"]:
        """Cramer-Rao bound of all free parameters at `best`."""
        names = self.experiment.names
        linear = self.simulator.linearise(self._full(self.best[None]))
        columns = [names.index(name) for name in self.posterior.names]
        slope = linear.slope[0, columns][:, self.valid]
        information = (slope * self._weight(linear.expected[0][self.valid])) @ slope.T
        size = information.diagonal().clamp(min=1e-300).sqrt()
        normal: Tensor = torch.linalg.pinv(information / size[:, None] / size, hermitian=True)
        return torch.div(torch.div(normal, size[:, None]), size)

    def _weight(self, expected: Float[Tensor, " bin"]) -> Float[Tensor, " bin"]:
        """Inverse variance that the likelihood gives each bin."""
        return self.experiment.instrument.counting.weight(expected[None], self.observed)[0]

    def _predict(self, free: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch point energy"]:
        with torch.no_grad():
            return self.simulator.predict(self._full(free)).expected

    def _full(self, free: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch full"]:
        """Every parameter of the experiment, the fixed ones filled in."""
        known = dict(zip(self.posterior.names, free.T, strict=True))
        held = {name: free.new_full((len(free),), value) for name, value in self.prior.fixed.items()}
        return torch.stack([{**known, **held}[name] for name in self.experiment.names], dim=1)

    def _on_map(self, values: Float[Tensor, " bin"]) -> Float[Tensor, "point energy"]:
        full = torch.zeros(self.valid.shape, dtype=torch.float64)
        full[self.valid] = values
        return full
