"""Result: what a report is made of, and the predictions that its figures show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.infer import Posterior
from sqwirrel.infer.target import Target
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
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
    def target(self) -> Target:
        """The posterior's density."""
        return Target.of(self.experiment, self.prior, self.spectrum)

    @property
    def valid(self) -> Bool[Tensor, "point energy"]:
        """True where a bin was measured and used."""
        return self.spectrum.valid

    @property
    def best(self) -> Float[Tensor, " parameter"]:
        """The free parameters at the maximum of the best basin."""
        return self.posterior.basins[0].theta

    @cached_property
    def expected(self) -> Float[Tensor, "point energy"]:
        """The model at `best`."""
        return self._predict(self.best[None])[0]

    @cached_property
    def predicted(self) -> Float[Tensor, "draw point energy"]:
        """The model at draws of the posterior."""
        return self._predict(self.posterior.sample(DRAWS, seed=0))

    @cached_property
    def replicas(self) -> Float[Tensor, "replica point energy"]:
        """Spectra that would be measured if a draw of the posterior were true, counting noise included."""
        counting, observed, generator = self.experiment.instrument.counting, self.target.observed, stream(0, "replicas")
        noisy = torch.zeros(DRAWS * NOISE, *self.valid.shape, dtype=torch.float64)
        for k, row in enumerate(noisy):
            row[self.valid] = counting.sample(self.predicted[k % DRAWS][self.valid].clamp(min=0), observed, generator)
        return noisy

    @cached_property
    def error(self) -> Float[Tensor, "point energy"]:
        """The standard deviation that the likelihood gives each bin (for counts: that of the data, for drawing)."""
        return self._on_map(self.target.observed.variance.sqrt())

    @cached_property
    def residual(self) -> Float[Tensor, "point energy"]:
        """(data - model) over the standard deviation that the likelihood expects; 0 where not measured."""
        mu, observed = self.expected[self.valid], self.target.observed
        weight = self.experiment.instrument.counting.weight(mu, observed)
        return self._on_map((observed.intensity - mu) * weight.sqrt())

    @cached_property
    def limit_covariance(self) -> Float[Tensor, "parameter parameter"]:
        """Cramer-Rao bound of all free parameters at `best`."""
        information = self.target.slope(self.best[None]).information[0]
        size = information.diagonal().clamp(min=1e-300).sqrt()
        normal: Tensor = torch.linalg.pinv(information / size[:, None] / size, hermitian=True)
        return torch.div(torch.div(normal, size[:, None]), size)

    def _predict(self, free: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch point energy"]:
        with torch.no_grad():
            return self.experiment.predict(self.target.full(free)).expected

    def _on_map(self, values: Float[Tensor, " bin"]) -> Float[Tensor, "point energy"]:
        full = torch.zeros(self.valid.shape, dtype=torch.float64)
        full[self.valid] = values
        return full
