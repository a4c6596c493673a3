"""The command line through its own front door, and files small enough to be quick."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from sqwirrel.cli import app
from sqwirrel.model import library
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.spectra import Measurement, QPath, QShells, Spectrum, write

TRUTH = """
model = "fm_chain"
[measurement]
temperature = 5
energy = { start = 0.5, stop = 5.0, bins = 30 }
path = { corners = [[0.1, 0, 0], [0.9, 0, 0]], points = 9, width = [0.02, 0, 0] }
[instrument]
samples = 4
counting = { kind = "poisson" }
[simulate]
parameters = { J = "-1.1 meV", fwhm = 0.3, scale = 60.0, background = 2.0 }
"""

ANSWER = """
model = "fm_chain"
[measurement]
file = "measured/spectrum.h5"
[instrument]
samples = 4
counting = { kind = "poisson" }
[infer]
screen = 48
starts = 3
draws = 200
[truth]
file = "measured/truth.json"
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """A command as a user types it, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def refused(run: Callable[..., Result]) -> Callable[..., str]:
    """The one sentence with which a command refuses wrong input."""

    def words(*args: object) -> str:
        result = run(*args)
        assert result.exit_code == 2, result.output
        assert isinstance(result.exception, SystemExit)
        assert result.stdout == ""
        complaint = re.sub(r"^\d\d:\d\d .*\n", "", result.stderr, flags=re.MULTILINE)  # how far it was
        assert complaint.startswith("sqwirrel: ")
        assert complaint.count("\n") == 1
        return complaint.removeprefix("sqwirrel: ").strip()

    return words


@pytest.fixture
def powder(tmp_path: Path) -> Spectrum:
    """A small reduced powder map, in ok.h5."""
    measurement = Measurement(QShells(torch.linspace(0.5, 2, 5)), torch.linspace(1, 8, 9), 5.0, incident_energy=29.0)
    intensity = 1 + torch.rand(measurement.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spectrum = Spectrum.from_arrays(intensity, intensity.sqrt(), measurement)
    write(tmp_path / "ok.h5", spectrum)
    return spectrum


@pytest.fixture
def configs(tmp_path: Path) -> tuple[Path, Path]:
    """A config to simulate a chain, and one to infer its exchange."""
    (tmp_path / "truth.toml").write_text(TRUTH)
    (tmp_path / "chain.toml").write_text(ANSWER)
    return tmp_path / "truth.toml", tmp_path / "chain.toml"


@pytest.fixture
def chain_map(tmp_path):
    """A folder with counts of a ferromagnetic chain along its path, chain.h5."""
    q = torch.zeros(8, 3).double()
    q[:, 0] = torch.linspace(0.05, 0.5, 8)
    chain = library.load("fm_chain")
    where = Measurement(QPath(chain.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, 19), 1.0)
    experiment = Experiment(chain, where, Instrument(counting=Poisson()), samples=2)
    truth = experiment.pack(J=-1.1, fwhm=0.4, scale=60.0, background=1.0)
    write(tmp_path / "chain.h5", experiment.sample(truth, seed=1))
    return tmp_path
