"""The commands: what they print, what they leave, and how they end."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from sqwirrel import cli
from sqwirrel.cli import screen
from sqwirrel.config import load
from sqwirrel.config.verbs import answers as verbs
from sqwirrel.infer import store
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Measurement, QGrid, Spectrum, write
from tests.unit.test_looking import powder as elastic

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it
VERBS = (
    "list",
    "show",
    "simulate",
    "infer",
    "train",
    "check",
    "report",
    "advise",
    "discriminate",
    "match",
    "explain",
    "causal",
    "collection",
    "order",
    "bonds",
    "doctor",
)


@pytest.fixture
def answered(run, configs):
    """A chain simulated and inferred; the result of the command and the folder."""
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0
    result = run("infer", "chain.toml", "--json")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result, configs[1].parent / "chain"


def test_infer_prints_one_object(answered):
    result, folder = answered
    said = json.loads(result.stdout)
    assert {
        "parameters",
        "basins",
        "checks",
        "deviance_per_bin",
        "seconds",
        "log_evidence",
        "abstains",
        "misfits",
    } == set(said)
    assert [row["name"] for row in said["parameters"]] == ["J", "fwhm", "scale", "background"]
    for row in said["parameters"]:
        assert {"name", "unit", "median", "interval68", "interval95", "limit", "widening"} == set(row)
        ends = [row["interval95"][0], row["interval68"][0], row["median"], row["interval68"][1], row["interval95"][1]]
        assert ends == sorted(ends)
    assert all({"name", "passed", "value"} == set(check) for check in said["checks"])
    assert result.exit_code == (0 if all(check["passed"] for check in said["checks"]) else 1)
    exchange = said["parameters"][0]
    assert abs(exchange["median"] + 1.1) < 5 * exchange["limit"]  # the truth, within five standard deviations
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.toml", "posterior.h5", "record.json", "report.html", "report.json", "spectrum.h5",
    ]  # fmt: skip


@pytest.mark.usefixtures("answered")
def test_resolved_config_runs_again(run, tmp_path):
    first = store.load(tmp_path / "chain/posterior.h5")
    again = run("infer", tmp_path / "chain/config.toml", "--out", "again", "--set", "infer.draws=200")
    assert again.exit_code in {0, 1}
    second = store.load(tmp_path / "again/posterior.h5")
    assert second.draws.equal(first.draws)
    texts = [(tmp_path / name / "config.toml").read_text() for name in ("chain", "again")]
    assert texts[0] == texts[1]
    assert set(tomllib.loads(texts[0])["prior"]) == {"J", "fwhm", "scale", "background"}


@pytest.mark.usefixtures("answered")
def test_people_see_failed_checks_first_and_the_report_last(run):
    result = run("infer", "chain.toml", "--set", "infer.draws=60", "--out", "poor")
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    assert result.exit_code == 1  # 60 draws are too few, and the check says so
    assert lines[0].startswith("FAILED effective_draws = ")
    assert lines[-1] == "report: poor/report.html"


@pytest.mark.usefixtures("configs")
def test_a_page_that_cannot_be_drawn_loses_no_answer(run, tmp_path, monkeypatch):
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0
    whole = verbs.page.write

    def broken(*_):
        raise ZeroDivisionError("no such\nfont")

    monkeypatch.setattr(verbs.page, "write", broken)
    result = run("infer", "chain.toml")
    assert result.exit_code == 3
    assert "checks passed; deviance per bin" in result.stdout.splitlines()[-1]
    assert result.stderr.splitlines()[-1] == (
        "sqwirrel: the answer is kept in chain, but its page could not be drawn: ZeroDivisionError, no such font; once "
        "that is mended, draw it with: sqwirrel report chain"
    )
    assert {path.name for path in (tmp_path / "chain").iterdir()} == {
        "config.toml", "posterior.h5", "record.json", "spectrum.h5",
    }  # fmt: skip
    assert run("report", "chain").exit_code == 3
    monkeypatch.setattr(verbs.page, "write", whole)
    assert run("report", "chain").stdout == "report: chain/report.html\n"


@pytest.mark.usefixtures("configs")
def test_a_wrong_truth_is_refused_before_the_work_begins(run, refused, tmp_path):
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0
    (tmp_path / "measured/truth.json").write_text("{}")
    assert refused("infer", "chain.toml").startswith("[truth] file ")
    assert not (tmp_path / "chain").exists()


@pytest.mark.usefixtures("configs")
def test_a_log_has_a_line_for_each_stage_and_at_most_one_every_ten_seconds(run, monkeypatch):
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0

    def slow(*_, progress, **__):
        for second in (0, 4, 9, 12, 15):
            monkeypatch.setattr(screen.time, "monotonic", lambda second=second: 1000.0 + second)
            progress("searching", second, 20)
        progress("averaging", 0, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs, "infer", slow)
    lines = run("infer", "chain.toml").stderr.splitlines()
    assert all(re.match(r"\d\d:\d\d ", line) for line in lines[:-1])
    assert [line[6:] for line in lines[:-1]] == ["searching 0/20", "searching 12/20", "averaging"]


@pytest.mark.usefixtures("answered")
def test_report_is_made_again_without_the_measured_file(run, tmp_path):
    page = tmp_path / "chain/report.html"
    before = page.read_text()
    page.unlink()
    (tmp_path / "measured/spectrum.h5").unlink()
    assert run("report", "chain").stdout == "report: chain/report.html\n"
    assert page.read_text() == before


@pytest.mark.usefixtures("answered")
def test_a_truth_that_was_changed_is_refused(refused, tmp_path):
    sealed = tmp_path / "measured/truth.json"
    sealed.write_text(sealed.read_text().replace("-1.1", "-1.2"))
    assert "was changed after it was sealed" in refused("report", "chain")


PEAKS = "h,k,l,energy,error\n0,0,1,2,0.1\n0,0,1.1,3,0.2\n"


def test_show_says_and_draws_what_a_table_of_peaks_holds(run, tmp_path):
    (tmp_path / "p.csv").write_text("# lattice [angstrom, degrees]: 4 5 6 90 90 90\n# temperature [K]: 1.5\n" + PEAKS)
    result = run("show", "p.csv")
    assert result.exit_code == 0, result.output
    for words in ("peaks of modes", "2 to 3 meV", "0.1 to 0.2 meV", "1.5 K", "4, 5, 6, 90, 90, 90"):
        assert words in result.stdout
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_show_says_what_a_table_of_peaks_lacks(refused, tmp_path):
    (tmp_path / "p.csv").write_text(PEAKS)
    assert refused("show", "p.csv") == (
        "p.csv does not tell its lattice; give one, or add the line '# lattice [angstrom, degrees]: a b c alpha beta gamma'"
    )


@pytest.mark.usefixtures("configs")
def test_interruption_while_sampling_leaves_an_answer_from_fewer_draws(run, monkeypatch):
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0
    whole = verbs.infer

    def impatient(*args, progress, **kwargs):
        def tell(stage, done, total):
            progress(stage, done, total)
            if stage == "sampling" and done >= 100:
                raise KeyboardInterrupt

        return whole(*args, progress=tell, **kwargs)

    monkeypatch.setattr(verbs, "infer", impatient)
    result = run("infer", "chain.toml")
    assert result.exit_code == 130
    assert "FAILED complete = " in result.stdout
    assert result.stdout.rstrip().endswith("report: chain/report.html")


@pytest.mark.usefixtures("powder")
def test_show_says_and_draws_what_a_file_holds(run, tmp_path):
    result = run("show", "ok.h5")
    assert result.exit_code == 0
    for words in ("powder map of |Q| and energy", "0.5 to 2 1/angstrom", "1 to 8 meV", "5 K", "29 meV", "reduced"):
        assert words in result.stdout
    assert (tmp_path / "ok.png").read_bytes().startswith(b"\x89PNG")


def test_show_says_where_the_elastic_line_is(run, tmp_path):
    write(tmp_path / "e.h5", elastic(-0.31, 3.5))
    assert "elastic line        at -0.31 meV (centre of gravity), full width 3.5 meV" in run("show", "e.h5").stdout


def test_show_says_and_draws_a_grid(run, tmp_path):
    grid = QGrid(Lattice(4, 4, 9), [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], [[0, 0.1, 0.2], [-0.1, 0.1], [-1, 1]])
    measurement = Measurement(grid, [1.0, 2.0, 3.0], 5.0)
    ones = torch.ones(2, 2).double()
    write(tmp_path / "grid.csv", Spectrum.from_arrays(ones, 0 * ones, measurement))
    result = run("show", "grid.csv")
    assert result.exit_code == 0
    for words in ("(1, 1, 0), (-1, 1, 0), (0, 0, 1)", "(0, 0.2), (-0.1, 0.1), (-1, 1)", "bins without error  4"):
        assert words in result.stdout
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("configs")
def test_interruption_leaves_what_was_finished(run, monkeypatch):
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0

    def stop(*_, **kwargs):
        kwargs["progress"]("screening", 1, 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs, "infer", stop)
    result = run("infer", "chain.toml")
    assert result.exit_code == 130
    assert result.stderr.endswith(
        "sqwirrel: interrupted; finished and kept in chain: config.toml, record.json, spectrum.h5\n"
    )


def test_doctor_and_list_name_what_is_there(run):
    doctor, families = run("doctor"), run("list")
    assert "kernel cache" in doctor.stdout
    assert families.exit_code == 0
    for word in ("rb2mnf4", "nxspe", "polynomial", "poisson", "planar"):
        assert word in families.stdout


@pytest.mark.usefixtures("configs")
def test_an_energy_in_another_unit_is_the_same(run, tmp_path):
    run("simulate", "truth.toml", "--out", "a")
    run("simulate", "truth.toml", "--out", "b", "--set", "simulate.parameters.J={value=-0.0011, unit='eV'}")
    truths = [json.loads((tmp_path / name / "truth.json").read_text())["parameters"]["J"] for name in "ab"]
    assert truths[0] == pytest.approx(truths[1], rel=1e-12)  # rounding of one product


def example(run, verb):
    return re.search(r"Example: (.*)", run(verb, "--help").stdout.replace("\n   ", " "))[1].strip()


def test_examples_of_the_help_texts_run(run, tmp_path):
    """The commands as printed, on the example files with fewer points and draws."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    for name in ("rb2mnf4.toml", "rb2mnf4_truth.toml"):
        file = tmp_path / "examples" / name
        quick = re.sub(r"samples = \d+", "samples = 4", re.sub(r"points = \d+", "points = 12", file.read_text()))
        file.write_text(quick + "\n[infer]\nscreen = 32\nstarts = 2\ndraws = 60\n")
    for verb in (
        "list",
        "doctor",
        "order",
        "bonds",
        "simulate",
        "show",
        "infer",
        "report",
        "advise",
        "discriminate",
        "explain",
    ):
        result = run(*shlex.split(example(run, verb))[1:])
        assert result.exit_code in ({0, 1} if verb == "infer" else {0}), result.output


