"""The floors and sizes that keep the code small."""

import ast
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src").rglob("*.py"))


def code_lines(node):
    """Lines with code in a function: no docstring, comment or blank."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return len({n.lineno for part in body for n in ast.walk(part) if hasattr(n, "lineno")})


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_imports_point_downwards():
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_is_above_300_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_function_is_above_50_lines(path):
    assert {node.name: code_lines(node) for node in functions(path) if code_lines(node) > 50} == {}


def test_the_median_function_is_short():
    sizes = sorted(code_lines(node) for path in MODULES for node in functions(path))
    assert sizes[len(sizes) // 2] <= 10


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_annotations_are_not_turned_into_strings(path):
    imports = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
    ]
    assert "__future__" not in {node.module for node in imports}


def test_no_folder_holds_more_than_nine_modules():
    folders = {path.parent for path in MODULES}
    counts = {
        folder.name: len([p for p in MODULES if p.parent == folder and p.stem != "__init__"]) for folder in folders
    }
    assert {name: count for name, count in counts.items() if count > 9} == {}
