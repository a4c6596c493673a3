"""SpinModel from arrays and from the tables of a model file."""

import copy
import math
import tomllib

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.model.magnetic.terms import Anisotropy, Coupling
from sqwirrel.model.parse import parse
from sqwirrel.model.spin import SpinModel

EYE = torch.eye(3, dtype=torch.float64)
MNF2 = tomllib.loads((library.FOLDER / "mnf2.toml").read_text())


def chain(**changes):
    values = {
        "name": "chain",
        "title": "a chain",
        "lattice": Lattice(3, 8, 8),
        "supercell": EYE,
        "positions": torch.zeros(1, 3, dtype=torch.float64),
        "labels": ("A",),
        "ions": ("",),
        "spins": torch.ones(1, dtype=torch.float64),
        "g": 2 * EYE[None],
        "directions": 3 * EYE[2:],
        "couplings": (Coupling("J", [0], [0], [[1, 0, 0]], torch.eye(3)),),
        "anisotropies": (Anisotropy("D", [0], torch.diag(torch.tensor([0, 0, 1.0]))),),
        "defaults": {"J": -1},
    }
    return SpinModel(**{**values, **changes})


def changed(*path):
    """MnF2 with one entry replaced."""
    *keys, last, value = path
    mapping = copy.deepcopy(MNF2)
    table = mapping
    for key in keys:
        table = table[key]
    table[last] = value
    return mapping


def test_directions_become_unit_vectors():
    model = chain()
    assert model.names == ("J", "D")
    assert model.g.shape == (1, 3, 3)
    assert model.directions.tolist() == [[0, 0, 1]]
    assert model.cell.volume == pytest.approx(192)


def test_pack_takes_defaults_and_names_what_is_wrong():
    assert chain().pack(D=2).tolist() == [[-1, 2]]
    with pytest.raises(InputError, match=r"model 'chain' has parameters \('J', 'D'\), got 'K'"):
        chain().pack(K=1)
    with pytest.raises(InputError, match="needs a value for 'D'"):
        chain().pack()


def test_one_parameter_may_hold_several_couplings():
    twice = (
        Coupling("J", [0], [0], [[1, 0, 0]], torch.eye(3)),
        Coupling("J", [0], [0], [[0, 1, 0]], 2 * torch.eye(3)),
    )
    assert chain(couplings=twice).names == ("J", "D")


@pytest.mark.parametrize("offsets", [[[1, 0, 0], [-1, 0, 0]], [[1, 0, 0], [1, 0, 0]], [[0, 0, 0], [1, 0, 0]]])
def test_a_bond_counts_once_and_never_from_a_site_to_itself(offsets):
    with pytest.raises(InputError, match="each bond counts once"):
        Coupling("J", [0, 0], [0, 0], offsets, torch.eye(3))


