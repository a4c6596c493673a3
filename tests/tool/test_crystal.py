"""Scans and a grid of a crystal from the front door: an answer and its page, and the page again."""

import json
import re

import pytest
import torch

from sqwirrel.model import library
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.spectra import Measurement, QGrid, QPoints, write

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it
CONFIG = """
model = "fm_chain"
[measurement]
file = {files}
[prior]
J = {{ uniform = [-2, -0.5] }}
fwhm = {{ uniform = [0.1, 2] }}
scale = {{ uniform = [10, 1000] }}
background = {{ uniform = [0, 10] }}
[instrument]
samples = 2
counting = {{ kind = "poisson" }}
[infer]
screen = 48
starts = 2
draws = 60
"""


def drawn(measurement, path, seed):
    experiment = Experiment(library.load("fm_chain"), measurement, Instrument(counting=Poisson()), samples=2)
    truth = experiment.pack(J=-1.1, fwhm=0.4, scale=60.0, background=2.0)
    write(path, experiment.sample(truth, seed=seed))


def answered(run, tmp_path, files):
    """The page of an answer, after it was made again from its folder alone."""
    (tmp_path / "c.toml").write_text(CONFIG.format(files=json.dumps(files)))
    result = run("infer", "c.toml")
    assert result.exit_code in {0, 1}, result.output
    assert result.stdout.rstrip().endswith("report: c/report.html")
    before = (tmp_path / "c/report.html").read_text()
    (tmp_path / "c/report.html").unlink()
    assert run("report", "c").stdout == "report: c/report.html\n"
    assert (tmp_path / "c/report.html").read_text() == before
    return before


def test_scans(run, tmp_path):
    lattice = library.load("fm_chain").lattice
    energy = torch.linspace(1, 4.5, 20, dtype=torch.float64)[:, None].expand(-1, 2)
    for n, h in enumerate((0.25, 0.4)):
        q = torch.tensor([[h, 0, 0]], dtype=torch.float64).expand(20, 3)
        drawn(Measurement(QPoints(lattice, q, [n] * 20), energy, 5.0, final_energy=14.7), tmp_path / f"s{n}.h5", n)
    text = answered(run, tmp_path, ["s[01].h5"])
    assert "s0.h5 and 1 more</dd>" in text  # of several files the sums are in the record
    assert "5 K, final energy 14.7 meV" in text
    assert re.findall(r'alt="([^"]+)"', text) == ["Data and model", "Posterior of the parameters in pairs"]


def test_a_grid(run, tmp_path):
    edges = [torch.linspace(0.1, 0.9, 7), torch.linspace(-0.5, 0.5, 4), [-0.1, 0.1]]
    grid = QGrid(library.load("fm_chain").lattice, torch.eye(3), edges)
    drawn(Measurement(grid, torch.linspace(1, 5, 9), 5.0), tmp_path / "g.h5", 1)
    text = answered(run, tmp_path, "g.h5")
    assert "(1 0 0) × 0.1 to 0.9, 6 bins; (0 1 0) × −0.5 to 0.5, 3 bins; (0 0 1) × −0.1 to 0.1, 1 bin" in text
    assert len(re.findall('alt="Map of', text)) == 4
