"""The grid that modes are deposited on: their energy and variance, its ends, and the measured sphere."""

import pytest
import torch

from sqwirrel.lattice import Lattice
from sqwirrel.observe.views.lines import deposit, fine_grid
from sqwirrel.observe.views.sampling import sampling
from sqwirrel.observe.views.view import is_sharp, sphere
from sqwirrel.simulate import Modes
from sqwirrel.spectra import Measurement, QPath, QShells

LINE = fine_grid(torch.linspace(0, 4, 21, dtype=torch.float64))
STEP = float(LINE[1] - LINE[0])
CUBIC = Lattice(4, 4, 4, 90, 90, 90)


def modes(energies: list[float], stable: bool = True) -> Modes:
    """One mode of unit intensity for each point."""
    energy = torch.tensor(energies, dtype=torch.float64)[None, :, None]
    return Modes(energy, torch.ones_like(energy), torch.full(energy.shape[:2], stable))


@pytest.mark.parametrize("away", [0.0, 0.2, 0.49, 0.5, 0.51, 0.9])
def test_a_mode_keeps_its_intensity_energy_and_a_variance_that_is_the_same_everywhere(away: float) -> None:
    energy = float(LINE[40]) + away * STEP
    grid = deposit(modes([energy]), torch.ones(1).double(), torch.zeros(1).long(), LINE)[0, 0]
    mean = float(grid @ LINE)
    assert float(grid.sum()) == pytest.approx(1)
    assert mean == pytest.approx(energy, abs=1e-12)
    assert float(grid @ (LINE - mean) ** 2) == pytest.approx(STEP**2 / 4, rel=1e-9)


def test_modes_go_to_their_cell_with_their_weight() -> None:
    weight, cells = torch.tensor([0.25, 0.75, 2.0]).double(), torch.tensor([0, 0, 2])
    grid = deposit(modes([1.0, 2.0, 3.0]), weight, cells, LINE)
    assert torch.allclose(grid[0].sum(-1), torch.tensor([1.0, 0.0, 2.0]).double())


@pytest.mark.parametrize("energy", [-10.0, float(LINE[0]), float(LINE[-1]), 100.0])
def test_modes_beyond_the_grid_are_lost(energy: float) -> None:
    assert not bool(deposit(modes([energy]), torch.ones(1).double(), torch.zeros(1).long(), LINE).any())


def test_unstable_points_leave_nothing() -> None:
    assert not bool(deposit(modes([1.0], stable=False), torch.ones(1).double(), torch.zeros(1).long(), LINE).any())


def test_multiple_scattering_averages_the_measured_sphere_alone() -> None:
    """Cells beyond the bins, laid for the smearing, have no weight; the others that of |Q| d|Q|."""
    where = Measurement(QShells(torch.linspace(1, 2, 6, dtype=torch.float64)), [0.0, 1.0], 5.0)
    points = sampling(where, CUBIC, samples=2, width=0.2, seed=0)
    weight = sphere(points, where)[0]
    inside = (points.edges[:-1] > 1 - 1e-9) & (points.edges[1:] < 2 + 1e-9)
    assert int(inside.sum()) == 5
    assert not bool(weight[~inside].any())
    assert torch.allclose(weight[inside], (points.edges**2).diff()[inside] / 3)


def test_only_points_without_a_box_are_sharp() -> None:
    q, energy = [[0.5, 0, 0]], [0.0, 1.0]
    assert is_sharp(Measurement(QPath(CUBIC, q, torch.zeros(3, 3)), energy, 5.0))
    assert not is_sharp(Measurement(QPath(CUBIC, q, 0.1 * torch.eye(3)), energy, 5.0))
    assert not is_sharp(Measurement(QShells([1.0, 2.0]), energy, 5.0))
