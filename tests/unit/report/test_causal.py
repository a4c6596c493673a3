"""Figures and words of a causal map: regions where they are, arrows as they were found, on maps, slices and points."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from sqwirrel.explain.causal.causal_map import causal_map
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.report.causal.graph import graph
from sqwirrel.report.causal.inverse import inverse_maps, inverse_matrix
from sqwirrel.report.causal.regions import NONE, colours, region_map
from sqwirrel.report.causal.told import WORDING, Told, cause_table, extent, placed, region_table
from sqwirrel.report.causal.zoom import shade, zoom_map
from sqwirrel.report.pages import causal as page
from sqwirrel.spectra import Measurement, QGrid, QPath, QPoints, QShells

CHAIN = library.load("fm_chain")
PRIOR = Prior.from_mapping(
    {"background": {"uniform": [1, 4]}, "J": {"uniform": [-1.5, -0.8]}, "scale": 60.0, "fwhm": 0.4}
)
ENERGY = np.linspace(0.5, 5, 19)


def path() -> Measurement:
    q = torch.zeros(9, 3).double()
    q[:, 0] = torch.linspace(0.1, 0.9, 9)
    return Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), ENERGY, 5.0)


def slices() -> Measurement:
    edges = [np.linspace(0.05, 0.95, 10), np.linspace(0, 1, 4), [-0.1, 0.1]]
    return Measurement(QGrid(CHAIN.lattice, torch.eye(3), edges), ENERGY, 5.0)


def points() -> Measurement:
    energy = np.linspace(0.6, 4.8, 15)
    q = QPoints(CHAIN.lattice, [[0.5, 0, 0]] * 15)
    return Measurement(q, np.stack([energy, energy], 1), 5.0)


def told_of(measurement: Measurement, width: float = 0.3) -> Told:
    experiment = Experiment(CHAIN, measurement, Instrument(counting=Poisson()), samples=2)
    truth = experiment.pack(J=-1.1, fwhm=0.4, scale=60.0, background=2.0)
    spectrum = experiment.sample(truth, seed=3).exclude(0.5, 0.8)
    system = Spectra.of(experiment, PRIOR, spectrum)
    found = causal_map(system, 16, width=width, least=0.03)
    return Told(
        title="A chain",
        found=found,
        spectra={"": spectrum},
        of=system.maps(found.regions.of),
        models=("J",),
        units=experiment.units,
        about="Moved.",
        settings={"pairs": 16},
        tests="All of them passed.",
        passed=True,
        record=Record.start(),
    )


@pytest.fixture(scope="module")
def told() -> Told:
    return told_of(path())


def test_every_bin_has_the_colour_of_its_region_and_every_region_its_number(told: Told) -> None:
    data, regions = region_map(told, "").axes
    mesh, of = regions.collections[0], told.of[""].numpy()
    shown, shades = mesh.get_array(), colours(told)
    np.testing.assert_array_equal(shown.filled(-1).T, of)
    assert [to_hex(mesh.cmap(mesh.norm(k))) for k in range(len(shades))] == shades
    assert sorted(int(text.get_text()) for text in regions.texts) == list(range(1, len(told.regions) + 1))
    for text in regions.texts:
        x, y = text.get_position()
        column = int(np.searchsorted(data.collections[0].get_coordinates()[0, :, 0], x)) - 1
        row = int(np.searchsorted(ENERGY, y)) - 1
        assert of[column, row] == int(text.get_text()) - 1
    lines = regions.collections[1].get_segments()
    assert len(lines) == sum(
        int(((a != b) & (a >= 0) & (b >= 0)).sum()) for a, b in ((of[1:], of[:-1]), (of[:, 1:], of[:, :-1]))
    )


def test_colours_are_of_parents_of_the_model(told: Told) -> None:
    shades = colours(told)
    assert {told.movers(k) for k in range(len(shades))} == {(), ("J",)}
    assert all((shade == NONE) == (told.movers(k) == ()) for k, shade in enumerate(shades))
    legend = region_map(told, "").legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["J", "none of the model", "not measured"]


def test_slices_and_points_show_regions_too() -> None:
    tiled = told_of(slices())
    figure = region_map(tiled, "")
    shown = [axes.collections[0].get_array().filled(-1) for axes in figure.axes if axes.get_visible()]
    of = tiled.of[""].reshape(9, 3, 18).permute(2, 1, 0).numpy()
    energies = np.unique(np.linspace(2, 17, 12).round().astype(int))
    assert len(shown) == 12  # of the 16 energies that were measured
    for k, tile in zip(energies, shown, strict=True):
        np.testing.assert_array_equal(tile, of[k])
    numbers = {int(text.get_text()) - 1 for axes in figure.axes for text in axes.texts}
    assert numbers == set(np.unique(of[energies]).tolist())
    assert inverse_maps(tiled, "") is None
    scan = told_of(points())
    (axes,) = region_map(scan, "").axes
    heights = axes.collections[1].get_offsets()[:, 1]
    spectrum = scan.spectra[""]
    np.testing.assert_allclose(heights, spectrum.intensity[spectrum.valid])
    assert {text.get_text() for text in axes.texts} == {str(k + 1) for k in range(len(scan.regions))}
    assert inverse_maps(scan, "") is None


def test_the_graph_has_an_arrow_for_each_that_is_not_absent(told: Told) -> None:
    axes = graph(told).axes[0]
    arrows = [line for line in axes.lines if len(line.get_xdata()) > 1]
    state = told.found.edges.state
    assert len(arrows) == int((state >= 0).sum()) == told.found.graph.number_of_edges()
    assert sum(line.get_linestyle() == "-" for line in arrows) == int((state > 0).sum())
    words = [text.get_text().split()[0].rstrip(",") for text in axes.texts]
    assert set(words) >= set(nx.get_node_attributes(told.found.graph, "bins")) - set(nx.isolates(told.found.graph))


def test_the_tree_has_every_region_and_its_map_the_colours_of_few(told: Told) -> None:
    few = replace(told, zooms=(2, 99))
    count = len(told.regions)
    assert few.counts == (2, count)
    assert told.counts == tuple(dict.fromkeys((min(4, count), min(12, count))))
    first = told.found.coarse(2).of.tolist()
    tree, two, every = zoom_map(few, "").axes
    assert len(tree.collections[0].get_segments()) == count - 1
    leaves = [label.get_text().split() for label in tree.get_yticklabels()]
    assert {name: tuple(movers) for name, *movers in leaves} == {
        name: told.movers(k) or ("-",) for k, name in enumerate(told.regions)
    }
    for axes, most in ((two, 2), (every, count)):
        of = few.coarse("", most).numpy()
        mesh = axes.collections[0]
        np.testing.assert_array_equal(mesh.get_array().filled(-1).T, of)
        for k, region in enumerate(told.found.coarse(most).of.tolist()):
            assert to_hex(mesh.cmap(mesh.norm(region))) == shade(first[k])
    assert len({shade(one) for one in first}) == 2
    said = few.mapping()["zoom"]
    assert [len(each) for each in said["maps"]] == [2, count]
    assert {name for each in said["maps"][0] for name in each["regions"]} == set(told.regions)
    assert sum(each["bins"] for each in said["maps"][0]) == int(told.found.regions.sizes.sum())


def test_trees_of_slices_points_and_single_regions() -> None:
    told = told_of(slices())
    assert len(zoom_map(told, "").axes) == 1 + len(told.counts)
    assert len(zoom_map(told_of(points()), "").axes) == 1
    assert len(zoom_map(replace(told, zooms=(1,)), "").axes[0].lines) == 0
    assert zoom_map(told_of(path(), width=1e-6), "") is None


def test_the_inverse_map_is_of_the_factors(told: Told) -> None:
    without, alone = inverse_matrix(told).axes
    shown = without.images[0].get_array()
    order = [told.found.names.index(name) for name in ("J", "background")]
    np.testing.assert_allclose(shown, told.found.inverse.inflation[:, order].clamp(min=1))
    assert [tick.get_text() for tick in alone.get_xticklabels()] == ["J", "background"]
    panel = inverse_maps(told, "").axes[0]
    factor = told.found.inverse.inflation[:, told.found.names.index("J")]
    of = told.of[""]
    painted = panel.collections[0].get_array()
    np.testing.assert_allclose(painted.compressed(), factor[of].numpy().T[~np.ma.getmaskarray(painted)])


def test_words_and_tables(told: Told) -> None:
    heads, rows = region_table(told)
    assert heads[-1].startswith("parents")
    assert [row[0] for row in rows] == list(told.regions)
    assert cause_table(told)[1][0][0] == "J"
    text = page.html(told)
    assert WORDING in text
    assert "All of them passed." in text
    assert text.count("<figure>") == 5
    shells = Measurement(QShells(torch.linspace(0.5, 2, 4)), torch.linspace(1, 4, 4), 5.0)
    mask = torch.zeros(3, 3, dtype=torch.bool)
    mask[1, :2] = True
    assert extent(shells, mask) == {"energy": [1.0, 3.0], "Q": [1.0, 1.5]}
    assert placed(extent(shells, mask)) == ("1 to 1.5 Å⁻¹", "1 to 3 meV")
    rows = torch.zeros(27, 18, dtype=torch.bool)
    rows[3 * 2 + 1, 0] = True
    assert extent(slices(), rows)["q"] == {"h": pytest.approx([0.25, 0.35]), "k": pytest.approx([1 / 3, 2 / 3])}
    assert placed(extent(path(), torch.ones(9, 18, dtype=torch.bool)))[0] == "h 0.1 to 0.9, k 0, l 0"
