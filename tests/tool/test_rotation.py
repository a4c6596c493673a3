"""A rotation scan from the front door: what is shown of it, an answer, and what is refused."""

import re

import numpy as np
import pytest

from tests.rotation import hkl, save

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it
EI = 14.0
CONFIG = """
model = "fm_chain"
[measurement]
file = "run*.nxspe"
temperature = 5
[measurement.crystal]
lattice = [3, 8, 8, 90, 90, 90]
u = [1, 0, 0]
v = [0, 1, 0]
bins = [[-0.5, 0.05, 0.5], [-9, 9], [-9, 9]]
energy = [1.0, 0.2, 5.0]
[instrument]
samples = 4
[prior]
J = { uniform = [-2, -0.5] }
[infer]
screen = 48
starts = 2
draws = 60
"""


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Runs of a chain with J = -1.1 meV: E = 2.2 (1 - cos 2 pi h) meV, sd 0.25 meV, noise of half the peak a pixel."""
    folder = tmp_path_factory.mktemp("scan")
    noise = np.random.default_rng(5)
    polar, azimuth = (each.ravel() for each in np.meshgrid(np.linspace(4, 110, 90), [-150, -90, 0, 20, 90, 180]))
    energy = np.linspace(0.1, 5.1, 51)
    centres = (energy[1:] + energy[:-1]) / 2
    for n, psi in enumerate(np.linspace(-60, 60, 31)):
        h = hkl(polar, azimuth, centres, psi, EI)[..., 0] * 3 / (2 * np.pi)
        values = 3 * np.exp(-0.5 * ((centres - 2.2 * (1 - np.cos(2 * np.pi * h))) / 0.25) ** 2)
        held = {"data/data": values + noise.normal(0, 1.5, h.shape), "data/error": np.full(h.shape, 1.5)}
        where = {"data/polar": polar, "data/azimuthal": azimuth, "data/energy": energy}
        conditions = {"NXSPE_info/psi": np.array([psi]), "NXSPE_info/fixed_energy": np.array([EI])}
        save(folder / f"run{n:02d}.nxspe", **held, **where, **conditions)
    return folder


@pytest.fixture
def config(scan, tmp_path):
    """The config beside links to the files."""
    for path in scan.glob("*.nxspe"):
        (tmp_path / path.name).symlink_to(path)

    def write(*changes):
        text = CONFIG
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "c.toml").write_text(text)
        return "c.toml"

    return write


def test_what_is_shown(run, config, tmp_path):
    result = run("show", config(), "--out", "c.png")
    assert result.exit_code == 0, result.output
    for line in (
        r"bins +20 x 20",
        r"incident energy +14 meV",
        r"temperature +5 K",
        r"files +31",
        r"psi +-60 degrees in run00.nxspe to 60 degrees in",
        r"mounted +u = \(1, 0, 0\) along the beam at psi = 0, v = \(0, 1,",
        r"pixels in a bin median +\d+",
        r"multiplied by ki over kf +yes",
    ):
        assert re.search(line, result.stdout), (line, result.stdout)
    assert (tmp_path / "c.png").stat().st_size > 1000


def test_an_answer(run, config, tmp_path):
    result = run("infer", config(), "--json")
    assert result.exit_code in {0, 1}, result.output
    J = re.search(r'"J".*?"interval95": \[\s*([-\d.]+),\s*([-\d.]+)', result.stdout, re.DOTALL)
    assert J is not None, result.stdout[:2000]
    middle = (float(J[1]) + float(J[2])) / 2
    assert middle == pytest.approx(-1.1, abs=0.006)  # pixels lie unevenly in a bin, over which E changes by 0.7 meV
    assert float(J[2]) - float(J[1]) < 0.01
    text = (tmp_path / "c/config.toml").read_text()
    assert "[measurement.crystal]" in text
    assert run("report", "c").exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("v = [0, 1, 0]", "v = [2, 0, 0]", "u = [1.0, 0.0, 0.0] and v = [2.0, 0.0, 0.0] are parallel; v must be another direction in the horizontal plane"),
        ("v = [0, 1, 0]", "", "c.toml: [measurement.crystal] lacks the key 'v'"),
        ("[-0.5, 0.05, 0.5]", "[-0.5, 0.3, 0.5]", "c.toml: [measurement.crystal] bins: expected [lo, hi], [from, step, to] with a whole number of steps"),
        ("[-0.5, 0.05, 0.5]", "[0.5, 0.05, -0.5]", "c.toml: [measurement.crystal] bins: expected [lo, hi], [from, step, to] with a whole number of steps"),
        ("[-0.5, 0.05, 0.5]", "[-0.5, 1e-12, 0.5]", "c.toml: [measurement.crystal] bins: expected [lo, hi], [from, step, to] with a whole number of steps"),
        ("[-0.5, 0.05, 0.5]", "[]", "c.toml: [measurement.crystal] bins: expected [lo, hi], [from, step, to], or ascending edges, got []"),
        ("[-0.5, 0.05, 0.5]", "[0, 1, 2, 1]", "c.toml: [measurement.crystal] bins: expected [lo, hi], [from, step, to], or ascending edges"),
        ("[-0.5, 0.05, 0.5]", "[70, 80]", "no pixel of 31 files lies in the grid: along [1, 0, 0] they reach from -"),
        ("[1.0, 0.2, 5.0]", "[20, 30]", "no pixel of 31 files lies in the grid: in energy (meV) they reach from 0.15 to 5.05, and the grid from 20 to 30"),
        ("[1.0, 0.2, 5.0]", "5.0", "c.toml: [measurement.crystal] energy: expected a list"),
        ("u = [1, 0, 0]", "u = [1, 0, 0]\npsi = [1, 2]", "there are 31 files and 2 angles psi; give one angle for each file"),
        ("u = [1, 0, 0]", "u = [1, 0, 0]\nphi = 1", "c.toml: [measurement.crystal] has the unknown key 'phi'; known are lattice, u, v, psi"),
        ("u = [1, 0, 0]", "u = [1, 0, 0]\naxes = [[1, 0, 0], [2, 0, 0], [0, 0, 1]]", "the axes of a grid must be three independent (h, k, l)"),
        ("temperature = 5", "incident_energy = 14", "run00.nxspe holds the incident energy that it was reduced with; leave out incident_energy"),
        ('file = "run*.nxspe"', "", "[measurement] needs a file and a table crystal"),
    ],
)  # fmt: skip
def test_what_is_refused(old, new, sentence, refused, config):
    assert refused("show", config((old, new))).startswith(sentence)


HOLDS = (
    "[instrument] flux_factor = true says that the data hold k_f / k_i, but the files of [measurement] say that it was "
    "taken out (ki_over_kf_scaling = 1); write flux_factor = false"
)
HAS_NOT = (
    "the files of [measurement] say that their values were not multiplied by k_i / k_f (ki_over_kf_scaling = 0); write "
    "flux_factor = true into [instrument]"
)


@pytest.mark.parametrize(("said", "factor", "sentence"), [(1, "true", HOLDS), (0, "false", HAS_NOT)])
def test_files_that_deny_the_flux_factor_are_refused(said, factor, sentence, refused, run, tmp_path):
    save(tmp_path / "run.nxspe", **{"NXSPE_info/ki_over_kf_scaling": np.array([said])})
    text = CONFIG.replace("[-0.5, 0.05, 0.5]", "[-9, 9]").replace("run*", "run")
    (tmp_path / "c.toml").write_text(text)
    change = ("--set", f"instrument.flux_factor={factor}")
    assert refused("infer", "c.toml", *change) == sentence
    assert refused("simulate", "c.toml", *change) == sentence
    several = text.replace("[measurement", "[measurements.x").replace(
        "[instrument]", f"[measurements.x.instrument]\nflux_factor = {factor}"
    )
    (tmp_path / "d.toml").write_text(several)
    there = sentence.replace("[measurement]", "[measurements.x]").replace("[instrument]", "[measurements.x.instrument]")
    assert refused("infer", "d.toml") == there
    shown = run("show", "c.toml")
    assert shown.exit_code == 0, shown.output
    assert re.search(rf"multiplied by ki over kf +{'yes' if said else 'no'}", shown.stdout)
