"""Peaks: energies of modes that were fitted to scans, each at a wavevector, with their errors."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.points import Numbers, as_tensor, checked_q


@dataclass(frozen=True, eq=False)
class Peaks:
    """Peaks at `q` (rlu of `lattice`) and `energy` (meV) with one standard deviation `error` (meV); several may share
    a q. Where known: `intensity` with `intensity_error` (any one unit), `fwhm` (meV) of each, the energy range
    `search` (meV) in which peaks were looked for, temperature (K) and field (T, Cartesian).

    `q_error` (rlu, one standard deviation, 0 where exact) is that of peaks found by scanning q at constant energy:
    errors of h, k and l by themselves, one row a peak; or, of the shape (peak, vector, 3), independent vectors, each of
    which moves q as a whole, as the one of a scan along a line does. It is kept as vectors, also where it is of h, k or
    l, without those that are 0 everywhere. `error` of such a peak is the same uncertainty as an energy (times the slope
    of the mode), not a second one: use one of the two.
    """

    lattice: Lattice
    q: Float64[Tensor, "peak 3"]
    energy: Float64[Tensor, " peak"]
    error: Float64[Tensor, " peak"]
    intensity: Float64[Tensor, " peak"] | None
    intensity_error: Float64[Tensor, " peak"] | None
    fwhm: Float64[Tensor, " peak"] | None
    search: Float64[Tensor, "peak 2"] | None
    q_error: Float64[Tensor, "peak vector 3"]
    temperature: float | None
    field: Float64[Tensor, "3"]

    def __init__(
        self,
        lattice: Lattice,
        q: Numbers,
        energy: Numbers,
        error: Numbers,
        *,
        intensity: Numbers | None = None,
        intensity_error: Numbers | None = None,
        fwhm: Numbers | None = None,
        search: Numbers | None = None,
        q_error: Numbers | None = None,
        temperature: float | None = None,
        field: Numbers = (0.0, 0.0, 0.0),
    ) -> None:
        object.__setattr__(self, "lattice", lattice)
        object.__setattr__(self, "q", checked_q(q))
        count = len(self.q)
        for name, values in (("energy", energy), ("error", error)):
            object.__setattr__(self, name, _checked(values, (count,), name))
        for name, given in (("intensity", intensity), ("intensity_error", intensity_error), ("fwhm", fwhm)):
            object.__setattr__(self, name, None if given is None else _checked(given, (count,), name))
        object.__setattr__(self, "search", None if search is None else _checked(search, (count, 2), "search"))
        object.__setattr__(self, "q_error", _vectors(torch.zeros_like(self.q) if q_error is None else q_error, count))
        object.__setattr__(self, "temperature", temperature)
        object.__setattr__(self, "field", _checked(field, (3,), "field"))
        self._check_signs()

    def __len__(self) -> int:
        return len(self.q)

    def _check_signs(self) -> None:
        if not (self.error > 0).all():
            raise InputError(f"the error of a peak is {float(self.error.min()):g} meV; it must be positive")
        for name, values in (("error of an intensity", self.intensity_error), ("width of a peak", self.fwhm)):
            if values is not None and (values < 0).any():
                raise InputError(f"the {name} is {float(values.min()):g}; it must not be negative")
        if self.search is not None and not (self.search.diff() > 0).all():
            raise InputError("an energy range that was searched ends below its start, meV; swap them")
        if self.temperature is not None and not self.temperature >= 0:
            raise InputError(f"the temperature is {self.temperature} K; it must not be negative")


def _vectors(q_error: Numbers, count: int) -> Float64[Tensor, "peak vector 3"]:
    """Errors of q as vectors: as given, or along h, k and l."""
    given = as_tensor(q_error)
    if given.ndim == 3:
        vectors = _checked(given, (count, given.shape[1], 3), "q_error")
    else:
        vectors = torch.diag_embed(_checked(given, (count, 3), "q_error"))
        if (given < 0).any():
            raise InputError("the error of a wavevector is negative; give one standard deviation, rlu")
    return vectors[:, (vectors != 0).any(-1).any(0)]


def _checked(values: Numbers, shape: tuple[int, ...], name: str) -> Tensor:
    """Finite numbers of a shape."""
    array = as_tensor(values)
    if array.shape != shape or not array.isfinite().all():
        raise InputError(f"{name} of peaks must hold finite numbers of the shape {shape}, got {tuple(array.shape)}")
    return array
