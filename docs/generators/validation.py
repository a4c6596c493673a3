"""What was checked against what: read off the tests, so that the table names only tests that exist.

The deviation is the tolerance written in the test: `make test` fails beyond it.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generators.tables import table

FOLDERS = (
    ("tests/reference", "Against other programs, papers and measured files"),
    ("tests/physics", "Laws and closed forms"),
)
TOLERANCES = {"atol": "", "abs": "", "rtol": "relative ", "rel": "relative "}
SMALL = 0.1
"""A number that something is compared with counts as a tolerance if it is smaller than this."""
SPELLED = {
    "s perp": "S_perp", "rb2mnf4": "Rb2MnF4", "mnf2": "MnF2", "yb2ti2o7": "Yb2Ti2O7", "pcsmo": "PCSMO",
    "nxspe": "NXSPE", "mantid": "Mantid", "goldstone": "Goldstone", "zeeman": "Zeeman", "hellmann": "Hellmann",
    "feynman": "Feynman", "holstein": "Holstein", "primakoff": "Primakoff", "lorentz": "Lorentz",
    "luttinger": "Luttinger", "tisza": "Tisza", "oguchi": "Oguchi", "anderson": "Anderson",
    "kitaev": "Kitaev", "zener": "Zener", "goodenough": "Goodenough",
    "codata": "CODATA", "luvo3": "LuVO3", "cu2v2o7": "Cu2V2O7", "moriya": "Moriya", "bragg": "Bragg", "dm": "DM",
}  # fmt: skip
"""Names that a function's name has to write small."""


@dataclass(frozen=True)
class Check:
    """A test: its name in words, its cases, what its docstring says, and the tolerances in it."""

    law: str
    cases: str
    source: str
    allowed: str


def page(repository: Path) -> str:
    """A heading for each folder, and a table for each file of tests in it."""
    parts = []
    for folder, title in FOLDERS:
        files = sorted((repository / folder).glob("test_*.py"))
        parts += [f"### {title}", *(_file(path, str(path.relative_to(repository))) for path in files)]
    return "\n\n".join(parts) + "\n"


def _file(path: Path, name: str) -> str:
    module = ast.parse(path.read_text(encoding="utf-8"))
    rows = [(c.law, c.cases, c.source, c.allowed) for c in read(path, module)]
    said = " ".join((ast.get_docstring(module) or "").split())
    return f"`{name}`: {said}\n\n{table(('what holds', 'cases', 'source and remarks', 'allowed deviation'), rows)}"


def read(path: Path, module: ast.Module) -> Iterator[Check]:
    """The tests of a file."""
    constants = _constants(module)
    helpers = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    for node in helpers.values():
        if node.name.startswith("test_"):
            source = " ".join((ast.get_docstring(node) or _comment(path, node)).split())
            allowed = _allowed(node, constants, helpers) or "as in the test"
            yield Check(_in_words(node.name), _cases(node), source, allowed)


def _in_words(name: str) -> str:
    words = name.removeprefix("test_").replace("_", " ")
    for small, spelled in SPELLED.items():
        words = re.sub(rf"\b{small}\b", spelled, words)
    return words[:1].upper() + words[1:]


def _constants(module: ast.Module) -> dict[str, float]:
    pairs = [(node.targets[0], node.value) for node in module.body if isinstance(node, ast.Assign)]
    return {
        target.id: value.value
        for target, value in pairs
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, int | float)
    }


def _allowed(node: ast.FunctionDef, constants: dict[str, float], helpers: dict[str, ast.FunctionDef]) -> str:
    """Tolerances in a test and in the helpers of its file that it calls; computed ones as they are written."""
    called = {n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    trees = [node, *(helpers[name] for name in sorted(called) if name in helpers)]
    found: dict[str, None] = {}
    for inner in (n for tree in trees for n in ast.walk(tree)):
        if isinstance(inner, ast.keyword) and inner.arg in TOLERANCES and (words := _number(inner.value, constants)):
            found[TOLERANCES[inner.arg] + words] = None
        if isinstance(inner, ast.Compare) and isinstance(inner.ops[-1], ast.Lt | ast.LtE):
            limit = inner.comparators[-1]
            if isinstance(limit, ast.Constant | ast.Name) and _is_small(limit, constants):
                found[_number(limit, constants)] = None
    return ", ".join(found)


def _is_small(node: ast.expr, constants: dict[str, float]) -> bool:
    value = node.value if isinstance(node, ast.Constant) else constants.get(getattr(node, "id", ""), 1.0)
    return isinstance(value, float) and 0 < value < SMALL


def _number(node: ast.expr, constants: dict[str, float]) -> str:
    """A tolerance in words; empty for zero."""
    value = node.value if isinstance(node, ast.Constant) else constants.get(getattr(node, "id", ""))
    if isinstance(value, int | float):
        return f"{value:g}" if value else ""
    return f"`{ast.unparse(node)}`"


def _cases(node: ast.FunctionDef) -> str:
    """Names among the parameters that a test is run with."""
    calls = [d for d in node.decorator_list if isinstance(d, ast.Call) and ast.unparse(d.func).endswith("parametrize")]
    words = []
    for call in calls:
        entries = call.args[1].elts if isinstance(call.args[1], ast.List | ast.Tuple) else []
        for entry in entries:
            first = entry.elts[0] if isinstance(entry, ast.Tuple) and entry.elts else entry
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                words.append(first.value)
            elif isinstance(first, ast.Name):
                words.append(first.id)
    return ", ".join(words)


def _comment(path: Path, node: ast.FunctionDef) -> str:
    """The comment that opens a test without a docstring."""
    line = path.read_text(encoding="utf-8").splitlines()[node.lineno].strip()
    return re.sub(r"^#\s*", "", line) if line.startswith("#") else ""
