"""The page on magnetic order: its commands print what it says, its Python runs."""

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from sqwirrel.cli import app

PAGE = (Path(__file__).parents[2] / "docs" / "how_to" / "order.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_commands_run_and_the_last_prints_what_the_page_shows() -> None:
    commands = [
        shlex.split(line.removeprefix("$ sqwirrel ")) for part in blocks("console") for line in part.splitlines()
    ]
    results = [CliRunner().invoke(app, command, env={"COLUMNS": "120"}) for command in commands]
    assert [result.exit_code for result in results] == [0, 0]
    (shown,) = blocks("text")
    assert words(results[-1].stdout)[: len(words(shown))] == words(shown)


def test_python_runs(capsys) -> None:
    for block in blocks("python"):
        exec(compile(block, "order.md", "exec"), {})
    assert "True" in capsys.readouterr().out
