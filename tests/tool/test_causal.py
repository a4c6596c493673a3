"""The verb that intervenes: maps of configs and of answers, what they leave, how they go on, what is refused."""

import json
from pathlib import Path

import networkx as nx
import pytest
import torch

from sqwirrel.report.causal.told import WORDING
from sqwirrel.spectra import read

CONFIG = """
model = "fm_chain"
[measurement]
temperature = 5
energy = { start = 0.5, stop = 5.0, bins = 30 }
path = { corners = [[0.1, 0, 0], [0.9, 0, 0]], points = 9, width = [0.02, 0, 0] }
[instrument]
samples = 4
counting = { kind = "poisson" }
[prior]
J = { uniform = [-2, -0.5] }
fwhm = 0.3
scale = { loguniform = [20, 200] }
background = { uniform = [0.5, 4.0] }
[simulate]
parameters = { J = "-1.1 meV", fwhm = 0.3, scale = 60.0, background = 2.0 }
"""
LEFT = {
    "causal.json",
    "causal.graphml",
    "causal.html",
    "config.toml",
    "graph.png",
    "inverse.png",
    "inverse-maps.png",
    "regions.h5",
    "regions.png",
    "zoom.png",
}


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    (tmp_path / "c.toml").write_text(CONFIG)
    return tmp_path


def told(folder: Path) -> dict:
    return json.loads((folder / "causal.json").read_text())


def test_the_map_of_a_config_says_the_same_everywhere(run, chain) -> None:
    result = run("causal", "c.toml", "--set", "causal.pairs=16")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "page: c-causes/causal.html"
    assert WORDING in result.stdout
    folder = chain / "c-causes"
    assert {path.name for path in folder.iterdir()} == LEFT
    found, graph = told(folder), nx.read_graphml(folder / "causal.graphml")
    assert [cause["name"] for cause in found["causes"]] == ["J", "scale", "background"]
    low, high = found["causes"][0]["between"]
    assert (low, high) == pytest.approx((-1.25 - 0.15 * 1.5, -1.25 + 0.15 * 1.5))
    arrows = {(e["cause"], e["region"]): e["effect"] for e in found["edges"] if e["state"] != "absent"}
    assert arrows == {(a, b): data["effect"] for a, b, data in graph.edges(data=True)}
    assert ("J", "R1") in arrows or ("J", "R2") in arrows
    number = read(folder / "regions.h5")
    sizes = torch.bincount(number.intensity[number.valid].long())[1:].tolist()
    assert sizes == [region["bins"] for region in found["regions"]]
    for region in found["regions"]:
        assert region["name"] in result.stdout
    page = (folder / "causal.html").read_text()
    assert WORDING in page
    assert "http" not in page.replace("https://doi.org", "").replace("http://www.w3.org", "")
    assert "none of these tests was made" in page


def test_a_map_with_few_regions(run, chain) -> None:
    result = run("causal", "c.toml", "--set", "causal.pairs=16", "--set", "causal.zoom=2")
    assert result.exit_code == 0, result.output
    folder = chain / "c-causes"
    assert {path.name for path in folder.iterdir()} == LEFT | {"zoom.h5"}
    number, whole = read(folder / "zoom.h5"), read(folder / "regions.h5").intensity
    assert number.intensity[number.valid].unique().tolist() == [1, 2]
    (few,) = told(folder)["zoom"]["maps"]
    for k, each in enumerate(few, 1):
        assert each["bins"] == int((number.intensity[number.valid] == k).sum())
        assert {f"R{int(one)}" for one in whole[number.intensity == k].unique()} == set(each["regions"])
    run("causal", "c.toml", "--set", "causal.pairs=16")
    assert {path.name for path in folder.iterdir()} == LEFT


def test_the_mode_and_not_the_empty_bins_answers_to_the_exchange(run, chain) -> None:
    """The mode is at 4 |J| S sin(pi h)^2: below 0.6 meV at h = 0.1, where J moves nothing above 4 meV; near 5 at 0.5."""
    result = run("causal", "c.toml", "--set", "causal.pairs=64", "--out", "d", "--json")
    number, found = read(chain / "d" / "regions.h5"), told(chain / "d")
    assert json.loads(result.stdout) == found
    parents = [set(region["parents"]) for region in found["regions"]]
    top = {int(number.intensity[0, k]) - 1 for k in range(26, 30)}
    assert all("J" not in parents[k] for k in top)
    assert "J" in parents[int(number.intensity[4, 24]) - 1]


