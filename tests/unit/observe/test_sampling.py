"""Quadrature: weights sum to one, directions fill the sphere, concentrated points are unbiased and less noisy."""

import pytest
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.observe.views.sampling import PAD, Sampling, concentrate, sampling
from sqwirrel.simulate import SpinWaves
from sqwirrel.spectra import Measurement, QPath, QShells

MODEL = library.load("mnf2")
SPAN = (0.0, 8.0)
BINS = 10
MAP = Measurement(QShells(torch.linspace(0.6, 2.2, 9, dtype=torch.float64)), torch.linspace(1, 8, 36), 5.0)
CUBIC = Lattice(4, 4, 4, 90, 90, 90)


def points(samples: int, seed: int, width: float = 0.2) -> Sampling:
    return sampling(MAP, MODEL.lattice, samples=samples, width=width, seed=seed)


def modes(where: Sampling) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        found = SpinWaves(MODEL, where.q, temperature=5.0)(MODEL.pack())
    return found.energy[0], found.intensity[0]


def integrals(where: Sampling, energy: Tensor, intensity: Tensor) -> Tensor:
    """Average over each cell of the intensity in each of `BINS` energy bins of `SPAN`."""
    place = ((energy - SPAN[0]) / (SPAN[1] - SPAN[0]) * BINS).floor().long()
    inside = (place >= 0) & (place < BINS)
    index = where.cell[:, None] * BINS + place.clamp(0, BINS - 1)
    value = torch.where(inside, intensity * where.weight[:, None], 0.0)
    grid = torch.zeros((int(where.cell[-1]) + 1) * BINS, dtype=torch.float64)
    return grid.index_add(0, index.flatten(), value.flatten()).reshape(-1, BINS)


def test_weights_of_each_cell_sum_to_one() -> None:
    where = points(40, 1)
    cells = len(where.edges) - 1
    total = torch.zeros(cells, dtype=torch.float64).index_add(0, where.cell, where.weight)
    assert torch.allclose(total, torch.ones(cells, dtype=torch.float64), atol=1e-12)


def test_points_lie_in_their_cell_and_cells_cover_the_bins_and_a_margin() -> None:
    where = points(40, 1)
    modulus = MODEL.lattice.to_cartesian(where.q).norm(dim=-1)
    assert bool((modulus >= where.edges[where.cell] - 1e-12).all())
    assert bool((modulus <= where.edges[where.cell + 1] + 1e-12).all())
    shells = MAP.points.edges
    assert all(float((where.edges - edge).abs().min()) < 1e-12 for edge in shells)
    assert float(where.edges[-1] - shells[-1]) == pytest.approx(PAD * 0.2)
    assert float(shells[0] - where.edges[0]) == pytest.approx(0.6)  # three of 0.2 just fit


@pytest.mark.parametrize("start", [0.0, 0.05, 0.3, 0.5])
def test_cells_below_the_range_stop_at_zero(start: float) -> None:
    where = Measurement(QShells(start + 0.1 * torch.arange(4, dtype=torch.float64)), MAP.energy, 5.0)
    edges = sampling(where, CUBIC, samples=1, width=0.1, seed=0).edges
    assert float(edges[0]) == pytest.approx(max(start - PAD * 0.1, 0), abs=1e-9)
    assert float(edges.diff().min()) > 1e-3


@pytest.mark.parametrize(("width", "cells"), [(0.2, 8), (0.4, 4), (0.1, 16), (0.8, 2), (5.0, 1)])
def test_bins_are_merged_or_split_to_the_width_of_a_cell(width: float, cells: int) -> None:
    edges = points(1, 1, width).edges
    inner = edges[(edges > 0.6 - 1e-9) & (edges < 2.2 + 1e-9)]
    assert len(inner) - 1 == cells


def test_directions_are_uniform_on_the_sphere() -> None:
    """Mean and second moments of 20 000 spread points; far better than random ones (1 / sqrt(20 000) = 0.007)."""
    where = sampling(MAP, CUBIC, samples=1000, width=0.2, seed=3)
    n = CUBIC.to_cartesian(where.q)
    n = n / n.norm(dim=-1, keepdim=True)
    assert torch.allclose(n.mean(0), torch.zeros(3, dtype=torch.float64), atol=5e-3)
    assert torch.allclose(n.T @ n / len(n), torch.eye(3, dtype=torch.float64) / 3, atol=5e-3)


