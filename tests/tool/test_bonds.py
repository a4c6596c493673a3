"""The verb `bonds`: what it prints, for models and for structure files."""

import json
from pathlib import Path

import pytest

from sqwirrel.model import library
from tests.cases import MNF2_CIF

KEPT = Path(__file__).parents[1] / "reference" / "phonons"


def test_bonds_of_a_model_are_printed_with_what_symmetry_allows(run):
    lines = [line.split(maxsplit=1) for line in run("bonds", "mnf2", "--distance", "4").stdout.splitlines()[:10]]
    assert lines == [
        ["site", "Mn             Mn_1 at [0, 0, 0], Mn_2 at [0.5, 0.5, 0.5]"],
        ["anisotropy", "[[a, b, 0], [b, a, 0], [0, 0, c]]"],
        ["bond", "1              3.2998 A, 2 in the cell, Mn_1 to Mn_1: [0, 0, 0] to [0, 0, 1]"],
        ["exchange", "[[a, b, 0], [b, a, 0], [0, 0, c]]"],
        ["D", "none"],
        ["anisotropic", "part  [[a, b, 0], [b, a, 0], [0, 0, -2a]]"],
        ["bond", "2              3.8208 A, 8 in the cell, Mn_1 to Mn_2: [0, 0, 0] to [0.5, 0.5, 0.5]"],
        ["exchange", "[[a, b, c], [b, a, c], [d, d, e]]"],
        ["D", "[a, -a, 0]"],
        ["anisotropic", "part  [[a, b, c], [b, a, c], [c, c, -2a]]"],
    ]


def test_bonds_of_a_structure_file_are_those_of_the_model(run, tmp_path):
    (tmp_path / "m.cif").write_text(MNF2_CIF)
    model = json.loads(run("bonds", "mnf2", "--json").stdout)
    for sites in ("Mn", "Mn1"):
        structure = json.loads(run("bonds", "m.cif", "--sites", sites, "--json").stdout)
        assert [bond["exchange"] for bond in structure["bonds"]] == [bond["exchange"] for bond in model["bonds"]]
        assert [bond["name"] for bond in structure["bonds"]] == [bond["name"] for bond in model["bonds"]]
    assert len(json.loads(run("bonds", "m.cif", "--json").stdout)["sites"]) == 2


def test_bonds_of_a_crystal_with_springs_have_matrices_in_its_parameters(run):
    lines = run("bonds", "al_80k", "--distance", "3").stdout.splitlines()
    assert lines[:4] == [
        "atom Al             (0, 0, 0)",
        "bond 1              2.8567 A, Al to Al, 12 neighbours",
        "  first             (2.02, 2.02, 0) A",
        "  matrix            [[K1xx, K1xy, 0], [K1xy, K1xx, 0], [0, 0, K1zz]]",
    ]
    (bond,) = json.loads(run("bonds", "al_80k", "--distance", "3", "--json").stdout)["bonds"]
    assert list(bond["matrices"]) == ["K1xx", "K1xy", "K1zz"]


def test_what_is_not_listed_is_said(run):
    everything = run("bonds", "al_80k").stdout
    assert "bond 8  " in everything
    assert "Longer" not in everything
    few = run("bonds", "al_80k", "--distance", "6").stdout.splitlines()
    assert few[-1] == "Longer ones are left out: 5, 6, 7, 8, up to 8.08 A; without --distance all are listed."
    assert json.loads(run("bonds", "al_80k", "--distance", "6", "--json").stdout)["longer"] == ["5", "6", "7", "8"]
    spins = run("bonds", "mnf2").stdout.splitlines()
    assert spins[-1] == "Bonds up to 6 A are listed; --distance chooses another length."
    assert json.loads(run("bonds", "mnf2", "--json").stdout)["longest"] == 6


def test_force_constants_of_a_program_have_one_factor(run):
    lines = run("bonds", KEPT / "nacl" / "phonopy.yaml").stdout.splitlines()
    assert lines[2].startswith("stiffness           a factor on ")
    assert lines[-1] == "Force constants are those of the file; the parameter, without unit, multiplies them."


MODELS = {
    "a name": ("al_80k", 'model = "al_80k"'),
    "springs": ("al_80k", "[model.springs]\nmax_distance = 3.0"),
    "spins": ("mnf2", 'model = "mnf2"'),
    "a file of spins": ("mnf2", 'model = "own.toml"'),
}


@pytest.mark.parametrize(("name", "table"), MODELS.values(), ids=MODELS)
def test_a_config_stands_for_its_model(run, tmp_path, name, table):
    crystal = "cell = [4.04, 4.04, 4.04, 90, 90, 90]\nspacegroup = 225"
    if "springs" in table:
        sites = 'sites = [{ label = "Al", position = [0, 0, 0] }]'
        table = f'[model]\nname = "Al"\n[model.crystal]\n{crystal}\n{sites}\n{table}'
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "own.toml").write_text((library.FOLDER / "mnf2.toml").read_text(encoding="utf-8"))
    (tmp_path / "in" / "c.toml").write_text(f"{table}\n[measurement]\ntemperature = 5\n")
    words = ("--distance", "3", "--json") if name == "al_80k" else ("--json",)
    found, expected = (json.loads(run("bonds", each, *words).stdout) for each in ("in/c.toml", name))
    assert [each["name"] for each in found["bonds"]] == [each["name"] for each in expected["bonds"]]
    assert found.keys() - {"longer"} == expected.keys() - {"longer"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["al_80k", "--distance", "2"], "no spring of 'al_80k' is as short as 2 A"),
        (["al_80k", "--sites", "Al"], "model 'al_80k' has springs, and --sites chooses magnetic sites"),
        (["mnf3"], "there is no model 'mnf3'"),
        (["absent.cif"], "there is no file 'absent.cif'"),
        (["mnf2", "--sites", "Fe"], "the crystal has sites ('Mn',), got 'Fe'"),
        (["mnf2", "--distance", "2"], "no bond between these sites is as short as 2 A; give a larger --distance"),
    ],
)
def test_bonds_refuses(refused, words, sentence):
    assert refused("bonds", *words).startswith(sentence)
