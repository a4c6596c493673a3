"""Experiments whose posterior is known in closed form: any function of the parameters in place of spin waves."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sqwirrel.infer.target import Target
from sqwirrel.model.laws import Fixed, Normal
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, Instrument, Poisson
from sqwirrel.observe.counting import Counting
from sqwirrel.observe.experiment import Linearised, Prediction
from sqwirrel.spectra import Measurement, QShells, Spectrum


class Toy(Experiment):
    """Expected = scale * shape(parameters) + background on one row of bins of width one; unstable where `stable` says so."""

    def __init__(
        self,
        names: tuple[str, ...],
        shape: Callable[[Tensor], Tensor],
        bins: int,
        *,
        counting: Counting | None = None,
        stable: Callable[[Tensor], Tensor] = lambda theta: torch.ones(len(theta), dtype=torch.bool),
    ) -> None:
        nn.Module.__init__(self)
        self.names = (*names, "scale", "background")
        self.shape, self.stable = shape, stable
        self.instrument = Instrument(counting=counting or Gaussian())
        self.measurement = Measurement(QShells([1.0, 2.0]), torch.arange(bins + 1.0), 5.0)
        self.register_buffer("templates", self.instrument.background.templates(self.measurement))

    @property
    def units(self) -> dict[str, str]:
        return dict.fromkeys(self.names, "")

    def _expected(self, theta: Tensor) -> Tensor:
        return theta[:, -2, None, None] * self.shape(theta[:, :-2])[:, None] + theta[:, -1, None, None]

    def predict(self, theta: Tensor) -> Prediction:
        return Prediction(self._expected(theta), self.stable(theta))

    def linearise(self, theta: Tensor) -> Linearised:
        slope = torch.func.vmap(torch.func.jacfwd(lambda row: self._expected(row[None])[0]))(theta)
        return Linearised(self._expected(theta), slope.permute(0, 3, 1, 2), self.stable(theta))

    def signal(self, theta: Tensor) -> Prediction:
        return Prediction(self.shape(theta[:, :-2])[:, None], self.stable(theta))

    def why_unstable(self, theta: Tensor) -> str:
        return f"the toy is unstable at {theta[0, 0]:.1f}"


def linear(names: tuple[str, ...], bins: int = 40, seed: int = 1, **options: object) -> tuple[Toy, Tensor]:
    """Expected = A theta; also the design matrix A (bins, parameters)."""
    A = torch.randn(bins, len(names), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Toy(names, lambda theta: theta @ A.T, bins, **options), A


def spectrum(experiment: Toy, intensity: Tensor, error: float = 0.5) -> Spectrum:
    """One row of bins with equal errors, or counts where the toy counts."""
    counts = isinstance(experiment.instrument.counting, Poisson)
    errors = intensity.clamp(min=0).sqrt() if counts else torch.full_like(intensity, error)
    return Spectrum.from_arrays(intensity[None], errors[None], experiment.measurement, is_counts=counts)


def noise(bins: int, seed: int) -> Tensor:
    return torch.randn(bins, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class GaussianProblem:
    """y = A theta + noise with theta ~ N(mean, sd^2): posterior and evidence by linear algebra."""

    def __init__(self, seed: int = 1, error: float = 0.5) -> None:
        self.experiment, self.A = linear(("a", "b", "c"), seed=seed)
        self.mean, self.sd = torch.tensor([0.5, -1.0, 0.0]).double(), torch.tensor([1.0, 2.0, 0.5]).double()
        self.y = self.A @ torch.tensor([1.0, 0.5, 0.3]).double() + error * noise(40, seed + 100)
        rows = zip("abc", self.mean.tolist(), self.sd.tolist(), strict=True)
        free = {name: Normal(mean, sd) for name, mean, sd in rows}
        self.prior = Prior(**free, scale=Fixed(1), background=Fixed(0))
        self.spectrum = spectrum(self.experiment, self.y, error)
        self.target = Target.of(self.experiment, self.prior, self.spectrum)
        precision = self.A.T @ self.A / error**2 + torch.diag(self.sd**-2)
        self.covariance = torch.linalg.inv(precision)
        self.centre = self.covariance @ (self.A.T @ self.y / error**2 + self.mean / self.sd**2)
        marginal = self.A @ torch.diag(self.sd**2) @ self.A.T + error**2 * torch.eye(40).double()
        law = torch.distributions.MultivariateNormal(self.A @ self.mean, marginal)
        self.log_evidence = float(law.log_prob(self.y))
