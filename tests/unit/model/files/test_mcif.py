"""Magnetic CIF files: cells, directions of moments, and files that cannot be used."""

import gemmi
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.files import mcif
from sqwirrel.model.magnetic.order import magnetic_cell
from sqwirrel.model.parse import parse
from sqwirrel.simulate import SpinWaves
from tests.cases import random_q, tensor

CELL = "data_x\n_cell_length_a {}\n_cell_length_b {}\n_cell_length_c {}\n_cell_angle_alpha {}\n_cell_angle_beta {}\n_cell_angle_gamma {}\n"
SITES = "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
MOMENTS = "loop_\n_atom_site_moment.label\n_atom_site_moment.crystalaxis_x\n_atom_site_moment.crystalaxis_y\n_atom_site_moment.crystalaxis_z\n"


def loop(tag, values):
    return f"loop_\n{tag}\n" + "".join(f"'{value}'\n" for value in values)


def text(cell, operations, sites, moments, *, centring=(), parent=""):
    return (
        CELL.format(*cell)
        + (f"_parent_space_group.child_transform_Pp_abc '{parent}'\n" if parent else "")
        + loop("_space_group_symop_magn_operation.xyz", operations)
        + (loop("_space_group_symop_magn_centering.xyz", centring) if centring else "")
        + f"{SITES}{sites}\n{MOMENTS}{moments}\n"
    )


def rutile(moment):
    """MnF2: operations of P 42/m n m, with time reversal where they would turn a moment along c in its place."""
    found = []
    for operation in gemmi.find_spacegroup_by_number(136).operations():
        R = tensor(operation.rot) / gemmi.Op.DEN
        to_centre = operation.tran[2] > 0
        time = int(torch.linalg.det(R).round() * R[2, 2]) * (-1 if to_centre else 1)
        found.append(f"{operation.triplet()},{time:+d}")
    return text((4.8736, 4.8736, 3.2998, 90, 90, 90), found, "Mn1 Mn 0 0 0\nF1 F 0.305 0.305 0", f"Mn1 0 0 {moment}")


DOUBLED = text(
    (4, 4, 6, 90, 90, 90),
    ["x,y,z,+1", "-x,-y,-z,+1"],
    "A Mn 0 0 0\nO O 0.5 0.5 0.25",
    "A 0 3.0(2) 0",
    centring=["x,y,z,+1", "x,y,z+1/2,-1"],
    parent="a,b,2c;0,0,0",
)
HEXAGONAL = text(
    (5, 5, 7, 90, 90, 120), ["x,y,z,+1", "-y,x-y,z,+1", "-x+y,-x,z,+1"], "A Fe 0.5 0 0\nO O 0 0 0.3", "A 2 0 0"
)
LAMNO3 = text(
    ("5.7461(2)", "7.6637(4)", "5.5333(2)", 90, 90, 90),
    [
        *("x,y,z,+1", "-x,y+1/2,-z,+1", "-x,-y,-z,+1", "x,-y+1/2,z,+1"),
        *("x+1/2,-y+1/2,-z+1/2,-1", "-x+1/2,-y,z+1/2,-1", "-x+1/2,y+1/2,z+1/2,-1", "x+1/2,y,-z+1/2,-1"),
    ],
    "La La 0.0513(7) 0.25 -0.0095(5)\nMn Mn 0 0 0.5\nO1 O 0.4849(8) 0.25 0.0777(7)\nO2 O 0.3085(5) 0.0408(4) 0.7227(5)",
    "Mn 3.87(3) 0.0 0.0",
    parent="a,b,c;0,0,0",
)
MONOCLINIC = text((5, 6, 7, 90, 110, 90), ["x,y,z,+1"], "A Fe 0 0 0", "A 1 0 1")


@pytest.fixture
def read(tmp_path):
    def reads(content):
        (tmp_path / "x.mcif").write_text(content)
        return mcif.read(tmp_path / "x.mcif")

    return reads


def moments_at(structure, *places):
    """Moments at chemical positions."""
    chosen = [int((structure.positions - tensor(place)).norm(dim=-1).argmin()) for place in places]
    assert torch.allclose(structure.positions[chosen], tensor(places), atol=1e-9)
    return structure.moments[chosen]


def test_mnf2_has_opposite_moments_and_the_symmetry_of_its_positions(read):
    structure = read(rutile(4.6))
    assert structure.crystal.kinds == ("Mn1", "Mn1", "F1", "F1", "F1", "F1")
    assert len(structure.crystal.rotations) == 16
    assert torch.equal(structure.supercell, torch.eye(3).double())
    expected = tensor([[0, 0, 4.6], [0, 0, -4.6], [0, 0, 0]])
    assert torch.allclose(moments_at(structure, [0, 0, 0], [0.5, 0.5, 0.5], [0.305, 0.305, 0]), expected)