def test_the_quickstart_runs():
    """The example ends with an assertion of its own; here with fewer draws it need not be that sure."""
    text = (EXAMPLES / "quickstart.py").read_text()
    small = text.replace("Settings(draws=300)", "Settings(screen=32, starts=2, draws=60)").replace(
        "samples=16", "samples=4"
    )
    assert small != text
    exec(compile(small, "quickstart.py", "exec"), {})  # the example as a reader runs it


@pytest.mark.parametrize("name", ["mnf2", "rb2mnf4", "rb2mnf4_truth"])
def test_example_configs_are_read(name):
    assert load(EXAMPLES / f"{name}.toml").model in {"mnf2", "rb2mnf4"}


def test_every_verb_is_there():
    assert tuple(command.name or command.callback.__name__ for command in cli.app.registered_commands) == VERBS


def test_the_module_is_the_command_line() -> None:
    found = subprocess.run([sys.executable, "-m", "sqwirrel", "--help"], capture_output=True, text=True, check=False)
    assert found.returncode == 0
    assert "discriminate" in found.stdout


def test_where_the_branches_are_is_said_after_the_page(tmp_path, capsys) -> None:
    screen.print_page(tmp_path / "report.html")
    assert capsys.readouterr().out == f"report: {tmp_path / 'report.html'}\n"
    (tmp_path / "dispersion.png").touch()
    screen.print_page(tmp_path / "report.html")
    assert capsys.readouterr().out.splitlines()[1] == f"dispersion: {tmp_path / 'dispersion.png'}, dispersion.json"
