"""A powder map, a table of peaks and bulk numbers in one config: one answer and one causal map."""

import json

import networkx as nx
import pytest
import torch

from sqwirrel.infer import store
from sqwirrel.model import library
from sqwirrel.observe import PeakExperiment
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.spectra import Peaks, write_peaks
from sqwirrel.spectra.bulk import Bulk, BulkNumber

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it

MAP = """
model = "fm_chain"
[measurement]
temperature = 3
energy = { start = 0.6, stop = 5.0, bins = 24 }
shells = { start = 0.4, stop = 1.6, bins = 8 }
[instrument]
samples = 16
cell = 0.15
counting = { kind = "poisson" }
[simulate]
parameters = { J = -1.0, fwhm = 0.4, fwhm_q = 0.05, scale = 3.0, background = 0.5 }
"""
ALL = """
model = "fm_chain"
[prior]
J = { uniform = [-2.0, -0.5] }
fwhm_q_map = 0.05
[measurements.map]
file = "map/spectrum.h5"
[measurements.tas]
kind = "peaks"
file = "tas.csv"
temperature = 4
[measurements.bulk]
kind = "bulk"
curie_weiss = { value = 15.5, error = 0.4 }
specific_heat = [{ temperature = "10 K", value = 5.1, error = 0.3 }, { temperature = 15, value = 6.6, error = 0.3 }]
[instrument]
samples = 16
cell = 0.15
counting = { kind = "poisson" }
[infer]
screen = 64
starts = 2
draws = 200
"""


@pytest.fixture
def config(run, tmp_path):
    """The config, its data beside it."""
    (tmp_path / "map.toml").write_text(MAP)
    assert run("simulate", "map.toml").exit_code == 0
    chain = library.load("fm_chain")
    where = PeakExperiment(chain, Peaks(chain.lattice, [[0.1 * k, 0, 0] for k in range(1, 4)], [3.0] * 3, [0.05] * 3))
    write_peaks(tmp_path / "tas.csv", where.sample(where.pack(J=-1.0, outliers=1e-9), 3))
    (tmp_path / "all.toml").write_text(ALL)
    return tmp_path / "all.toml"


@pytest.fixture
def answered(run, config):
    """The folder of the answer."""
    result = run("infer", "all.toml", "--json")
    assert result.exit_code in {0, 1}, result.output
    return config.with_suffix("")


def test_the_numbers_are_true_ones_of_the_model():
    """What the config calls measured is what a chain with J = -1 has, within the errors."""
    chain = library.load("fm_chain")
    numbers = (
        BulkNumber("curie_weiss", 15.5, 0.4),
        BulkNumber("specific_heat", 5.1, 0.3, 10.0),
        BulkNumber("specific_heat", 6.6, 0.3, 15.0),
    )
    bulk = Bulk(numbers)
    value = BulkExperiment(chain, bulk).predict(chain.pack(J=-1.0)).value[0]
    assert bool(((value - bulk.value).abs() < 2 * bulk.error).all()), value


def test_one_answer_from_all(answered, run):
    posterior = store.load(answered / "posterior.h5")
    said = json.loads((answered / "report.json").read_text())
    assert abs(float(posterior.median[posterior.names.index("J")]) + 1) < 0.05
    assert [each["name"] for each in said["measured"]] == ["map", "tas", "bulk"]
    numbers = said["measured"][2]["numbers"]
    assert [each["name"] for each in numbers] == [
        "Curie-Weiss temperature",
        "specific heat at 10 K",
        "specific heat at 15 K",
    ]
    assert numbers[0]["model"] == pytest.approx(15.5, abs=1)
    checks = {each["name"]: each for each in said["checks"]}
    assert checks["bulk_described_bulk"]["passed"]
    assert checks["bulk_mesh_bulk"]["passed"]
    html = (answered / "report.html").read_text()
    assert "Bulk numbers" in html
    assert "specific heat at 10 K (J/mol/K)" in html
    again = run("report", "all")  # from what the folder holds
    assert again.exit_code == 0, again.output


def test_one_map_of_all(answered, run):
    result = run("causal", "all", "--out", "causes", "--set", "causal.pairs=16")
    assert result.exit_code == 0, result.output
    folder = answered.parent / "causes"
    said = json.loads((folder / "causal.json").read_text())
    single = {k: each for each in said["regions"] for k in each["places"] if k in {"tas", "bulk"}}
    assert {"tas", "bulk"} == set(single)
    alone = [each for each in said["regions"] if "map" not in each["places"]]
    assert len(alone) == 6
    assert all(each["bins"] == 1 for each in alone)
    words = [place["what"] for each in alone for place in each["places"].values()]
    assert "Curie-Weiss temperature" in words
    assert sum(word.startswith("peak at ") for word in words) == 3
    edges = {(edge["cause"], edge["region"]): edge["state"] for edge in said["edges"]}
    for each in alone:  # nuisances of the map move no peak and no number
        assert edges["scale_map", each["name"]] == "absent"
        assert edges["background_map", each["name"]] == "absent"
    graph = nx.read_graphml(folder / "causal.graphml")
    assert list(nx.get_node_attributes(graph, "kind").values()).count("single") == 6
    html = (folder / "causal.html").read_text()
    assert "Curie-Weiss temperature" in html
    assert (folder / "regions-map.png").is_file()
    assert not (folder / "regions-bulk.png").exists()


def test_bulk_numbers_alone(run, tmp_path):
    """No spectrum at all; the Curie-Weiss temperature of one coupling is a straight line, so the answer is known."""
    (tmp_path / "b.toml").write_text(
        'model = "fm_chain"\n[prior]\nJ = { uniform = [-3.0, 0.0] }\n[measurements.squid]\nkind = "bulk"\n'
        "curie_weiss = { value = 15.5, error = 0.5 }\n[infer]\nscreen = 16\nstarts = 1\ndraws = 400\n"
    )
    assert run("infer", "b.toml").exit_code == 0
    posterior = store.load(tmp_path / "b" / "posterior.h5")
    slope = 15.4727 / 1.0  # K / meV: 2 S (S + 1) z / 3 k of two neighbours
    assert float(posterior.median[0]) == pytest.approx(-15.5 / slope, abs=0.01)
    assert float(posterior.covariance[0, 0].sqrt()) == pytest.approx(0.5 / slope, rel=0.15)
    result = run("causal", "b", "--out", "why", "--set", "causal.pairs=16")
    assert result.exit_code == 0, result.output
    (region,) = json.loads((tmp_path / "why" / "causal.json").read_text())["regions"]
    assert region["places"] == {"squid": {"bins": 1, "what": "Curie-Weiss temperature"}}
    assert torch.tensor(list(region["sigma_alone"].values())).isfinite().all()
