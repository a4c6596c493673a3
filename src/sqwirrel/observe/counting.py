"""Counting: how a measured bin scatters round its expectation, and the likelihood that follows."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from scipy.special import ndtri, psi, stdtr, stdtrit
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.observe.around import contrast, neighbours
from sqwirrel.spectra import Spectrum


@dataclass(frozen=True, eq=False)
class Observed:
    """The valid bins of a spectrum as flat tensors; `valid` says which bins of the (point, energy) map they are."""

    intensity: Float[Tensor, " bin"]
    variance: Float[Tensor, " bin"]
    valid: Bool[Tensor, "point energy"]


@runtime_checkable
class Counting(Protocol):
    """A likelihood: its data, its deviance (-2 log L up to a constant), and the weight of its Fisher information."""

    is_poisson: bool

    @property
    def efficiency(self) -> float:
        """Fisher information over that of a normal law of the variance that a fit weighs with."""

    @property
    def typical(self) -> float:
        """Mean deviance of a bin that follows the law."""

    def observe(self, spectrum: Spectrum, expected: Float[Tensor, "point energy"] | None = None) -> Observed:
        """The valid bins, and the variance that a fit weighs them with, given the expectation where it is known."""

    def deviance(self, expected: Float[Tensor, "batch bin"], observed: Observed) -> Float[Tensor, "batch bin"]:
        """-2 log likelihood ratio of each bin to a model that meets it."""

    def log_normalisation(self, observed: Observed) -> Float[Tensor, " bin"]:
        """log L of each bin for a model that meets it."""

    def weight(self, expected: Float[Tensor, "batch bin"], observed: Observed) -> Float[Tensor, "batch bin"]:
        """One over the variance of each bin, given its expectation."""

    def steady(self, expected: Float[Tensor, "batch bin"], observed: Observed) -> Float[Tensor, "batch bin"]:
        """Expectations on a scale where noise has unit variance, wherever they are."""

    def residual(self, expected: Float[Tensor, " bin"], observed: Observed) -> Float[Tensor, " bin"]:
        """(data - expectation) over the standard deviation."""

    def as_normal(self, residual: Float[Tensor, "*bin"]) -> Float[Tensor, "*bin"]:
        """Residuals as a normal law would have them: mean 0 and variance 1 where the law holds."""

    def sample(
        self, expected: Float[Tensor, " bin"], observed: Observed, seed: torch.Generator
    ) -> Float[Tensor, " bin"]:
        """One draw of every bin."""


STRAY = 1e-3
"""Least expectation of a bin: one stray count in a thousand bins does not rule a model out."""


@dataclass(frozen=True)
class Poisson:
    """Raw counts: log L = sum n log mu - mu - log n!. The spectrum must be in counts."""

    is_poisson = True
    typical = efficiency = 1.0

    def observe(
        self,
        spectrum: Spectrum,
        expected: Float[Tensor, "point energy"] | None = None,  # noqa: ARG002 (`weight` knows it)
    ) -> Observed:
        """The counts; their variance is the count, at least one."""
        if not spectrum.is_counts:
            raise InputError(
                "Poisson counting needs raw counts, this spectrum is reduced data; use counting kind = 'gaussian'"
            )
        counts = spectrum.intensity[spectrum.valid]
        return Observed(counts, counts.clamp(min=1), spectrum.valid)

    def deviance(self, expected: Float[Tensor, "batch bin"], observed: Observed) -> Float[Tensor, "batch bin"]:
        """2 (mu - n + n log(n / mu)), mu at least 0, and at least `STRAY` where something was counted."""
        n = observed.intensity
        mu = torch.maximum(expected, STRAY * (n > 0))
        return 2 * (mu - n - torch.xlogy(n, mu) + torch.xlogy(n, n))

    def log_normalisation(self, observed: Observed) -> Float[Tensor, " bin"]:
        """log L of each bin for a model that meets it."""
        n = observed.intensity
        return torch.xlogy(n, n) - n - torch.lgamma(n + 1)

    def weight(
        self,
        expected: Float[Tensor, "batch bin"],
        observed: Observed,  # noqa: ARG002 (the expectation alone says it)
    ) -> Float[Tensor, "batch bin"]:
        """One over the expectation."""
        return 1 / expected.clamp(min=STRAY)

    def steady(
        self,
        expected: Float[Tensor, "batch bin"],
        observed: Observed,  # noqa: ARG002 (the expectation alone says it)
    ) -> Float[Tensor, "batch bin"]:
        """2 sqrt(mu + 3/8): F. J. Anscombe, Biometrika 35, 246 (1948), doi:10.1093/biomet/35.3-4.246."""
        return 2 * (expected.clamp(min=0) + 3 / 8).sqrt()

    def residual(self, expected: Float[Tensor, " bin"], observed: Observed) -> Float[Tensor, " bin"]:
        """(counts - expectation) over the root of the expectation."""
        return (observed.intensity - expected) / expected.clamp(min=STRAY).sqrt()

    def as_normal(self, residual: Float[Tensor, "*bin"]) -> Float[Tensor, "*bin"]:
        """As they are: sums of many counts are normal."""
        return residual

    def sample(
        self,
        expected: Float[Tensor, " bin"],
        observed: Observed,  # noqa: ARG002 (the expectation alone says it)
        seed: torch.Generator,
    ) -> Float[Tensor, " bin"]:
        """Counts; none where the expectation is below zero."""
        return torch.poisson(expected.clamp(min=0), generator=seed)


@dataclass(frozen=True)
class Gaussian:
    """Reduced data: a normal law whose variance is the neighbours' mean of error^2, in proportion to the signal.

    The error a file gives for a bin is made from the counts of that bin: bins that counted little claim small errors, a
    bin without counts claims none, and weights 1 / error^2 pull every fit down (Mighell, Astrophys. J. 518, 380 (1999),
    doi:10.1086/307253). The mean over the `WINDOW` x `WINDOW` neighbours, the bin itself left out, does not know what
    that bin counted. Once an expectation is known, the variance follows it within the window: it is the mean times
    (expected + level) / mean of (expected + level) over the same neighbours. The level, at least 0, is what was
    subtracted in reduction, found from how errors grow with the expectation. The variance is at least floor^2; `floor`
    is in units of the spectrum, by default a tenth of the median error of the bins that claim one. Where bins are means
    of known numbers of pixels, all this holds for the error^2 of a pixel, over the bin's own number in the end.
    """

    floor: float | None = None
    is_poisson = False
    typical = efficiency = 1.0

    def __post_init__(self) -> None:
        if self.floor is not None and not self.floor > 0:
            raise InputError(f"the error floor is {self.floor}; it must be positive, in units of the spectrum")

    def observe(self, spectrum: Spectrum, expected: Float[Tensor, "point energy"] | None = None) -> Observed:
        """The intensities with the variance described above."""
        if not bool(spectrum.error[spectrum.valid].any()):
            raise InputError("this spectrum has no errors; Gaussian counting needs one standard deviation per bin")
        planes = spectrum.measurement.planes
        pixels = 1.0 if spectrum.pixels is None else spectrum.pixels.take(planes)
        valid, claimed = spectrum.valid.take(planes), (spectrum.error**2).take(planes) * pixels
        variance = neighbours(claimed, valid)
        if expected is not None:
            variance = variance * contrast(expected.clamp(min=0).take(planes), claimed, variance, valid)
        variance = (variance / pixels).clamp(min=self.smallest(spectrum) ** 2)
        variance = torch.empty_like(spectrum.error).put_(planes, variance)
        return Observed(spectrum.intensity[spectrum.valid], variance[spectrum.valid], spectrum.valid)

    def smallest(self, spectrum: Spectrum) -> float:
        """The floor in use, in units of the spectrum."""
        error = spectrum.error[spectrum.valid]
        return self.floor or 0.1 * float(error[error > 0].median())

    def deviance(self, expected: Float[Tensor, "batch bin"], observed: Observed) -> Float[Tensor, "batch bin"]:
        """(y - mu)^2 / variance."""
        return (observed.intensity - expected) ** 2 / observed.variance

    def log_normalisation(self, observed: Observed) -> Float[Tensor, " bin"]:
        """log L of each bin for a model that meets it."""
        return -0.5 * torch.log(2 * torch.pi * observed.variance)

    def weight(self, expected: Float[Tensor, "batch bin"], observed: Observed) -> Float[Tensor, "batch bin"]:
        """One over the variance, whatever the expectation."""
        return (1 / observed.variance).expand_as(expected)

    def steady(self, expected: Float[Tensor, "batch bin"], observed: Observed) -> Float[Tensor, "batch bin"]:
        """Over the standard deviation."""
        return expected / observed.variance.sqrt()

    def residual(self, expected: Float[Tensor, " bin"], observed: Observed) -> Float[Tensor, " bin"]:
        """(data - expectation) over the standard deviation."""
        return (observed.intensity - expected) / observed.variance.sqrt()

    def as_normal(self, residual: Float[Tensor, "*bin"]) -> Float[Tensor, "*bin"]:
        """As they are."""
        return residual

    def sample(
        self, expected: Float[Tensor, " bin"], observed: Observed, seed: torch.Generator
    ) -> Float[Tensor, " bin"]:
        """Normal with the variance of the data."""
        return expected + observed.variance.sqrt() * torch.randn(expected.shape, generator=seed, dtype=expected.dtype)


@dataclass(frozen=True)
class Robust:
    """Reduced data with outliers: Student's t law with `freedom` degrees of freedom, as wide as `Gaussian` says.

    The variance of `Gaussian` is that of the core: a bin within its error pulls as in a normal law, one that is many
    errors away (a spurion, a detector that counts noise) pulls less the further it is (K. L. Lange, R. J. A. Little and
    J. M. G. Taylor, J. Am. Stat. Assoc. 84, 881 (1989), doi:10.1080/01621459.1989.10478852).
    """

    freedom: float = 4.0
    floor: float | None = None
    is_poisson = False

    def __post_init__(self) -> None:
        if not 1 <= self.freedom < math.inf:
            raise InputError(f"robust counting has {self.freedom} degrees of freedom; use at least 1, 4 as a rule")
        Gaussian(self.floor)

    @property
    def efficiency(self) -> float:
        """(nu + 1) / (nu + 3)."""
        return (self.freedom + 1) / (self.freedom + 3)

    @property
    def typical(self) -> float:
        """(nu + 1) (psi((nu + 1) / 2) - psi(nu / 2)), as 1 / (1 + r^2 / nu) has the law Beta(nu / 2, 1 / 2)."""
        return float((self.freedom + 1) * (psi((self.freedom + 1) / 2) - psi(self.freedom / 2)))

    def observe(self, spectrum: Spectrum, expected: Float[Tensor, "point energy"] | None = None) -> Observed:
        """The intensities with the variance of `Gaussian`."""
        return Gaussian(self.floor).observe(spectrum, expected)

    def deviance(self, expected: Float[Tensor, "batch bin"], observed: Observed) -> Float[Tensor, "batch bin"]:
        """(nu + 1) log(1 + r^2 / nu), r the residual in errors, nu the degrees of freedom."""
        square = (observed.intensity - expected) ** 2 / observed.variance
        return (self.freedom + 1) * torch.log1p(square / self.freedom)

    def log_normalisation(self, observed: Observed) -> Float[Tensor, " bin"]:
        """log L of each bin for a model that meets it."""
        nu = self.freedom
        each = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
        return each - 0.5 * observed.variance.log()

    def weight(self, expected: Float[Tensor, "batch bin"], observed: Observed) -> Float[Tensor, "batch bin"]:
        """(nu + 1) / (nu + r^2) over the variance: residuals times weights are the gradient of log L.

        The mean over the law is one over the variance; the Fisher information is (nu + 1) / (nu + 3) of that.
        """
        square = (observed.intensity - expected) ** 2 / observed.variance
        return (self.freedom + 1) / (self.freedom + square) / observed.variance

    def steady(self, expected: Float[Tensor, "batch bin"], observed: Observed) -> Float[Tensor, "batch bin"]:
        """Over the standard deviation of a normal law that tells as much."""
        return expected * math.sqrt(self.efficiency) / observed.variance.sqrt()

    def residual(self, expected: Float[Tensor, " bin"], observed: Observed) -> Float[Tensor, " bin"]:
        """(data - expectation) over the standard deviation of the core."""
        return Gaussian(self.floor).residual(expected, observed)

    def as_normal(self, residual: Float[Tensor, "*bin"]) -> Float[Tensor, "*bin"]:
        """Residuals of the same probability in a normal law: 200 errors are 5.9 if there are four degrees of freedom.

        P. K. Dunn and G. K. Smyth, J. Comput. Graph. Stat. 5, 236 (1996), doi:10.1080/10618600.1996.10474708.
        """
        beyond = stdtr(self.freedom, -residual.abs().numpy()).clip(min=1e-300)
        return -residual.sign() * torch.from_numpy(ndtri(beyond))

    def sample(
        self, expected: Float[Tensor, " bin"], observed: Observed, seed: torch.Generator
    ) -> Float[Tensor, " bin"]:
        """Student's t round the expectation."""
        even = torch.rand(expected.shape, generator=seed, dtype=torch.float64).clamp(min=1e-12)
        return expected + observed.variance.sqrt() * torch.from_numpy(stdtrit(self.freedom, even.numpy()))
