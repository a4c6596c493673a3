"""Cuts through four dimensions as files hold them: any order of axes, some of them integrated over."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float64

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.grid import Beam, QGrid
from sqwirrel.spectra.measurement import Measurement, Points
from sqwirrel.spectra.points import QShells
from sqwirrel.spectra.readers.beside import Known
from sqwirrel.spectra.spectrum import Spectrum

Vector = Float64[np.ndarray, "3"]
Edges = Float64[np.ndarray, " edge"]
_COMPONENT = re.compile(r"^([+-]?\d*\.?\d*(?:[eE][+-]?\d+)?)\*?([A-Za-z]*)$")


@dataclass(frozen=True, eq=False)
class Axis:
    """Bin edges along `direction` (h, k, l of one unit), or of energy (meV) or |Q| (1/angstrom), where it is None."""

    name: str
    edges: Edges
    direction: Vector | None = None

    @property
    def is_energy(self) -> bool:
        """Whether this is the energy transfer."""
        return is_energy(self.name)

    @property
    def is_modulus(self) -> bool:
        """Whether this is |Q|."""
        return self.direction is None and is_modulus(self.name)


@dataclass(frozen=True, eq=False)
class Cut:
    """An array with one axis a dimension, in any order; `errors` are standard deviations, `origin` is in rlu."""

    axes: tuple[Axis, ...]
    values: Float64[np.ndarray, "..."]
    errors: Float64[np.ndarray, "..."]
    valid: Bool[np.ndarray, "..."]
    origin: Sequence[float] = (0.0, 0.0, 0.0)
    temperature: float | None = None
    incident_energy: float | None = None
    final_energy: float | None = None


def is_energy(name: str) -> bool:
    """Whether an axis of this name is the energy transfer."""
    return re.match(r"(delta\s*e\b|e\b|en\b|energy)", name.strip(), re.IGNORECASE) is not None


def is_modulus(name: str) -> bool:
    """Whether an axis of this name is |Q|."""
    return re.match(r"\s*(\|q\||q\b|momentum)", name, re.IGNORECASE) is not None


def direction(name: str) -> Vector | None:
    """(h, k, l) of an axis such as '[H,0,0]', '[-0.5K,K,0]' or '[0,0,1]'; None for another name."""
    parts = name.strip().strip("[]()").replace(" ", "").split(",")
    found = [_COMPONENT.match(part) for part in parts]
    if len(parts) != 3 or not all(parts):
        return None
    letters = {match[2].lower() for match in found if match and match[2]}
    values = [_factor(match[1], match[2], bool(letters)) if match else None for match in found]
    if len(letters) > 1 or None in values or not any(values):
        return None
    return np.array(values, dtype=np.float64)


def _factor(number: str, letter: str, lettered: bool) -> float | None:
    """The factor of a component; a bare number beside letters would be an offset, and only 0 is none."""
    try:
        value = float(f"{number}1" if letter and number in ("", "+", "-") else number)
    except ValueError:
        return None
    return value if letter or not lettered or value == 0 else None


def named(vector: Sequence[float] | Vector) -> str:
    """A direction as it is written in files: '[1,1,0]'."""
    return "[" + ",".join(f"{x + 0.0:.4g}" for x in np.round(np.asarray(vector), 6)) + "]"


def to_spectrum(cut: Cut, known: Known, lattice: Lattice | None = None) -> Spectrum:
    """The spectrum of a cut with one energy axis, and three of Q or one of |Q|; what is missing was `known`, or asked.

    `lattice` is the file's own. Q axes keep their order, but one that follows from the beam becomes the third.
    """
    cut = _completed(cut, known)
    energy = next(n for n, axis in enumerate(cut.axes) if axis.is_energy)
    across = [n for n in range(len(cut.axes)) if n != energy]
    unbounded = [n for n in across if not np.isfinite(cut.axes[n].edges).all()]
    across = [n for n in across if n not in unbounded] + unbounded
    points = _points([cut.axes[n] for n in across], cut, known, lattice)
    measurement = Measurement(
        points,
        torch.from_numpy(cut.axes[energy].edges),
        cut.temperature,
        incident_energy=known.incident_energy if cut.incident_energy is None else cut.incident_energy,
        final_energy=cut.final_energy,
    )
    arrays = (np.where(cut.valid, cut.values, 0.0), np.where(cut.valid, cut.errors, 0.0), cut.valid)
    turned = (np.transpose(each, [*across, energy]).reshape(measurement.shape) for each in arrays)
    values, errors, valid = (torch.from_numpy(each.copy()) for each in turned)
    return Spectrum.from_arrays(values, errors, measurement, valid=valid)


def _points(axes: list[Axis], cut: Cut, known: Known, lattice: Lattice | None) -> Points:
    if axes[0].direction is None:
        return QShells.from_edges(axes[0].edges)
    directions = np.array([axis.direction for axis in axes])
    lattice = known.needed_lattice() if lattice is None else lattice
    beam, edges = None, [axis.edges for axis in axes]
    if not np.isfinite(edges[2]).all() and known.beam is not None:
        energy = known.needed_energy("a cut") if cut.incident_energy is None else cut.incident_energy
        beam, edges[2] = Beam(known.beam, energy), np.array([-0.5, 0.5])
    for axis, each in zip(axes, edges, strict=True):
        if not np.isfinite(each).all():
            stood = "or, if the crystal stood still, beam = [h, k, l] (along k_i)"
            what = f"the range along {axis.name}, which was integrated without bounds"
            raise known.asks(what, f'ranges = {{ "{axis.name}" = [lo, hi] }}, {stood},')
    return QGrid(lattice, directions, edges, cut.origin, beam)


def _completed(cut: Cut, known: Known) -> Cut:
    """The cut with an axis of one bin for all that was integrated over."""
    cut = replace(cut, axes=tuple(_bounded(axis, known) for axis in cut.axes))
    for name, pair in known.ranges.items():
        if not any(_same(name, axis) for axis in cut.axes):
            cut = _widened(cut, Axis(name, np.array(pair), direction(name)))
    strange = [axis.name for axis in cut.axes if not axis.is_energy and axis.direction is None and not axis.is_modulus]
    if strange:
        raise InputError(
            f"{known.name} has the axis '{strange[0]}'; expected energy, |Q|, or a direction such as [H,H,0] in rlu"
        )
    energies, wanted = sum(axis.is_energy for axis in cut.axes), 1 if any(axis.is_modulus for axis in cut.axes) else 3
    if energies == 0:
        raise known.asks("an energy axis", 'ranges = { "energy" = [lo, hi] } (meV, what was integrated over)')
    across = len(cut.axes) - energies
    if across < wanted:
        have = ", ".join(axis.name for axis in cut.axes if not axis.is_energy) or "none"
        example = 'ranges = { "[0,0,L]" = [lo, hi] } with each of the others (rlu)'
        raise known.asks(f"three directions of Q (it has {have})", example)
    if energies != 1 or across != wanted:
        raise InputError(f"{known.name} has {energies} energy axes and {across} of Q; expected 1 and {wanted}")
    return cut


def _bounded(axis: Axis, known: Known) -> Axis:
    """An axis without bounds with those that were told."""
    pair = next((pair for name, pair in known.ranges.items() if _same(name, axis)), None)
    return axis if pair is None or np.isfinite(axis.edges).all() else replace(axis, edges=np.array(pair))


def _same(name: str, axis: Axis) -> bool:
    told = direction(name)
    if told is None or axis.direction is None:
        return name == axis.name or (is_energy(name) and axis.is_energy)
    return bool(np.allclose(told, axis.direction, atol=1e-4))


def _widened(cut: Cut, axis: Axis) -> Cut:
    arrays = (each[..., None] for each in (cut.values, cut.errors, cut.valid))
    values, errors, valid = arrays
    return replace(cut, axes=(*cut.axes, axis), values=values, errors=errors, valid=valid)


def meant(values: np.ndarray) -> Float64[np.ndarray, "..."]:
    """Float64 with the shortest decimals that float32 rounds to these: 2.87, where 2.869999885559082 was kept."""
    with np.errstate(all="ignore"):
        single = values.astype(np.float32)
    if not np.array_equal(single, values, equal_nan=True):  # kept with more digits than that
        return values.astype(np.float64)
    return np.array([float(str(x)) for x in single.ravel()], dtype=np.float64).reshape(values.shape)
