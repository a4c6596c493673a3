"""A table of the largest deviations from published spectra, printed after the tests and written with --deviations FILE."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sqwirrel.record import Record

ROWS = pytest.StashKey[list[dict[str, object]]]()
Deviates = Callable[..., None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


@pytest.fixture
def agrees(request: pytest.FixtureRequest) -> Deviates:
    """Asserts that energies and intensities are the published ones, and notes by how much they are not."""

    def check(
        file: str,
        case: str,
        energy: tuple[Tensor, Tensor],
        intensity: tuple[Tensor, Tensor] | None,
        *,
        within: float,
        relative: float = 1e-5,
        left_out: str = "",
    ) -> None:
        assert len(energy[1]), "nothing to compare"
        off = float((energy[0] - energy[1]).abs().max())
        share = None
        if intensity is not None:
            share = float((intensity[0] - intensity[1]).abs().max() / intensity[1].abs().max())
            assert torch.allclose(*intensity, rtol=relative, atol=relative * float(intensity[1].abs().mean()))
        row = {"file": file, "case": case, "energy_mev": off, "intensity_of_largest": share, "left_out": left_out}
        request.config.stash[ROWS].append(row)
        assert off < within

    return check


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--deviations", type=Path, help="file for the largest deviations from published spectra")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    terminalreporter.section(
        "published spectra: largest deviation of an energy (meV) and of an intensity (of the largest)"
    )
    for row in rows:
        share = row["intensity_of_largest"]
        text = "-" if share is None else f"{share:.1e}"
        terminalreporter.line(f"{row['file']:32}{row['case']:30}{row['energy_mev']:9.1e}{text:>9}  {row['left_out']}")
    if config.getoption("--deviations", default=None):
        result = {"benchmark": "references", "record": json.loads(Record.start().to_json()), "rows": rows}
        config.getoption("--deviations").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
