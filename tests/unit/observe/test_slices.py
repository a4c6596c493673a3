"""Slices of intensity on lines of energy."""

import torch

from sqwirrel.observe.views.crystal.slices import levels_of, sliced

LINE = torch.linspace(0, 5, 101).double()


def even(n, cells=1):
    return torch.linspace(0, 1, n + 1).double().expand(cells, -1)


def test_slices_have_the_intensity_and_the_mean_energy_of_what_was_cut() -> None:
    grid = torch.rand(3, 2, 101, generator=torch.Generator().manual_seed(1)).double() ** 8
    levels = levels_of(grid, LINE, 10)
    energy, intensity = sliced(grid, LINE, levels)
    assert torch.allclose(intensity, grid.sum(-1))
    assert torch.allclose((energy * levels.diff(dim=-1)).sum(-1) * intensity, (grid * LINE).sum(-1))
    assert bool((energy.diff(dim=-1) >= 0).all())


def test_slices_of_two_lines_are_these_lines() -> None:
    """Equal lines at 1 and 3: half of the slices are at each."""
    grid = torch.zeros(1, 1, 101).double()
    grid[..., 20], grid[..., 60] = 2.0, 2.0
    energy, _ = sliced(grid, LINE, even(8))
    assert torch.allclose(energy[0, 0], torch.tensor([1.0] * 4 + [3.0] * 4).double())


def test_a_weak_band_beside_a_strong_line_has_slices_of_its_own() -> None:
    """99 % of the intensity are in one line: of equal slices one in a hundred would be the band's."""
    grid = torch.zeros(1, 1, 101).double()
    grid[..., 2], grid[..., 40:80] = 99.0, 1 / 40
    levels = levels_of(grid, LINE, 40)
    energy, _ = sliced(grid, LINE, levels)
    assert int((energy > 1.9).sum()) >= 10
    assert bool((levels.diff(dim=-1) > 0).all())
    assert float(levels[0, -1]) == 1.0


def test_a_line_that_moves_moves_its_slices_and_nothing_else() -> None:
    grid = torch.zeros(3, 1, 101).double()
    for row, at in enumerate((20, 30, 41)):
        grid[row, 0, at] = 1.0
    energy, intensity = sliced(grid, LINE, even(4))
    assert torch.allclose(energy[:, 0], LINE[[20, 30, 41]][:, None].expand(-1, 4))
    assert torch.equal(intensity, torch.ones(3, 1).double())


def test_an_empty_cell_has_no_intensity_and_finite_slices() -> None:
    grid = torch.zeros(2, 3, 101).double()
    grid[:, 0, 50] = 1.0
    energy, intensity = sliced(grid, LINE, levels_of(grid, LINE, 6))
    assert bool(energy.isfinite().all())
    assert float(intensity[:, 1:].sum()) == 0
