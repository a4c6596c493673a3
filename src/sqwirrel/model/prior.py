"""Priors: what is believed about each parameter before the data, one independent distribution a name."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel import seeds
from sqwirrel.errors import InputError
from sqwirrel.model.laws import Distribution, Fixed, LogUniform, Normal, Uniform

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

    def standard(self, theta: Float[Tensor, "draw parameter"]) -> Float[Tensor, "draw parameter"]:
        """Standard coordinates, linear in each parameter or its logarithm, of mean zero and unit variance."""
        return torch.stack([each.standard(theta[:, k]) for k, each in enumerate(self.free.values())], -1)

    def from_standard(self, y: Float[Tensor, "draw parameter"]) -> Float[Tensor, "draw parameter"]:
        """The inverse of `standard`."""
        return torch.stack([each.from_standard(y[:, k]) for k, each in enumerate(self.free.values())], -1)

    def log_standard(self, y: Float[Tensor, "draw parameter"]) -> Float[Tensor, " draw"]:
        """Log density of the standard coordinates inside the `box`."""
        return torch.stack([each.log_standard(y[:, k]) for k, each in enumerate(self.free.values())], -1).sum(-1)

    def quantile(self, u: Float[Tensor, "draw parameter"]) -> Float[Tensor, "draw parameter"]:
        """Parameters that are below with these probabilities, each for itself."""
        return torch.stack([each.quantile(u[:, k]) for k, each in enumerate(self.free.values())], -1)

    def cumulative(self, theta: Float[Tensor, "draw parameter"]) -> Float[Tensor, "draw parameter"]:
        """The inverse of `quantile`."""
        return torch.stack([each.cumulative(theta[:, k]) for k, each in enumerate(self.free.values())], -1)

    @property
    def box(self) -> Float[Tensor, "parameter 2"]:
        """`bounds` in standard coordinates."""
        return self.standard(self.bounds.T).T

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
