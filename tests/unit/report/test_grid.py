"""What is drawn of a grid follows from its axes."""

import numpy as np
import pytest
import torch

from sqwirrel.lattice import Lattice
from sqwirrel.report import figures
from sqwirrel.spectra import Beam, Measurement, QGrid, Spectrum

AXES = [[1, 1, 0], [-1, 1, 0], [0, 0, 0.5]]


def spectrum(bins, energies, *, beam=None, origin=(0, 0, 0)):
    """Values that grow by one from bin to bin, the first of them unmeasured."""
    edges = [np.linspace(-0.5, 0.5, n + 1) for n in bins]
    grid = QGrid(Lattice(4, 4, 9), AXES, edges, origin, beam)
    measurement = Measurement(grid, np.linspace(1.0, 1.0 + energies, energies + 1), 5.0)
    values = torch.arange(float(np.prod(measurement.shape))).double().reshape(measurement.shape)
    return Spectrum.from_arrays(values, values.sqrt(), measurement, valid=values > 0)


def panels(figure):
    """Those that hold a map; the last axes are the colours'."""
    return [axes for axes in figure.axes[:-1] if axes.get_visible()]


def label(figure):
    return figure.get_supxlabel(), figure.get_supylabel()


@pytest.mark.parametrize("bins", [(4, 1, 1), (1, 4, 1), (1, 1, 4)])
def test_one_axis_and_energies_are_a_map(bins):
    made = spectrum(bins, 3)
    figure = figures.spectrum_map(made, "a.nxs")
    (axes,) = panels(figure)
    shown = axes.collections[0].get_array()
    np.testing.assert_array_equal(shown.filled(-1), np.where(made.valid, made.intensity, -1).T)
    name = {0: "(h, h, 0) (rlu)", 1: "(−k, k, 0) (rlu)", 2: "(0, 0, 0.5l) (rlu)"}[bins.index(4)]
    assert label(figure) == (name, "energy (meV)")


@pytest.mark.parametrize(("bins", "place"), [((4, 3, 1), (0, 1)), ((4, 1, 3), (0, 2)), ((1, 4, 3), (1, 2))])
def test_two_axes_and_one_energy_are_one_map(bins, place):
    made = spectrum(bins, 1)
    figure = figures.spectrum_map(made, "a.nxs")
    (axes,) = panels(figure)
    shown = axes.collections[0].get_array()
    shape = [bins[n] for n in place]
    np.testing.assert_array_equal(shown.filled(0), made.intensity.reshape(shape).T)
    names = ("(h, h, 0) (rlu)", "(−k, k, 0) (rlu)", "(0, 0, 0.5l) (rlu)")
    assert label(figure) == (names[place[0]], names[place[1]])
    assert "E = 1 to 2 meV" in figure.get_suptitle()


def test_two_axes_and_energies_are_slices_with_their_windows():
    made = spectrum((3, 2, 1), 5)
    tiles = panels(figures.spectrum_map(made, "a.nxs"))
    assert [axes.get_title(loc="left") for axes in tiles] == [f"E = {n} to {n + 1} meV" for n in range(1, 6)]
    for n, axes in enumerate(tiles):
        np.testing.assert_array_equal(axes.collections[0].get_array().filled(0), made.intensity[:, n].reshape(3, 2).T)
    assert len({axes.collections[0].get_clim() for axes in tiles}) == 1


@pytest.mark.parametrize(("bins", "energies"), [((3, 2, 1), 60), ((2, 2, 4), 9)])
def test_slices_are_at_most_twelve_from_the_first_to_the_last(bins, energies):
    figure = figures.spectrum_map(spectrum(bins, energies), "a.nxs")
    titles = [axes.get_title(loc="left") for axes in panels(figure)]
    assert len(set(titles)) == len(titles) == 12
    assert titles[0].endswith("E = 1 to 2 meV")
    assert titles[-1].endswith(f"E = {energies} to {energies + 1} meV")


def test_slices_without_a_measured_bin_are_left_out():
    made = spectrum((3, 2, 1), 4).exclude(1.0, 2.0)
    assert len(panels(figures.spectrum_map(made, "a.nxs"))) == 3


@pytest.mark.parametrize(
    ("bins", "energies", "name"), [((1, 1, 1), 6, "energy (meV)"), ((1, 6, 1), 1, "(−k, k, 0) (rlu)")]
)
def test_one_axis_alone_is_a_cut_with_errors(bins, energies, name):
    figure = figures.spectrum_map(spectrum(bins, energies), "a.nxs")
    (axes,) = figure.axes
    (bars,) = axes.containers
    np.testing.assert_array_equal(bars.lines[0].get_ydata(), np.arange(1.0, 6.0))  # the first is unmeasured
    ends = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
    np.testing.assert_allclose(np.diff(ends)[:, 0] / 2, np.arange(1.0, 6.0) ** 0.5)
    assert axes.get_xlabel() == name


def test_labels_say_the_origin_and_the_title_what_was_integrated_or_follows_from_the_beam():
    figure = figures.spectrum_map(spectrum((4, 1, 1), 3, origin=(0.5, 0, 1)), "a.nxs")
    assert label(figure)[0] == "(0.5 + h, h, 1) (rlu)"
    assert "k = −0.5 to 0.5 in (0.5 − k, k, 1)" in figure.get_suptitle()
    held = figures.spectrum_map(spectrum((4, 1, 1), 3, beam=Beam((0, 0, 1), 50.0)), "a.nxs")
    assert "(0, 0, 0.5l) from the beam" in held.get_suptitle()
