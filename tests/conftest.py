"""What all tests share: where measured data lie, and settings that make runs repeat."""

from collections.abc import Callable
from pathlib import Path

import hypothesis
import matplotlib as mpl
import pytest
import torch

mpl.use("Agg")
torch.set_num_threads(1)
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("repeatable")

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def measured() -> Callable[[str], Path]:
    """A measured file by its place in the data folder beside the repository; skips where that is absent."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"measured data are not part of the repository, and there is no ../shared/data/{name}")
        return path

    return find
