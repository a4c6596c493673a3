"""Candidates: where each of them is, the parameters that predict them, and what it costs to get there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.posterior import Posterior
from sqwirrel.lattice import Lattice
from sqwirrel.observe import Experiment
from sqwirrel.spectra import QShells

Kind = Literal["bin", "point"]
Moving = Callable[[Tensor | None, Tensor], Tensor]
"""Minutes from a place (h, k, l, E; None at the start) to all others."""


@dataclass(frozen=True, eq=False)
class Speeds:
    """Minutes to move: q (1/angstrom a minute) and energy (meV a minute) at the same time, the slower one counts, and
    `settle` (minutes) after any move. `start` (h, k, l, E) is where the instrument stands; if unknown, the way
    to the first place is free.
    """

    lattice: Lattice
    q: float
    energy: float
    settle: float = 0.0
    start: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if not (self.q > 0 and self.energy > 0 and self.settle >= 0):
            raise InputError(
                f"speeds must be positive and the time to settle not negative, got q = {self.q}, "
                f"energy = {self.energy}, settle = {self.settle}"
            )

    def __call__(self, here: Float[Tensor, "4"] | None, places: Float[Tensor, "candidate 4"]) -> Tensor:
        """Minutes from `here` to each of the places."""
        if here is None and self.start is None:
            return torch.zeros(len(places), dtype=places.dtype)
        away = places - (places.new_tensor(self.start) if here is None else here)
        way = self.lattice.to_cartesian(away[:, :3]).norm(dim=1) / self.q
        time = torch.maximum(way, away[:, 3].abs() / self.energy)
        return time + self.settle * (time > 0)


def minutes_to(
    here: Float[Tensor, "4"] | None, places: Float[Tensor, "candidate 4"], minutes: float, moving: Moving | None
) -> Float[Tensor, " candidate"]:
    """Moving and counting."""
    way = torch.zeros(len(places), dtype=places.dtype) if moving is None else moving(here, places)
    return minutes + way


def best(value: Float[Tensor, " candidate"], time: Float[Tensor, " candidate"]) -> int:
    """The candidate of the largest value a minute, of those that can be reached in a finite time."""
    return int(torch.where(time.isfinite(), value / time, -torch.inf).argmax())


def predicted(
    posterior: Posterior, candidates: Experiment, fixed: Mapping[str, float], draws: int, seed: int
) -> Float[Tensor, "draw parameter"]:
    """Parameters of the candidates for draws of a posterior, the fixed ones filled in."""
    theta = posterior.sample(draws, seed)
    known = {name: theta[:, k] for k, name in enumerate(posterior.names)}
    known |= {name: theta.new_full((draws,), value) for name, value in fixed.items()}
    if missing := [name for name in candidates.names if name not in known]:
        raise InputError(f"the candidates have a parameter '{missing[0]}' that the posterior has not; give it as fixed")
    return torch.stack([known[name] for name in candidates.names], dim=1)


def upright(counts: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """2 sqrt(counts + 3/8), which has unit variance whatever is expected: F. J. Anscombe, Biometrika 35, 246 (1948),
    doi:10.1093/biomet/35.3-4.246.
    """
    return 2 * (counts.clamp(min=0) + 0.375).sqrt()


def updated(x: Float[Tensor, "draw column"], k: int, found: Tensor) -> Float[Tensor, "draw column"]:
    """Draws of quantities once number `k`, of unit variance, was measured and `found`: moved and narrowed.

    A square-root Kalman filter: J. S. Whitaker, T. M. Hamill, Mon. Weather Rev. 130, 1913 (2002),
    doi:10.1175/1520-0493(2002)130<1913:EDAWPO>2.0.CO;2.
    """
    mean = x.mean(0)
    away = x - mean
    variance = away[:, k] @ away[:, k] / (len(x) - 1)
    gain = away[:, k] @ away / (len(x) - 1) / (variance + 1)
    narrower = 1 / (1 + (1 / (variance + 1)).sqrt())
    moved: Tensor = mean + gain * (found - mean[k]) + away - narrower * gain * away[:, k : k + 1]
    return moved


def places(candidates: Experiment, each: Kind = "bin") -> Float[Tensor, "candidate 4"]:
    """(h, k, l, E) of the candidates; of a powder |Q| stands for h."""
    points, shape = candidates.measurement.points, candidates.measurement.shape
    q = torch.nn.functional.pad(points.centres[:, None], (0, 2)) if isinstance(points, QShells) else points.q
    energy = candidates.measurement.energy_centres.expand(shape)
    if each == "point":
        return torch.cat((q, energy.mean(1, keepdim=True)), dim=1)
    return torch.cat((q[:, None].expand(-1, shape[1], -1), energy[..., None]), dim=2).flatten(0, 1)


def where(candidates: Experiment, k: int, each: Kind = "bin") -> tuple[tuple[float, ...], tuple[float, float]]:
    """Wavevector (rlu), and lowest and highest energy (meV), of candidate `k`."""
    measurement = candidates.measurement
    point, bin_ = (k, 0) if each == "point" else divmod(k, measurement.shape[1])
    q = tuple(places(candidates, "point")[point, :3].tolist())
    if measurement.is_scan:
        low, high = measurement.energy[point].tolist()
    elif each == "point":
        low, high = measurement.range
    else:
        low, high = measurement.energy[bin_ : bin_ + 2].tolist()
    return q, (low, high)


def in_words(q: tuple[float, ...], energy: tuple[float, float]) -> str:
    """A candidate as (h, k, l) E meV."""
    return "(" + ", ".join(f"{x:.3g}" for x in q) + f") {sum(energy) / 2:.3g} meV"
