"""Measurement: where in Q and energy the bins of a spectrum lie, and the conditions they were measured under."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.spectra.grid import QGrid
from sqwirrel.spectra.points import Numbers, QPath, QPoints, QShells, as_tensor, check_ascending

Crystal = QPath | QGrid | QPoints
Points = QShells | Crystal


@dataclass(frozen=True, eq=False)
class Measurement:
    """Bins and conditions: `energy` are ascending bin edges (meV, E_i - E_f), `temperature` in K (None where the
    file did not say; a simulation needs it), `field` in T (Cartesian), `incident_energy` in meV (None if unknown).

    Points of scans have one energy each: `energy` is then (point, 2), lower and upper edge, equal where the point has
    no width; `final_energy` (meV) is that of the analyser, None if E_i was held. `exposure` (point, energy) is how long
    each bin was counted, in any unit: counts are expected in proportion to it. None: all alike. `exposure_unit` names
    what was counted by (the column of a monitor or of time, say), None where that is not known.
    """

    points: Points
    energy: Float64[Tensor, "*point edge"]
    temperature: float | None
    field: Float64[Tensor, "3"]
    incident_energy: float | None
    final_energy: float | None
    exposure: Float64[Tensor, "point energy"] | None
    exposure_unit: str | None

    def __init__(
        self,
        points: Points,
        energy: Numbers,
        temperature: float | None,
        field: Numbers = (0.0, 0.0, 0.0),
        incident_energy: float | None = None,
        final_energy: float | None = None,
        exposure: Numbers | None = None,
        exposure_unit: str | None = None,
    ) -> None:
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "energy", as_tensor(energy))
        object.__setattr__(self, "temperature", temperature)
        object.__setattr__(self, "field", as_tensor(field))
        object.__setattr__(self, "incident_energy", incident_energy)
        object.__setattr__(self, "final_energy", final_energy)
        object.__setattr__(self, "exposure", None if exposure is None else as_tensor(exposure))
        object.__setattr__(self, "exposure_unit", exposure_unit)
        self._check_energy()
        if self.temperature is not None and not self.temperature >= 0:
            raise InputError(f"the temperature is {self.temperature} K; it must not be negative")
        if self.field.shape != (3,):
            raise InputError(f"the field must be a vector of 3 components in T, got shape {tuple(self.field.shape)}")
        for name, value in (("incident", self.incident_energy), ("final", self.final_energy)):
            if value is not None and not value > 0:
                raise InputError(f"the {name} energy is {value} meV; it must be positive")
        if self.exposure is not None and (self.exposure.shape != self.shape or not (self.exposure > 0).all()):
            raise InputError(f"exposures must be positive and of the shape {self.shape}, one for each bin")

    def _check_energy(self) -> None:
        if not isinstance(self.points, QPoints):
            check_ascending(self.energy, "energy bin edges", "meV")
        elif self.energy.shape != (len(self.points), 2) or not self.energy.isfinite().all():
            raise InputError(
                f"{len(self.points)} points of scans need a lower and an upper energy each (meV), got the shape "
                f"{tuple(self.energy.shape)}"
            )
        elif not (self.energy.diff() >= 0).all():
            raise InputError("the lower energy of a point lies above its upper energy; swap them")

    @property
    def is_scan(self) -> bool:
        """Whether every point has an energy of its own."""
        return self.energy.ndim == 2

    @property
    def shape(self) -> tuple[int, int]:
        """Number of (shells or points, energy bins)."""
        return len(self.points), self.energy.shape[-1] - 1

    @property
    def energy_centres(self) -> Float64[Tensor, "*point energy"]:
        """Middle of each energy bin, meV."""
        return (self.energy[..., 1:] + self.energy[..., :-1]) / 2

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest energy, meV."""
        return float(self.energy.min()), float(self.energy.max())

    def same_bins(self, other: "Measurement") -> bool:
        """Whether both have the same points and energies, to rounding."""
        if self.shape != other.shape or type(self.points) is not type(other.points):
            return False
        pairs = [(self.energy, other.energy), *zip(_where(self.points), _where(other.points), strict=True)]
        return all(a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=1e-6) for a, b in pairs)

    @property
    def sides(self) -> tuple[int, ...]:
        """Number of bins along each axis of a grid, else of shells or points."""
        return self.points.shape if isinstance(self.points, QGrid) else (len(self.points),)

    @property
    def planes(self) -> Int64[Tensor, "plane row column"]:
        """The planes in which bins are neighbours, as numbers of bins: point by point, each at all of its energies.

        A grid has that of its first two axes that vary, one for each energy (and place along a third axis); all others
        have one plane, of |Q| (or the path) and energy. Tensors go there by `take` and back by `put_`.
        """
        n = self.shape[0] * self.shape[1]
        varying = [k for k, side in enumerate(self.sides) if side > 1][:2]
        if len(varying) < 2:
            return torch.arange(n).reshape(1, *self.shape)
        return torch.arange(n).reshape(*self.sides, -1).movedim(varying, (-2, -1)).flatten(0, -3)


def _where(points: Points) -> tuple[Tensor, ...]:
    return (points.edges,) if isinstance(points, QShells) else (points.q, points.box)
