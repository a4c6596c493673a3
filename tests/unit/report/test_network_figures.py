"""Pictures of networks: on the axes of the data, all that is there, and what is not shown is said."""

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.explain import networks as explained
from sqwirrel.lattice import Lattice
from sqwirrel.learn.rivals import Classifier
from sqwirrel.learn.rivals.embedding import PooledEmbedding
from sqwirrel.report.figures import networks as figures
from sqwirrel.spectra import Measurement, QGrid, QPath, QPoints, QShells, Spectrum

LATTICE = Lattice(4.0, 4.0, 6.0)
PATH = Measurement(
    QPath(LATTICE, [[0.05 * k, 0, 0] for k in range(1, 11)], torch.zeros(3, 3)), torch.linspace(0, 9, 19).double(), 1.0
)
GRID = Measurement(
    QGrid(LATTICE, torch.eye(3), [torch.linspace(0, 1, n + 1).double() for n in (8, 10, 1)]),
    torch.linspace(0, 3, 4).double(),
    1.0,
)


def network(measurement):
    return Classifier(PooledEmbedding([measurement]), 2, seed=1)


def images(measurement, n=4):
    x = torch.rand(n, 3, *measurement.shape, generator=torch.Generator().manual_seed(1))
    x[:, 2] = 1
    x[:, :, 0] = 0
    return x


def spectrum(measurement):
    values = torch.ones(measurement.shape).double()
    values[0] = torch.nan
    return Spectrum.from_arrays(values, torch.ones(measurement.shape).double(), measurement)


def drawn(axes):
    return axes.collections[0].get_array()


def test_an_attribution_says_for_whom_and_how_much() -> None:
    found = explained.attribution(network(PATH), images(PATH), 0, 1)[0]
    axes, bar = figures.attribution_map(spectrum(PATH), found, "dimer", "zener", "class activation").axes
    assert axes.get_title(loc="left") == "For dimer (+), for zener (−): class activation"
    assert axes.get_ylabel() == "energy (meV)"
    assert "log odds per bin, " in bar.get_ylabel()
    assert np.ma.count_masked(drawn(axes)) == 18
    assert np.allclose(drawn(axes).filled(0).reshape(18, 10), found.T)


def test_maps_by_several_methods_have_one_scale_and_their_names() -> None:
    found = explained.attribution(network(PATH), images(PATH), 0, 1)[0]
    figure = figures.attribution_maps(spectrum(PATH), {"expected ratio": found.abs(), "cam": found}, "Two maps")
    first, second, bar = figure.axes
    assert [axes.get_title(loc="left") or axes.get_title() for axes in (first, second)] == ["expected ratio", "cam"]
    assert float(np.abs(drawn(second)).max()) == pytest.approx(1, rel=1e-5)
    assert bar.get_ylabel() == "relative to the largest"


def test_a_grid_is_shown_along_its_longest_axes_and_says_what_it_averages() -> None:
    values = explained.activations(network(GRID), images(GRID))["layer 1"][0]
    figure = figures.activation_sheet(GRID, values, spectrum(GRID).valid, "layer 1")
    assert figure.get_suptitle() == "Answers of layer 1 to one spectrum, mean over E"
    assert figure.get_supxlabel() == "(h, 0, 0) (rlu)"
    assert figure.get_supylabel() == "(0, k, 0) (rlu)"
    expected = values[5].reshape(8, 10, 3).mean(-1)
    held = drawn(figure.axes[5]).reshape(10, 8)
    assert np.allclose(held[1:, 1:], expected.T[1:, 1:], atol=1e-6)
    assert np.ma.count_masked(held) == 1


