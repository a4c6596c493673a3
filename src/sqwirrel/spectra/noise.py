"""What a map tells about its own noise: hot bins, and how far bins scatter where a file has no errors."""

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import uniform_filter

from sqwirrel.spectra.measurement import Measurement

ABOVE, TIMES = 4.0, 2.0
"""A hot bin is above its second highest neighbour by this many deviations, and is this many times as high."""


def hot_bins(
    values: Float64[np.ndarray, "point energy"],
    error: Float64[np.ndarray, "point energy"],
    valid: Bool[np.ndarray, "point energy"],
    measurement: Measurement,
) -> Bool[np.ndarray, "point energy"]:
    """Bins that stand alone among their eight neighbours; a line or a cone has two neighbours that are high, too.

    Neighbours lie in one of the `planes` of the measurement. The deviation is 1.48 times the median of
    |value - median of the neighbours| in that plane, and at least the bin's own error: where most bins counted nothing
    the median is 0. If there are no errors either, it is that over the bins that differ from their neighbours.
    """
    planes = measurement.planes.numpy()
    shown = np.take(np.where(valid, values, np.nan), planes)
    padded = np.pad(shown, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    rows, columns = shown.shape[1:]
    around = np.sort(np.stack([padded[:, i : i + rows, j : j + columns] for i, j in shifts]), axis=0)  # NaN last
    count = np.isfinite(around).sum(axis=0)
    second = np.take_along_axis(around, np.maximum(count - 2, 0)[None], axis=0)[0]
    middle = np.take_along_axis(around, (count // 2)[None].clip(max=7), axis=0)[0]
    away = [row[np.isfinite(row)] for row in np.abs(shown - middle).reshape(len(shown), -1)]
    spread = np.maximum(1.48 * _medians(away), np.take(error, planes))
    spread = np.where(spread > 0, spread, 1.48 * _medians([row[row > 0] for row in away]))
    with np.errstate(invalid="ignore"):
        hot = (shown - second > ABOVE * spread) & (shown > TIMES * second) & (count > 1) & (spread > 0)
    found = np.zeros(values.shape, dtype=np.bool_)
    np.put(found, planes, hot)
    return found


def _medians(rows: list[Float64[np.ndarray, " _"]]) -> Float64[np.ndarray, "row 1 1"]:
    return np.array([np.median(row) if len(row) else 0.0 for row in rows])[:, None, None]


SCATTER = (11, 11)
"""Bins of one of a measurement's `planes` over which scatter is compared with intensity."""


def errors_from_scatter(
    values: Float64[np.ndarray, "point energy"], valid: Bool[np.ndarray, "point energy"], measurement: Measurement
) -> Float64[np.ndarray, "point energy"]:
    """Errors (one standard deviation) of bins that scatter like counts of unknown worth: error^2 = worth * value.

    What one count is worth is the ratio of scatter to intensity, both averaged over the `SCATTER` bins round a bin. The
    scatter is (y_k - (y_(k-1) + y_(k+1)) / 2)^2 / 1.5 along energy, in which all that is straight over three bins
    cancels. Bins at and below zero have no error, as those that counted nothing have none in a file.
    """
    inner = valid[:, :-2] & valid[:, 1:-1] & valid[:, 2:]
    second = values[:, 1:-1] - (values[:, :-2] + values[:, 2:]) / 2
    planes, ends = measurement.planes.numpy(), ((0, 0), (1, 1))
    scatter, mean = (
        uniform_filter(np.take(np.pad(np.where(inner, each, 0.0), ends), planes), (0, *SCATTER), mode="constant")
        for each in (second**2 / 1.5, values[:, 1:-1])
    )
    worth = np.zeros_like(values)
    np.put(worth, planes, np.divide(scatter, mean, out=np.zeros_like(mean), where=mean > 0))
    variance = np.pad(worth[:, 1:-1], ends, mode="edge") * values
    error: Float64[np.ndarray, "point energy"] = np.sqrt(np.clip(variance, 0.0, None))
    return error
