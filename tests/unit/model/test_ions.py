"""Form factors."""

import periodictable
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model.ions import form_factor


@pytest.mark.parametrize("ion", ["Mn2+", "Mn3+", "Ni2+", "Fe3+", "Cu2+"])
def test_form_factor_is_one_at_zero_and_falls(ion):
    f = form_factor(ion, torch.linspace(0, 6, 50, dtype=torch.float64))
    assert float(f[0]) == pytest.approx(1, abs=1e-3)  # normalised so well in the tables
    assert bool((f.diff() < 0).all())


def test_mn2_by_hand():
    # International Tables C 4.4.5.1, s = Q / 4 pi = 0.25 / A.
    terms = [(0.4220, 17.6840), (0.5948, 6.0050), (0.0043, -0.6090)]
    s2 = torch.tensor(0.0625, dtype=torch.float64)
    expected = sum(A * torch.exp(-a * s2) for A, a in terms) - 0.0219
    assert float(form_factor("Mn2+", 4 * torch.pi * s2.sqrt())) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("ion", "message"),
    [
        ("Mn9+", "known for Mn: Mn, Mn1\\+, Mn2\\+, Mn3\\+, Mn4\\+"),
        ("Zn2+", "known for Zn: none"),
        ("Xx2+", "not a chemical element"),
        ("2+", "not readable"),
    ],
)
def test_unknown_ions_are_named(ion, message):
    with pytest.raises(InputError, match=message):
        form_factor(ion, torch.tensor(1.0))


def test_orbital_moments_add_j2_with_the_lande_factor():
    """Yb3+, g = 8/7: <j0> + 3/4 <j2>, International Tables C 4.4.5; 1 at Q = 0 to the three digits of the table."""
    Q = torch.linspace(0, 6, 7, dtype=torch.float64)
    tables = periodictable.Yb.magnetic_ff[3]
    expected = torch.as_tensor(tables.j0_Q(Q.numpy()) + 0.75 * tables.j2_Q(Q.numpy()))
    assert torch.allclose(form_factor("Yb3+", Q, lande=8 / 7), expected, rtol=0, atol=1e-12)
    assert torch.equal(form_factor("Yb3+", Q), form_factor("Yb3+", Q, lande=2.0))
    assert bool((form_factor("Yb3+", Q[1:], lande=8 / 7) > form_factor("Yb3+", Q[1:])).all())