def test_a_sheet_says_what_is_not_shown_and_refuses_what_it_cannot_draw() -> None:
    values, valid = torch.rand(50, *PATH.shape), spectrum(PATH).valid
    figure = figures.image_sheet(PATH, values, valid, [str(k) for k in range(50)], "Many")
    assert figure.get_suptitle() == "Many\n2 more are not shown"
    with pytest.raises(InputError, match="every map needs a name; got 50 maps and 1 names"):
        figures.image_sheet(PATH, values, valid, ["one"], "Many")
    scan = Measurement(QPoints(LATTICE, [[0.1, 0, 0]]), torch.tensor([[0.0, 1.0]]).double(), 1.0)
    with pytest.raises(InputError, match="single points make no map"):
        figures.sheet(scan, torch.rand(1, 1, 1), torch.ones(1, 1, dtype=torch.bool), ["a"], "Scan", "answer")


def test_filters_and_their_health_are_all_there() -> None:
    classifier = network(PATH)
    weights = explained.first_filters(classifier)
    image = figures.filter_sheet(weights).axes[0].images[0].get_array()
    assert np.isfinite(image.filled(np.nan)).sum() == weights.numel()
    assert np.allclose(image[4:7, 8:11], weights[2, 1])
    figure = figures.health_figure(explained.health(classifier, images(PATH), 1))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "layer 1: 0 dead, 8 untrained",
        "layer 2: 0 dead, 16 untrained",
        "features: 0 dead, 32 untrained",
    ]


def test_charts_have_a_colour_for_each_rival_and_atlases_a_frame_for_each_cell() -> None:
    classifier, x = network(PATH), images(PATH, 24)
    features = explained.features_of(classifier, x)
    places = explained.Chart.of(features, 1)
    rival = torch.arange(24) % 2
    axes = figures.chart(places.places, rival, ["dimer", "zener"], places.places[:1]).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["dimer", "zener", "measured"]
    assert [len(line.get_xdata()) for line in axes.lines] == [12, 12, 1]
    found = explained.atlas(classifier, x, places, sides=3)
    figure = figures.atlas_map(found, PATH, spectrum(PATH).valid, (0, 1), ["dimer", "zener"])
    shown = [axes for axes in figure.axes if axes.texts]
    assert sum(int(axes.texts[0].get_text()) for axes in shown) == 24
    assert len(shown) == len(found.count)
    assert figure.axes[-1].get_ylabel() == "frames: log odds, dimer : zener"


def test_curves_say_their_mean() -> None:
    share = torch.linspace(0, 1, 5)
    falls, rises = (explained.Curve(share, each[None]) for each in (2 - 4 * share, 4 * share - 2))
    left, right = figures.exchange_curves({"grad_cam": falls}, {"grad_cam": rises}, "dimer", "zener").axes
    assert left.get_legend().get_texts()[0].get_text() == "grad cam, mean 0.0"
    assert left.get_ylabel() == "log odds, dimer : zener"
    assert right.lines[0].get_ydata().tolist() == [-2, -1, 0, 1, 2]


def test_a_traversal_has_a_row_for_each_latent_and_the_colours_of_all() -> None:
    shells = Measurement(QShells([0.0, 1.0, 2.0, 3.0]), torch.linspace(0, 9, 5).double(), 1.0)
    valid = torch.ones(3, 4, dtype=torch.bool)
    valid[0, 2:] = False
    made = torch.arange(2 * 5 * 12.0).double().reshape(2, 5, 3, 4)
    figure = figures.traversal_sheet(made, (-2, -1, 0, 1, 2), ("latent 3: K1xx", "latent 7: K1xy"), shells, valid)
    *panels, bar = figure.axes
    assert len(panels) == 10
    assert panels[5].get_ylabel() == "latent 7: K1xy\nE (meV)"
    assert [axes.get_title() or axes.get_title(loc="left") for axes in panels[:2]] == ["-2 sd", "-1 sd"]
    assert len({axes.collections[0].norm for axes in panels}) == 1
    assert np.ma.count_masked(np.ma.masked_invalid(drawn(panels[0]))) == 2
    assert bar.get_ylabel() == "level (arb. units)"
