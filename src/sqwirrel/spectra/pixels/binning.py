"""From detector pixels to the bins of a grid: a histogram, each pixel (detector and energy bin) in the bin it lies in.

    value = sum_n y_n / N,   variance = sum_n e_n^2 / N^2,   N pixels in the bin;   N = 0 is unmeasured.

Pixels weigh equally, whatever their error: weighting with 1 / e^2 would favour those that counted little. With
coordinates c along the axes of the grid, Q = k_i x - k_f n is c = start - k_f slope, so that a detector needs two
vectors. The lower edge belongs to a bin, and to the last bin its upper edge, too.
"""

from dataclasses import dataclass
from math import prod
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numba import njit
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.limits import LARGEST
from sqwirrel.spectra.grid import QGrid
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.pixels.run import Run
from sqwirrel.spectra.spectrum import Spectrum

AT_ONCE = 10**6
"""Pixels that are read at once: 8 MB an array."""
SAME = 0.005
"""Share by which incident energies of one scan may differ: what a calibration run by run changes."""


@dataclass(frozen=True, eq=False)
class Binned:
    """A spectrum on a grid, and of how many pixels each of its bins is the mean.

    `is_scaled` says whether the files hold values that were multiplied by k_i / k_f, None if they do not say. `psi` are
    the angles that the files were binned with, degrees.
    """

    spectrum: Spectrum
    pixels: Int64[Tensor, "point energy"]
    is_scaled: bool | None = None
    psi: tuple[float, ...] = ()

    @property
    def spread(self) -> tuple[int, int, int]:
        """Fewest, median and most pixels of the bins that have one."""
        filled = self.pixels[self.pixels > 0]
        return int(filled.min()), int(filled.median()), int(filled.max())


