"""The verb that decides between models: rivals of a config, a folder for each, a verdict."""

import json
import re
import sys

import pytest

import sqwirrel
from sqwirrel.config import several
from sqwirrel.config.verbs import jury_in

RIVALS = """
[rivals.weaker]
model = "fm_chain"
prior = { J = { uniform = [-0.9, -0.2] } }
"""


STALE = (
    "fm_chain: chain-verdict/fm_chain holds the answer of another config, other data or another model; choose another "
    "folder with --out, or remove it"
)


@pytest.fixture
def rivals(run, configs):
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0
    config = configs[1]
    config.write_text(config.read_text() + RIVALS)
    return config.parent


def test_a_verdict_is_printed_kept_and_drawn(run, refused, rivals, monkeypatch) -> None:
    files, reading = [], several.read
    monkeypatch.setattr(several, "read", lambda *args: files.append(args[0]) or reading(*args))
    result = run("discriminate", "chain.toml")
    assert result.exit_code == 0, result.output
    assert len(files) == 1, "the data are read once, for all rivals"
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["log", "fm_chain", "weaker", "decided:", "report:"]
    assert lines[3].startswith("decided: fm_chain")
    folder = rivals / "chain-verdict"
    kept = {path.name for path in folder.iterdir()}
    left = {"config.toml", "record.json", "verdict.json", "verdict.png", "fits.png", "report.html"}
    assert kept == left | {"fm_chain", "weaker"}
    assert (folder / "weaker" / "report.html").is_file()
    said = json.loads((folder / "verdict.json").read_text())
    assert said["decided"] == said["best"] == "fm_chain"
    assert said["rivals"]["weaker"]["log_bayes_factor_of_best"]["value"] > 10
    assert sum(row["probability"] for row in said["rivals"].values()) == pytest.approx(1)
    assert [row["name"] for row in said["rivals"]["weaker"]["parameters"]] == ["J", "fwhm", "scale", "background"]

    assert "is a verdict; explain the answer of one of its rivals, fm_chain, weaker" in refused("explain", folder.name)
    before = (folder / "weaker" / "posterior.h5").stat().st_mtime_ns
    again = run("discriminate", "chain-verdict/config.toml", "--out", "chain-verdict")
    assert again.exit_code == 0, again.output
    assert again.stdout.splitlines()[:3] == lines[:3]
    assert (folder / "weaker" / "posterior.h5").stat().st_mtime_ns == before, "a finished rival is not inferred again"

    page = (folder / "report.html").read_text(encoding="utf-8")
    (folder / "report.html").unlink()
    (rivals / "measured" / "spectrum.h5").unlink()  # what is in the folder is enough
    assert run("report", folder.name).stdout == "report: chain-verdict/report.html\n"
    drawn = (folder / "report.html").read_text(encoding="utf-8")
    assert re.sub(r"time</dt><dd>[^<]*", "", drawn) == re.sub(r"time</dt><dd>[^<]*", "", page)
    (folder / "weaker" / "posterior.h5").unlink()
    words = refused("report", folder.name)
    assert words == "'chain-verdict' holds no answer of weaker; run sqwirrel discriminate again"


@pytest.mark.usefixtures("rivals")
def test_rivals_of_another_run_are_not_taken_over(run, refused) -> None:
    short = ("--set", "infer.draws=60", "--set", "infer.rounds=1")
    assert run("discriminate", "chain.toml", *short).exit_code in {0, 1}
    words = refused("discriminate", "chain.toml", *short, "--set", "infer.seed=5")
    assert words == STALE
    assert run("simulate", "truth.toml", "--out", "measured", "--set", "simulate.parameters.J=-0.7").exit_code == 0
    known = ("prior.fwhm=0.3", "prior.background=2.0", "prior.scale={ loguniform = [10, 100] }")
    fixed = [word for each in known for word in ("--set", each)]
    assert run("discriminate", "chain.toml", *short, *fixed, "--out", "v").exit_code in {0, 1}
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0
    assert refused("discriminate", "chain.toml", *short, *fixed, "--out", "v") == STALE.replace("chain-verdict", "v")


def test_an_interrupted_rival_is_gone_on_with(run, rivals, monkeypatch) -> None:
    """Ctrl-C in the middle of sampling leaves a posterior of too few draws, which is no answer yet."""
    sampling = sys.modules["sqwirrel.infer.sampling.importance"]
    real, calls = sampling._evaluate, []

    def stopped(*args):
        calls.append(1)
        value, _ = real(*args)
        return value, len(calls) == 1

    monkeypatch.setattr(sampling, "_evaluate", stopped)
    first = run("discriminate", "chain.toml")
    assert first.exit_code == 130, first.output
    assert not (rivals / "chain-verdict" / "verdict.json").exists()
    again = run("discriminate", "chain.toml")
    assert again.exit_code == 0, again.output
    assert "decided: fm_chain" in again.stdout


