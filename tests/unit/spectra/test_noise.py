"""What a map tells of its noise: hot bins are found, real counts stay, and neighbours lie in planes."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Measurement, QGrid, QPath, QPoints, QShells, Spectrum

CELL = Lattice(4.0, 4.0, 4.0)
ENERGY = [0.0, 1.0, 2.0]


def shells(n: int = 40, m: int = 50) -> Measurement:
    return Measurement(QShells(torch.linspace(0.5, 2.5, n + 1)), torch.linspace(0.5, 8, m + 1), 5.0)


def grid(*sides: int) -> Measurement:
    return Measurement(QGrid(CELL, np.eye(3), [np.arange(n + 1.0) for n in sides]), ENERGY, 5.0)


def evenly(measurement: Measurement, values: Tensor | None = None, error: Tensor | None = None) -> Spectrum:
    ones = torch.ones(measurement.shape, dtype=torch.float64)
    return Spectrum.from_arrays(ones if values is None else values, ones if error is None else error, measurement)


def test_a_map_of_shells_and_a_path_are_one_plane() -> None:
    path = Measurement(QPath(CELL, [[0.1 * k, 0, 0] for k in range(3)], np.zeros((3, 3))), ENERGY, 5.0)
    for measurement in (shells(3, 2), path, grid(1, 3, 1)):
        assert measurement.planes.tolist() == [[[0, 1], [2, 3], [4, 5]]]


def test_points_of_scans_are_a_list() -> None:
    points = QPoints(CELL, [[0.1, 0, 0], [0.2, 0, 0]])
    assert Measurement(points, [[1.0, 1.0], [2.0, 2.0]], 5.0).planes.tolist() == [[[0], [1]]]


@pytest.mark.parametrize(("sides", "places"), [((3, 1, 4), 1), ((3, 4, 1), 1), ((3, 4, 5), 5)])
def test_planes_of_a_grid_are_its_first_two_axes_that_vary(sides: tuple[int, int, int], places: int) -> None:
    """Within a plane the energy and the place along the third axis stand still, and both axes are in their order."""
    measurement = grid(*sides)
    planes = measurement.planes
    assert planes.shape == (2 * places, 3, 4)
    assert sorted(planes.flatten().tolist()) == list(range(len(measurement.points) * 2))
    place = measurement.points.coordinates[planes // 2]
    first, second = (k for k in range(3) if sides[k] > 1 and k < (2 if places == 5 else 3))
    rest = next(k for k in range(3) if k not in (first, second))
    assert torch.equal(place[..., first].diff(dim=1), torch.ones(2 * places, 2, 4).double())
    assert torch.equal(place[..., second].diff(dim=2), torch.ones(2 * places, 3, 3).double())
    for still in (place[..., rest], planes % 2):
        assert torch.equal(still, still[:, :1, :1].expand_as(still))


def test_the_rim_of_a_grid_is_that_of_all_its_axes() -> None:
    trimmed = evenly(grid(6, 1, 5)).trim(1).valid[:, 0].reshape(6, 5)
    inner = torch.zeros(6, 5, dtype=torch.bool)
    inner[1:-1, 1:-1] = True
    assert torch.equal(trimmed, inner)
    assert int(evenly(grid(5, 5, 5)).trim(2).valid.sum()) == len(ENERGY) - 1


def test_scatter_of_one_edge_of_a_grid_is_not_that_of_the_other() -> None:
    """Rows of a grid 60 bins long, of which the last 15 scatter by nothing."""
    energy = torch.arange(31.0)
    measurement = Measurement(QGrid(CELL, np.eye(3), [np.arange(13.0), np.arange(61.0), [0, 1]]), energy, 5.0)
    values = torch.poisson(torch.full((12, 60, 30), 9.0).double(), generator=torch.Generator().manual_seed(1))
    values[:, 45:] = 9.0
    error = evenly(measurement, values.reshape(720, 30)).with_errors_from_scatter().error.reshape(12, 60, 30)
    assert float(error[:, :30].mean()) == pytest.approx(3, rel=0.05)
    assert float(error[:, 52:].max()) < 1e-6  # running sums


def test_neighbours_on_a_grid_do_not_run_over_its_edge() -> None:
    """A line along the last column and one along the first are neighbours in the list of points only."""
    values = torch.ones(8, 9, 2, dtype=torch.float64)
    values[2, 8], values[3, 0] = 50.0, 50.0
    spectrum = evenly(grid(8, 9, 1), values.reshape(72, 2), torch.full((72, 2), 0.1).double())
    lost = ~spectrum.despiked().valid.reshape(8, 9, 2)
    assert torch.equal(lost, values > 1)


def poisson(mean: float, measurement: Measurement, seed: int = 1) -> Tensor:
    rate = torch.full(measurement.shape, mean, dtype=torch.float64)
    return torch.poisson(rate, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("is_counts", [True, False])
@pytest.mark.parametrize("mean", [0.02, 0.1, 0.3, 1.0, 10.0])
def test_counts_are_not_hot_however_sparse(mean: float, is_counts: bool) -> None:
    """2000 bins: a Poisson count is 4 of its own errors above anything with a probability below 1e-6."""
    where, worth = shells(), 1.0 if is_counts else 0.2
    counts = poisson(mean, where)
    spectrum = Spectrum.from_arrays(worth * counts, worth * counts.sqrt(), where, is_counts=is_counts)
    assert torch.equal(spectrum.despiked().valid, spectrum.valid)


@pytest.mark.parametrize("mean", [0.0, 0.1, 10.0])
def test_spurions_are_hot(mean: float) -> None:
    """As high as a hundred counts, at the corner too, and two that touch; a line two bins wide and what is unmeasured are not."""
    where = shells()
    counts, high = poisson(mean, where), torch.zeros(where.shape, dtype=torch.bool)
    for place in ((0, 0), (10, 20), (25, 30), (25, 31)):
        high[place] = True
    counts[high], counts[:, 40:42] = 100.0, 100.0
    valid = torch.ones(where.shape, dtype=torch.bool)
    valid[30, 20], counts[30, 20] = False, 1e6
    spectrum = Spectrum.from_arrays(counts, counts.sqrt(), where, valid=valid, is_counts=True)
    assert torch.equal(valid & ~spectrum.despiked().valid, high)


def test_without_errors_a_bin_is_hot_among_those_that_counted() -> None:
    """Reduced data of unknown worth, most of them 0: 2000 bins with one count in five, and one of ten."""
    where = shells()
    values = 3.7 * poisson(0.2, where).clamp(max=1)
    values[7, 7] = 37.0
    for other, lost in ((values, [[7, 7]]), (torch.zeros_like(values), [])):
        spectrum = Spectrum.from_arrays(other, torch.zeros_like(other), where)
        assert (~spectrum.despiked().valid).nonzero().tolist() == lost