def test_lamno3_has_ferromagnetic_planes_that_alternate_along_b(read):
    """Moussa and others, PRB 54, 15149 (1996); the magnetic group is P n' m a'."""
    structure = read(LAMNO3)
    assert len(structure.crystal.sites) == 20
    assert len(structure.crystal.rotations) == 8
    found = moments_at(structure, [0, 0, 0.5], [0.5, 0, 0], [0, 0.5, 0.5], [0.5, 0.5, 0])
    assert torch.allclose(found, 3.87 * tensor([[1, 0, 0], [1, 0, 0], [-1, 0, 0], [-1, 0, 0]]))


@pytest.mark.parametrize("moment", [4.6, -4.6])
def test_a_model_from_a_file_has_the_modes_of_the_model_by_hand_whatever_the_global_sign(tmp_path, moment):
    (tmp_path / "mnf2.mcif").write_text(rutile(moment))
    (tmp_path / "mnf2.toml").write_text(
        'name = "mnf2"\n[crystal]\nmcif = "mnf2.mcif"\nsites = [{ label = "Mn1", spin = 2.5, ion = "Mn2+" }]\n'
        + "".join(f'[[couplings]]\nname = "J{k}"\nbond = "{k}"\n' for k in (1, 2, 3))
        + '[[anisotropies]]\nname = "D"\nsite = "Mn1"\naxis = [0, 0, 1]\n'
    )
    model, reference, q = library.load(tmp_path / "mnf2.toml"), library.load("mnf2"), random_q(10)
    along = model.directions[int(model.positions.norm(dim=-1).argmin())]
    assert along.tolist() == pytest.approx([0, 0, 1 if moment > 0 else -1])
    with torch.no_grad():
        found, expected = (SpinWaves(each, q)(reference.pack()) for each in (model, reference))
    assert torch.allclose(found.energy, expected.energy, atol=1e-9)
    assert torch.allclose(found.intensity.sum(-1), expected.intensity.sum(-1), rtol=1e-9)


def test_a_moment_doubles_the_chemical_cell_by_centring_with_time_reversal(read):
    structure = read(DOUBLED)
    assert (structure.crystal.lattice.c, len(structure.crystal.sites)) == (3, 2)
    assert structure.supercell.diagonal().tolist() == [1, 1, 2]
    assert torch.allclose(moments_at(structure, [0, 0, 0], [0, 0, 1]), tensor([[0, 3, 0], [0, -3, 0]]))
    order = structure.order(["A"])
    assert [spin["position"] for spin in order["spins"]] == [[0, 0, 0], [0, 0, 1]]
    with pytest.raises(InputError, match=r"no moment to the atom of site 'O' at \(0.5, 0.5, 0.5\)"):
        structure.order(["O"])


def test_without_its_parent_the_magnetic_cell_is_the_chemical_one_with_a_lattice_translation(read):
    structure = read(DOUBLED.replace("_parent_space_group.child_transform_Pp_abc 'a,b,2c;0,0,0'\n", ""))
    assert (structure.crystal.lattice.c, structure.crystal.kinds) == (6, ("A", "A", "O", "O"))
    assert len(structure.crystal.bonds(3.1)[0].i) == 2


def test_the_parent_may_be_turned_and_shifted(read):
    """A square lattice in the cell of its Neel order, whose axes are the diagonals."""
    turned = text(
        (32**0.5, 32**0.5, 5, 90, 90, 90),
        ["x,y,z,+1"],
        "A Mn 0 0 0\nB Mn 0.5 0.5 0",
        "A 1 0 0\nB -1 0 0",
        parent="a-b,a+b,c;1/2,-1/2,0",
    )
    structure = read(turned)
    assert structure.crystal.lattice.a == pytest.approx(4)
    assert structure.crystal.kinds == ("A",)
    assert torch.allclose(structure.crystal.positions, tensor([[0.5, 0.5, 0]]))
    diagonal = tensor([1, -1, 0]) / 2**0.5
    assert torch.allclose(moments_at(structure, [0.5, -0.5, 0], [1.5, -0.5, 0]), torch.stack((diagonal, -diagonal)))


