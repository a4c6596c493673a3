"""Target: the unnormalised posterior of an experiment's free parameters, with its exact derivatives."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.observe.counting import Observed
from sqwirrel.spectra import Spectrum


class Slope(NamedTuple):
    """Log posterior with its gradient, and the Fisher information of likelihood and prior."""

    log_posterior: Float[Tensor, " batch"]
    gradient: Float[Tensor, "batch parameter"]
    information: Float[Tensor, "batch parameter parameter"]
    prior_information: Float[Tensor, "batch parameter"]


@dataclass(frozen=True, eq=False)
class Target:
    """log p(theta | spectrum) + const for rows of the prior's free parameters; -inf where the order is unstable."""

    experiment: Experiment
    prior: Prior
    observed: Observed

    @classmethod
    def of(cls, experiment: Experiment, prior: Prior, spectrum: Spectrum) -> "Target":
        """The posterior of `spectrum`, which must lie on the bins that `experiment` simulates."""
        known = set(prior.names) | set(prior.fixed)
        if missing := [name for name in experiment.names if name not in known]:
            raise InputError(f"the prior says nothing about '{missing[0]}'; the experiment has parameters {experiment.names}")
        if unknown := sorted(known - set(experiment.names)):
            raise InputError(f"the prior names '{unknown[0]}', but the experiment has parameters {experiment.names}")
        if not prior.names:
            raise InputError("every parameter of the prior is fixed; leave at least one free")
        if not bool(spectrum.valid.any()):
            raise InputError("no bin of this spectrum was measured (all are NaN, masked or excluded); check the energy range")
        return cls(experiment, prior, experiment.instrument.counting.observe(spectrum))

    @property
    def names(self) -> tuple[str, ...]:
        return self.prior.names

    def full(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch full"]:
        """Every parameter of the experiment, the fixed ones filled in."""
        column = {name: theta[:, k] for k, name in enumerate(self.names)}
        fixed = {name: theta.new_full((len(theta),), value) for name, value in self.prior.fixed.items()}
        return torch.stack([column[name] if name in column else fixed[name] for name in self.experiment.names], dim=1)

    @property
    def free(self) -> list[int]:
        """Columns of the experiment's parameters that are free, in the prior's order."""
        return [self.experiment.names.index(name) for name in self.names]

    def log_posterior(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, " batch"]:
        """Simulates only the rows that the prior allows."""
        value = self.prior.log_prob(theta)
        inside = value.isfinite()
        if bool(inside.any()):
            value[inside] += self._log_likelihood(theta[inside])
        return value

    def deviance(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, " batch"]:
        """-2 log likelihood ratio to a model that meets every bin; inf where unstable."""
        with torch.no_grad():
            expected, stable = self.experiment.predict(self.full(theta))
        return self._deviance(expected, stable)

    def slope(self, theta: Float[Tensor, "batch parameter"]) -> Slope:
        """Log posterior, gradient and Fisher information."""
        expected, jacobian, stable = self.experiment.linearise(self.full(theta))
        J = jacobian[:, self.free][..., self.observed.valid]
        mu = expected[:, self.observed.valid]
        counting = self.experiment.instrument.counting
        weighted = J * counting.weight(mu, self.observed)[:, None]
        gradient = torch.einsum("bpn,bn->bp", weighted, self.observed.intensity - mu)
        prior_gradient, prior_information = _prior_slope(self.prior, theta)
        value = self.prior.log_prob(theta) - 0.5 * self._deviance(expected, stable) + counting.log_normalisation(self.observed)
        return Slope(value, gradient + prior_gradient, weighted @ J.mT, prior_information)

    def _log_likelihood(self, theta: Tensor) -> Tensor:
        return self.experiment.instrument.counting.log_normalisation(self.observed) - 0.5 * self.deviance(theta)

    def _deviance(self, expected: Tensor, stable: Bool[Tensor, " batch"]) -> Tensor:
        value = self.experiment.instrument.counting.deviance(expected[:, self.observed.valid], self.observed)
        return torch.where(stable, value, torch.inf)


def _prior_slope(prior: Prior, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient and minus the curvature (at least 0) of the log prior, which has no cross terms."""

    def score(x: Tensor) -> Tensor:
        return torch.func.grad(lambda y: prior.log_prob(y).sum())(x)

    curvature = torch.func.grad(lambda x: score(x).sum())(theta)
    return score(theta).nan_to_num(0, 0, 0), (-curvature).nan_to_num(0, 0, 0).clamp(min=0)
