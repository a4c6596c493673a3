"""Damaged and malicious files are read, or refused in one sentence: a small run of benchmarks/hostile_files."""

import pytest

from benchmarks.hostile import child
from benchmarks.hostile.specimens import collect
from benchmarks.hostile_files import MEMORY, measure

SEED, CASES = 7, 150


@pytest.fixture(scope="module")
def specimens():
    return collect(shared=False)


def test_whole_files_are_read(specimens, tmp_path):
    for each in specimens:
        for name, content in {each.name: each.content, **each.beside}.items():
            (tmp_path / name).write_bytes(content)
        assert child.judged(each.job, tmp_path / each.name) == ("read", ""), each.name


def test_damaged_files_do_no_harm():
    result = measure(CASES, SEED, shared=False)
    assert result["examples"] == []
    assert (result["tracebacks"], result["hangs"]) == (0, 0)
    assert result["peak_mb"] < MEMORY
    assert sum(row["n"] for row in result["by_format"].values()) == CASES
