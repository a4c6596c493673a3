"""Form factors."""

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
