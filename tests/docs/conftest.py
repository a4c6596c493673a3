"""The generators of the documentation, imported as conf.py imports them."""

import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def _generators_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    for name in [name for name in sys.modules if name.split(".")[0] == "generators"]:
        monkeypatch.delitem(sys.modules, name)
