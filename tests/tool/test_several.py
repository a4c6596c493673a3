"""Several measurements in one config: two powder spectra and a table of peaks, through the front door."""

import json
import re
import tomllib

import pytest

from sqwirrel.infer import store
from sqwirrel.model import library
from sqwirrel.observe import PeakExperiment
from sqwirrel.record import sha256
from sqwirrel.report.content import MEANING_OF
from sqwirrel.spectra import Peaks, read, read_peaks, write_peaks

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it

MAP = """
model = "fm_chain"
[measurement]
temperature = {temperature}
energy = {{ start = 0.6, stop = {top}, bins = 24 }}
shells = {{ start = 0.4, stop = 1.6, bins = 8 }}
[instrument]
samples = 16
cell = 0.15
counting = {{ kind = "poisson" }}
[simulate]
parameters = {{ J = -1.0, fwhm = 0.4, fwhm_q = 0.05, scale = 3.0, background = 0.5 }}
seed = {temperature}
"""
ALL = """
model = "fm_chain"
[prior]
fwhm_q_cold = 0.05
[measurements.cold]
file = "cold/spectrum.h5"
[measurements.warm]
file = "warm/spectrum.h5"
energy = [0.6, 5.6]
instrument = { samples = 24, background = { kind = "sloped" } }
[measurements.tas]
kind = "peaks"
file = "tas.csv"
temperature = 4
extra_width = true
[share]
nuisances = ["fwhm"]
[instrument]
samples = 16
cell = 0.15
counting = { kind = "poisson" }
[infer]
screen = 64
starts = 3
draws = 200
[truth]
file = "cold/truth.json"
"""


@pytest.fixture
def answered(run, tmp_path):
    """The folder of a joint answer."""
    for name, temperature, top in (("cold", 3, 5.0), ("warm", 20, 6.6)):
        (tmp_path / f"{name}.toml").write_text(MAP.format(temperature=temperature, top=top))
        assert run("simulate", f"{name}.toml").exit_code == 0
    chain = library.load("fm_chain")
    q = [[0.1 * k, 0, 0] for k in range(1, 6)]
    where = PeakExperiment(chain, Peaks(chain.lattice, q, [3.0] * 5, [0.05] * 5, q_error=[[0.002, 0, 0]] * 5))
    write_peaks(tmp_path / "tas.csv", where.sample(where.pack(J=-1.0, outliers=1e-9), 3))
    (tmp_path / "all.toml").write_text(ALL)
    result = run("infer", "all.toml", "--json")
    assert result.exit_code in {0, 1}, result.output
    return result, tmp_path / "all"


def test_two_spectra_and_a_table_of_peaks(answered, run, tmp_path):
    result, folder = answered
    said = json.loads(result.stdout)
    assert [row["name"] for row in said["parameters"]] == [
        "J", "fwhm", "scale_cold", "background_cold", "fwhm_q_warm", "scale_warm", "background_warm",
        "background_slope_warm", "outliers_tas", "peak_width_extra_tas",
    ]  # fmt: skip
    exchange = said["parameters"][0]
    assert abs(exchange["median"] + 1.0) < 5 * exchange["limit"]
    names = {check["name"] for check in said["checks"]}
    assert {"deviance_per_bin_cold", "quadrature_warm", "deviance_per_peak_tas", "peaks_explained_tas"} <= names
    assert {re.sub("_(cold|warm|tas)$", "", name) for name in names} <= set(MEANING_OF)
    assert sorted(path.name for path in folder.iterdir()) == [
        "cold.h5", "config.toml", "posterior.h5", "record.json", "report.html", "report.json", "tas.csv", "warm.h5",
    ]  # fmt: skip
    assert read(folder / "warm.h5").measurement.range == pytest.approx((0.6, 5.6))
    assert read_peaks(folder / "tas.csv").temperature == 4
    files = json.loads((folder / "record.json").read_text())["files"]
    assert files == {
        "cold/spectrum.h5": sha256(tmp_path / "cold/spectrum.h5"),
        "warm/spectrum.h5": sha256(tmp_path / "warm/spectrum.h5"),
        "tas.csv": sha256(tmp_path / "tas.csv"),
    }
    page = json.loads((folder / "report.json").read_text())
    assert [each["name"] for each in page["measured"]] == ["cold", "warm", "tas"]
    assert all(each["sha256"] for each in page["measured"])
    assert page["parameters"][0]["truth"] == -1.0
    html = (folder / "report.html").read_text()
    assert [html.count(f"<h3>{label}</h3>") for label in ("cold", "warm", "tas")] == [3, 3, 2]
    assert re.findall(r'<section id="(\w+)"', html) == [
        "measured", "parameters", "checks", "maps", "cuts", "peaks", "corner", "basins", "record", "papers",
    ]  # fmt: skip
    # the report again, from the folder alone
    for gone in (tmp_path / "cold/spectrum.h5", tmp_path / "tas.csv", folder / "report.html"):
        gone.unlink()
    assert run("report", "all").stdout == "report: all/report.html\n"
    assert (folder / "report.html").read_text() == html


@pytest.mark.usefixtures("answered")
def test_the_resolved_config_runs_again(run, tmp_path):
    again = run("infer", tmp_path / "all/config.toml", "--out", "again")
    assert again.exit_code in {0, 1}
    first, second = (store.load(tmp_path / name / "posterior.h5") for name in ("all", "again"))
    assert second.draws.equal(first.draws)
    texts = [(tmp_path / name / "config.toml").read_text() for name in ("all", "again")]
    assert texts[0] == texts[1]
    table = tomllib.loads(texts[0])
    assert table["measurements"]["warm"]["instrument"]["samples"] == 24
    assert table["measurements"]["cold"]["instrument"]["samples"] == 16
    assert "measurement" not in table
    assert set(table["prior"]) == {*first.names, "fwhm_q_cold"}


def test_peaks_alone_need_no_spectrum(run, tmp_path):
    """A single table of peaks, and a figure of it; nothing is averaged."""
    chain = library.load("fm_chain")
    q = [[0.1 * k, 0, 0] for k in range(1, 6)]
    where = PeakExperiment(chain, Peaks(chain.lattice, q, [3.0] * 5, [0.05] * 5))
    write_peaks(tmp_path / "tas.csv", where.sample(where.pack(J=-1.0, outliers=1e-9), 3))
    (tmp_path / "p.toml").write_text('model = "fm_chain"\n[measurements.tas]\nkind = "peaks"\nfile = "tas.csv"\n')
    result = run("infer", "p.toml", "--set", "infer.draws=200")
    assert result.exit_code == 0, result.output
    html = (tmp_path / "p/report.html").read_text()
    assert 'id="maps"' not in html
    assert 'id="peaks"' in html


def test_simulate_wants_one_measurement(refused, tmp_path):
    (tmp_path / "all.toml").write_text(ALL)
    assert refused("simulate", "all.toml") == "this verb needs a config with one [measurement], this one has several"
