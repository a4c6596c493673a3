"""Target: the unnormalised posterior of an experiment's free parameters, with its exact derivatives.

Everything here is in the prior's unconstrained coordinates z (`Prior.constrain` gives theta), in which no search and no
draw can leave the prior, and a posterior that leans on a bound is still smooth.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.observe.counting import Observed
from sqwirrel.observe.experiment import Anchored
from sqwirrel.spectra import Measurement, QShells, Spectrum
from sqwirrel.spectra.measurement import Points


class Slope(NamedTuple):
    """Log posterior with its gradient, and the information of likelihood (Fisher) and prior, all in z."""

    log_posterior: Float[Tensor, " batch"]
    gradient: Float[Tensor, "batch parameter"]
    information: Float[Tensor, "batch parameter parameter"]
    prior_information: Float[Tensor, "batch parameter"]


@dataclass(frozen=True, eq=False)
class Target:
    """log p(z | spectrum) + const for rows of the prior's free parameters; -inf where the order is unstable."""

    experiment: Experiment
    prior: Prior
    observed: Observed

    @classmethod
    def of(cls, experiment: Experiment, prior: Prior, spectrum: Spectrum) -> "Target":
        """The posterior of `spectrum`, which must lie on the bins that `experiment` simulates."""
        known = set(prior.names) | set(prior.fixed)
        if missing := [name for name in experiment.names if name not in known]:
            raise InputError(
                f"the prior says nothing about '{missing[0]}'; the experiment has parameters {experiment.names}"
            )
        if unknown := sorted(known - set(experiment.names)):
            raise InputError(f"the prior names '{unknown[0]}', but the experiment has parameters {experiment.names}")
        if not prior.names:
            raise InputError("every parameter of the prior is fixed; leave at least one free")
        if not _same_bins(experiment.measurement, spectrum.measurement):
            raise InputError(
                "the spectrum lies on other bins than the experiment; make the experiment on its measurement"
            )
        if not bool(spectrum.valid.any()):
            raise InputError(
                "no bin of this spectrum was measured (all are NaN, masked or excluded); check the energy range"
            )
        return cls(experiment, prior, experiment.instrument.counting.observe(spectrum))

    def reweighed(self, spectrum: Spectrum, z: Float[Tensor, " parameter"]) -> "Target":
        """The same posterior with the variances that its spectrum has if `z` is right."""
        with torch.no_grad():
            expected = self.experiment.predict(self.full(self.prior.constrain(z[None]))).expected[0]
        return replace(self, observed=self.experiment.instrument.counting.observe(spectrum, expected))

    @property
    def names(self) -> tuple[str, ...]:
        """The free parameters."""
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

    def log_posterior(self, z: Float[Tensor, "batch parameter"]) -> Float[Tensor, " batch"]:
        """Log likelihood and log density of the prior."""
        return self.prior.log_density(z) + self._log_likelihood(self.deviance(self.prior.constrain(z)))

    def deviance(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, " batch"]:
        """-2 log likelihood ratio of `theta` to a model that meets every bin; inf where unstable."""
        with torch.no_grad():
            expected, stable = self.experiment.predict(self.full(theta))
        return self._deviance(expected, stable)

    def slope(self, z: Float[Tensor, "batch parameter"]) -> Slope:
        """Log posterior, gradient and information."""
        expected, J, stable = self._linearise(z)
        mu = expected[:, self.observed.valid]
        weighted = J * self.experiment.instrument.counting.weight(mu, self.observed)[:, None]
        gradient = torch.einsum("bpn,bn->bp", weighted, self.observed.intensity - mu)
        value = self.prior.log_density(z) + self._log_likelihood(self._deviance(expected, stable))
        score = _diagonal(self.prior.log_density)
        return Slope(value, gradient + score(z), weighted @ J.mT, -_diagonal(score)(z))

    def push(self, z: Float[Tensor, " parameter"], average: Anchored) -> Float[Tensor, "repeat parameter"]:
        """How the gradient at `z` moves with the scatter of an average and of its derivatives."""
        valid = self.observed.valid
        expected, J, _ = self._linearise(z[None])
        mu = expected[:, valid]
        weight = self.experiment.instrument.counting.weight(mu, self.observed)[0]
        turned = average.rise[:, self.free][..., valid] @ (weight * (self.observed.intensity - mu[0]))
        return turned * self.stretch(z[None]) - average.scatter[:, valid] @ (J[0] * weight).mT

    def spread(
        self, z: Float[Tensor, " parameter"], covariance: Float[Tensor, "parameter parameter"]
    ) -> Float[Tensor, " full"]:
        """Standard deviations of all parameters of the experiment (to the wider side), 1 for those that are fixed."""
        sd, full = covariance.diagonal().sqrt(), torch.ones(len(self.experiment.names), dtype=z.dtype)
        low, middle, high = self.prior.constrain(torch.stack((z - sd, z, z + sd)))
        full[self.free] = torch.maximum(middle - low, high - middle)
        return full

    def _linearise(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Expectation, its derivatives in z at the valid bins, and stability."""
        expected, jacobian, stable = self.experiment.linearise(self.full(self.prior.constrain(z)))
        return expected, jacobian[:, self.free][..., self.observed.valid] * self.stretch(z)[..., None], stable

    def stretch(self, z: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch parameter"]:
        """d theta / d z, parameter by parameter."""
        return _diagonal(self.prior.constrain)(z)

    def _log_likelihood(self, deviance: Tensor) -> Tensor:
        return self.experiment.instrument.counting.log_normalisation(self.observed) - 0.5 * deviance

    def _deviance(self, expected: Tensor, stable: Bool[Tensor, " batch"]) -> Tensor:
        value = self.experiment.instrument.counting.deviance(expected[:, self.observed.valid], self.observed)
        return torch.where(stable, value, torch.inf)


def _diagonal(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Derivative of a function that treats rows and parameters separately (summed over what it returns)."""
    return torch.func.grad(lambda x: function(x).sum())


def _same_bins(a: Measurement, b: Measurement) -> bool:
    """Whether both measurements have the same points and energies, to rounding."""
    if a.shape != b.shape or type(a.points) is not type(b.points):
        return False
    pairs = [(a.energy, b.energy), *zip(_where(a.points), _where(b.points), strict=True)]
    return all(x.shape == y.shape and torch.allclose(x, y, rtol=0, atol=1e-6) for x, y in pairs)


def _where(points: Points) -> tuple[Tensor, Tensor]:
    return (points.edges, points.edges) if isinstance(points, QShells) else (points.q, points.box)
