"""A network from the front door: trained, used, refused for other data; and whether intervals hold."""

import json

import pytest
import torch

from sqwirrel.model import library
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.spectra import Measurement, QPath, write

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it
CONFIG = """
model = "fm_chain"
[measurement]
file = "chain.h5"
[prior]
J = { uniform = [-2, -0.5] }
fwhm = 0.4
scale = { loguniform = [20, 200] }
background = 1.0
[instrument]
samples = 2
[infer]
screen = 32
starts = 2
draws = 60
[train]
simulations = 256
steps = 40
batch = 16
[check]
n = 2
"""


@pytest.fixture
def chain(tmp_path):
    q = torch.zeros(8, 3).double()
    q[:, 0] = torch.linspace(0.05, 0.5, 8)
    chain = library.load("fm_chain")
    where = Measurement(QPath(chain.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, 19), 1.0)
    experiment = Experiment(chain, where, Instrument(counting=Poisson()), samples=2)
    truth = experiment.pack(J=-1.1, fwhm=0.4, scale=60.0, background=1.0)
    write(tmp_path / "chain.h5", experiment.sample(truth, seed=1))
    (tmp_path / "c.toml").write_text(CONFIG)
    return tmp_path


def test_a_network_is_trained_and_used(run, chain) -> None:
    trained = run("train", "c.toml", "--out", "network")
    assert trained.exit_code == 0, trained.output
    assert trained.stdout.endswith("network: network\n")
    assert "loss" in trained.stdout
    left = {path.name for path in (chain / "network").iterdir()}
    assert {"weights.safetensors", "estimator.json", "simulations", "config.toml", "record.json"} <= left
    result = run("infer", "c.toml", "--set", "infer.estimator=network", "--json")
    assert result.exit_code in {0, 1}, result.output
    answer = json.loads(result.stdout)
    assert "seen_before" in {check["name"] for check in answer["checks"]}
    assert run("report", "c").exit_code == 0
    refused = run("infer", "c.toml", "--set", "infer.estimator=network", "--set", "prior.fwhm=0.5")
    assert refused.exit_code == 2
    assert "prior" in refused.stderr


def test_a_second_training_goes_on_from_the_first(run, chain) -> None:
    run("train", "c.toml", "--out", "network")
    before = (chain / "network/member-0/training.json").read_text()
    assert run("train", "c.toml", "--out", "network").exit_code == 0
    assert (chain / "network/member-0/training.json").read_text() == before


def test_a_folder_without_a_network_is_refused(run, chain) -> None:
    refused = run("infer", "c.toml", "--set", "infer.estimator=nothing")
    assert refused.exit_code == 2
    assert "make one with sqwirrel train" in refused.stderr
    assert chain.exists()


def test_intervals_are_checked(run, chain) -> None:
    checked = run("check", "c.toml", "--out", "checked")
    assert checked.exit_code == 0, checked.output
    assert "2 simulated measurements" in checked.stdout
    found = json.loads((chain / "checked/calibration.json").read_text())
    assert found["n"] == len(found["trials"]) == 2
    assert (chain / "checked/calibration.png").read_bytes()[:4] == b"\x89PNG"
    again = run("check", "c.toml", "--out", "checked")
    assert again.stdout == checked.stdout
