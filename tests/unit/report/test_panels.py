"""Pictures of scans and of peaks: what stands on their axes, and which of many are shown."""

import numpy as np
import pytest
import torch

from sqwirrel.lattice import Lattice
from sqwirrel.report import figures
from sqwirrel.report.figures.panels import course, evenly
from sqwirrel.report.figures.peaks import straight
from sqwirrel.spectra import Measurement, Peaks, QPoints, QShells, Spectrum

LATTICE = Lattice(4.0, 5.0, 6.0)


def scans(count, counts=(3.0, 0.0, 8.0), exposure=((10.0,), (10.0,), (20.0,))):
    """Scans of energy at 1, 2, 3 meV, at h = 0.1, 0.2, ..."""
    q = [[0.1 * n, 0.0, 1.0] for n in range(count) for _ in range(3)]
    points = QPoints(LATTICE, q, [n + 1 for n in range(count) for _ in range(3)])
    energy = torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], dtype=torch.float64).repeat(count, 1)
    measurement = Measurement(points, energy, 5.0, exposure=np.tile(exposure, (count, 1)))
    values = torch.tensor(counts, dtype=torch.float64).repeat(count)[:, None]
    return Spectrum.from_arrays(values, values.sqrt(), measurement, is_counts=True)


def drawn(axes):
    """x, y and the lower end of each error bar."""
    (container,) = axes.containers
    points, _, (bars,) = container
    return points.get_xdata(), points.get_ydata(), [segment[0, 1] for segment in bars.get_segments()]


def test_a_scan_is_drawn_in_counts_of_one_exposure_with_errors():
    axes = figures.picture(scans(1), "a").axes[0]
    x, y, low = drawn(axes)
    assert x.tolist() == [1, 2, 3]
    assert y.tolist() == [3, 0, 4]
    assert low == pytest.approx([3 - 3**0.5, -1, 4 - 8**0.5 / 2])  # no counts: give or take one
    assert axes.get_xlabel() == "E (meV)"
    assert axes.get_ylabel() == "counts per 10 of monitor"
    assert axes.get_title(loc="left") == "scan 1: h = 0, k = 0, l = 1"


def test_at_most_twelve_scans_are_shown_the_first_and_last_among_them():
    figure = figures.picture(scans(30), "many")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == 12
    assert titles[0].startswith("scan 1:")
    assert titles[-1].startswith("scan 30:")
    assert figure.get_suptitle() == "many, 12 of 30 scans"
    assert evenly([1, 2, 3]) == [1, 2, 3]


def test_a_steep_scan_is_drawn_in_logarithms():
    assert figures.picture(scans(1, (50000.0, 9.0, 8.0)), "a").axes[0].get_yscale() == "log"
    assert figures.picture(scans(1), "a").axes[0].get_yscale() == "linear"


def test_what_was_not_measured_is_left_out():
    spectrum = scans(2)
    for lo, hi in ((1.5, 2.5), (0.5, 1.5)):
        spectrum = spectrum.exclude(lo, hi)
    assert drawn(figures.picture(spectrum, "a").axes[0])[0].tolist() == [1.0]  # by the number of the point
    empty = spectrum.exclude(2.5, 3.5)
    assert figures.picture(empty, "a").axes[0].get_title(loc="left") == "scan 1: not measured"


@pytest.mark.parametrize(
    ("points", "name", "still", "others"),
    [
        ([[0, 0, 3, 0.2], [0.1, 0.1, 3, 0.2]], "h", "l = 3, E = 0.2 meV", "k = h"),
        ([[0, 0, 3, 0.2], [0.1, -0.1, 3, 0.2]], "h", "l = 3, E = 0.2 meV", "k = −h"),
        ([[3, 0, 2], [3, 0.1, 2.1], [3, 0.2, 2.2]], "k", "h = 3", "l = k + 2"),
        ([[3, 2, 0], [3, 2.1, 0.1], [3, 2.2, 0.2]], "k", "h = 3", "l = k − 2"),
        ([[0, 0, 2], [0, 0.1, 1.9]], "k", "h = 0", "l = 2 − k"),
        ([[0.5, 0, 3, 1], [0.502, 0, 3, 2]], "E", "h = 0.501, k = 0, l = 3", ""),
        ([[0, 0, 3, 1], [0.1, 0, 3.2, 1]], "l", "k = 0, E = 1 meV", "h 0 to 0.1"),
        ([[0, 0, 3, 1], [0, 0, 3, 1]], "point", "h = 0, k = 0, l = 3, E = 1 meV", ""),
    ],
)
def test_the_axis_is_what_moves_most(points, name, still, others):
    way = course(np.array(points, dtype=float))
    assert (way.name, way.still, way.others) == (name, still, others)


def test_peaks_lie_on_straight_lines_and_corners_on_two():
    q = np.array([[0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 0.5, 0], [1, 1, 0], [1, 1, 0], [3, 3, 3.0]])
    lines = [np.nonzero(on)[0].tolist() for on in straight(q)]
    assert sorted(lines[:2]) == [[0, 1, 2], [2, 3, 4, 5]]
    assert set().union(*lines) == set(range(7))
    assert [on.tolist() for on in straight(q[:1])] == [[True]]
    assert [on.tolist() for on in straight(q[4:6])] == [[True, True]]


def test_peaks_are_drawn_with_the_error_that_was_measured():
    q = [[0.1, 0, 0], [0.2, 0, 0]]
    peaks = Peaks(LATTICE, q, [3.0, 4.0], [0.5, 0.4], q_error=[[[0, 0, 0]], [[0.02, 0.01, 0]]])
    axes = figures.picture(peaks, "p").axes[0]
    (container,) = axes.containers
    _, _, (across, up) = container
    assert [float(np.ptp(segment[:, 0])) for segment in across.get_segments()] == pytest.approx([0, 0.04])
    assert [float(np.ptp(segment[:, 1])) for segment in up.get_segments()] == pytest.approx([1.0, 0])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("h (rlu)", "energy (meV)")


def test_other_spectra_are_drawn_as_maps():
    measurement = Measurement(QShells([0.1, 0.2, 0.3]), [0.0, 1.0, 2.0], 5.0)
    spectrum = Spectrum.from_arrays(torch.ones(2, 2).double(), torch.ones(2, 2).double(), measurement)
    assert figures.picture(spectrum, "map").axes[0].get_xlabel() == "|Q| (Å⁻¹)"
