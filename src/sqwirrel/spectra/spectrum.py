"""Spectrum: a measured (or simulated) intensity map with its errors, on a Measurement.

A thin frozen view on a scipp DataArray. An unmeasured bin and a bin that counted nothing are different things: the
first carries the mask "unmeasured", the second the value 0 and is valid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipp as sc
import torch
from jaxtyping import Bool, Float64
from scipy.ndimage import minimum_filter
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.noise import errors_from_scatter, hot_bins
from sqwirrel.spectra.points import QShells, merge_edges
from sqwirrel.spectra.rebin import merge_bins

UNMEASURED = "unmeasured"
PIXELS, TRANSLATED = "pixels", "translated"
MOST = 2.0**53
"""Pixels that a bin may have: what a number counts without rounding."""
COVERED = {True: 1.0, False: 0.75}
"""Share of a merged bin that must have been measured, of counts and of reduced data."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """`data` has dims ("Q" or "point", "energy"), always variances and the mask "unmeasured"; its unit is `counts`
    for raw counts and `one` (arbitrary) for reduced data. NaN and infinity are taken for unmeasured. A coordinate
    "pixels" says of how many detector pixels each bin is the mean, where that is known; counts are no means. One called
    "translated" says that this was not measured: a translator made it (`infer.matching`).
    """

    data: sc.DataArray
    measurement: Measurement

    def __post_init__(self) -> None:
        _check(self.data, self.measurement)
        object.__setattr__(self, "data", _normalised(self.data, self.measurement))

    @classmethod
    def from_arrays(
        cls,
        intensity: Float64[Tensor, "point energy"],
        error: Float64[Tensor, "point energy"],
        measurement: Measurement,
        *,
        valid: Bool[Tensor, "point energy"] | None = None,
        is_counts: bool = False,
        pixels: Float64[Tensor, "point energy"] | None = None,
        translated: str = "",
    ) -> "Spectrum":
        """A spectrum from bare tensors; `error` is one standard deviation, `valid` defaults to all that is finite, and
        `pixels` says of how many detector pixels each bin is the mean; `translated` names the domain that a translator
        took it to.
        """
        dims = [measurement.points.dim, "energy"]
        if not intensity.shape == error.shape == measurement.shape:
            raise InputError(
                f"intensities have the shape {tuple(intensity.shape)} and errors {tuple(error.shape)}; the measurement "
                f"has {measurement.shape}"
            )
        with np.errstate(over="ignore"):  # an error that has no square is none: the bin becomes unmeasured
            values, variances = intensity.detach().cpu().numpy(), error.detach().cpu().numpy() ** 2
        unit = "counts" if is_counts else "one"
        data = sc.DataArray(sc.array(dims=dims, values=values, variances=variances, unit=unit))
        if valid is not None:
            data.masks[UNMEASURED] = sc.array(dims=dims, values=~valid.cpu().numpy())
        if pixels is not None:
            data.coords[PIXELS] = sc.array(dims=dims, values=pixels.cpu().numpy())
        if translated:
            data.coords[TRANSLATED] = sc.scalar(translated)
        return cls(data, measurement)

    @property
    def intensity(self) -> Float64[Tensor, "point energy"]:
        """The values, with 0 for NaN; shares memory with `data`. Use them only where `valid`."""
        return torch.from_numpy(self.data.values)

    @property
    def error(self) -> Float64[Tensor, "point energy"]:
        """One standard deviation, with 0 for NaN; 0 too where nothing was counted: `valid` tells them apart."""
        return torch.from_numpy(np.sqrt(self.data.variances))

    @property
    def valid(self) -> Bool[Tensor, "point energy"]:
        """True where the bin was measured."""
        return torch.from_numpy(~self.data.masks[UNMEASURED].values)

    @property
    def pixels(self) -> Float64[Tensor, "point energy"] | None:
        """Of how many detector pixels each bin is the mean, 1 where it was not measured; None if that is not known.

        What bins are merged has the number with which error^2 stays in proportion to 1 / pixels.
        """
        return torch.from_numpy(self.data.coords[PIXELS].values) if PIXELS in self.data.coords else None

    @property
    def noise(self) -> tuple[Float64[Tensor, "point energy"], ...]:
        """All that says how bins scatter: errors, and pixels where their numbers are known."""
        return (self.error,) if self.pixels is None else (self.error, self.pixels)

    @property
    def is_counts(self) -> bool:
        """Whether the values are raw counts (Poisson) and not reduced data."""
        return bool(self.data.unit == sc.units.counts)

    @property
    def translated(self) -> str:
        """The domain that a translator took it to; empty for what was measured or simulated."""
        return str(self.data.coords[TRANSLATED].value) if TRANSLATED in self.data.coords else ""

    def check_measured(self) -> None:
        """Refuses what a translator made: its bins are no independent measurements."""
        if self.translated:
            raise InputError(
                f"this spectrum was translated to '{self.translated}', not measured: no likelihood takes it, and "
                "nothing is learnt from it; give the spectrum that it was made of"
            )

    def slice_energy(self, lo: float, hi: float) -> "Spectrum":
        """The energy bins that lie wholly within [lo, hi], meV."""
        if not lo < hi:
            raise InputError(f"a range of energies has its lower end first, got [{lo:g}, {hi:g}] meV")
        edges = self.measurement.energy
        inside = (edges[..., :-1] >= lo) & (edges[..., 1:] <= hi)
        if not bool(inside.any()):
            low, high = self.measurement.range
            raise InputError(
                f"no energy bin lies between {lo:g} and {hi:g} meV; the spectrum covers {low:g} to {high:g} meV"
            )
        if self.measurement.is_scan:
            return self.without(~inside)
        inside = inside.nonzero()[:, 0]
        start, stop = int(inside[0]), int(inside[-1]) + 1
        exposure = self.measurement.exposure
        exposure = None if exposure is None else exposure[:, start:stop]
        measurement = replace(self.measurement, energy=edges[start : stop + 1], exposure=exposure)
        return Spectrum(self.data["energy", start:stop].copy(), measurement)

    def exclude(self, lo: float, hi: float) -> "Spectrum":
        """The same spectrum with every energy bin that overlaps (lo, hi), meV, marked unmeasured."""
        edges = self.measurement.energy
        return self.without(((edges[..., :-1] < hi) & (edges[..., 1:] > lo)).expand(self.measurement.shape))

    def despiked(self) -> "Spectrum":
        """The same spectrum with its hot bins marked unmeasured (`noise.hot_bins`), from the data alone."""
        error = np.sqrt(self.data.values.clip(min=0) if self.is_counts else self.data.variances)
        hot = hot_bins(self.data.values, error, self.valid.numpy(), self.measurement)
        return self.without(torch.from_numpy(hot))

    def with_errors_from_scatter(self) -> "Spectrum":
        """The same intensities with the errors that they tell of themselves (`noise.errors_from_scatter`), for a map
        that came without.
        """
        if self.measurement.is_scan or min(self.measurement.shape) < 3:
            raise InputError("scatter tells errors on a map of at least 3 x 3 bins; give this spectrum errors")
        error = torch.from_numpy(errors_from_scatter(self.data.values, self.valid.numpy(), self.measurement))
        return Spectrum.from_arrays(
            self.intensity, error, self.measurement, valid=self.valid, translated=self.translated
        )

    def without(self, hit: Bool[Tensor, "point energy"]) -> "Spectrum":
        """The same spectrum with some more bins marked unmeasured."""
        data = self.data.copy()
        data.masks[UNMEASURED] = data.masks[UNMEASURED] | sc.array(dims=data.dims, values=hit.numpy())
        return Spectrum(data, self.measurement)

    def trim(self, bins: int) -> "Spectrum":
        """The same spectrum without its rim: unmeasured are all bins that have an unmeasured one, or the end of the
        map, within `bins` bins along |Q|, the path or the axes of a grid. Detectors cover the rim only in part, and
        scatter there.
        """
        if bins < 0:
            raise InputError(f"trim takes a number of bins, at least 0, got {bins}")
        sides = self.measurement.sides
        size = [1 if side == 1 else 2 * bins + 1 for side in sides]  # what was integrated over has no rim
        valid = self.valid.numpy().reshape(*sides, -1)
        inner = minimum_filter(valid, (*size, 1), mode="constant", cval=0).reshape(self.measurement.shape)
        return self.without(torch.from_numpy(~inner))

    def rebin(self, *, q: int = 1, energy: int = 1, mean: bool = False) -> "Spectrum":
        """Every `q` adjacent shells or points and every `energy` adjacent energy bins merged into one.

        Counts are summed; reduced data are averaged over the valid bins, with equal weights. A merged bin is measured
        if all of its bins (counts) or three in four were: the part of a bin that was covered, at the rim of a map, has
        another mean |Q| and energy than the bin. With `mean` counts are averaged, too, and one bin is enough.
        """
        if q < 1 or energy < 1:
            raise InputError(f"rebin takes factors of at least 1, got q={q}, energy={energy}")
        if (q, energy) == (1, 1):
            return self
        if self.measurement.is_scan or self.measurement.exposure is not None:
            raise InputError(
                "bins with exposures of their own, as the points of scans, are not merged; leave out rebin"
            )
        measurement = replace(
            self.measurement,
            points=self.measurement.points.merge(q),
            energy=merge_edges(self.measurement.energy, energy),
        )
        values, valid = self.data.values, self.valid.numpy()
        least = 0.0 if mean else COVERED[self.is_counts]
        how: dict[str, Any] = {"factors": (q, energy), "is_counts": self.is_counts and not mean, "least": least}
        data, variances, covered = merge_bins(values, self.data.variances, valid, **how)
        merged = _data_array(data, variances, covered, self.data.dims, self.is_counts)
        merged.coords.update(_translated(self.data))
        if self.pixels is not None:
            _, share, _ = merge_bins(values, 1 / self.pixels.numpy(), valid, **how)
            number = np.divide(1.0, share, out=np.ones_like(share), where=covered)
            merged.coords[PIXELS] = sc.array(dims=self.data.dims, values=number)
        return Spectrum(merged, measurement)


def _data_array(
    values: np.ndarray, variances: np.ndarray, valid: np.ndarray, dims: Sequence[str], is_counts: bool
) -> sc.DataArray:
    array = sc.array(dims=dims, values=values, variances=variances, unit="counts" if is_counts else "one")
    return sc.DataArray(array, masks={UNMEASURED: sc.array(dims=dims, values=~valid)})


def _check(data: sc.DataArray, measurement: Measurement) -> None:
    """Refuse data that do not lie on the measurement, have no variances, or another unit than counts or one."""
    sizes = dict(zip((measurement.points.dim, "energy"), measurement.shape, strict=True))
    if dict(data.sizes) != sizes:
        raise InputError(f"the data have the sizes {dict(data.sizes)}, the measurement has {sizes}")
    if data.variances is None:
        raise InputError("the data have no variances; give every bin an error (one standard deviation)")
    if data.unit not in (sc.units.counts, sc.units.one):
        raise InputError(f"the data have the unit '{data.unit}'; expected 'counts' or 'one' (arbitrary)")
    if (data.variances < 0).any():
        raise InputError("the data have negative variances")


def _normalised(data: sc.DataArray, measurement: Measurement) -> sc.DataArray:
    """The same values (not copied unless they must change) with one mask, the measurement's axes and no NaN."""
    dims = (measurement.points.dim, "energy")
    data = data.transpose(dims)
    values, variances = data.values, data.variances
    valid = np.isfinite(values) & np.isfinite(variances)
    for mask in data.masks.values():
        valid = valid & ~_broadcast(mask, data).values
    variable = data.data
    if not (values.flags.writeable and np.isfinite(values[~valid]).all() and np.isfinite(variances[~valid]).all()):
        values, variances = np.where(valid, values, 0.0), np.where(valid, variances, 0.0)
        variable = sc.array(dims=dims, values=values, variances=variances, unit=data.unit)
    elif variable.dtype != sc.DType.float64:
        variable = variable.to(dtype="float64")
    masks = {UNMEASURED: sc.array(dims=dims, values=~valid)}
    return sc.DataArray(variable, coords=_coords(measurement) | _pixels(data, valid) | _translated(data), masks=masks)


