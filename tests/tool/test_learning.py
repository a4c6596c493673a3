"""A network from the front door: trained, used, refused for other data; and whether intervals hold."""

import json

import pytest

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
def chain(chain_map):
    (chain_map / "c.toml").write_text(CONFIG)
    return chain_map


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
    before = contents(chain / "network")
    run(
        "infer", "c.toml", "--set", "infer.estimator=network", "--set", "train.simulations=600", "--set", "train.seed=5"
    )
    assert contents(chain / "network") == before


def contents(folder) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


def test_a_network_is_refused_for_what_it_was_not_trained_for(run, refused, chain) -> None:
    run("train", "c.toml", "--out", "network", "--set", "train.steps=2")
    head = f"the network in {chain / 'network'} was trained for "
    use = ("infer", "c.toml", "--set", "infer.estimator=network", "--out", "answer", "--set")
    assert refused(*use, "prior.fwhm=0.5") == (
        f"{head}another prior (fwhm: held at 0.4 meV, now held at 0.5 meV); train one for this measurement and prior; "
        "priors that are read off the data must be written out in the config"
    )
    assert refused(*use, "measurement.temperature=100") == (
        f"{head}another temperature (1 K, now 100 K); train one for this measurement and prior"
    )
    assert not (chain / "answer").exists()
    known = json.loads((chain / "network/estimator.json").read_text())
    known["purpose"] = {"names": ["J"], "prior": "", "model": "fm_chain", "bins": ""}
    (chain / "network/estimator.json").write_text(json.dumps(known))
    assert refused(*use, "infer.seed=2").startswith(f"the network in {chain / 'network'} is of an earlier version")


def test_a_second_training_changes_nothing(run, chain, caplog) -> None:
    run("train", "c.toml", "--out", "network")
    before = contents(chain / "network")
    again = run("train", "c.toml", "--out", "network")
    assert again.exit_code == 0
    assert "the network in network is trained already" in caplog.text
    assert again.stdout.endswith("network: network\n")
    assert contents(chain / "network") == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.steps=80", "trained with steps = 40, now 80; choose another folder"),
        ("train.simulations=600", "trained with simulations = 256, now 600; choose another folder"),
        ("train.members=2", "trained with members = 1, now 2; choose another folder"),
        ("measurement.temperature=100", "network for another temperature (1 K, now 100 K); choose another folder"),
    ],
)
def test_a_used_folder_is_refused_for_anything_else(run, refused, chain, change, words) -> None:
    run("train", "c.toml", "--out", "network")
    before = contents(chain / "network")
    assert words in refused("train", "c.toml", "--out", "network", "--set", change)
    assert contents(chain / "network") == before


def test_an_interrupted_training_goes_on(run, chain, caplog, monkeypatch) -> None:
    run("train", "c.toml", "--out", "whole")

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sqwirrel.learn.checkpoint.save", stopped)
        first = run("train", "c.toml", "--out", "network")
    assert first.exit_code == 130
    assert first.stderr.endswith("; run the same again to go on\n")
    assert not (chain / "network/estimator.json").exists()
    refused = run("train", "c.toml", "--out", "network", "--set", "measurement.temperature=100")
    assert "another temperature" in refused.stderr
    assert run("train", "c.toml", "--out", "network").exit_code == 0
    assert "was interrupted: its training goes on" in caplog.text
    weights = [(chain / name / "weights.safetensors").read_bytes() for name in ("whole", "network")]
    assert weights[0] == weights[1]


def test_simulations_that_are_there_are_used_for_the_same_alone(run, refused, chain, caplog) -> None:
    run("train", "c.toml", "--out", "network", "--set", "train.steps=2")
    (chain / "other").mkdir()
    (chain / "network/simulations").rename(chain / "other/simulations")
    assert "holds simulations of another temperature (1 K, now 100 K); choose another folder" in refused(
        "train", "c.toml", "--out", "other", "--set", "measurement.temperature=100"
    )
    assert [each.name for each in (chain / "other").iterdir()] == ["simulations"]
    assert run("train", "c.toml", "--out", "other", "--set", "train.steps=3").exit_code == 0
    assert "holds simulations of the same already" in caplog.text


def test_priors_that_are_read_off_the_data_are_warned_of(run, chain, caplog) -> None:
    (chain / "d.toml").write_text(
        CONFIG.replace("scale = { loguniform = [20, 200] }\n", "").replace("fwhm = 0.4\n", "")
    )
    assert run("train", "d.toml", "--out", "network", "--set", "train.steps=2").exit_code == 0
    assert "the priors of scale are read off this measurement" in caplog.text
    caplog.clear()
    assert run("train", "c.toml", "--out", "silent", "--set", "train.steps=2").exit_code == 0
    assert "read off" not in caplog.text


@pytest.mark.usefixtures("chain")
def test_a_folder_without_a_network_is_refused(refused) -> None:
    said = refused("infer", "c.toml", "--set", "infer.estimator=nothing")
    assert said.endswith(
        "nothing' holds no estimator.json; make one with sqwirrel train (the path is relative to the folder of the "
        "config)"
    )


def test_intervals_are_checked(run, chain) -> None:
    checked = run("check", "c.toml", "--out", "checked")
    assert checked.exit_code == 0, checked.output
    assert "2 simulated measurements" in checked.stdout
    found = json.loads((chain / "checked/calibration.json").read_text())
    assert found["n"] == len(found["trials"]) == 2
    assert (chain / "checked/calibration.png").read_bytes()[:4] == b"\x89PNG"
    again = run("check", "c.toml", "--out", "checked")
    assert again.stdout == checked.stdout
    config = (chain / "checked/config.toml").read_bytes()
    refused = run("check", "c.toml", "--out", "checked", "--set", "measurement.temperature=100")
    assert "another measurement" in refused.stderr
    assert (chain / "checked/config.toml").read_bytes() == config


BOTH = CONFIG.replace(
    '[measurement]\nfile = "chain.h5"', '[measurements.a]\nfile = "chain.h5"\n[measurements.b]\nfile = "b.h5"'
)


def test_a_network_of_two_measurements_is_trained_and_used(run, refused, chain) -> None:
    (chain / "b.h5").write_bytes((chain / "chain.h5").read_bytes())
    nuisances = [f"{name}_{label}" for label in "ab" for name in ("fwhm", "background")]
    text = BOTH.replace("fwhm = 0.4\n", "").replace("background = 1.0\n", "").replace("scale =", "scale_a =")
    values = "\n".join(f"{name} = {0.4 if name.startswith('fwhm') else 1.0}" for name in nuisances)
    text = text.replace("[prior]", f"[prior]\n{values}\nscale_b = {{ loguniform = [20, 200] }}")
    (chain / "c.toml").write_text(text)
    trained = run("train", "c.toml", "--out", "network")
    assert trained.exit_code == 0, trained.output
    result = run("infer", "c.toml", "--set", "infer.estimator=network", "--json")
    assert result.exit_code in {0, 1}, result.output
    assert "seen_before" in {check["name"] for check in json.loads(result.stdout)["checks"]}
    words = refused("infer", "c.toml", "--set", "infer.estimator=network", "--set", "prior.fwhm_b=0.5")
    assert "another prior (fwhm_b: held at 0.4 meV, now held at 0.5 meV)" in words
