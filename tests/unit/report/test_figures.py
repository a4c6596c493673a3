from dataclasses import replace

import numpy as np
import pytest
import torch

from sqwirrel.lattice import Lattice
from sqwirrel.observe import Experiment, Robust
from sqwirrel.report import figures
from sqwirrel.report.axes import across
from sqwirrel.report.corner import corner
from sqwirrel.report.result import Whole
from sqwirrel.spectra import Measurement, QPath, QShells, Spectrum

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it


def mesh(figure):
    return figure.axes[0].collections[0]


def test_data_and_model_share_axes_and_colours(good):
    maps = [draw(good) for draw in (figures.data_map, figures.model_map)]
    assert mesh(maps[0]).get_clim() == mesh(maps[1]).get_clim()
    assert maps[0].axes[0].get_xlim() == maps[1].axes[0].get_xlim()
    assert maps[0].axes[0].get_position().bounds == maps[1].axes[0].get_position().bounds


def test_the_map_holds_the_data_and_hides_what_was_not_measured(good):
    shown = mesh(figures.data_map(good)).get_array()
    valid = good.valid.numpy().T
    assert np.array_equal(~np.ma.getmaskarray(shown), valid)
    assert np.array_equal(shown[valid], good.spectrum.intensity.numpy().T[valid])


def test_axes_say_their_unit(good):
    axes = figures.data_map(good).axes
    assert axes[0].get_ylabel() == "energy (meV)"
    assert axes[0].get_xlabel() == "q along the path (rlu)"
    assert axes[1].get_ylabel() == "counts"


def test_residuals_of_the_truth_are_noise(good):
    """chi^2 of 243 bins with its standard deviation sqrt(2 n + sum 1 / mu) about sqrt(2.5 n): within four of them."""
    z = good.residual[good.valid]
    assert abs(float((z**2).sum()) - len(z)) < 4 * (2.5 * len(z)) ** 0.5


def test_a_spurion_is_shown_as_large_as_it_is(good):
    """198 errors, which Student's law forgives, in the middle of a map that is the model elsewhere."""
    expected = good.expected
    counting = Robust()
    values = expected.clone()
    values[4, 15] += 198 * 0.5
    data = Spectrum.from_arrays(values, torch.full_like(values, 0.5), good.spectrum.measurement)
    instrument = replace(good.experiment.instrument, counting=counting)
    known = Experiment(good.experiment.model, data.measurement, instrument, samples=1)
    shown = mesh(figures.residual_map(replace(good, spectrum=data, experiment=known))).get_array()
    assert float(shown[15, 4]) == pytest.approx(198, rel=1e-3)


def test_predictive_noise_has_the_width_of_counting(good):
    """Replicas of bin sums scatter as Poisson counts do, to 25 % with 400 of them, plus the spread of the draws."""
    noisy = good.replicas(2, 3)[:, 0, 5:].sum(1)
    expected = float(good.expected[2, 5:].sum())
    assert float(noisy.mean()) == pytest.approx(expected, rel=0.05)
    assert 0.75 * expected**0.5 < float(noisy.std()) < 2 * expected**0.5


def test_cuts_lie_on_measured_bins(good):
    rows = figures.cut_rows(good)
    assert 4 <= len(rows) <= 6
    assert all(bool(good.valid[start:stop].any()) for start, stop in rows)


def test_the_limit_is_the_inverse_of_the_information(good):
    """Variances against finite differences: 2 %, as the expectation has kinks where a line crosses the fine grid."""
    step = 1e-4
    theta = good.best
    rows = theta + step * torch.cat((torch.eye(2, dtype=torch.float64), -torch.eye(2, dtype=torch.float64)))
    up, down = (good._predict(part)[:, good.valid] for part in rows.split(2))
    slope = (up - down) / (2 * step)
    information = (slope / good.expected[good.valid]) @ slope.T
    variances = torch.linalg.inv(information).diagonal()
    assert torch.allclose(variances, Whole.of(good).limit_covariance.diagonal(), rtol=0.02)


def test_the_corner_shows_the_model_and_not_the_instrument(good):
    figure = corner(good)
    assert [axes.get_xlabel() for axes in figure.axes] == ["J (meV)"]


def test_a_powder_axis_is_its_edges():
    edges = torch.linspace(0.5, 2, 4, dtype=torch.float64)
    axis = across(Measurement(QShells(edges), torch.linspace(0, 1, 3, dtype=torch.float64), None))
    assert torch.equal(axis.edges, edges)
    assert axis.label == "|Q| (Å⁻¹)"


def test_a_corner_that_is_listed_twice_is_named_once_and_many_names_are_stacked():
    lattice = Lattice(4.0, 4.0, 4.0)
    rows = [[0, 0, 0], [0.5, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0.5, 0], [0, 0, 0]]
    axis = across(Measurement(QPath.along(lattice, rows), [0.0, 1.0], 5.0))
    assert axis.names == ("0\n0\n0", "0.5\n0\n0", "0.5\n0.5\n0", "0\n0.5\n0", "0\n0\n0")
    assert len(set(axis.ticks)) == 5
    assert bool((axis.edges.diff() > 0).all())


def test_of_corners_that_would_overlap_the_first_is_named():
    rows = [[0, 0, 0], [0.5, 0, 0], [0.5, 0.01, 0], [1, 0.01, 0]]
    path = QPath(Lattice(4.0, 4.0, 4.0), rows, torch.zeros(3, 3))
    axis = across(Measurement(path, [0.0, 1.0], 5.0))
    assert axis.names == ("0 0 0", "0.5 0 0", "1 0.01 0")


def test_a_path_has_its_corners_named(good):
    axis = across(good.spectrum.measurement)
    assert axis.names == ("0.1 0 0", "0.9 0 0")
    assert len(axis.edges) == 10
