"""What all tests share: where measured data lie, and settings that make runs repeat."""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import matplotlib as mpl
import pytest
import torch

COMPILED = Path(__file__).parents[1] / "src" / "sqwirrel" / "simulate" / "compiled"
# numba looks at the file of the outermost function alone: tests of changed inner ones must not run old code
STAMP = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(COMPILED.glob("*.py")))).hexdigest()[:12]
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / f"numba-{STAMP}"))

mpl.use("Agg")
torch.set_num_threads(1)
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("repeatable")

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def heard() -> None:
    """The import linter, which another test calls, disables every logger that there is."""
    logging.getLogger("sqwirrel").disabled = False


@pytest.fixture
def measured() -> Callable[[str], Path]:
    """A measured file by its place in the data folder beside the repository; skips where that is absent."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"measured data are not part of the repository, and there is no ../shared/data/{name}")
        return path

    return find
