"""Best fits of rivals beside the data: colours that can be compared, and what the second would leave."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sqwirrel.infer import Basin
from sqwirrel.model import library
from sqwirrel.observe import Experiment, Instrument, Poisson, Robust
from sqwirrel.report.figures.rivals import is_map, rival_fits
from sqwirrel.report.figures.rivals.fits import averaged
from sqwirrel.report.result import Result
from sqwirrel.spectra import Measurement, QGrid, QPath, QPoints, Spectrum

CHAIN = library.load("fm_chain")


def fitted(result: Result, J: float, experiment: Experiment | None = None, spectrum: Spectrum | None = None) -> Result:
    """The same with the best fit at another exchange, by the experiment as it is."""
    experiment = experiment or result.experiment
    best = Basin(torch.tensor([J, 0.4], dtype=torch.float64), -10.0, 1, 1.0)
    posterior = replace(result.posterior, basins=(best,), simulator=experiment)
    return replace(result, posterior=posterior, experiment=experiment, spectrum=spectrum or result.spectrum)


def grid(windows: int, pixels: int = 5) -> Measurement:
    """Slices through two directions of Q at several energies."""
    edges = [torch.linspace(0, 1, n + 1).double() for n in (pixels, pixels, 1)]
    return Measurement(QGrid(CHAIN.lattice, torch.eye(3), edges), torch.linspace(0.5, 5, windows + 1).double(), 5.0)


def drawn(axes) -> np.ma.MaskedArray:
    return axes.collections[0].get_array()


def test_data_and_fits_share_their_colours_and_residuals_theirs(good: Result) -> None:
    right, wrong = fitted(good, -1.0), fitted(good, -0.9)
    figure = rival_fits({"chain": right, "weak": wrong})
    panels, bars = figure.axes[:9], figure.axes[9:]
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles[:6] == ["data", "chain", "weak", "chain − weak", "data − chain", "data − weak"]
    assert titles[6:] == [f"{title}, averaged" for title in titles[3:6]]
    for row in (panels[:3], panels[3:6], panels[6:]):
        assert len({(axes.collections[0].norm.vmin, axes.collections[0].norm.vmax) for axes in row}) == 1
    labels = [bar.get_ylabel() for bar in bars]
    assert labels == ["counts", "standard deviations", "standard deviations of the mean\nof 1 × 3 bins (across × up)"]
    shown = np.stack([drawn(axes).reshape(30, 9).T.filled(0) for axes in panels])
    assert np.ma.count_masked(drawn(panels[0])) == int((~good.valid).sum())
    assert np.allclose(shown[2][good.valid], wrong.expected[good.valid])
    assert np.allclose(shown[4], right.residual)
    assert np.allclose(shown[5], wrong.residual)
    assert np.allclose(shown[3], wrong.left_of(right.expected))


def test_what_the_second_would_leave_is_what_it_leaves_of_data_without_noise(good: Result) -> None:
    right, wrong = fitted(good, -1.0), fitted(good, -0.9)
    clean = Spectrum.from_arrays(
        right.expected, right.expected.sqrt(), good.spectrum.measurement, valid=good.valid, is_counts=True
    )
    expected = fitted(good, -0.9, spectrum=clean).residual
    assert torch.allclose(wrong.left_of(right.expected), expected)
    assert float(expected.abs().max()) > 3


def test_averaged_residuals_of_robust_data_have_the_unit_that_is_stated(good: Result) -> None:
    """Pure noise of Student's t law with four degrees of freedom has a variance of 2, not of 1."""
    q = torch.zeros(60, 3).double()
    q[:, 0] = torch.linspace(0.1, 0.9, 60)
    where = Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), torch.linspace(0.5, 5, 201).double(), 5.0)
    experiment = Experiment(CHAIN, where, Instrument(counting=Robust(4.0)), samples=1)
    theta = experiment.pack(J=-1.0, fwhm=0.4, scale=50.0, background=2.0)
    clean = Spectrum.from_arrays(experiment(theta)[0], torch.ones(where.shape).double(), where)
    spectrum = experiment.sample(theta, seed=3, like=clean)
    right, wrong = (fitted(good, J, experiment, spectrum) for J in (-1.0, -0.99))
    panels = rival_fits({"chain": right, "weak": wrong}).axes[:9]
    assert float(right.residual.std()) == pytest.approx(2**0.5, rel=0.1)
    assert panels[7].get_title(loc="left") == "data − chain, averaged"
    assert float(drawn(panels[7]).std()) == pytest.approx(1, abs=0.15)
    expected = averaged(where, wrong.as_normal(wrong.left_of(right.expected)), spectrum.valid)
    assert np.allclose(drawn(panels[6]).reshape(where.shape[::-1]).T, expected)


@pytest.mark.parametrize(("windows", "rows", "columns"), [(10, 9, 10), (12, 18, 6)], ids=["a band", "two bands"])
def test_slices_stand_side_by_side_in_bands(good: Result, windows: int, rows: int, columns: int) -> None:
    measurement = grid(windows)
    experiment = Experiment(CHAIN, measurement, Instrument(counting=Poisson()), samples=1)
    spectrum = experiment.sample(experiment.pack(J=-1.0, fwhm=0.4, scale=50.0, background=2.0), seed=3)
    right, wrong = (fitted(good, J, experiment, spectrum) for J in (-1.0, -0.9))
    figure = rival_fits({"chain": right, "a_rather_long_name": wrong})
    panels = figure.axes[: rows * columns]
    titles = [axes.get_title() for axes in panels if axes.get_title()]
    assert len(titles) == windows
    assert titles[0] == "E = 0.5 to " + f"{0.5 + 4.5 / windows:.4g} meV"
    names = [axes.get_ylabel().replace("\n", " ") for axes in panels if axes.get_ylabel()]
    assert names[:4] == ["data", "chain", "a_rather_long_name", "chain − a_rather_long_name"]
    assert len(names) == rows
    held = spectrum.intensity.reshape(5, 5, windows)
    assert np.allclose(drawn(panels[1]).reshape(5, 5), held[..., 1].T)
    assert len({axes.collections[0].norm.vmax for axes in panels[: 3 * columns]}) == 1
    assert "(0, k, 0) (rlu)" in figure.get_supylabel()


def test_lines_and_points_are_no_maps() -> None:
    line = QGrid(CHAIN.lattice, torch.eye(3), [torch.linspace(0, 1, n + 1).double() for n in (5, 1, 1)])
    assert not is_map(Measurement(line, torch.linspace(0, 1, 2).double(), 5.0))
    assert is_map(grid(3))
    points = QPoints(CHAIN.lattice, [[0.1, 0, 0]])
    assert not is_map(Measurement(points, torch.tensor([[0.0, 1.0]]).double(), 1.0))


def test_averages_are_over_neighbours_in_q_and_energy() -> None:
    """A grid is averaged in its own planes: one hot bin warms its window, and no bin of another slice."""
    measurement = grid(3, 20)
    residual, valid = torch.zeros(measurement.shape).double(), torch.ones(measurement.shape, dtype=torch.bool)
    residual.reshape(20, 20, 3)[10, 10, 1] = 9.0
    found = averaged(measurement, residual, valid).reshape(20, 20, 3)
    planes = measurement.planes
    assert planes.shape[0] == 3
    assert bool((found[..., 1] > 0).sum() == 3 * 3)  # an eighth of an axis
    assert not bool(found[..., [0, 2]].any())
    assert float(found[10, 10, 1]) == pytest.approx(9 / 9**0.5)
