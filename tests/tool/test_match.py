"""A translator from the front door: trained, used, gone on with, refused; what it makes is refused by the other verbs."""

import json

import pytest

from sqwirrel.spectra import Spectrum, read, write

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
[train]
simulations = 256
steps = 4
[match]
fwhm = 0.4
"""


@pytest.fixture
def chain(chain_map):
    (chain_map / "c.toml").write_text(CONFIG)
    return chain_map


def contents(folder):
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


USE = ("match", "c.toml", "--set", "match.estimator=network", "--out", "matched")


def test_a_translator_is_trained_and_used(run, refused, chain, caplog) -> None:
    trained = run("train", "c.toml", "--out", "network")
    assert trained.exit_code == 0, trained.output
    assert trained.stdout.endswith("network: network\n")
    assert "batch = 4" in (chain / "network/config.toml").read_text()
    before = contents(chain / "network")
    done = run(*USE)
    assert done.exit_code == int("DOUBT" in done.stdout), done.output
    assert done.stdout.startswith("translated to simulated: no measurement, and for no likelihood\n")
    assert done.stdout.endswith("picture: matched/matched.png\n")
    left = {path.name for path in (chain / "matched").iterdir()}
    assert left == {"matched.h5", "matched.json", "matched.png", "config.toml", "record.json"}
    told = json.loads((chain / "matched/matched.json").read_text())
    assert told["translated_to"] == read(chain / "matched/matched.h5").translated == "simulated"
    assert [len(each) for each in told["integrals_of_q"] + told["modes_of_q_meV"]] == [8, 8, 8, 8]
    shown = run("show", "matched/matched.h5")
    assert "to simulated: not measured" in shown.stdout
    sentence = "this spectrum was translated to 'simulated', not measured: no likelihood takes it"
    for verb in ("infer", "train", "check", "match"):
        extra = ("--set", "match.estimator=network") if verb == "match" else ()
        again = (verb, "c.toml", "--set", "measurement.file=matched/matched.h5", "--out", "refused", *extra)
        assert sentence in refused(*again)
    assert run("train", "c.toml", "--out", "network").exit_code == 0
    assert "is trained already" in caplog.text
    assert contents(chain / "network") == before
    again = run("match", "matched/config.toml", "--out", "again")
    assert again.stdout.splitlines()[:-1] == done.stdout.splitlines()[:-1]


def test_an_interrupted_training_goes_on(run, chain, monkeypatch, caplog) -> None:
    run("train", "c.toml", "--out", "whole")

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sqwirrel.config.verbs.translating.training.save_matcher", stopped)
        assert run("train", "c.toml", "--out", "network").exit_code == 130
    assert run("train", "c.toml", "--out", "network").exit_code == 0
    assert "was interrupted: its training goes on" in caplog.text
    weights = [(chain / name / "weights.safetensors").read_bytes() for name in ("whole", "network")]
    assert weights[0] == weights[1]


def test_a_translator_learns_from_measured_frames(run, refused, chain) -> None:
    known = read(chain / "chain.h5")
    another = known.intensity.clone()
    another[0, 0] += 1
    counts = Spectrum.from_arrays(another, another.sqrt(), known.measurement, is_counts=True)
    write(chain / "frame.h5", counts)
    (chain / "d.toml").write_text(CONFIG + 'clean = "signals"\nframes = ["frame.h5"]\nthin = 0.5\n')
    trained = run("train", "d.toml", "--out", "network")
    assert trained.exit_code == 0, trained.output
    assert "frame.h5" in json.loads((chain / "network/record.json").read_text())["files"]
    assert run("match", "d.toml", "--set", "match.estimator=network").exit_code in {0, 1}
    own = ("match", "d.toml", "--set", "match.estimator=network", "--set", "measurement.file=frame.h5")
    said = refused(*own)
    assert said.startswith("the translator learnt from the map that is to be matched")
    (chain / "copy.h5").write_bytes((chain / "frame.h5").read_bytes())
    own = ("match", "c.toml", "--set", "match.estimator=network", "--set", "measurement.file=copy.h5")
    assert refused(*own) == said  # whatever it is called, and whatever the config says of frames
    (chain / "frame.h5").rename(chain / "moved.h5")
    assert refused(*own) == said
    for name in ("record.json", "config.toml"):
        (chain / "network" / name).unlink()
        assert f"{name} is missing, so that nobody knows what the translator learnt from" in refused(*own)


def test_what_a_translator_is_not_for_is_refused(run, refused, chain) -> None:
    run("train", "c.toml", "--out", "network")
    measured = read(chain / "chain.h5")
    upside = Spectrum.from_arrays(measured.intensity.flip(1), measured.error, measured.measurement, is_counts=True)
    write(chain / "upside.h5", upside)
    said = refused(*USE, "--set", "measurement.file=upside.h5")
    assert said.startswith("this map is not like the measured ones that the translator learnt from: it is ")
    assert refused(*USE, "--set", "measurement.energy=[0, 8]") == (
        f"the translator in {chain / 'network'} was trained for other energies than those of this map; cut and rebin "
        "the map as in the config of the training, or train one for it"
    )
    assert not (chain / "matched").exists()
    again = ("train", "c.toml", "--out", "network", "--set", "match.clean=signals")
    assert "trained with clean = expected, now signals" in refused(*again)


def test_wrong_configs_are_refused(refused, chain) -> None:
    assert refused("match", "c.toml").startswith("[match] names no translator: train one with sqwirrel train")
    assert "holds no translator.json; make one with sqwirrel train" in refused(*USE)
    assert refused("train", "c.toml", "--set", "train.members=2").startswith("[train] members are of networks that")
    assert refused("train", "c.toml", "--set", "rivals.other.model=fm_chain").startswith("[match] trains a translator")
    (chain / "d.toml").write_text(CONFIG + 'frames = ["chain.h5"]\n')
    assert refused("train", "d.toml").startswith("all copies of one measured frame are the same")
    assert "[match] to = 'clean'" in refused(*USE, "--set", "match.to=clean")