def test_the_map_of_an_answer_is_about_it(run, configs) -> None:
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0
    assert run("infer", "chain.toml").exit_code in {0, 1}
    result = run("causal", "chain", "--set", "causal.pairs=16", "--set", "causal.times=10")
    assert result.exit_code == 0, result.output
    folder = configs[1].parent / "chain"
    found, report = told(folder / "causes"), json.loads((folder / "report.json").read_text())
    sd = {row["name"]: row["limit"] for row in report["parameters"]}
    cause = found["causes"][0]
    assert cause["middle"] == report["basins"][0]["parameters"]["J"]
    assert cause["between"][1] - cause["between"][0] == pytest.approx(20 * sd["J"], rel=0.05)
    assert 1 <= found["settings"]["excess"] < 1.2
    assert found["settings"]["about"] == "posterior"
    (configs[1].parent / "measured").rename(configs[1].parent / "gone")  # the answer holds its data
    wide = run("causal", "chain", "--set", "causal.pairs=16", "--set", "causal.about=prior", "--out", "wide")
    assert "about the middle of the prior, over 30 % of it" in wide.stdout


def test_what_else_is_asked_of_an_answer(run, refused, configs) -> None:
    """The chain of the truth is that of the fit: nothing speaks against it; 4 |J| S is its band top, S = 1."""
    run("simulate", "truth.toml", "--out", "measured")
    run("infer", "chain.toml")
    folder = configs[1].parent / "chain"
    options = ("causal.pairs=16", "causal.paths=true", "causal.do.J=-0.8")
    result = run("causal", "chain", *(word for option in options for word in ("--set", option)))
    assert result.exit_code == 0, result.output
    found = told(folder / "causes")
    against = found["objections"]
    assert [part["cut_along"] for part in against["parts"]] == ["energy", "energy", "momentum", "momentum"]
    assert not against["broken"]
    assert not against["asked"]
    assert {"energy_offset", "background_slope"} <= {each["name"] for each in against["candidates"]}
    readings = {each["reading"]: each for each in found["readings"] if each["cause"] == "J"}
    assert readings["gap at (0, 0, 0)"]["is_zero"]
    assert readings["band top"]["slope"]["value"] == pytest.approx(-4)
    assert readings["band top"]["log_slope"]["value"] == pytest.approx(1)
    (fitted,) = (each for each in found["reading_values"] if each["reading"] == "band top")
    cause = next(each for each in found["causes"] if each["name"] == "J")
    assert fitted["value"] == pytest.approx(-4 * cause["middle"])
    assert fitted["slopes"] == pytest.approx({"J": -4})
    assert fitted["error"] == pytest.approx(4 * cause["sigma"], rel=0.3)
    through = found["paths"]["J"]
    effect = {e["region"]: e["effect"] for e in found["edges"] if e["cause"] == "J"}
    k = max(range(len(found["regions"])), key=lambda k: effect[f"R{k + 1}"])
    shares = through["regions"][f"R{k + 1}"]
    assert shares["energies"]["value"] > 0.8 > shares["intensities"]["value"]
    assert found["counterfactual"] == {"do": "do(J = -0.8)", "stable": 1.0}
    assert read(folder / "causes" / "do.h5").translated == "do(J = -0.8)"
    assert {"do.png", "paths.png"} <= {path.name for path in (folder / "causes").iterdir()}
    assert "do(J = -0.8)" in (folder / "causes" / "causal.html").read_text()
    assert refused("causal", "chain", "--set", "causal.do.K=1").startswith("[causal] do: 'K' is none of J, ")
    assert refused("causal", "chain", "--set", "causal.do.scale=-5").startswith(
        "[causal] do.scale = -5 is outside of the prior of this nuisance"
    )
    assert refused("causal", "chain", "--set", "causal.about=prior", "--set", "causal.times=3") == (
        "[causal] times is about an answer, and about = 'prior' is not; leave one of them out"
    )
    assert refused("causal", "chain.toml", "--set", "causal.do.J=-1") == (
        "[causal] do needs an answer to a measured spectrum, and 'chain.toml' is a config: run sqwirrel infer, and give "
        "the folder that it leaves"
    )


def test_an_interrupted_map_goes_on(run, chain, monkeypatch) -> None:
    run("causal", "c.toml", "--set", "causal.pairs=16", "--out", "whole")
    made = []

    def stopping(*args):
        if len(made) == 9:
            raise KeyboardInterrupt
        made.append(1)
        return one(*args)

    from sqwirrel.explain.causal import design

    one = design._one
    with monkeypatch.context() as patch:
        patch.setattr(design, "_one", stopping)
        result = run("causal", "c.toml", "--set", "causal.pairs=16", "--out", "part")
    assert result.exit_code == 130
    assert "finished and kept in part: interventions; run the same again to go on" in result.stderr
    monkeypatch.setattr(design, "_one", lambda *args: (made.append(1), one(*args))[1])
    assert run("causal", "c.toml", "--set", "causal.pairs=16", "--out", "part").exit_code == 0
    assert len(made) == 16
    first, second = (told(chain / name) for name in ("whole", "part"))
    assert first["edges"] == second["edges"]
    assert not (chain / "part" / "interventions").exists()


