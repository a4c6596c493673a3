"""The pages: what they are made from is all there, links inside lead somewhere, every check and decision is explained."""

import json
import re
import shlex
import tempfile
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from sqwirrel.cli import app
from sqwirrel.config import kinds
from sqwirrel.config.verbs.intervening import collecting
from sqwirrel.spectra.readers import ASKING, READERS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "generated"} & set(path.parts))


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_verb_is_documented_with_an_example() -> None:
    from generators import cli

    verbs = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert verbs == cli.verbs()
    sections = cli.page().split("\n## ")
    for verb in verbs:
        (section,) = [part for part in sections if part.startswith(f"{verb}\n")]
        assert f"Example: sqwirrel {verb}" in section


def test_every_config_key_is_documented() -> None:
    from generators import config

    page = config.page()
    assert {"model", "measurement.path.corners", "instrument.resolution.tail", "infer.seed"} <= config.every_key()
    for key in config.every_key():
        place, _, name = key.rpartition(".")
        sections = [part for part in page.split("\n## ") if part.startswith(f"`[{place}]`" if place else "## The file")]
        assert sections, place
        assert any(f"| `{name}` |" in section for section in sections), key


def test_every_kind_of_instrument_is_explained() -> None:
    page = text("how_to/instrument.md")
    assert [kind for _, kind, _ in kinds() if f"`{kind}`" not in page] == []


def test_every_reader_is_named() -> None:
    page = text("how_to/formats.md")
    assert [name for name in (*READERS, *ASKING) if f"`{name}`" not in page] == []


def test_every_check_is_explained() -> None:
    folder = ROOT / "src" / "sqwirrel" / "infer" / "checks"
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    names = re.findall(r"""Check\(\s*["'](\w+)["']""", source)
    assert len(names) > 5
    assert sorted(names) == sorted(re.findall(r"^## `(\w+)`", text("how_to/checks.md"), flags=re.MULTILINE))


def test_every_decision_is_listed_with_its_three_parts() -> None:
    from generators import decisions

    folder, page = DOCS / "decisions", decisions.page(DOCS / "decisions")
    records = decisions.records(folder)
    assert len(records) > 5
    for path in records:
        assert re.match(r"\d{4}-\d{2}-\d{2}-", path.name)
        assert f"]({path.name})" in page
        content = path.read_text(encoding="utf-8")
        assert all(f"\n## {part}" in content for part in ("Context", "Decision", "Consequences")), path.name


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_links_inside_lead_to_files(page: Path) -> None:
    content = re.sub(r"```python.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", content)
    links += re.findall(r"\{(?:literalinclude|include)\} (\S+)", content)
    inside = [link for link in links if "://" not in link and "generated/" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_no_page_names_a_place_of_one_machine() -> None:
    for page in [*PAGES, ROOT / "README.md", ROOT / "CHANGELOG.md"]:
        assert not re.search(r"(?<![\w.])/(work|home|root|tmp|Users)/", page.read_text(encoding="utf-8")), page


def test_bonds_of_the_page_on_models_are_what_the_command_prints() -> None:
    page = (DOCS / "how_to" / "model.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"\$ sqwirrel (bonds .*)", page)
    shown = re.search(rf"{command}\n```\n\n```text\n(.*?)```", page, flags=re.DOTALL)[1]
    assert CliRunner().invoke(app, command.split()).stdout.startswith(shown)


@pytest.fixture
def collections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """Commands of the page and what they print; its table is where they run."""
    page = text("how_to/causal.md").split("## A table that somebody else made\n")[1]
    names: dict[str, object] = {}
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    exec(compile(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[0], "causal.md", "exec"), names)
    monkeypatch.chdir(str(names["folder"]))
    shown = re.findall(r"\$ sqwirrel (collection [^\n]*)\n```\n\n```text\n(.*?)```", page, flags=re.DOTALL)
    assert len(shown) == 2
    return shown


def test_what_the_page_on_causes_says_of_searches(collections: list[tuple[str, str]]) -> None:
    pytest.importorskip("causallearn", reason="causal-learn is not installed (bench)")
    every, without = (
        json.loads(CliRunner().invoke(app, [*shlex.split(command), "--json"]).stdout)["searches"]
        for command, _ in collections
    )
    assert all(["J", "TN"] in without[method]["edges"] for method in ("PC", "GES"))
    assert all(["radius", "angle"] not in every[method]["edges"] for method in ("PC", "GES"))
    assert [["J", "TN"] in every[method]["edges"] for method in ("PC", "GES")] == [False, True]


def test_tables_of_the_page_on_causes_are_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, collections: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr(collecting, "is_installed", lambda: False)
    for command, lines in collections:
        printed = CliRunner().invoke(app, shlex.split(command)).stdout
        assert "\n".join(map(str.rstrip, printed.splitlines())).startswith(lines)


def test_validation_lists_every_reference_test() -> None:
    from generators import validation

    page = validation.page(ROOT)
    for path in (ROOT / "tests" / "reference").glob("test_*.py"):
        assert f"`tests/reference/{path.name}`" in page


def test_results_that_are_absent_or_strange_do_not_stop_the_build(tmp_path: Path) -> None:
    from generators import results

    assert "No benchmark result" in results.page(tmp_path, tmp_path)
    (tmp_path / "spinwave.json").write_text('{"benchmark": "spinwave", "figure": 1.5}')
    (tmp_path / "other.json").write_text('{"seconds": 2.0, "record": {"created": "2026-11-21T00:00"}}')
    page = results.page(tmp_path, tmp_path)
    assert "| `figure` | 1.5 |" in page
    assert "| `seconds` | 2 |" in page


def test_citation_has_what_the_format_requires() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license", "version"} <= set(citation)
    assert all("name" in author or "family-names" in author for author in citation["authors"])


def test_docstrings_become_restructured_text() -> None:
    from generators.docstrings import as_restructured_text

    lines = ["Sum over |Q| of `x*`.", "", "    E = a_1", "", "Then u* b."]
    as_restructured_text(None, "", "", None, None, lines)
    assert lines == ["Sum over \\|Q\\| of ``x*``.", "", "", "::", "", "    E = a_1", "", "", "Then u\\* b."]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_python_of_a_page_runs(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(compile(block, page.name, "exec"), {})
