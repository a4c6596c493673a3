"""Exchange from tables, in each convention, has the modes of its closed form."""

import tomllib

import pytest
import torch

from sqwirrel.model import library
from sqwirrel.model.parse import parse
from sqwirrel.simulate import SpinWaves
from tests.cases import random_q, tensor

TB2J = """
Cell (Angstrom):
{cell}

Atoms:
(Note: charge and magmoms only count the wannier functions.)
Atom_number       x          y         z     w_charge    M(x)      M(y)      M(z)
{atoms}
Total               46.0038   -0.0493    0.0000   -0.0000

==========================================================================================
Exchange:
    i      j          R        J_iso(meV)          vector          distance(A)
{bonds}"""
LINE = 88 * "-"


def modes(model, q, **values):
    with torch.no_grad():
        return SpinWaves(model, q)(model.pack(**values)).energy[0]


def model_of(name, folder, tables):
    """The model of the library with its couplings from files: name, text, convention."""
    mapping = tomllib.loads((library.FOLDER / f"{name}.toml").read_text())
    couplings = []
    for parameter, (text, convention) in tables.items():
        (folder / parameter).write_text(text)
        couplings.append({"name": parameter, "exchange": parameter, "convention": convention})
    kept = {each["name"] for each in mapping.get("anisotropies", [])}
    named = {key: value for key, value in mapping["defaults"].items() if key in kept} | dict.fromkeys(tables, 1.0)
    return parse({**mapping, "couplings": couplings, "defaults": named, "prior": {}}, folder)


@pytest.mark.parametrize(
    ("convention", "J"),
    [
        ("ours", 0.304),  # each bond once
        ("spinw", 0.304),
        ("unit", -0.304 * 2.5**2),  # -J e_i . e_j, each bond once
        ("tb2j", -0.304 * 2.5**2 / 2),  # -J e_i . e_j, both directions
    ],
)
@pytest.mark.parametrize("both", [True, False])
def test_the_antiferromagnetic_exchange_of_mnf2_from_a_table_has_its_closed_form(tmp_path, convention, J, both):
    """E = S sqrt(A^2 - B^2), A = 8 J - 2 D, B = 8 J cos(pi H) cos(pi K) cos(pi L)."""
    rows = [("Mn_1", "Mn_2", -a, -b, -c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    rows += [("Mn_2", "Mn_1", -a, -b, -c) for _, _, a, b, c in rows] if both else []
    text = "i,j,n1,n2,n3,J\n" + "".join(f"{i}, {j}, {a}, {b}, {c}, {J}\n" for i, j, a, b, c in rows)
    model, q = model_of("mnf2", tmp_path, {"scale": (text, convention)}), random_q(20)
    A, B = 8 * 0.304 + 2 * 0.019, 8 * 0.304 * torch.cos(torch.pi * q).prod(-1)
    assert torch.allclose(modes(model, q)[:, 0], 2.5 * (A**2 - B**2).sqrt(), atol=1e-7)
    assert torch.allclose(modes(model, q, scale=2, D=-0.038), 2 * modes(model, q), atol=1e-6)


@pytest.mark.parametrize("frame", [torch.eye(3).double(), tensor([[0, 1, 0], [0, 0, 1], [1, 0, 0]])])
def test_the_vector_of_a_tb2j_file_has_the_modes_and_the_hand_of_the_dm_chain(tmp_path, frame):
    """D = 1 meV, S = 1, so that D of both directions is -1/2; the file may have its own Cartesian frame."""
    reference, q = library.load("dm_chain"), random_q(20)
    x, y, z = (tensor([0, 0, -0.5]) @ frame).tolist()
    cell = "\n".join(" ".join(f"{v:.3f}" for v in row) for row in (reference.lattice.vectors @ frame).tolist())
    bonds = "".join(
        f"{LINE}\n   Fe1   Fe1   (  0,   0, {n:3d})  0.0000   ( 0.0, 0.0, 3.0)  3.000 \nJ_iso:  0.0000 \n"
        f"[Testing!] DMI: ({n * x:7.4f} {n * y:7.4f} {n * z:7.4f})\n[Debug!] DMI2: (1.0 1.0 1.0)\n"
        "[Testing!] J_ani:\n[[ 0.  -0.  0.]\n [-0.  0.  0.]\n [ 0.  0.  0.]]\n"
        for n in (1, -1)
    )
    atoms = "O1 1.0 1.0 1.0 5.0 0.0 0.0 0.0\nFe1  0.0000  0.0000  0.0000  6.3564  -0.0260  0.0000  3.7927"
    text = TB2J.format(cell=cell, atoms=atoms, bonds=bonds)
    model = model_of("dm_chain", tmp_path, {"scale": (text, "tb2j")})
    assert torch.allclose(modes(model, q), modes(reference, q), atol=1e-9)
    found, expected = (
        float(each.couplings[0].matrix[0, 0, 1] * each.couplings[0].offset[0, 2]) for each in (model, reference)
    )
    assert found == pytest.approx(expected)


def test_isotropic_and_anisotropic_exchange_of_a_tb2j_file_add_up(tmp_path):
    """A ferromagnetic chain along a, S = 1: E = 2 S (Jzz - (Jxx + Jyy) / 2 cos 2 pi h), Jxx = Jyy, J being -M."""
    bonds = "".join(
        f"{LINE}\n   Fe1   Fe1   ({n:3d},   0,   0)  0.5000   ( 3.0, 0.0, 0.0)  3.000 \nJ_iso:  0.5000 \n"
        "[Testing!]J_ani:\n[[ 0.    0.    0.  ]\n [ 0.    0.    0.  ]\n [ 0.    0.    0.1 ]]\n"
        for n in (-1, 1)
    )
    # The cell is not quite that of the model, and the atom is a cell away.
    atoms = "Fe1            2.99    0.0000    0.0000    6.3564    3.7927"
    text = TB2J.format(cell="2.99 0 0\n0 8.05 0\n0 0 8.0", atoms=atoms, bonds=bonds)
    model, q = model_of("fm_chain", tmp_path, {"scale": (text, "tb2j")}), random_q(10)
    expected = 2 * (1.2 - torch.cos(2 * torch.pi * q[:, 0]))
    assert torch.allclose(modes(model, q)[:, 0], expected, atol=1e-7)