def test_arrays_that_disagree_are_refused():
    with pytest.raises(InputError, match="not symmetric"):
        Anisotropy("D", [0], [[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    with pytest.raises(InputError, match="outside 0 to 0"):
        chain(couplings=(Coupling("J", [0], [1], [[1, 0, 0]], torch.eye(3)),))
    with pytest.raises(InputError, match="needs 1 directions"):
        chain(directions=0 * EYE[2:])
    with pytest.raises(InputError, match=r"spin length 0.3; a spin is 1/2 at least"):
        parse(changed("crystal", "sites", 0, "spin", 0.3))
    with pytest.raises(InputError, match="spin length"):
        chain(spins=-torch.ones(1, dtype=torch.float64))
    with pytest.raises(InputError, match="2 labels"):
        chain(labels=("A", "B"))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (changed("foo", 1), "unknown key 'foo'; known are name"),
        (changed("crystal", "foo", 1), r"\[crystal\] has the unknown key 'foo'"),
        (changed("crystal", "cell", [1, 2]), "6 finite numbers"),
        (changed("crystal", "sites", 0, "ion", "Mn7+"), "known for Mn: Mn, Mn1\\+"),
        (changed("crystal", "sites", 0, "g", [[2, 0, 0], [0, 2.2, 0], [0, 0, 2]]), "forbids the g tensor"),
        (changed("couplings", 0, "bond", "9z"), "no bond '9z'"),
        (changed("couplings", 0, "between", [[0, 0, 0], [0, 0, 1]]), "needs the name of a bond, or between"),
        (changed("couplings", 0, {"name": "J1", "between": [0, 0, 1]}), "2 x 3 finite numbers"),
        (changed("couplings", 0, "matrix", [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), "forbids the matrix .* on bond '1'"),
        (changed("anisotropies", 0, "axis", [1, 0, 0]), "forbids the anisotropy"),
        (changed("anisotropies", 0, "axis", [0, 0, 0]), "is zero"),
        (changed("anisotropies", 0, "site", "X"), "got 'X'"),
        (changed("order", "spins", MNF2["order"]["spins"][:1]), r"no spins .* atom at \(0.5, 0.5, 0.5\)"),
        (changed("order", "spins", 2 * MNF2["order"]["spins"]), "2 spins are given"),
        (changed("order", "supercell", [[1, 0, 0], [0, 1, 0], [0, 0, 0.5]]), "not a lattice translation"),
        (changed("order", "supercell", [[1, 0, 0], [0, 1, 0], [1, 1, 0]]), "lie in one plane"),
        (changed("order", "propagation", [0, 0, 0.5]), "not the period"),
        (changed("order", "axis", [0, 0, 1]), "no propagation; a spiral needs both"),
        (
            changed("order", {**MNF2["order"], "propagation": [0, 0, 0.1], "axis": [0, 0, 0]}),
            "axis of the spiral is zero",
        ),
        (
            changed("order", {**MNF2["order"], "propagation": [0, 0, 0.1], "axis": [1, 0, 0]}),
            "'D' .* turned about the axis",
        ),
        (changed("order", "relaxed", "no"), "true or false"),
        (changed("defaults", "K", 1), "got a default for 'K'"),
        (changed("prior", "K", 1), "got a prior for 'K'"),
        (changed("prior", "J1", {"uniform": [1, 0]}), "prior of 'J1'.*lo < hi"),
        (changed("papers", "x"), "list of strings"),
    ],
)
def test_a_wrong_entry_is_one_sentence(mapping, message):
    with pytest.raises(InputError, match=message) as caught:
        parse(mapping)
    assert "\n" not in str(caught.value)


def test_a_spiral_turns_the_spins_of_a_cell_from_copy_to_copy():
    spins = [
        {**spin, "direction": direction}
        for spin, direction in zip(MNF2["order"]["spins"], EYE[:2].tolist(), strict=True)
    ]
    order = {
        "spins": spins,
        "propagation": [0, 0, 0.15],
        "axis": [0, 0, 2],
        "supercell": [[1, 0, 0], [0, 1, 0], [0, 0, 2]],
    }
    model = parse(changed("order", order))
    assert model.spiral.propagation.tolist() == [0, 0, 0.15]
    assert model.spiral.axis.tolist() == [0, 0, 1]
    height = (model.positions[:, 2] * 2).floor().int().tolist()
    turned = {0: [1, 0, 0], 1: [math.cos(0.3 * math.pi), math.sin(0.3 * math.pi), 0]}
    at_corner = [k for k, place in enumerate(model.positions.tolist()) if place[0] < 0.1]
    assert len(at_corner) == 2
    for k in at_corner:
        assert model.directions[k].tolist() == pytest.approx(turned[height[k]], abs=1e-12)


def test_a_spin_given_a_cell_away_is_turned_back():
    """Positions count modulo the supercell, but a spiral's angle does not: the same spin, given two cells up."""
    near, other = ({**spin, "direction": [1, 0, 0]} for spin in MNF2["order"]["spins"])
    angle = 2 * math.pi * 0.15 * 2
    far = {**near, "position": [0, 0, 2], "direction": [math.cos(angle), math.sin(angle), 0]}
    order = {"propagation": [0, 0, 0.15], "axis": [0, 0, 1], "supercell": [[1, 0, 0], [0, 1, 0], [0, 0, 2]]}
    one, two = (parse(changed("order", {**order, "spins": [first, other]})) for first in (near, far))
    assert torch.allclose(one.directions, two.directions, atol=1e-12)


def test_a_bond_by_its_ends_carries_its_matrix_from_the_first_to_the_second():
    """Reversed ends carry the transposed matrix; the model is the same."""
    ends, dm = [[0, 0, 0], [0, 0, 1]], [[0, 1, 0], [-1, 0, 0], [0, 0, 0]]
    mapping = tomllib.loads((library.FOLDER / "dm_chain.toml").read_text())
    one, other = (
        parse({**mapping, "couplings": [{"name": "D", "between": between, "matrix": matrix}]})
        for between, matrix in ((ends, dm), (ends[::-1], torch.tensor(dm).T.tolist()))
    )
    first, second = one.couplings[0], other.couplings[0]
    sign = float(first.offset[0, 2] * second.offset[0, 2])
    assert torch.allclose(first.matrix[0], second.matrix[0] if sign > 0 else second.matrix[0].T)


def test_cif_gives_the_same_model_as_the_space_group(tmp_path):
    (tmp_path / "m.cif").write_text(
        "data_m\n_cell_length_a 4.8736\n_cell_length_b 4.8736\n_cell_length_c 3.2998\n_cell_angle_alpha 90\n"
        "_cell_angle_beta 90\n_cell_angle_gamma 90\n_space_group_name_H-M_alt 'P 42/m n m'\nloop_\n_atom_site_label\n"
        "_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nMn Mn 0 0 0\n"
        "F F 0.305 0.305 0\n"
    )
    mapping = changed("crystal", {"cif": "m.cif", "sites": [{"label": "Mn", "ion": "Mn2+", "spin": 2.5}]})
    model, reference = parse(mapping, tmp_path), parse(MNF2)
    assert torch.allclose(model.positions, reference.positions)
    assert [len(c.i) for c in model.couplings] == [len(c.i) for c in reference.couplings]


def test_three_numbers_are_a_diagonal_matrix_and_a_zero_direction_is_named():
    given = {
        **MNF2,
        "couplings": [{"name": "J", "bond": "2", "matrix": [1, 1, 0.5]}],
        "anisotropies": [],
        "defaults": {},
    }
    model = parse({**given, "prior": {}})
    assert model.couplings[0].matrix[0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0.5]]
    spins = [{**MNF2["order"]["spins"][0], "direction": [0, 0, 0]}, MNF2["order"]["spins"][1]]
    with pytest.raises(InputError, match=r"direction of the spin at \(0, 0, 0\) is zero; give a Cartesian"):
        parse({**MNF2, "order": {**MNF2["order"], "spins": spins}})
