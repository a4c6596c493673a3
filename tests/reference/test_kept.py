"""Our own HDF5 keeps every measured file that is read."""

import pytest

formats = pytest.importorskip("benchmarks.formats", reason="the benchmarks are found by `python -m pytest` in the root")


def test_every_measured_file_survives_our_hdf5(measured):
    measured("README.md")
    rows = [formats.row(path) for path in formats.files() if "nitio3/scans" not in path.as_posix()]
    read = {row["file"]: row["kept"] for row in rows if row["outcome"] == "read"}
    assert len(read) >= 30
    assert [name for name, kept in read.items() if not kept] == []