def test_a_map_without_a_free_parameter_of_the_model(run, chain) -> None:
    (chain / "n.toml").write_text(CONFIG.replace("J = { uniform = [-2, -0.5] }", "J = -1.1"))
    result = run("causal", "n.toml", "--set", "causal.pairs=16")
    assert result.exit_code == 0, result.output
    assert [cause["name"] for cause in told(chain / "n-causes")["causes"]] == ["scale", "background"]
    assert 'class="verdict failed"' in (chain / "n-causes" / "causal.html").read_text()  # nothing was tested


def test_the_gap_is_that_of_the_field(run, chain) -> None:
    """g mu_B B of a ferromagnet, g = 2, 8 T."""
    (chain / "f.toml").write_text(CONFIG.replace("temperature = 5", "temperature = 5\nfield = [0, 0, 8]"))
    result = run(
        "causal", "f.toml", "--set", "causal.pairs=16", "--set", 'causal.readings=[{kind="boundary", q=[0,0,0]}]'
    )
    assert result.exit_code == 0, result.output
    (reading,) = told(chain / "f-causes")["readings"]
    assert reading["is_zero"]  # whatever J is
    refused = told(chain / "f-causes")["not_asked"]
    assert refused == []


def test_what_an_earlier_map_left_goes(run, chain) -> None:
    run("causal", "c.toml", "--set", "causal.pairs=16", "--set", "causal.paths=true")
    folder = chain / "c-causes"
    assert (folder / "paths.png").exists()
    (folder / "mine.txt").touch()
    run("causal", "c.toml", "--set", "causal.pairs=16")
    assert {path.name for path in folder.iterdir()} == LEFT | {"mine.txt"}


@pytest.mark.usefixtures("chain")
def test_wrong_maps_are_refused(refused, chain) -> None:
    assert refused("causal", "c.toml", "--set", "causal.pairs=50") == (
        "50 pairs of interventions; use a power of two, 16 or more: 64 for a look, 256 to publish"
    )
    assert refused("causal", "c.toml", "--set", "causal.about=posterior") == (
        "[causal] about = 'posterior' needs an answer, and 'c.toml' is a config: run sqwirrel infer, and give the folder "
        "that it leaves"
    )
    assert refused("causal", "c.toml", "--set", "causal.width=2") == (
        "c.toml: [causal] width = 2: input should be less than or equal to 1"
    )
    assert refused("causal", "c.toml", "--set", "causal.pair=16").startswith(
        "c.toml: [causal] has the unknown key 'pair'; known are about, pairs, width, times, least, zoom, seed, paths, readings, do"
    )
    (chain / "empty").mkdir()
    assert refused("causal", "empty") == (
        "'empty' holds no posterior.h5; give a folder that sqwirrel infer has left, or a config"
    )
    assert refused("causal", "empty", "--out", "empty") == (
        "--out 'empty' is the folder of the answer itself; choose another, like 'empty/causes'"
    )
    (chain / "answer").mkdir()
    (chain / "answer" / "posterior.h5").touch()
    assert refused("causal", "answer", "--set", "infer.seed=2").startswith(
        "--set infer.seed=2: of an answer only keys of [causal] can be set"
    )


def test_the_measured_powder_of_mnf2(run, measured, tmp_path) -> None:
    """Few bins: where the band ends, J2 alone moves more than the other exchanges do together."""
    file = measured("mnf2/mnf2_powder.mat")
    (tmp_path / "m.toml").write_text(MNF2.format(file=file))
    result = run("causal", "m.toml")
    assert result.exit_code == 0, result.output
    found = told(tmp_path / "m-causes")
    effect = {(e["cause"], e["region"]): e["effect"] for e in found["edges"]}
    (top,) = {e["region"] for e in found["edges"] if e["effect"] == max(effect.values())}
    assert max(["J1", "J2", "J3"], key=lambda name: effect[name, top]) == "J2"


MNF2 = """
model = "mnf2"
[measurement]
file = "{file}"
temperature = 5
incident_energy = 20
energy = [2.0, 10.0]
rebin = {{ q = 12, energy = 4 }}
[prior]
J1 = {{ uniform = [-0.2, 0.1] }}
J2 = {{ uniform = [0.2, 0.4] }}
J3 = {{ uniform = [-0.05, 0.05] }}
D = -0.05
fwhm = 0.6
fwhm_q = 0.05
[instrument]
samples = 16
[causal]
pairs = 16
"""
