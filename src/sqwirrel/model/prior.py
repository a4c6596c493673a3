"""Priors: what is believed about each parameter before the data, one independent distribution a name."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel import seeds, units
from sqwirrel.errors import InputError
from sqwirrel.model.coordinates import coordinate, log_slope, share


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


@dataclass(frozen=True)
class Fixed:
    """A parameter that is known: no column of theta."""

    value: float
    unit: str = ""

    def __post_init__(self) -> None:
        """Converts to the internal unit."""
        _convert(self, "value")


KINDS = {"uniform": Uniform, "loguniform": LogUniform, "normal": Normal, "fixed": Fixed}
"""Distributions by the name that a TOML file gives them."""


class Prior:
    """Independent distributions by parameter name, and parameters that are held fixed.

    >>> Prior(J1=Uniform(0.3, 1.0, "meV"), D=Fixed(-0.01)).names
    ('J1',)
    """

    def __init__(self, **distributions: Distribution | Fixed) -> None:
        self.fixed: dict[str, float] = {k: d.value for k, d in distributions.items() if isinstance(d, Fixed)}
        self.free: dict[str, Distribution] = {k: d for k, d in distributions.items() if not isinstance(d, Fixed)}
        self._all = dict(distributions)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> "Prior":
        """From what TOML holds: `{"J1": {"uniform": [-0.2, 0.1], "unit": "meV"}, "J3": 0.008}`; a number is fixed."""
        return cls(**{name: _distribution(name, entry) for name, entry in mapping.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """The free parameters, in the order of theta."""
        return tuple(self.free)

    @property
    def sd(self) -> Float[Tensor, " parameter"]:
        """Standard deviations."""
        return torch.tensor([each.sd for each in self.free.values()], dtype=torch.float64)

    @property
    def bounds(self) -> Float[Tensor, "parameter 2"]:
        """Lowest and highest value of each parameter, infinite where unbounded."""
        return torch.tensor([each.bounds for each in self.free.values()], dtype=torch.float64).reshape(-1, 2)

    def sample(self, n: int, seed: int) -> Float[Tensor, "draw parameter"]:
        """`n` draws; each parameter has its own stream, so that adding one leaves the others' draws as they were."""
        columns = [each.sample(n, seeds.stream(seed, f"prior {name}")) for name, each in self.free.items()]
        return torch.stack(columns, -1) if columns else torch.zeros(n, 0, dtype=torch.float64)

    def log_prob(self, theta: Float[Tensor, "*batch parameter"]) -> Float[Tensor, "*batch"]:
        """Log density over the free parameters, -inf outside the bounds."""
        columns = [each.log_prob(theta[..., k]) for k, each in enumerate(self.free.values())]
        return torch.stack(columns, -1).sum(-1) if columns else theta.new_zeros(theta.shape[:-1])

    def constrain(self, z: Float[Tensor, "draw parameter"]) -> Float[Tensor, "draw parameter"]:
        """Parameters of unconstrained coordinates, which run over the real line."""
        return torch.stack([each.constrain(z[:, k]) for k, each in enumerate(self.free.values())], -1)

    def unconstrain(self, theta: Float[Tensor, "draw parameter"]) -> Float[Tensor, "draw parameter"]:
        """The inverse of `constrain`; the ends of an interval are taken a little inside."""
        return torch.stack([each.unconstrain(theta[:, k]) for k, each in enumerate(self.free.values())], -1)

    def log_density(self, z: Float[Tensor, "draw parameter"]) -> Float[Tensor, " draw"]:
        """Log density of the unconstrained coordinates: that of theta times |d theta / d z|."""
        return torch.stack([each.log_density(z[:, k]) for k, each in enumerate(self.free.values())], -1).sum(-1)

    def ordered(self, names: Sequence[str]) -> "Prior":
        """Only these parameters, in this order, fixed ones included."""
        if missing := [name for name in names if name not in self._all]:
            raise InputError(f"the prior has {tuple(self._all)}, nothing about '{missing[0]}'")
        return Prior(**{name: self._all[name] for name in names})

    def __repr__(self) -> str:
        return f"Prior({', '.join(f'{name}={each}' for name, each in self._all.items())})"


def _distribution(name: str, entry: object) -> Distribution | Fixed:
    if isinstance(entry, int | float) and not isinstance(entry, bool):
        return Fixed(float(entry))
    wanted = f"one of {', '.join(KINDS)}, like {{ uniform = [0.0, 1.0] }}, or a number"
    if not isinstance(entry, Mapping) or len(kinds := [key for key in entry if key != "unit"]) != 1:
        raise InputError(f"the prior of '{name}' is {entry!r}; expected {wanted}")
    if kinds[0] not in KINDS:
        raise InputError(f"the prior of '{name}' has the unknown kind '{kinds[0]}'; expected {wanted}")
    numbers = entry[kinds[0]] if isinstance(entry[kinds[0]], list | tuple) else [entry[kinds[0]]]
    try:
        return KINDS[kinds[0]](*map(float, numbers), str(entry.get("unit", "")))  # type: ignore[no-any-return]
    except InputError as error:
        raise InputError(f"the prior of '{name}': {error}") from None
    except (TypeError, ValueError):
        count = "one number" if kinds[0] == "fixed" else "two numbers"
        raise InputError(f"the prior of '{name}' needs {count} after '{kinds[0]}', got {entry[kinds[0]]!r}") from None


def _check_interval(lo: float, hi: float) -> None:
    if not (lo < hi and math.isfinite(lo) and math.isfinite(hi)):
        raise InputError(f"a prior needs finite ends with lo < hi, got [{lo:g}, {hi:g}]")


def _convert(distribution: object, *fields: str) -> None:
    """Energies to meV; numbers without a unit, and wavevectors in 1/angstrom, stay as they are."""
    unit = getattr(distribution, "unit")  # noqa: B009 (an interval or a normal law)
    internal = unit in {"", "1/angstrom"}
    for field in fields:
        value = float(getattr(distribution, field))
        object.__setattr__(distribution, field, value if internal else units.to_internal(value, unit, "meV"))
    object.__setattr__(distribution, "unit", unit if internal else "meV")
