"""The verb that says where to measure next: candidates of a config, answers of infer, a file, a picture."""

import json
from pathlib import Path

import pytest

CANDIDATES = """
[advise]
result = "chain"
path = { corners = [[0.1, 0, 0], [0.5, 0, 0]], points = 5 }
energy = { start = 0.5, stop = 5.0, bins = 9 }
minutes = 2
pick = 3
draws = 32
motion = { q = 1, energy = 2, settle = 0.5, start = [0.1, 0, 0, 1] }
"""


@pytest.fixture
def inferred(run, configs) -> Path:
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0
    assert run("infer", "chain.toml").exit_code in {0, 1}
    config = configs[1]
    config.write_text(config.read_text() + CANDIDATES)
    return config.parent


def test_advice_is_printed_kept_and_drawn(run, inferred) -> None:
    result = run("advise", "chain.toml")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["errors", "now", "J"]
    assert lines[0].endswith(" meV")
    assert len(lines) == 1 + 3 + 1
    assert lines[-1] == "picture: chain-advice/advice.png"
    folder = inferred / "chain-advice"
    assert {path.name for path in folder.iterdir()} == {"advice.json", "advice.png", "config.toml", "record.json"}
    assert (folder / "advice.png").read_bytes().startswith(b"\x89PNG")
    said = json.loads((folder / "advice.json").read_text())
    assert said["wanted"] == ["J"]
    sds = [said["before"]["J"], *(pick["sd"]["J"] for pick in said["picks"])]
    assert sds == sorted(sds, reverse=True)
    assert said["picks"][-1]["spent"] == pytest.approx(sum(pick["minutes"] for pick in said["picks"]))
    assert len(said["gain"]["q"]) == len(said["gain"]["values"]) == 5
    assert {len(row) for row in said["gain"]["values"]} == {len(said["gain"]["energy"])} == {9}


@pytest.mark.usefixtures("inferred")
def test_the_kept_config_gives_the_same_advice(run) -> None:
    first = run("advise", "chain.toml").stdout.splitlines()[:-1]
    assert run("advise", "chain-advice/config.toml", "--out", "again").stdout.splitlines()[:-1] == first


@pytest.mark.usefixtures("inferred")
def test_ten_times_the_counts_shrink_more(run, inferred) -> None:
    sd = []
    for factor in (1, 10):
        assert run("advise", "chain.toml", "--set", f"advise.factor={factor}").exit_code == 0
        said = json.loads((inferred / "chain-advice/advice.json").read_text())
        sd.append(said["picks"][0]["sd"]["J"] / said["before"]["J"])
    assert sd[1] < sd[0] < 1


def test_rivals_are_told_apart_where_they_differ(run, inferred) -> None:
    """The other answer has J held at -1.2 meV: it expects the mode 10 % higher, 4.8 in place of 4.4 meV at h = 1/2."""
    rival = run("infer", "chain.toml", "--out", "other", "--set", "prior.J=-1.2")
    assert rival.exit_code in {0, 1}, rival.output
    points = ("--set", "advise.path.points=1", "--set", "advise.points=[[0.1, 0, 0], [0.5, 0, 0]]")
    text = (inferred / "chain.toml").read_text()
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("path ="))
    (inferred / "chain.toml").write_text(kept + "\n[advise.rivals]\nheld = 'other'\n")
    result = run("advise", "chain.toml", *points[2:], "--set", "advise.energy={start=3.9,stop=5.4,bins=15}")
    assert result.exit_code == 0, result.output
    picks = json.loads((inferred / "chain-advice/advice.json").read_text())["picks"]
    assert picks[0]["q"] == [0.5, 0.0, 0.0]
    assert 4.2 < picks[0]["energy"] < 5.0
    assert set(picks[0]["counts"]) == {"fm_chain", "held"}
    assert picks[-1]["bayes_factor"] > 2
    assert "Bayes factor" in result.stdout


def test_planes_of_wavevectors_are_candidates(run, inferred) -> None:
    text = (inferred / "chain.toml").read_text()
    plane = "plane = { sides = [[0.5, 0, 0], [0, 1, 0]], counts = [3, 2] }"
    (inferred / "chain.toml").write_text(
        "\n".join(
            plane if line.startswith("path = { corners = [[0.1, 0, 0], [0.5") else line for line in text.splitlines()
        )
    )
    assert run("advise", "chain.toml").exit_code == 0
    q = json.loads((inferred / "chain-advice/advice.json").read_text())["gain"]["q"]
    assert q == [[0, 0, 0], [0, 1, 0], [0.25, 0, 0], [0.25, 1, 0], [0.5, 0, 0], [0.5, 1, 0]]


def test_wrong_wishes_are_one_sentence(refused, inferred) -> None:
    assert "holds no config.toml" in refused("advise", "chain.toml", "--set", "advise.result=nowhere")
    assert "one of path, points and plane" in refused("advise", "chain.toml", "--set", "advise.points=[[0, 0, 0]]")
    assert "nothing about 'J2'" in refused("advise", "chain.toml", "--set", "advise.wanted=['J2']")
    assert "lacks [advise]" in refused("advise", "truth.toml")
    both = ("--set", "advise.wanted=['J']", "--set", "advise.rivals.other='chain'")
    assert "give one of them" in refused("advise", "chain.toml", *both)
    same = ("--set", "advise.rivals.fm_chain='chain'")
    assert "choose another name" in refused("advise", "chain.toml", *same)
    assert not (inferred / "chain-advice").exists()


def test_places_that_no_neutron_is_scattered_to_are_left_out(run, inferred) -> None:
    """Of 5.2 meV, k_i is 1.58 1/angstrom: at 4.75 meV |Q| is 1.1 at least; at 0.5 |Q| is small."""
    assert run("infer", "chain.toml", "--out", "chain", "--set", "measurement.incident_energy=5.2").exit_code in {0, 1}
    result = run("advise", "chain.toml")
    assert result.exit_code == 0, result.output
    gain = json.loads((inferred / "chain-advice/advice.json").read_text())["gain"]["values"]
    assert gain[0][-1] == 0
    assert max(map(max, gain)) > 0
    far = run("advise", "chain.toml", "--set", "advise.path.corners=[[5, 0, 0], [6, 0, 0]]")
    assert far.exit_code == 2
    assert "no candidate is within reach of neutrons of 5.2 meV" in far.output


def test_advice_that_helps_nothing_says_so(run, inferred) -> None:
    """Far above the band there is nothing to count; two answers that are the same have nothing to tell apart."""
    dark = run("advise", "chain.toml", "--set", "advise.energy={start=40,stop=50,bins=3}")
    assert "no candidate helps" in dark.stdout
    text = (inferred / "chain.toml").read_text()
    (inferred / "chain.toml").write_text(text + "\n[advise.rivals]\nsame = 'chain'\n")
    same = run("advise", "chain.toml")
    assert same.exit_code == 0, same.output
    assert "no single candidate tells the models apart" in same.stdout
    assert "inf" not in same.stdout
