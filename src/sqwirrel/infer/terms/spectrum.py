"""A spectrum as a term of a posterior."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.terms.term import TermSlope
from sqwirrel.observe import Experiment
from sqwirrel.observe.counting import Observed
from sqwirrel.observe.experiment import Anchored
from sqwirrel.spectra import Spectrum

RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class SpectrumTerm:
    """The bins of a spectrum, which count `weight` times (merged counts are averaged, and know more than they say)."""

    experiment: Experiment
    spectrum: Spectrum
    observed: Observed
    names: tuple[str, ...]
    label: str = ""
    weight: float = 1.0
    average: Anchored | None = None

    assumed = ()

    @classmethod
    def of(cls, experiment: Experiment, spectrum: Spectrum, names: tuple[str, ...], label: str = "") -> "SpectrumTerm":
        """The term of `spectrum`, which must lie on the bins that `experiment` simulates."""
        spectrum.check_measured()
        this = f" '{label}'" if label else ""
        if not experiment.measurement.same_bins(spectrum.measurement):
            raise InputError(
                f"the spectrum{this} lies on other bins than the experiment; make the experiment on its measurement"
            )
        if not bool(spectrum.valid.any()):
            raise InputError(
                f"no bin of this spectrum{this} was measured (all are NaN, masked or excluded); check the energy range"
            )
        return cls(experiment, spectrum, experiment.instrument.counting.observe(spectrum), names, label)

    @property
    def size(self) -> int:
        """Number of valid bins."""
        return int(self.observed.valid.sum())

    @property
    def log_normalisation(self) -> float:
        """log L of a model that meets every bin."""
        return self.weight * float(self.experiment.instrument.counting.log_normalisation(self.observed).sum())

    def deviance(self, theta: Float[Tensor, "batch own"]) -> Float[Tensor, " batch"]:
        """-2 log likelihood ratio to a model that meets every bin; inf where unstable."""
        with torch.no_grad():
            expected, stable = self.experiment.predict(theta)
        return self._deviance(expected[:, self.observed.valid], stable)

    def log_likelihood(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "point energy"]:
        """Of every bin; 0 where not measured, -inf where unstable."""
        with torch.no_grad():
            expected, stable = self.experiment.predict(theta)
        counting, valid = self.experiment.instrument.counting, self.observed.valid
        each = counting.log_normalisation(self.observed) - counting.deviance(expected[:, valid], self.observed)[0] / 2
        found = torch.zeros(valid.shape, dtype=each.dtype)
        found[valid] = self.weight * torch.where(stable, each, -torch.inf)
        return found

    def slope(self, theta: Float[Tensor, "batch own"]) -> TermSlope:
        """Deviance, gradient and Fisher information."""
        expected, slope, stable = self.experiment.linearise(theta)
        mu, J = (each[..., self.observed.valid] for each in (expected, slope))
        weighted = self.weight * J * self._inverse_variance(mu)[:, None]
        gradient = torch.einsum("bpn,bn->bp", weighted, self.observed.intensity - mu)
        return TermSlope(self._deviance(mu, stable), gradient, self._efficiency * weighted @ J.mT)

    def profiled(
        self, theta: Float[Tensor, "batch own"], solve: Mapping[str, tuple[float, float]]
    ) -> tuple[Float[Tensor, "batch own"], Float[Tensor, " batch"]]:
        """Scale and background among `solve` at their weighted least squares, clipped to the bounds; the deviance."""
        experiment, observed = self.experiment, self.observed
        with torch.no_grad():
            signal, stable = experiment.signal(theta)
        shapes = torch.cat((signal[:, None], experiment.templates.expand(len(theta), -1, -1, -1)), dim=1)
        shapes = shapes[..., observed.valid]
        columns = [experiment.names.index(name) for name in experiment.linear]
        amplitude = theta[:, columns]
        free = [k for k, column in enumerate(columns) if self.names[column] in solve]
        if free:
            amplitude[:, free] = _least_squares(shapes, amplitude, free, observed.intensity, 1 / observed.variance)
        for k in free:
            amplitude[:, k] = amplitude[:, k].clamp(*solve[self.names[columns[k]]])
        theta = theta.clone()
        theta[:, columns] = amplitude
        return theta, self._deviance(torch.einsum("bk,bkn->bn", amplitude, shapes), stable)

    def anchored(self, theta: Float[Tensor, "1 own"], spread: Float[Tensor, " own"], more: int = 1) -> "SpectrumTerm":
        """With the dense average at `theta` (`Experiment.anchored`), and the variances that follow from it."""
        average = self.experiment.anchored(theta, spread, more)
        return replace(self, experiment=average.experiment, average=average).reweighed(theta)

    def reweighed(self, theta: Float[Tensor, "1 own"]) -> "SpectrumTerm":
        """With the variances that the spectrum has if `theta` is right."""
        with torch.no_grad():
            expected = self.experiment.predict(theta).expected[0]
        return replace(self, observed=self.experiment.instrument.counting.observe(self.spectrum, expected))

    def push(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "repeat own"]:
        """How the gradient moves with the scatter of the average and of its derivatives."""
        if self.average is None:
            return theta[:0]
        expected, slope, _ = self.experiment.linearise(theta)
        mu, J, scatter, rise = (each[..., self.observed.valid] for each in (expected, slope[0], *self.average[1:3]))
        weight = self._inverse_variance(mu)[0]
        turned: Tensor = rise @ (weight * (self.observed.intensity - mu[0])) - scatter @ (J * weight).mT
        return turned

    def residual(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "point energy"]:
        """(data - expectation) in standard deviations, as a normal law would have them; 0 where not measured."""
        counting, valid = self.experiment.instrument.counting, self.observed.valid
        with torch.no_grad():
            mu = self.experiment.predict(theta).expected[0, valid]
        found = torch.zeros(valid.shape, dtype=mu.dtype)
        found[valid] = counting.as_normal(counting.residual(mu, self.observed))
        return found

    @property
    def _efficiency(self) -> float:
        return self.experiment.instrument.counting.efficiency

    def _inverse_variance(self, expected: Float[Tensor, "batch bin"]) -> Float[Tensor, "batch bin"]:
        return self.experiment.instrument.counting.weight(expected, self.observed)

    def _deviance(
        self, expected: Float[Tensor, "batch bin"], stable: Bool[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        value = self.weight * self.experiment.instrument.counting.deviance(expected, self.observed).sum(-1)
        return torch.where(stable, value, torch.inf)


def _least_squares(shapes: Tensor, amplitude: Tensor, free: list[int], y: Tensor, weight: Tensor) -> Tensor:
    """Amplitudes of the free shapes, the others held."""
    held = [k for k in range(shapes.shape[1]) if k not in free]
    rest = y - torch.einsum("bk,bkn->bn", amplitude[:, held], shapes[:, held])
    A = shapes[:, free]
    normal = (A * weight) @ A.mT
    size = normal.diagonal(dim1=-2, dim2=-1)
    normal = normal + torch.diag_embed(RIDGE * size + torch.finfo(y.dtype).tiny)
    solved: Tensor = torch.linalg.solve(normal, torch.einsum("bkn,bn->bk", A * weight, rest))
    return solved
