"""Peaks: a table of positions, as fitted to single-crystal scans, with their errors."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.points import Numbers, as_tensor, checked_q


@dataclass(frozen=True, eq=False)
class Peaks:
    """Energies of modes at wavevectors: `q` (rlu of `lattice`), `energy` (meV, E_i - E_f), `error` (one standard
    deviation, meV), `q_error` (one standard deviation along h, k, l, rlu).

    Where known: `intensity` (any unit), `fwhm` (meV), `search` (meV), the range in which each peak was looked for;
    `temperature` in K, `field` in T (Cartesian).
    """

    lattice: Lattice
    q: Float64[Tensor, "peak 3"]
    energy: Float64[Tensor, " peak"]
    error: Float64[Tensor, " peak"]
    q_error: Float64[Tensor, "peak 3"]
    intensity: Float64[Tensor, " peak"] | None
    fwhm: Float64[Tensor, " peak"] | None
    search: Float64[Tensor, "peak 2"] | None
    temperature: float | None
    field: Float64[Tensor, "3"]

    def __init__(
        self,
        lattice: Lattice,
        q: Numbers,
        energy: Numbers,
        error: Numbers,
        q_error: Numbers | None = None,
        intensity: Numbers | None = None,
        fwhm: Numbers | None = None,
        search: Numbers | None = None,
        temperature: float | None = None,
        field: Numbers = (0.0, 0.0, 0.0),
    ) -> None:
        object.__setattr__(self, "lattice", lattice)
        object.__setattr__(self, "q", checked_q(q))
        rows = len(self.q)
        for name, values, shape in (
            ("energy", energy, (rows,)),
            ("error", error, (rows,)),
            ("q_error", torch.zeros(rows, 3) if q_error is None else q_error, (rows, 3)),
            ("intensity", intensity, (rows,)),
            ("fwhm", fwhm, (rows,)),
            ("search", search, (rows, 2)),
            ("field", field, (3,)),
        ):
            object.__setattr__(self, name, None if values is None else _checked(name, values, shape))
        object.__setattr__(self, "temperature", temperature)
        if not bool((self.error > 0).all()):
            raise InputError("every peak needs an error of its energy above 0 (one standard deviation, meV)")
        if bool((self.q_error < 0).any()):
            raise InputError("errors of q must not be negative (one standard deviation along h, k, l, rlu)")
        if temperature is not None and not temperature >= 0:
            raise InputError(f"the temperature is {temperature} K; it must not be negative")

    def __len__(self) -> int:
        return len(self.q)


def _checked(name: str, values: Numbers, shape: tuple[int, ...]) -> Tensor:
    found = as_tensor(values)
    if found.shape != shape or not bool(found.isfinite().all()):
        raise InputError(f"the {name} of peaks must be finite, of the shape {shape}, got {tuple(found.shape)}")
    return found
