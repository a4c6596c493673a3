"""Tables of peaks that we wrote are read back as they were."""

from pathlib import Path

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Peaks, read_peaks, write_peaks

CELL = Lattice(5.19, 5.56, 7.54, 90.0, 91.5, 90.0)
Q = [[0.1, 1 / 3, 0.0], [0.1, 1 / 3, 0.0], [0.5, 0.0, 2.7]]
FULL = {
    "intensity": [3.0, 0.1, 7.0],
    "intensity_error": [0.1, 0.2, 0.3],
    "fwhm": [0.4, 0.5, 0.6],
    "search": [[0.1, 9.0]] * 3,
    "q_error": [[0.0, 0.0, 0.01], [0.0, 0.0, 0.02], [0.0, 0.0, 0.0]],
    "temperature": 1.6,
}


ALONG = {"q_error": [[[0.01, -0.01, 0.0], [0.0, 0.0, 0.1]], [[0.0, 1 / 7, 0.0], [0.0, 0.0, 0.2]], [[0.0] * 3] * 2]}


@pytest.mark.parametrize("known", [{}, FULL, ALONG])
def test_what_was_written_is_what_is_read(tmp_path: Path, known: dict[str, object]) -> None:
    peaks = Peaks(CELL, Q, [1.0, 2.0 / 3, 3.1], [0.1, 0.2, 1 / 7], **known)
    write_peaks(tmp_path / "p.csv", peaks)
    again = read_peaks(tmp_path / "p.csv")
    for name in ("q", "energy", "error", "q_error", "intensity", "intensity_error", "fwhm", "search"):
        before, after = getattr(peaks, name), getattr(again, name)
        assert (before is None and after is None) or torch.equal(before, after), name
    assert again.temperature == peaks.temperature
    assert torch.equal(again.lattice.vectors, CELL.vectors)


def test_a_table_is_csv(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.csv"):
        write_peaks(tmp_path / "p.h5", Peaks(CELL, Q, [1.0, 2, 3], [0.1] * 3))
    with pytest.raises(InputError, match="there is no folder"):
        write_peaks(tmp_path / "none/p.csv", Peaks(CELL, Q, [1.0, 2, 3], [0.1] * 3))
