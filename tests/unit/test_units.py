import pytest

from sqwirrel.errors import InputError
from sqwirrel.units import E_PER_K2, K_B, MU_B, to_internal


@pytest.mark.parametrize(
    ("value", "unit", "expected", "result"),
    [
        (1.0, "THz", "meV", 4.135667696),
        (1.0, "1/nm", "1/angstrom", 0.1),
        (2.0, "A^-1", "1/angstrom", 2.0),
        (2.0, "1/Å", "1/angstrom", 2.0),
        (2.0, "nm", "A", 20.0),
        (250.0, "mK", "K", 0.25),
        (5.0, "kelvin", "K", 5.0),
        (3.0, "µeV", "meV", 0.003),
    ],
)
def test_units_of_the_same_kind_are_converted(value, unit, expected, result):
    assert to_internal(value, unit, expected) == pytest.approx(result, rel=1e-9)


@pytest.mark.parametrize(
    ("unit", "expected", "message"),
    [
        (
            "K",
            "meV",
            "unit 'K' cannot be converted to meV; write a unit of the same kind as meV, or multiply by 0.0861733 meV / K",
        ),
        (
            "meV",
            "1/angstrom",
            "unit 'meV' cannot be converted to 1/angstrom; write a unit of the same kind as 1/angstrom",
        ),
        ("degC", "K", "unit 'degC' cannot be converted to K; write a unit of the same kind as K"),
        ("nan m", "angstrom", "unit 'nan m' is not known; expected angstrom or a unit that converts to it"),
        ("banana", "meV", "unit 'banana' is not known; expected meV or a unit that converts to it"),
    ],
)
def test_a_wrong_unit_is_refused_in_words(unit, expected, message):
    with pytest.raises(InputError) as caught:
        to_internal(1.0, unit, expected)
    assert str(caught.value) == message


def test_constants_agree_with_those_of_scipy():
    from scipy import constants as c

    assert c.k / c.e * 1e3 == pytest.approx(K_B, rel=1e-9)
    assert c.value("Bohr magneton in eV/T") * 1e3 == pytest.approx(MU_B, rel=1e-8)  # CODATA 2018 against 2022
    assert c.hbar**2 / (2 * c.m_n) / c.e * 1e23 == pytest.approx(E_PER_K2, rel=1e-7)