def _pixels(data: sc.DataArray, valid: np.ndarray) -> dict[str, sc.Variable]:
    """The numbers of pixels, of reduced data that have them."""
    if PIXELS not in data.coords or data.unit == sc.units.counts:
        return {}
    number = np.where(valid, _broadcast(data.coords[PIXELS], data).values, 1.0)
    if not ((number > 0) & (number < MOST)).all():
        raise InputError("some measured bins are the mean of no pixel, or of more than 9e15; each needs at least one")
    return {PIXELS: sc.array(dims=data.dims, values=number)}


def _translated(data: sc.DataArray) -> dict[str, sc.Variable]:
    return {TRANSLATED: data.coords[TRANSLATED]} if TRANSLATED in data.coords else {}


def _broadcast(mask: sc.Variable, data: sc.DataArray) -> sc.Variable:
    return mask.broadcast(sizes=data.sizes)


def _coords(measurement: Measurement) -> dict[str, sc.Variable]:
    """The axes as scipp carries them: bin edges for |Q| and energy, centres (h, k, l) for points of a crystal."""
    dims = ["point", "energy"] if measurement.is_scan else ["energy"]
    energy = sc.array(dims=dims, values=measurement.energy.numpy(), unit="meV")
    match measurement.points:
        case QShells(edges):
            return {"Q": sc.array(dims=["Q"], values=edges.numpy(), unit="1/angstrom"), "energy": energy}
        case points:
            return {"q": sc.vectors(dims=["point"], values=points.q.numpy()), "energy": energy}
