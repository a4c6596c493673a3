"""Background: what is under the magnetic signal, linear in its nuisance parameters."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.spectra import Measurement, QShells


@runtime_checkable
class Background(Protocol):
    """A sum of templates; `names` are their amplitudes, in units of the spectrum."""

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """The shape that each parameter multiplies."""


@dataclass(frozen=True)
class ConstantBackground:
    """The parameter `background` in every bin."""

    names = ("background",)
    units: ClassVar[dict[str, str]] = {"background": ""}

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """One everywhere."""
        return torch.ones(1, *measurement.shape, dtype=torch.float64)


@dataclass(frozen=True)
class SlopedBackground:
    """`background` in the middle of the energy range, plus `background_slope` per meV away from it."""

    names = ("background", "background_slope")
    units: ClassVar[dict[str, str]] = {"background": "", "background_slope": "1/meV"}

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """One, and the distance from the middle of the energy range, meV."""
        away = (measurement.energy_centres - sum(measurement.range) / 2).expand(measurement.shape)
        return torch.stack((torch.ones_like(away), away))


@dataclass(frozen=True)
class PlanarBackground:
    """A plane over a powder map: `background` in its middle, `background_slope` per meV and `background_slope_q` per
    1/angstrom away from it.
    """

    names = ("background", "background_slope", "background_slope_q")
    units: ClassVar[dict[str, str]] = {"background": "", "background_slope": "1/meV", "background_slope_q": "angstrom"}

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """Those of `SlopedBackground`, and the distance from the middle of the |Q| range, 1/angstrom."""
        if not isinstance(measurement.points, QShells):
            raise InputError(
                "a planar background needs a powder map; use background kind = 'constant' or 'sloped' for a path"
            )
        edges = measurement.points.edges
        away = (measurement.points.centres - (edges[0] + edges[-1]) / 2)[:, None].expand(measurement.shape)
        return torch.cat((SlopedBackground().templates(measurement), away[None]))
