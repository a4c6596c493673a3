"""Merging of bins: an unmeasured bin never dilutes a measured one, nor stands a part of a bin for all of it."""

import numpy as np
from jaxtyping import Bool, Float64

Map = Float64[np.ndarray, "point energy"]
Merged = Float64[np.ndarray, "point_merged energy_merged"]
Coverage = Bool[np.ndarray, "point energy"]


def merge_bins(
    values: Map, variances: Map, valid: Coverage, *, factors: tuple[int, int], is_counts: bool, least: float
) -> tuple[Merged, Merged, Bool[np.ndarray, "point_merged energy_merged"]]:
    """Values, variances and coverage with every `factors` adjacent bins (per axis) merged; the last may hold fewer.

    Counts are summed, and their variances. Reduced data are averaged over the n valid bins with equal weights, with
    the variance sum(variance) / n^2. A merged bin is covered if at least the share `least` of its bins was, and one.
    """
    number, every = (_sum_blocks(each.astype(np.float64), factors) for each in (valid, np.ones_like(valid)))
    covered = (number > 0) & (number >= least * every)
    total = _sum_blocks(np.where(valid, values, 0.0), factors)
    variance = _sum_blocks(np.where(valid, variances, 0.0), factors)
    if is_counts:
        return total, variance, covered
    divisor = np.maximum(number, 1.0)
    return total / divisor, variance / divisor**2, covered


def _sum_blocks(values: Map, factors: tuple[int, int]) -> Merged:
    for axis, factor in enumerate(factors):
        values = np.add.reduceat(values, np.arange(0, values.shape[axis], factor), axis=axis)
    return values


def edges_from_centres(centres: Float64[np.ndarray, " bin"]) -> Float64[np.ndarray, " edge"]:
    """Bin edges half way between ascending centres (two at least); the outer bins are symmetric about theirs."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def edges_of(axis: Float64[np.ndarray, " any"], bins: int) -> Float64[np.ndarray, " edge"] | None:
    """The edges of `bins` bins from an axis of edges or of centres; None where it can be neither."""
    if len(axis) == bins + 1:
        return axis
    return edges_from_centres(axis) if len(axis) == bins and bins > 1 else None
