"""Tables of exchange that cannot be used are refused with one sentence."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.files import exchange
from sqwirrel.model.parse import parse

HEAD = "i,j,n1,n2,n3,J\n"
FULL = "i,j,n1,n2,n3," + ",".join(exchange.ELEMENTS) + "\n"
TB2J = """Cell (Angstrom):
4.8736 0 0
0 4.8736 0
0 0 3.2998
Atoms:
Mn1  0.0  0.0  0.0  5.0  4.5
Mn2  2.4368  2.4368  1.6499  5.0  -4.5
O1  1.0  1.0  1.0  5.0  0.1
Exchange:
-----------------------------
   Mn1   Mn2   (  0,   0,   0) -0.9500  ( 2.4, 2.4, 1.6)  3.821
"""


@pytest.fixture
def read(tmp_path):
    def reads(text):
        (tmp_path / "table").write_text(text)
        return exchange.read(tmp_path / "table", library.crystal("mnf2"))

    return reads


def test_a_bond_and_its_reverse_are_one_with_their_mean(read):
    dm = "0,1,0,-1,0,0,0,0,0"
    table = read(FULL + f"Mn_1,Mn_2,0,0,0,{dm}\n" + "Mn_2,Mn_1,0,0,0,0,-1.001,0,1.001,0,0,0,0,0\n")
    assert (table.i.tolist(), table.j.tolist(), table.offset.tolist()) == ([0], [1], [[0, 0, 0]])
    assert table.matrix[0, 0].tolist() == pytest.approx([0, 1.0005, 0])


def test_columns_may_come_in_any_order(read):
    assert read("J, i, j, n1, n2, n3\n0.3, Mn_1, Mn_2, 1, 0, 0\n").offset.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("i,j,J\n", "must be the exchange.out of TB2J, or have the columns i,j,n1,n2,n3,J"),
        ("", "must be the exchange.out of TB2J"),
        (HEAD, "lists no exchange"),
        (HEAD + "Mn_1,Fe,0,0,0,1\n", "line 2: there is no site 'Fe'; the model has Mn_1, Mn_2"),
        (HEAD + "Mn_1,Mn_2,0,0.5,0,1\n", "line 2: n1, n2 and n3 must be whole numbers, J finite numbers"),
        (HEAD + "Mn_1,Mn_2,0,0,0,nan\n", "J finite numbers"),
        (HEAD + "Mn_1,Mn_2,0,0,0\n", "must be whole numbers"),
        (HEAD + 2 * "Mn_1,Mn_2,0,0,0,1\n", r"lists the bond Mn_1 to Mn_2 \[0, 0, 0\] twice"),
        (HEAD + "Mn_1,Mn_2,0,0,0,1\nMn_2,Mn_1,0,0,0,1.1\n", "Mn_1 to Mn_2 .* and its reverse .* must be equal"),
        (TB2J.replace("4.8736 0 0", "5.8736 0 0"), "is not the chemical cell of the model"),
        (TB2J.replace("Cell (Angstrom):", "Cell:"), "has no cell as TB2J writes it"),
        (TB2J.replace("Mn2   (", "O1   ("), "atom 'O1' of .* is at none of the magnetic sites"),
        (TB2J.replace("Mn2   (", "Mn3   ("), "atom 'Mn3' of .* is at none of the magnetic sites"),
        (TB2J.replace("(  0,   0,   0)", "0 0 0"), "an exchange that is not as TB2J writes it: 'Mn1 Mn2 0 0 0"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(read, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_a_tb2j_table_names_sites_by_position(read):
    table = read(TB2J)
    assert (table.i.tolist(), table.j.tolist()) == ([0], [1])
    assert torch.allclose(table.matrix[0], -0.95 * torch.eye(3).double(), atol=1e-4)


def test_a_coupling_from_a_file_must_say_its_convention(tmp_path):
    model = {
        "name": "x",
        "crystal": {
            "cell": [3, 8, 8, 90, 90, 90],
            "spacegroup": 47,
            "sites": [{"label": "A", "position": [0, 0, 0], "spin": 1}],
        },
        "order": {"spins": [{"position": [0, 0, 0], "direction": [0, 0, 1]}]},
    }
    (tmp_path / "t.csv").write_text(HEAD + "A,A,1,0,0,-1\n")
    for entry, message in (
        ({}, "lacks the key 'convention'"),
        ({"convention": ["tb2j"]}, r"is one of ours, spinw, tb2j, unit, got \['tb2j'\]"),
        ({"convention": "sunny"}, "is one of ours, spinw, tb2j, unit, got 'sunny'"),
        ({"convention": "ours", "bond": "1"}, "has the unknown key 'bond'"),
        ({"convention": "ours", "exchange": "absent"}, "there is no file"),
    ):
        with pytest.raises(InputError, match=message):
            parse({**model, "couplings": [{"name": "scale", "exchange": "t.csv", **entry}]}, tmp_path)
