"""Files of force constants: what phonopy's users keep beside each other, other units, and files that are wrong."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from sqwirrel import limits
from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.phonon.files import read_force_constants
from sqwirrel.model.phonon.parse import parse
from sqwirrel.simulate.phonon.phonons import Phonons

KEPT = Path(__file__).parents[2] / "reference" / "phonons"
Q = torch.tensor([[0.3, 0.2, 0.1], [1, 0, 0.5]], dtype=torch.float64)


def energies(path: Path) -> torch.Tensor:
    model = read_force_constants(path)
    return Phonons(model, Q).energies(model.pack())


@pytest.fixture
def nacl(tmp_path: Path) -> Path:
    (tmp_path / "nacl").mkdir()
    return Path(shutil.copy(KEPT / "nacl/phonopy.yaml", tmp_path / "nacl"))


@pytest.fixture
def quartz(tmp_path: Path) -> Path:
    for name in ("phonopy.yaml", "BORN", "force_constants.hdf5"):
        shutil.copy(KEPT / "quartz" / name, tmp_path)
    return tmp_path / "phonopy.yaml"


def content(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


def full(path: Path) -> np.ndarray:
    """Force constants of all atoms of the supercell, from those of two: each has what its like has, moved."""
    held = content(path)
    few = np.array(held["force_constants"]["elements"]).reshape(2, 64, 3, 3)
    points = held["supercell"]["points"]
    x = np.array([each["coordinates"] for each in points])
    first = [each["reduced_to"] - 1 for each in points]
    found = np.empty((64, 64, 3, 3))
    for a in range(64):
        moved = x - x[a] + x[first[a]]
        gap = moved[:, None] - x
        found[a] = few[sorted(set(first)).index(first[a]), np.abs(gap - gap.round()).sum(-1).argmin(1)]
    return found


def without(path: Path, key: str) -> None:
    """The file less one part of it."""
    text = path.read_text()
    path.write_text(re.sub(rf"^{key}:\n(?: .*\n?|\n)*", "", text, flags=re.MULTILINE))
    assert key not in content(path)


def test_a_model_of_a_file() -> None:
    model = read_force_constants(str(KEPT / "nacl/phonopy.yaml"))
    assert (model.name, model.names, model.elements) == ("NaCl", ("stiffness",), ("Na", "Cl"))
    assert model.lattice.a == pytest.approx(5.69030147)
    assert model.masses.tolist() == pytest.approx([22.989769, 35.453])
    assert model.pack().tolist() == [[1.0]]
    assert "doi:10.7566/JPSJ.92.012001" in model.papers[0]
    one, four = Phonons(model, Q).energies(torch.tensor([[1.0], [4.0]], dtype=torch.float64))
    assert torch.allclose(2 * one, four, rtol=1e-9)  # dipoles go with all other forces


@pytest.mark.parametrize("rows", ["some", "all"])
@pytest.mark.parametrize("kind", ["FORCE_CONSTANTS", "force_constants.hdf5"])
def test_force_constants_beside_are_those_inside(nacl: Path, rows: str, kind: str) -> None:
    expected, found = energies(nacl), full(nacl)
    first = [0, 32] if rows == "some" else list(range(64))
    without(nacl, "force_constants")
    if kind == "FORCE_CONSTANTS":
        lines = ["64" if rows == "all" else "2 64"]
        for a in first:
            for b in range(64):
                lines += [f"{a + 1} {b + 1}", *(" ".join(f"{x:.15f}" for x in row) for row in found[a, b])]
        (nacl.parent / kind).write_text("\n".join(lines) + "\n")
    else:
        with h5py.File(nacl.parent / kind, "w") as file:
            file["force_constants"] = found[first]
    assert torch.allclose(energies(nacl), expected, rtol=1e-9)


def test_other_units_are_the_same_crystal(nacl: Path) -> None:
    """rydberg and bohr, as of Quantum ESPRESSO."""
    expected, bohr, rydberg = energies(nacl), 0.529177210903, 13.605693122994
    held = content(nacl)
    for key in ("primitive_cell", "unit_cell", "supercell"):
        held[key]["lattice"] = (np.array(held[key]["lattice"]) / bohr).tolist()
    constants = held["force_constants"]
    constants["elements"] = (np.array(constants["elements"]) * bohr**2 / rydberg).tolist()
    held["physical_unit"] = {"length": "au", "force_constants": "Ry/au^2"}
    held["nac"]["unit_conversion_factor"] *= 1 / bohr / rydberg
    nacl.write_text(yaml.safe_dump(held))
    assert torch.allclose(energies(nacl), expected, rtol=1e-9)


def test_a_born_file_is_spread_over_the_crystal_by_symmetry(quartz: Path) -> None:
    model, other = read_force_constants(quartz), read_force_constants(KEPT / "quartz/euphonic.json")
    assert model.polar is not None
    assert other.polar is not None
    assert float(model.polar.charges.sum(0).abs().max()) < 1e-8
    assert torch.allclose(model.polar.charges, other.polar.charges, atol=2e-6)  # e^2 has other digits there


def test_a_broken_sum_rule_is_said_and_can_be_imposed(nacl: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_force_constants(nacl)
    assert not caplog.messages
    held = content(nacl)
    elements = np.array(held["force_constants"]["elements"])
    elements[[0, 64 + 32]] += 0.2 * np.eye(3)  # of an atom with itself, eV / A^2
    held["force_constants"]["elements"] = elements.tolist()
    nacl.write_text(yaml.safe_dump(held))
    read_force_constants(nacl)
    (said,) = caplog.messages
    assert "breaks the acoustic sum rule: when all atoms move alike (q = 0) forces are of 6 meV and not 0" in said
    expected = energies(KEPT / "nacl/phonopy.yaml")
    model = read_force_constants(nacl, sum_rule=True)
    assert len(caplog.messages) == 1
    assert torch.allclose(Phonons(model, Q).energies(model.pack()), expected, rtol=1e-9)
    (nacl.parent / "m.toml").write_text('force_constants = "phonopy.yaml"\nsum_rule = true\n')
    model = library.find(nacl.parent / "m.toml")
    assert library.has_springs(nacl.parent / "m.toml")
    assert model.title == "force constants of phonopy.yaml, acoustic sum rule imposed"
    assert torch.allclose(Phonons(model, Q).energies(model.pack()), expected, rtol=1e-9)


def test_a_wrong_table_of_force_constants_is_one_sentence() -> None:
    for table, message in (
        ({"force_constants": 3}, "force_constants must be the path of a file, got 3"),
        ({"force_constants": "x.yaml", "sum_rule": 1}, "sum_rule must be true or false, got 1"),
        ({"force_constants": "x.yaml", "sumrule": True}, "unknown key 'sumrule'; .* did you mean 'sum_rule'"),
    ):
        with pytest.raises(InputError, match=message):
            parse(table)


def test_without_charges_there_is_no_field(quartz: Path) -> None:
    (quartz.parent / "BORN").unlink()
    assert read_force_constants(quartz).polar is None


CHANGES: list[tuple[str, str, str]] = [
    (r"^supercell:", "supercel:", "'supercell' of phonopy.yaml must be a table"),
    (r"shape: \[ 2, 64 \]", "shape: [ 2, 63 ]", "'force_constants' of phonopy.yaml must be 126 x 3 x 3"),
    (r"shape: \[ 2, 64 \]", "shape: [ 64, 2 ]", "of 64 x 2 atoms; expected 2 or 64 x 64"),
    (r"shape: \[ 2, 64 \]", "shape: [ 2000000, 64000000 ]", "at most"),
    ("mass: 35.453000", "mass: -1", "they must be positive"),
    (
        "mass: 35.453000",
        "mass: heavy",
        "the masses of 'primitive_cell' of phonopy.yaml must be any number finite numbers",
    ),
    ("symbol: Cl", "symbol: Qx", "'Qx' is not a chemical element"),
    ('force_constants: "eV/angstrom\\^2"', 'force_constants: "eV"', "expected an energy by two lengths"),
    ('length: "angstrom"', 'length: "furlong"', "the unit 'furlong' where one of angstrom, au, bohr"),
    (r"dielectric_constant:\n    - \[ .*", "dielectric_constant:\n    - [ .nan, 0, 0 ]", "'dielectric_constant'"),
    ("unit_conversion_factor: 14.400000", "unit_conversion_factor: -1", "it is positive"),
    ("phonopy:\n", "phonopy: &here\n", "references"),
    ("reduced_to: 33", "reduced_to: 34", "'reduced_to'|mean"),
    (r"primitive_cell:\n  lattice:\n.*\n.*\n.*\n", "primitive_cell:\n  lattice: 3\n", "3 x 3 finite numbers"),
]


@pytest.mark.parametrize(("old", "new", "message"), CHANGES, ids=[f"{k}" for k in range(len(CHANGES))])
def test_a_wrong_phonopy_yaml_is_one_sentence(nacl: Path, old: str, new: str, message: str) -> None:
    text, count = re.subn(old, new, nacl.read_text(), flags=re.MULTILINE)
    assert count
    nacl.write_text(text)
    if message == "'reduced_to'|mean":  # another atom of the same kind: force constants are then not of this one
        assert not torch.allclose(energies(nacl), energies(KEPT / "nacl/phonopy.yaml"), rtol=1e-3)
        return
    with pytest.raises(InputError, match=message):
        read_force_constants(nacl)


def wrong(key: str, value: object) -> Callable[[dict], None]:
    return lambda held: held.__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wrong("__euphonic_class__", "Crystal"), "holds a Crystal of Euphonic; expected its ForceConstants"),
        (wrong("sc_matrix", [[2, 0, 0], [0, 2, 0], [0, 0, 2]]), "lists 32 cells"),
        (wrong("sc_matrix", [[0.5, 0, 0], [0, 2, 0], [0, 0, 2]]), "must be whole numbers"),
        (wrong("force_constants", [[1.0]]), "'force_constants' of euphonic.json must be 32 x 6 x 6 finite numbers"),
        (wrong("force_constants_unit", "hartree"), "expected an energy by two lengths"),
        (wrong("crystal", 3), "'crystal' of euphonic.json must be a table"),
        (wrong("born", [[0.0]]), "'born' of euphonic.json must be 2 x 3 x 3 finite numbers"),
    ],
)
def test_a_wrong_file_of_euphonic_is_one_sentence(tmp_path: Path, change: Callable[[dict], None], message: str) -> None:
    held = json.loads((KEPT / "nacl/euphonic.json").read_text())
    change(held)
    path = tmp_path / "euphonic.json"
    path.write_text(json.dumps(held))
    with pytest.raises(InputError, match=message):
        read_force_constants(path)


def test_other_wrong_files_are_one_sentence(quartz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = quartz.parent
    with pytest.raises(InputError, match="there is no file"):
        read_force_constants(folder / "nothing.yaml")
    with pytest.raises(InputError, match=r"read with the phonopy.yaml beside them: give that"):
        read_force_constants(folder / "force_constants.hdf5")
    born = (folder / "BORN").read_text()
    (folder / "BORN").write_text("\n".join(born.split("\n")[:3]))
    with pytest.raises(InputError, match="Born charges of 1 atoms; expected those of atoms 1, 4 of the primitive cell"):
        read_force_constants(quartz)
    (folder / "BORN").write_text(born.replace("2.38", "two"))
    with pytest.raises(InputError, match="line 2 of BORN must be 9 finite numbers"):
        read_force_constants(quartz)
    (folder / "force_constants.hdf5").write_bytes((folder / "force_constants.hdf5").read_bytes()[:20000])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_force_constants(quartz)
    with h5py.File(folder / "force_constants.hdf5", "w") as file:
        file["force_constants"] = h5py.ExternalLink("BORN", "x")
    with pytest.raises(InputError, match="has no 'force_constants' of its own"):
        read_force_constants(quartz)
    (folder / "force_constants.hdf5").unlink()
    with pytest.raises(InputError, match="phonopy-load --writefc"):
        read_force_constants(quartz)
    for text, message in (("nine\n", "starts with 'nine'"), ("9 72\n1 1\n0 0\n", "the 9 x 72 force constants of")):
        (folder / "FORCE_CONSTANTS").write_text(text)
        with pytest.raises(InputError, match=message):
            read_force_constants(quartz)
    (folder / "list.yaml").write_text("phonopy: [1\nprimitive_cell: 3\n")
    with pytest.raises(InputError, match="YAML that is damaged"):
        read_force_constants(folder / "list.yaml")
    monkeypatch.setattr(limits, "LONGEST_YAML", 1000)
    with pytest.raises(InputError, match="YAML of more than 1000 bytes"):
        read_force_constants(quartz)
