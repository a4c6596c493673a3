"""The README: its example is the quickstart and runs, its commands and files exist, its TOML is a config."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from sqwirrel.config import Config

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def statements(code: str) -> list[str]:
    """Statements without comments, docstring and asserts."""
    body = ast.parse(code).body
    return [ast.unparse(node) for node in body if not isinstance(node, ast.Assert) and not is_docstring(node)]


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_example_is_the_quickstart() -> None:
    (example,) = blocks("python")
    assert statements(example) == statements((ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8"))


def test_example_runs() -> None:
    (example,) = blocks("python")
    quick = example.replace("Settings(draws=300)", "Settings(screen=32, starts=2, draws=50, rounds=1)")
    assert quick != example
    done = subprocess.run([sys.executable, "-c", quick], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["J1", "J2", "D", "fwhm", "scale", "background"]


def test_config_is_one_that_is_accepted() -> None:
    (table,) = blocks("toml")
    Config.model_validate(tomllib.loads(table))


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"make ([a-z]+)", README)
    assert targets
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


def test_picture_is_there_and_small() -> None:
    (picture,) = re.findall(r"!\[[^]]*\]\(([^)]*)\)", README)
    assert 0 < (ROOT / picture).stat().st_size < 300_000


def test_package_ships_it() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["readme"] == "README.md"