def test_concentrated_points_are_unbiased() -> None:
    """Mean over 240 seeds of the cell integrals against those of all the points they were chosen from."""
    dense = points(48 * 16, 5)
    energy, intensity = modes(dense)
    exact = integrals(dense, energy, intensity)
    found = torch.stack([chosen(dense, energy, intensity, 16, seed) for seed in range(240)])
    error = (found.var(0) / 240).sqrt()
    seen = exact > 0.02 * exact.max()  # in rarer bins 240 draws of 16 points are not normal
    away = ((found.mean(0) - exact) / error.clamp(min=1e-9))[seen]
    assert int(seen.sum()) > 30
    # Largest of some 60 values of Student's t with 239 degrees of freedom.
    assert float(away.abs().max()) < 4.5
    assert float((away**2).mean()) == pytest.approx(1, abs=0.6)


def chosen(dense: Sampling, energy: Tensor, intensity: Tensor, samples: int, seed: int) -> Tensor:
    few = concentrate(dense, energy, intensity, SPAN, samples=samples, seed=seed)
    assert len(few.q) == samples * (int(dense.cell[-1]) + 1)
    return integrals(few, *modes(few))


def test_concentrated_points_are_less_noisy_than_even_ones() -> None:
    """Variance over seeds, relative to the counts it competes with (variance / mean), at an equal number of points."""
    few, even = [], []
    for seed in range(30):
        dense = points(48 * 16, seed)
        few.append(chosen(dense, *modes(dense), 16, seed))
        where = points(16, seed)
        even.append(integrals(where, *modes(where)))
    noise = [torch.stack(each).var(0) for each in (few, even)]
    mean = torch.stack(few).mean(0)
    seen = mean > 0.02 * mean.max()
    ratio = (noise[1] / mean)[seen].mean() / (noise[0] / mean)[seen].mean()
    assert float(ratio) > 2.0


def test_concentrate_falls_back_to_even_where_nothing_is_in_range() -> None:
    dense = points(480, 5)
    energy, intensity = modes(dense)
    few = concentrate(dense, energy + 100, intensity, SPAN, samples=10, seed=0)
    total = torch.zeros(int(dense.cell[-1]) + 1, dtype=torch.float64).index_add(0, few.cell, few.weight)
    assert torch.allclose(total, torch.ones_like(total), atol=0.05)


def test_points_of_a_path_fill_the_box_of_each_bin() -> None:
    box = torch.tensor([[0.1, 0, 0], [0, 0.2, 0.2], [0, 0, 0]], dtype=torch.float64)
    centres = torch.tensor([[0.5, 0.5, 0], [1.0, 0, 0.3]], dtype=torch.float64)
    where = sampling(Measurement(QPath(CUBIC, centres, box), [0, 1], 5.0), CUBIC, samples=500, width=1, seed=1)
    away = (where.q - centres[where.cell]).reshape(2, 500, 3)
    assert where.edges is None
    assert torch.allclose(away[..., 1], away[..., 2], atol=1e-12)
    assert float(away[..., 0].abs().max()) <= 0.05
    assert float(away[..., 1].abs().max()) <= 0.1
    # A spread sequence: the error of a mean is a few widths / 500.
    assert float(away.mean(1).abs().max()) < 2e-3
    assert torch.allclose((away**2).mean(1)[:, :2], torch.tensor([0.1**2, 0.2**2], dtype=torch.float64) / 12, rtol=0.02)


def test_seeds_move_the_points_and_repeat_them() -> None:
    assert torch.equal(points(10, 1).q, points(10, 1).q)
    assert not torch.equal(points(10, 1).q, points(10, 2).q)


def test_at_least_one_point_is_needed() -> None:
    with pytest.raises(InputError, match="samples = 0"):
        points(0, 1)
