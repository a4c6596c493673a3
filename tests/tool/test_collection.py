"""The verb for tables that somebody else made: what it says, what it leaves, and that it says what it cannot know."""

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from sqwirrel.config.verbs.intervening import collecting
from sqwirrel.report.causal.collected.content import UNSEARCHED, WORDING

NAMES = ["radius", "angle", "J", "TN"]
TIERS = ("--tiers", "radius > angle, J > TN")
LEFT = ["collection.graphml", "collection.html", "collection.json", "graph.png"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The radius moves angle and J; the angle, not J, moves TN; one row lacks J."""
    radius, angle, J, TN = np.random.default_rng(3).standard_normal((4, 300))
    angle, J = radius + angle, radius + 0.6 * J
    rows = np.stack((radius, angle, J, 2 * angle + 1.5 * radius + TN), 1)
    lines = [",".join(f"{x:.8g}" for x in row) for row in rows]
    path = tmp_path / "materials.csv"
    path.write_text("\n".join((",".join(NAMES), *lines, "1,2,n/a,3")) + "\n")
    return path


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "is_installed", lambda: False)


def edges(folder: Path) -> dict[tuple[str, str], dict]:
    return {
        (each["cause"], each["effect"]): each for each in json.loads((folder / "collection.json").read_text())["edges"]
    }


@pytest.mark.usefixtures("table", "without")
def test_it_says_the_same_everywhere(run, tmp_path) -> None:
    result = run("collection", "materials.csv", *TIERS)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-2:] == [WORDING, "page: materials-collection/collection.html"]
    assert "300 rows (1 more lack a number): 4 of 5 possible arrows are told, 0 of them fragile." in result.stdout
    assert UNSEARCHED in result.stdout
    folder = tmp_path / "materials-collection"
    assert sorted(path.name for path in folder.iterdir()) == LEFT
    found, graph = edges(folder), nx.read_graphml(folder / "collection.graphml")
    assert {pair for pair, each in found.items() if each["state"] == "told"} == set(graph.edges)
    assert found["J", "TN"]["state"] == "open"
    assert found["angle", "TN"]["interval95"][0] < 2 < found["angle", "TN"]["interval95"][1]
    assert found["angle", "TN"]["adjusted"] == ["radius", "J"]
    assert found["angle", "TN"]["slope"] == graph.edges["angle", "TN"]["slope"]
    assert graph.nodes["J"]["tier"] == 1
    page = (folder / "collection.html").read_text()
    assert WORDING in page
    assert 'class="verdict failed"' in page  # nothing can be tested
    assert "Hidden common causes." in page
    said = json.loads((folder / "collection.json").read_text())
    assert said["wording"] == WORDING
    assert (said["left_out"], said["searches"]) == (1, {})
    assert list(said["record"]["files"]) == ["materials.csv"]
    assert (said["effects"], said["remarks"], said["silent"]) == ([], [], [UNSEARCHED])
    assert any("Cinelli" in paper for paper in said["record"]["papers"])


@pytest.mark.usefixtures("table", "without")
def test_effects_that_are_asked_for_alone(run, tmp_path) -> None:
    result = run("collection", "materials.csv", *TIERS, "--effect", " TN", "--out", "why", "--json")
    assert result.exit_code == 0, result.output
    assert [(each["cause"], each["effect"]) for each in json.loads(result.stdout)["edges"]] == [
        *edges(tmp_path / "why")
    ]
    assert {effect for _, effect in edges(tmp_path / "why")} == {"TN"}
    assert json.loads(result.stdout)["effects"] == ["TN"]


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize("name", ["J, meV > 0", "a$^$", "$\\nosuch$ of all, $T_N$ (K)", "<b>"])
def test_names_are_whatever_others_wrote(run, table, tmp_path, name) -> None:
    """Commas and > in quotes, as in the file; what is mathematics to a program that draws is shown as it is."""
    table.write_text(table.read_text().replace("angle", f'"{name}"'))
    result = run("collection", table, "--tiers", f'radius > "{name}", J > TN', "--effect", "TN", "--out", "why")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "why").iterdir()) == LEFT
    assert edges(tmp_path / "why")[name, "TN"]["state"] == "told"


def stopped(error: BaseException):
    """PC answers, GES ends like this."""

    def searched(_, method):
        if method == "GES":
            raise error
        return (("radius", "J"),)

    return searched


@pytest.mark.usefixtures("table")
def test_a_search_that_fails_takes_nothing_down(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(collecting, "is_installed", lambda: True)
    monkeypatch.setattr(collecting, "searched", stopped(ValueError("the matrix is\nsingular")))
    result = run("collection", "materials.csv", *TIERS, "--out", "why")
    assert result.exit_code == 0, result.output
    assert "GES failed: the matrix is singular.\n" in result.stdout
    said = json.loads((tmp_path / "why/collection.json").read_text())
    assert (list(said["searches"]), said["silent"]) == (["PC"], ["GES failed: the matrix is singular."])


@pytest.mark.usefixtures("table")
def test_what_adjustment_says_outlives_an_interrupted_search(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(collecting, "is_installed", lambda: True)
    monkeypatch.setattr(collecting, "searched", stopped(KeyboardInterrupt()))
    result = run("collection", "materials.csv", *TIERS, "--out", "why")
    assert result.exit_code == 130
    assert f"finished and kept in why: {', '.join(LEFT)}" in result.stderr
    assert len(edges(tmp_path / "why")) == 5
    said = json.loads((tmp_path / "why/collection.json").read_text())
    assert (list(said["searches"]), said["silent"]) == (["PC"], ["GES has not finished."])
    assert "GES has not finished." in (tmp_path / "why/collection.html").read_text()


@pytest.mark.usefixtures("table")
def test_searches_are_left_out_and_an_earlier_answer_is_replaced_with_a_word(run, monkeypatch, caplog) -> None:
    monkeypatch.setattr(collecting, "is_installed", lambda: True)
    monkeypatch.setattr(collecting, "searched", stopped(AssertionError("asked")))
    for _ in range(2):
        result = run("collection", "materials.csv", *TIERS, "--no-search")
        assert result.exit_code == 0, result.output
        assert "\nPC and GES were not asked (--no-search).\n" in result.stdout
    assert caplog.messages.count("what 'materials-collection' held of a table is replaced") == 1


@pytest.mark.usefixtures("without")
def test_nothing_is_left_of_what_cannot_be_drawn(run, table, tmp_path, monkeypatch) -> None:
    def draw(_):
        raise ValueError("no such letter")

    monkeypatch.setattr(collecting.page, "html", draw)
    assert run("collection", table, *TIERS, "--out", "why").exit_code == 1
    assert list((tmp_path / "why").iterdir()) == []


@pytest.mark.usefixtures("without")
def test_rows_that_repeat_are_remarked_everywhere(run, table, tmp_path) -> None:
    head, *lines = table.read_text().splitlines()
    table.write_text("\n".join((head, *lines, *lines)))
    result = run("collection", table, *TIERS, "--out", "why")
    remark = "300 of 600 rows repeat another in every column"
    assert remark in result.stdout
    assert remark in (tmp_path / "why/collection.html").read_text()
    assert edges(tmp_path / "why")


@pytest.mark.usefixtures("table")
def test_searches_are_told_beside_and_where_they_differ(run, tmp_path, monkeypatch) -> None:
    """PC has a chain, by which the radius reaches TN; GES has the false arrow of J, and misses that of the angle."""
    pairs = {
        "PC": (("radius", "angle"), ("radius", "J"), ("angle", "TN")),
        "GES": (("radius", "angle"), ("radius", "J"), ("J", "TN")),
    }
    monkeypatch.setattr(collecting, "is_installed", lambda: True)
    monkeypatch.setattr(collecting, "searched", lambda _, method: pairs[method])
    result = run("collection", "materials.csv", *TIERS, "--out", "why")
    assert result.exit_code == 0, result.output
    differing = "GES has no path where an arrow is told: angle → TN; has one where none is told: J → TN."
    assert f"PC agrees on every arrow.\n{differing}\n" in result.stdout
    assert "radius  TN" in result.stdout
    said = json.loads((tmp_path / "why/collection.json").read_text())
    assert said["searches"]["PC"] == {"edges": [list(pair) for pair in pairs["PC"]], "disagrees": []}
    assert said["searches"]["GES"]["disagrees"] == [["angle", "TN"], ["J", "TN"]]
    page = (tmp_path / "why/collection.html").read_text()
    assert differing in page
    assert "<td>path</td>" in page  # from the radius to TN
    assert sum("Chickering" in paper for paper in said["record"]["papers"]) == 1


@pytest.mark.usefixtures("table")
def test_searches_of_causal_learn(run, tmp_path) -> None:
    pytest.importorskip("causallearn", reason="causal-learn is not installed (bench)")
    assert run("collection", "materials.csv", *TIERS, "--out", "why").exit_code == 0
    said = json.loads((tmp_path / "why/collection.json").read_text())["searches"]
    assert [each["disagrees"] for each in said.values()] == [[], []]


@pytest.mark.usefixtures("without")
def test_a_common_cause_that_is_left_out_makes_the_arrow_and_the_page_says_how_strong(run, table, tmp_path) -> None:
    assert run("collection", table, "--tiers", "J > TN", "--out", "why").exit_code == 0
    (edge,) = edges(tmp_path / "why").values()
    assert edge["state"] == "told"
    assert edge["hidden"] is None
    share = f"{100 * edge['robustness']:.0f} %"
    assert f"<td>{share}</td>" in (tmp_path / "why/collection.html").read_text()
