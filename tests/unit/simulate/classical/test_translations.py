"""Lattices: bases of short vectors, supercells that hold a wave, and the unit of a Hamiltonian."""

from fractions import Fraction

import pytest
import torch

from sqwirrel.model import library
from sqwirrel.simulate.classical import translations
from sqwirrel.simulate.classical.luttinger_tisza import Exchange
from tests.cases import tensor

EYE = torch.eye(3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("x", "volume"),
    [([0, 0, 0], 1), ([0.5, 0.5, 0], 2), ([1 / 3, 1 / 3, 0], 3), ([0.5, 0.25, 0], 4), ([0.2, 0, 0.5], 10)],
)
def test_the_smallest_supercell_holds_the_wave(x, volume):
    k = translations.fraction(tensor(x))
    cell = translations.holding(EYE, k, EYE)
    assert float(torch.linalg.det(cell)) == pytest.approx(volume)
    turns = cell @ tensor(x)
    assert torch.allclose(turns, turns.round(), atol=1e-9)
    copies = translations.cosets(EYE, cell)
    assert len(copies) == volume
    assert copies[0].tolist() == [0, 0, 0]


def test_fractions_are_simple_and_their_period_is_common():
    assert translations.fraction(tensor([0.3333333, 0.25, 0])) == [Fraction(1, 3), Fraction(1, 4), 0]
    assert translations.period([Fraction(1, 3), Fraction(1, 4), Fraction(0)]) == 12


def test_the_unit_of_a_hamiltonian_forgets_its_order_but_not_the_chemical_cell():
    square, rutile = (Exchange.of(m, m.pack()).unit for m in map(library.load, ("rb2mnf4", "mnf2")))
    assert square.sites.tolist() == [0]
    assert square.kind.tolist() == [0, 0]
    assert float(torch.linalg.det(square.cell)) == pytest.approx(0.5)
    assert rutile.sites.tolist() == [0, 1]