def test_the_same_model_twice_is_undecided(run, rivals) -> None:
    result = run("discriminate", "chain.toml", "--set", "rivals.weaker.prior.J.uniform=[-2.0, -0.1]")
    assert result.exit_code == 1, result.output
    assert "undecided: " in result.stdout
    assert json.loads((rivals / "chain-verdict" / "verdict.json").read_text())["decided"] is None


@pytest.mark.usefixtures("configs")
def test_rivals_are_needed_and_named(refused) -> None:
    words = refused("discriminate", "chain.toml")
    assert words == 'the config lacks rivals: give at least one, like [rivals.other] with model = "..."'
    words = refused("discriminate", "chain.toml", "--set", "rivals.fm_chain.model=fm_chain")
    assert words == "[rivals.fm_chain] has the name of the model of the config; choose another name"
    words = refused("discriminate", "chain.toml", "--set", 'rivals={".."={model="fm_chain"}}')
    assert (
        words
        == "chain.toml: the config rivals: a rival is called '..'; use letters, digits, _ and -, as it names a folder"
    )
    words = refused("discriminate", "chain.toml", "--set", "rivals.b.model=nothing")
    assert words.startswith("b: there is no model 'nothing'")
    words = refused("discriminate", "chain.toml", "--set", "rivals.b.model=fm_chain", "--set", "rivals.b.odds=0")
    assert words == "chain.toml: [rivals.b] odds = 0: input should be greater than 0"


TRAINED = ("--set", "train.simulations=512", "--set", "train.steps=150", "--set", "train.batch=64")


def test_networks_are_the_second_answer(run, refused, rivals) -> None:
    """Trained on the rivals of the config, asked of the same data, and of data unlike any that were simulated."""
    trained = run("train", "chain.toml", *TRAINED, "--set", "train.members=2", "--out", "networks")
    assert trained.exit_code == 0, trained.output
    kept = {path.name for path in (rivals / "networks").iterdir()}
    assert {"weights.safetensors", "committee.json", "simulations", "config.toml", "record.json"} <= kept
    again = run("train", "chain.toml", *TRAINED, "--set", "train.members=2", "--out", "networks")
    assert again.exit_code == 0, again.output
    asked = ("--set", "discriminate.estimator=networks", *TRAINED, "--set", "train.members=2")
    result = run("discriminate", "chain.toml", *asked)
    assert result.exit_code == 0, result.output
    assert "networks" in result.stdout.splitlines()[0]
    said = json.loads((rivals / "chain-verdict" / "verdict.json").read_text())
    assert said["networks"]["probability"]["fm_chain"] > 0.5
    assert "networks: fm_chain" in result.stdout
    assert len(said["networks"]["log_odds_of_best_by_member"]["weaker"]) == 2
    jury = jury_in(rivals / "networks")
    assert jury.contest.names == ("fm_chain", "weaker")
    opinion = jury.opinion(sqwirrel.read(rivals / "measured" / "spectrum.h5"))
    assert opinion.mapping()["probability"] == said["networks"]["probability"]
    with pytest.raises(
        sqwirrel.InputError, match=r"holds no config\.toml; give a folder that sqwirrel train of rivals"
    ):
        jury_in(rivals)
    assert said["networks"]["likelier"] > 0.01
    assert -1 <= said["networks"]["agreement"][""] <= 1
    assert (rivals / "chain-verdict" / "networks.png").is_file()
    trust = said["networks"]["trust"]
    assert trust["for"] == "fm_chain"
    assert len(trust["random_with_evidence"]) == len(trust["random_between_members"]) == 8
    page = (rivals / "chain-verdict" / "report.html").read_text(encoding="utf-8")
    assert '<section id="networks">' in page
    assert "the map of the networks" in page

    words = refused("discriminate", "chain.toml", *asked, "--set", "rivals.weaker.prior.J.uniform=[-0.8, -0.2]")
    assert "was trained with another prior (J: -0.9 to -0.2 meV, now -0.8 to -0.2 meV) of 'weaker'" in words
    words = refused("train", "chain.toml", *TRAINED, "--set", "train.members=1", "--out", "networks")
    assert words == "networks holds a committee that is trained with members = 2, now 1; choose another folder"
    words = refused("discriminate", "chain.toml", "--set", "discriminate.estimator=nothing")
    assert "nothing holds no committee: committee.json is missing" in words
