"""The verb `order`: what it prints, and a table that comes back as a model."""

import json
import tomllib

import pytest

from sqwirrel.model import library
from sqwirrel.model.parse import parse
from sqwirrel.simulate.stability import stability


def test_a_stable_order_is_said_to_be_the_lowest(run):
    said = run("order", "mnf2").stdout
    assert "the given order has the lowest energy that any order can have" in said
    assert "64 of 64 starts" in said
    assert "-7.96875" in said


def test_an_unstable_order_is_named_with_the_one_that_is_lower(run):
    result = run("order", "la2nio4", "--set", "J2=15", "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert said["parameters"] == {"J1": 29.0, "J2": 15.0}
    assert not said["given"]["is_minimum"]
    assert said["bound"]["k"][0] == [0.5, 0, -0.5]
    assert said["bound"]["energy"] == pytest.approx(-30)
    mapping = tomllib.loads((library.FOLDER / "la2nio4.toml").read_text())
    model = parse({**mapping, **tomllib.loads(said["order"])})
    assert stability(model, model.pack(J2=15)).is_minimum


def test_a_value_may_carry_its_unit(run):
    said = json.loads(run("order", "fm_chain", "--set", "J=-0.001 eV", "--json").stdout)
    assert said["parameters"]["J"] == pytest.approx(-1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mnf3"], "there is no model 'mnf3'"),
        (["mnf2", "--set", "J1"], "--set J1 is not of the form name=value, like --set J1=0.6"),
        (["mnf2", "--set", "J1=warm"], "'warm' is not a quantity; expected a number in meV"),
        (["mnf2", "--set", "K=1"], "model 'mnf2' has parameters"),
    ],
)
def test_order_refuses(refused, words, sentence):
    assert refused("order", *words).startswith(sentence)


def test_biquadratic_exchange_leaves_the_question_whether_the_order_is_a_minimum(run):
    said = " ".join(run("order", "fcc_biquadratic").stdout.split())
    assert "a minimum; the lowest eigenvalue of H(q)" in said
    assert "no other order is looked for" in said


def test_a_lower_order_is_said_to_be_one_where_no_bound_is_known(run, tmp_path):
    text = (library.FOLDER / "mnf2_dipole.toml").read_text(encoding="utf-8")
    path = tmp_path / "flat.toml"
    path.write_text(text.replace("[0, 0, 1]", "[1, 0, 0]").replace("[0, 0, -1]", "[-1, 0, 0]"), encoding="utf-8")
    assert "an order of lower energy in the same cell:" in run("order", str(path)).stdout


def test_a_config_stands_for_its_model(run, refused, tmp_path):
    (tmp_path / "c.toml").write_text('model = "fm_chain"\n[measurement]\ntemperature = 5\n')
    assert run("order", "c.toml", "--json").stdout == run("order", "fm_chain", "--json").stdout
    (tmp_path / "c.toml").write_text('model = "al_80k"\n[measurement]\ntemperature = 5\n')
    assert refused("order", "c.toml").startswith("model 'al_80k' has springs, and this needs spins: an order or peaks")
