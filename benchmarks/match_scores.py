"""How far maps are from true ones: root mean square, structure, intensity, and positions of their modes."""

import torch
from torch import Tensor

from benchmarks.match_maps import ENERGY, WIDE

BRIGHT = 0.15
"""Points whose largest true level is below this share of the usual one have no mode to look for."""


def scores(made: Tensor, truth: Tensor, valid: Tensor) -> dict[str, float]:
    """Means over the maps, and more of what moved."""
    there = valid.double()
    away = (((made - truth) ** 2) * there).sum((1, 2)) / (truth**2 * there).sum((1, 2))
    total = (made * there).sum((1, 2)) / (truth * there).sum((1, 2))
    moved = shifts(made, truth, valid)
    return {
        "nrmse": float(away.sqrt().mean()),
        "ssim": float(similarity(made, truth, valid)),
        "intensity_mean": float(total.mean()),
        "intensity_off_median": float((total - 1).abs().median()),
        "mode_shift_median": float(moved.median()) / WIDE,
        "mode_shift_90": float(moved.quantile(0.9)) / WIDE,
        "mode_shift_below_a_tenth": float((moved < 0.1 * WIDE).double().mean()),
    }


def shifts(made: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Distances of the maxima along energy, meV, at points that have a mode and were measured about it."""
    masked = [torch.where(valid, each, -torch.inf) for each in (made, truth)]
    one, other = (peak(each) for each in masked)
    return (one - other).abs()[modes(truth, valid)]


def modes(truth: Tensor, valid: Tensor) -> Tensor:
    """Points of maps that have a mode and were measured about it."""
    at = truth.argmax(2, keepdim=True)
    near = torch.stack([valid.gather(2, (at + k).clamp(0, truth.shape[2] - 1))[..., 0] for k in range(-4, 5)])
    return (truth.amax(2) > BRIGHT * truth.amax(2).median()) & near.all(0)


def peak(y: Tensor) -> Tensor:
    """Where the largest bin is, meV, with the parabola through it and its neighbours."""
    at = y.argmax(2, keepdim=True).clamp(1, y.shape[2] - 2)
    low, middle, high = (y.gather(2, at + k)[..., 0] for k in (-1, 0, 1))
    bent = low - 2 * middle + high
    step = torch.where(torch.isfinite(bent) & (bent < 0), 0.5 * (low - high) / bent, 0.0).clamp(-0.5, 0.5)
    return float(ENERGY[0]) + float(ENERGY[1] - ENERGY[0]) * (at[..., 0] + 0.5 + step)


def similarity(made: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Mean structural similarity (Z. Wang et al., IEEE Trans. Image Process. 13, 600 (2004),
    doi:10.1109/TIP.2003.819861) in windows of 7 x 7 bins; the range is that of each true map.
    """
    a, b, weight = (torch.where(valid, each, 0.0)[:, None] for each in (made, truth, torch.ones_like(truth)))

    def mean(x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x, 7, 1)

    span = torch.where(valid, truth, 0.0).amax((1, 2))[:, None, None, None]
    one, two = (0.01 * span) ** 2, (0.03 * span) ** 2
    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    found = (2 * ma * mb + one) * (2 * both + two) / ((ma**2 + mb**2 + one) * (va + vb + two))
    inside = (mean(weight) > 0.999).double()
    return (found * inside).sum() / inside.sum()
