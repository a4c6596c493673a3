"""The example of the page on slices finds the constants that it simulated with."""

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "crystal_slice.py"


def test_the_example_finds_its_truth() -> None:
    example = runpy.run_path(str(EXAMPLE))
    posterior = example["run"]().posterior
    for row in posterior.summary():
        truth = {**example["TRUTH"], **example["LEVELS"]}[row.name]
        assert abs(row.median - truth) < 5 * row.limit, row.name
    assert posterior.passed
    assert len(posterior.basins) == 1