def test_the_parent_may_be_centred(read):
    """An fcc antiferromagnet, k = (1/2, 1/2, 1/2), in its rhombohedral magnetic cell of two atoms."""
    edge, angle = 24**0.5, 33.55730976192071  # acos(5/6)
    content = text(
        (edge, edge, edge, angle, angle, angle),
        ["x,y,z,+1"],
        "A Ni 0 0 0\nB Ni 0.5 0.5 0.5",
        "A 1 1 1\nB -1 -1 -1",
        parent="a+1/2b+1/2c,1/2a+b+1/2c,1/2a+1/2b+c;0,0,0",
    )
    structure = read(content)
    assert structure.crystal.kinds == ("A",) * 4
    assert len(structure.crystal.rotations) == 192
    assert torch.allclose(structure.crystal.lattice.vectors, 4 * torch.eye(3).double(), atol=1e-6)
    (up, down) = torch.nn.functional.normalize(structure.moments, dim=-1)
    assert torch.allclose(up, torch.ones(3).double() / 3**0.5)
    assert torch.equal(up, -down)
    cell = magnetic_cell(structure.crystal, structure.order(["A"]))
    assert len(cell.site) == 2


def test_hexagonal_components_are_along_the_axes_of_the_crystal(read):
    found = moments_at(read(HEXAGONAL), [0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0])
    assert torch.allclose(found, tensor([[2, 0, 0], [-1, 3**0.5, 0], [-1, -(3**0.5), 0]]))


def test_components_are_lengths_along_unit_vectors_of_a_skew_cell(read):
    structure = read(MONOCLINIC)
    axes = torch.nn.functional.normalize(structure.crystal.lattice.vectors, dim=-1)
    assert torch.allclose(structure.moments[0], axes[0] + axes[2])


def test_older_spelling_of_tags_is_read(read):
    older = DOUBLED.replace("symop_magn_operation.xyz", "symop.magn_operation_xyz").replace("moment.", "moment_")
    older = older.replace("_parent_space_group.child_transform_Pp", "_magnetic_space_group.transform_from_parent_Pp")
    assert torch.equal(read(older).moments, read(DOUBLED).moments)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("_space_group_symop_magn_operation.xyz", "_symop", "lists no magnetic symmetry operations"),
        ("-x,-y,-z,+1", "-x,-y,-z", "the magnetic symmetry operation '-x,-y,-z' is not like"),
        ("-x,-y,-z,+1", "-x,q,-z,+1", "'-x,q,-z,.1' is not like '-x,y.1/2,-z,-1'"),
        ("-x,-y,-z,+1", "z,y,x,+1", "does not fit the magnetic symmetry operations of"),
        ("-x,-y,-z,+1", "-x,-y,-z,-1", "moment of 'A' is changed by a symmetry operation"),
        ("a,b,2c;0,0,0", "a,b,2c;0,0,x", "'a,b,2c;0,0,x', is not like"),
        ("a,b,2c;0,0,0", "a,b,0c", "transformation from the parent cell, 'a,b,0c', is not like"),
        ("a,b,2c;0,0,0", "a,b,3c", "do not repeat with its parent cell"),
        ("moment.crystalaxis_x", "moment.cartn_x", "has no column _atom_site_moment_crystalaxis_x"),
        ("A 0 3.0(2) 0", "B 0 3 0", "gives a moment to 'B', which is not among its atoms"),
        ("A 0 3.0(2) 0", "A 0 ? 0", "a moment along a crystal axis is not a number"),
        ("A Mn 0 0 0", "A Mn 0 0 0\nloop_\n_cell_wave_vector_seq_id\n1", "incommensurate order in superspace"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(read, old, new, message):
    assert old in DOUBLED
    content = DOUBLED.replace("A Mn 0 0 0\nO O 0.5 0.5 0.25", "O O 0.5 0.5 0.25\nA Mn 0 0 0").replace(old, new)
    with pytest.raises(InputError, match=message) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_an_order_beside_a_file_may_only_say_that_it_is_relaxed(tmp_path):
    (tmp_path / "x.mcif").write_text(DOUBLED)
    model = {
        "name": "x",
        "crystal": {"mcif": "x.mcif", "sites": [{"label": "A", "spin": 1}]},
        "couplings": [{"name": "J", "bond": "1"}],
    }
    assert parse({**model, "order": {"relaxed": True}}, tmp_path).relaxed
    with pytest.raises(InputError, match=r"\[order\] has the unknown key 'spins'; known are relaxed"):
        parse({**model, "order": {"spins": []}}, tmp_path)
    with pytest.raises(InputError, match="there is no file"):
        parse({**model, "crystal": {**model["crystal"], "mcif": "y.mcif"}}, tmp_path)


@pytest.mark.parametrize("origin", ["0,1e400,0", "0,1e99999999,0", "0,1/0,0"])
def test_an_origin_that_is_no_short_fraction_is_refused(read, origin):
    with pytest.raises(InputError, match="the transformation from the parent cell"):
        read(DOUBLED.replace("a,b,2c;0,0,0", f"a,b,2c;{origin}"))