class Binning:
    """Sums over the pixels of runs, added one by one, in the bins of a `grid` and of `energy` (edges, meV)."""

    def __init__(self, grid: QGrid, energy: Float64[Tensor, " edge"]) -> None:
        if grid.beam is not None:
            raise InputError("pixels of a crystal that is turned have all three components of Q; leave out the beam")
        self.measurement = Measurement(grid, energy, temperature=None)
        if 8 * prod(self.measurement.shape) > LARGEST:
            raise InputError(
                f"a grid of {' x '.join(map(str, grid.shape))} bins and {len(energy) - 1} energies has more than "
                f"{LARGEST // 8} bins; make them larger, or the ranges smaller"
            )
        self._grid, self._energy = grid, energy.numpy()
        self._sums = np.zeros((2, prod(self.measurement.shape)))
        self._number = np.zeros(prod(self.measurement.shape), dtype=np.int64)
        self._told: list[tuple[str, float, bool | None]] = []  # of each run: name, E_i, whether it was scaled
        self._reach: list[Float64[np.ndarray, "2 4"]] = []

    def add(self, run: Run, to_rlu: Float64[np.ndarray, "3 3"]) -> None:
        """The pixels of a run, where `to_rlu` makes (h, k, l) of a wavevector in the laboratory (Goniometer)."""
        self._check_alike(run)
        self._told.append((run.name, run.incident_energy, run.is_scaled))
        onto = np.linalg.inv(self._grid.axes.numpy().T) @ to_rlu
        start = run.ki * onto[:, 0] - np.linalg.solve(self._grid.axes.numpy().T, self._grid.origin.numpy())
        slope, kf, place = np.ascontiguousarray(run.directions @ onto.T), run.kf, self._place(run)
        self._reach += _reach(start, slope, kf, run.centres)
        edges = [each.numpy() for each in self._grid.edges]
        first = np.cumsum([0, *map(len, edges)])
        step = max(run.step, run.step * (AT_ONCE // max(1, run.step * len(kf))))
        for low in range(0, len(slope), step):
            values, errors, valid = run.read(low, min(low + step, len(slope)))
            part = slope[low : low + step]
            _fill(
                start, part, kf, place, np.concatenate(edges), first, values, errors, valid, self._sums, self._number,
                len(self._energy) - 1,
            )  # fmt: skip

    def result(self, temperature: float | None = None) -> Binned:
        """The means; refuses a grid in which no pixel lies, with where they do."""
        if not self._number.any():
            raise InputError(self._nothing())
        shape, number = self.measurement.shape, np.maximum(self._number, 1)
        with np.errstate(over="ignore", invalid="ignore"):  # what has no finite mean becomes unmeasured
            mean, error = self._sums[0] / number, np.sqrt(self._sums[1]) / number
        incident = float(np.mean([energy for _, energy, _ in self._told]))
        measurement = Measurement(self._grid, self.measurement.energy, temperature, incident_energy=incident)
        values, errors, pixels = (torch.from_numpy(each.reshape(shape)) for each in (mean, error, self._number.copy()))
        spectrum = Spectrum.from_arrays(values, errors, measurement, valid=pixels > 0, pixels=pixels.double())
        return Binned(spectrum, pixels, self._told[0][2])

    def _place(self, run: Run) -> Int64[np.ndarray, " energy"]:
        """The energy bin of each energy of a run; -1 where it lies outside, or no neutron has so much to lose."""
        last = len(self._energy) - 2
        place = np.searchsorted(self._energy, run.centres, side="right") - 1
        place[run.centres == self._energy[-1]] = last
        return np.where((place < 0) | (place > last) | np.isnan(run.kf), -1, place)

    def _check_alike(self, run: Run) -> None:
        if not self._told:
            return
        name, energy, is_scaled = self._told[0]
        if abs(run.incident_energy - energy) > SAME * energy:
            raise InputError(
                f"{name} was measured with E_i = {energy:g} meV and {run.name} with {run.incident_energy:g} meV; give "
                "the files of one incident energy"
            )
        if run.is_scaled != is_scaled:
            raise InputError(
                f"{name} and {run.name} do not both say that they were multiplied by k_i / k_f, or that they were not "
                "(ki_over_kf_scaling); reduce them alike"
            )

    def _nothing(self) -> str:
        """Along which axis pixels miss the grid."""
        words = f"no pixel of {len(self._told)} files lies in the grid: "
        if not self._reach:
            return f"{words}no neutron of their incident energies has their energy transfers to lose"
        low, high = np.min(self._reach, axis=(0, 1)), np.max(self._reach, axis=(0, 1))
        bounds = [(float(each[0]), float(each[-1])) for each in (*self._grid.edges, self.measurement.energy)]
        names = [*(f"along {_named(axis)}" for axis in self._grid.axes.tolist()), "in energy (meV)"]
        for name, bottom, top, (lo, hi) in zip(names, low, high, bounds, strict=True):
            if not (bottom <= hi and top >= lo):
                return f"{words}{name} they reach from {bottom:.4g} to {top:.4g}, and the grid from {lo:g} to {hi:g}"
        return (
            f"{words}they reach its range along each axis, but never along all at once, or hold nothing measured there"
        )


def _named(axis: list[float]) -> str:
    return "[" + ", ".join(f"{each:g}" for each in axis) + "]"


def _reach(
    start: Float64[np.ndarray, "3"],
    slope: Float64[np.ndarray, "detector 3"],
    kf: Float64[np.ndarray, " energy"],
    energy: Float64[np.ndarray, " energy"],
) -> list[Float64[np.ndarray, "2 4"]]:
    """Lowest and highest coordinate and energy of a run, if it has any."""
    held = np.isfinite(kf)
    if not held.any() or not len(slope):
        return []
    ends = np.concatenate([start - k * slope for k in (kf[held].min(), kf[held].max())])
    return [np.stack([np.append(of(ends, axis=0), of(energy[held])) for of in (np.min, np.max)])]


@njit(nogil=True, cache=True)
@no_type_check
def _fill(start, slope, kf, place, edges, first, values, errors, valid, sums, number, energies):
    """Adds pixels to sums of values and of squared errors, and to their number.

    `edges` are those of all three axes in a row, axis k from `first[k]` on; they are bisected.
    """
    for d in range(slope.shape[0]):
        for m in range(kf.shape[0]):
            if place[m] < 0 or not valid[d, m]:
                continue
            bin_ = 0
            for k in range(3):
                x = start[k] - kf[m] * slope[d, k]
                low, high = first[k], first[k + 1] - 1
                if not edges[low] <= x <= edges[high]:
                    bin_ = -1
                    break
                bins = high - low
                while high - low > 1:
                    middle = (low + high) // 2
                    if edges[middle] <= x:
                        low = middle
                    else:
                        high = middle
                bin_ = bin_ * bins + low - first[k]
            if bin_ < 0:
                continue
            bin_ = bin_ * energies + place[m]
            sums[0, bin_] += values[d, m]
            sums[1, bin_] += errors[d, m] ** 2
            number[bin_] += 1
