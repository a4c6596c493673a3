"""What is said of orders that are degenerate, out of reach, or not the lowest."""

import pytest

from sqwirrel.model.parse import parse
from sqwirrel.report.order import as_mapping, look, rows, sentences

UP = [0.0, 0.0, 1.0]


def lattice(position, J, D=0.0, supercell=((1, 0, 0), (0, 1, 0), (0, 0, 1)), places=None):
    """A hexagonal lattice, ferromagnetic along c as given."""
    return parse(
        {
            "name": "case",
            "crystal": {
                "cell": [3.0, 3, 9, 90, 90, 120],
                "spacegroup": "P 6/m m m",
                "sites": [{"label": "A", "position": position, "spin": 1.0}],
            },
            "couplings": [{"name": "J", "bond": "1"}],
            "anisotropies": [{"name": "D", "site": "A", "axis": UP}],
            "order": {
                "supercell": [list(row) for row in supercell],
                "spins": [{"position": p, "direction": UP} for p in places or [position]],
            },
            "defaults": {"J": J, "D": D},
        }
    )


def said(model):
    orders = look(model, model.pack())
    return orders, " / ".join(sentences(orders))


def test_kagome_antiferromagnet_chooses_no_k():
    orders, words = said(lattice([0.5, 0, 0], 1.0, places=[[0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0]]))
    assert "no k is chosen: the lowest modes are degenerate along 2 direction(s) of the zone" in words
    assert "an order of lower energy, the lowest that any can have:" in words
    assert as_mapping(orders)["bound"]["flat_directions"] == 2


def test_strong_easy_axis_on_triangles_leaves_the_bound_out_of_reach():
    """Up, up, down has -J - 2 S^2 |D| / 2 per ion; the bound asks for moments that differ in length."""
    big = ((1, -1, 0), (1, 2, 0), (0, 0, 1))
    orders, words = said(lattice([0, 0, 0], 1.0, -2.0, big, [[0, 0, 0], [1, 0, 0], [2, 0, 0]]))
    assert "lower energy in the same cell; the bound is reached by no moments of equal length" in words
    assert orders.minima[0].energy == pytest.approx(-1 - 2, abs=1e-9)
    assert orders.bound.energy == pytest.approx(-1.5 - 2, abs=1e-9)
    assert orders.best.directions.shape == (3, 3)


def test_nothing_lower_in_a_small_cell_is_said_so():
    orders, words = said(lattice([0, 0, 0], 1.0, -2.0))
    assert "nothing lower was found in its cell" in words
    assert [name for name, _, _ in rows(orders)] == ["given order", "lowest in its cell", "bound of all orders"]


def test_ions_without_couplings_have_an_order_to_report():
    mapping = {
        "name": "case",
        "crystal": {
            "cell": [4.0, 4, 4, 90, 90, 90],
            "spacegroup": "P 4/m m m",
            "sites": [{"label": "A", "position": [0, 0, 0], "spin": 1.0}],
        },
        "couplings": [],
        "anisotropies": [{"name": "D", "site": "A", "axis": UP}],
        "order": {"spins": [{"position": [0, 0, 0], "direction": UP}]},
        "defaults": {"D": -1.0},
    }
    orders, words = said(parse(mapping))
    assert "the given order has the lowest energy that any order can have" in words
    assert orders.bound.energy == pytest.approx(-1)
