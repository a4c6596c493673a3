"""Laws of one parameter: what is believed about it before the data, and the coordinates that inference works in.

The unconstrained coordinate z runs over the real line; that of an interval is linear inside, with soft ends that cannot
be passed. The standard coordinate y is linear in the parameter or in its logarithm, and ends where the interval does.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel import units
from sqwirrel.errors import InputError

INSIDE = 1e-6
"""How far inside an interval, as a share of it, its ends are taken in the unconstrained coordinate."""
SHARP = 50.0
"""The unconstrained coordinate of an interval is linear but for about 1 / `SHARP` of it at either end."""


@runtime_checkable
class Distribution(Protocol):
    """What a prior asks of each free parameter; moments and bounds in internal units."""

    @property
    def unit(self) -> str:
        """The internal unit, empty for a number without one."""

    @property
    def sd(self) -> float:
        """Standard deviation."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Where the density is not zero; infinite where unbounded."""

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, " draw"]:
        """`n` independent draws."""

    def log_prob(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Log density, -inf outside the bounds."""

    def constrain(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """x of the unconstrained coordinate z, which runs over the real line."""

    def unconstrain(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """z of x; the ends of an interval are taken a little inside."""

    def log_density(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Log density of z."""

    def standard(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """y, linear in x or log x, of mean zero and unit variance."""

    def from_standard(self, y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The inverse of `standard`."""

    def log_standard(self, y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Log density of y inside the bounds."""

    def quantile(self, u: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """x that is below with probability u."""

    def cumulative(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The inverse of `quantile`."""


@dataclass(frozen=True)
class _Interval(ABC):
    """A law of x(u) for even u in (0, 1), between `lo` and `hi`, given in `unit` and kept in the internal one."""

    lo: float
    hi: float
    unit: str = ""

    def __post_init__(self) -> None:
        """Converts to the internal unit and refuses an empty interval."""
        _convert(self, "lo", "hi")
        _check_interval(self.lo, self.hi)

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval."""
        return self.lo, self.hi

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, " draw"]:
        """`n` independent draws."""
        return self._value(torch.rand(n, generator=generator, dtype=torch.float64))

    def constrain(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """x(u(z)), u linear but near the ends (see `share`)."""
        return self._value(share(z))

    def unconstrain(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The inverse of `constrain`."""
        return coordinate(self._share(x))

    def log_density(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Log density of z: even, with logistic ends."""
        return log_slope(z)

    def standard(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """From -sqrt(3) to sqrt(3)."""
        return (self._share(x) - 0.5) * math.sqrt(12)

    def from_standard(self, y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The inverse of `standard`."""
        return self._value(y / math.sqrt(12) + 0.5)

    def log_standard(self, y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Constant."""
        return torch.full_like(y, -0.5 * math.log(12))

    def quantile(self, u: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """x(u)."""
        return self._value(u)

    def cumulative(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """u(x)."""
        return self._share(x)

    @abstractmethod
    def _value(self, u: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """x(u)."""

    @abstractmethod
    def _share(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """u(x)."""


@dataclass(frozen=True)
class Uniform(_Interval):
    """Constant density between `lo` and `hi`, given in `unit` and kept in the internal one."""

    @property
    def sd(self) -> float:
        """Standard deviation, (hi - lo) / sqrt(12)."""
        return (self.hi - self.lo) / math.sqrt(12)

    def log_prob(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Log density; both ends belong to the interval."""
        inside = (x >= self.lo) & (x <= self.hi)
        return torch.where(inside, -math.log(self.hi - self.lo), -math.inf).to(x)

    def _value(self, u: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return self.lo + (self.hi - self.lo) * u

    def _share(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return (x - self.lo) / (self.hi - self.lo)


@dataclass(frozen=True)
class LogUniform(_Interval):
    """Constant density in log x between `lo` > 0 and `hi`: the scale of x is not known."""

    def __post_init__(self) -> None:
        """Refuses a non-positive interval too."""
        super().__post_init__()
        if self.lo <= 0:
            raise InputError(f"a log-uniform prior needs lo > 0, got [{self.lo:g}, {self.hi:g}]")

    @property
    def sd(self) -> float:
        """Standard deviation of x (not of log x)."""
        span = math.log(self.hi / self.lo)
        mean = (self.hi - self.lo) / span
        return math.sqrt(max((self.hi**2 - self.lo**2) / (2 * span) - mean**2, 0.0))

    def log_prob(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Log density of x, -log x - log log(hi / lo)."""
        inside = (x >= self.lo) & (x <= self.hi)
        density = -torch.log(torch.where(inside, x, self.lo)) - math.log(math.log(self.hi / self.lo))
        return torch.where(inside, density, -math.inf)

    def _value(self, u: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return self.lo * (self.hi / self.lo) ** u

    def _share(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return torch.log(x / self.lo) / math.log(self.hi / self.lo)


@dataclass(frozen=True)
class Normal:
    """Gaussian with `mean` and standard deviation `sd`, given in `unit` and kept in the internal one."""

    mean: float
    sd: float
    unit: str = ""

    def __post_init__(self) -> None:
        """Converts to the internal unit and refuses a width that is not positive."""
        _convert(self, "mean", "sd")
        if not (self.sd > 0 and math.isfinite(self.sd) and math.isfinite(self.mean)):
            raise InputError(
                f"a normal prior needs a finite mean and sd > 0, got mean {self.mean:g} and sd {self.sd:g}"
            )

    @property
    def bounds(self) -> tuple[float, float]:
        """The real line."""
        return -math.inf, math.inf

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, " draw"]:
        """`n` independent draws."""
        return self.mean + self.sd * torch.randn(n, generator=generator, dtype=torch.float64)

    def log_prob(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Log density."""
        return -0.5 * ((x - self.mean) / self.sd) ** 2 - math.log(self.sd * math.sqrt(2 * math.pi))

    def constrain(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """x = mean + sd z."""
        return self.mean + self.sd * z

    def unconstrain(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The inverse of `constrain`."""
        return (x - self.mean) / self.sd

    def log_density(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Log density of z, the standard normal law."""
        return -0.5 * z**2 - 0.5 * math.log(2 * math.pi)

    def quantile(self, u: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """x that is below with probability u."""
        away: Tensor = torch.special.ndtri(u)
        return self.mean + self.sd * away

    def cumulative(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The inverse of `quantile`."""
        below: Tensor = torch.special.ndtr((x - self.mean) / self.sd)
        return below

    standard, from_standard, log_standard = unconstrain, constrain, log_density


@dataclass(frozen=True)
class Fixed:
    """A parameter that is known: no column of theta."""

    value: float
    unit: str = ""

    def __post_init__(self) -> None:
        """Converts to the internal unit."""
        _convert(self, "value")


def share(z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """u(z) in (0, 1): z in units of an even law's standard deviation, softened at both ends by a logistic law."""
    t = z / math.sqrt(12)
    softplus = torch.nn.functional.softplus
    return (softplus(SHARP * (t + 0.5)) - softplus(SHARP * (t - 0.5))) / SHARP


def coordinate(u: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The inverse of `share`."""
    u = u.clamp(INSIDE, 1 - INSIDE)
    t = (torch.log(torch.expm1(SHARP * u)) - torch.log(-torch.expm1(SHARP * (u - 1))) - SHARP / 2) / SHARP
    return math.sqrt(12) * t


def log_slope(z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log du / dz = log (s(a) - s(b)), with the logistic function s, written so that neither end underflows."""
    a, b = SHARP * (z / math.sqrt(12) + 0.5), SHARP * (z / math.sqrt(12) - 0.5)
    logsigmoid = torch.nn.functional.logsigmoid
    return logsigmoid(a) + logsigmoid(-b) + math.log(-math.expm1(-SHARP)) - 0.5 * math.log(12)


def _check_interval(lo: float, hi: float) -> None:
    if not (lo < hi and math.isfinite(lo) and math.isfinite(hi)):
        raise InputError(f"a prior needs finite ends with lo < hi, got [{lo:g}, {hi:g}]")


def _convert(distribution: object, *fields: str) -> None:
    """Energies to meV; numbers without a unit, wavevectors in 1/angstrom and springs in N/m stay as they are."""
    unit = getattr(distribution, "unit")  # noqa: B009 (an interval or a normal law)
    internal = unit in {"", "1/angstrom", "N/m"}
    for field in fields:
        value = float(getattr(distribution, field))
        object.__setattr__(distribution, field, value if internal else units.to_internal(value, unit, "meV"))
    object.__setattr__(distribution, "unit", unit if internal else "meV")
