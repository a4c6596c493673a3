import math

import pytest

from sqwirrel.report.numbers import interval, plain, with_error


@pytest.mark.parametrize(
    ("value", "sd", "written"),
    [
        (0.30412, 0.0021, "0.3041(21)"),
        (421.3, 12.4, "421(12)"),
        (-0.07165, 0.00058, "-0.07165(58)"),
        (28.11, 0.12, "28.11(12)"),
        (3.2, 1.23, "3.2(1.2)"),
        (4.21e6, 3.1e4, "4.210(31)e6"),
        (2.5e-5, 1.1e-6, "2.50(11)e-5"),
        (0.0995, 0.00996, "0.0995(100)"),
        (1.0, 0.0, "1"),
        (math.nan, 1.0, "not known"),
    ],
)
def test_a_value_with_its_error(value, sd, written):
    assert with_error(value, sd) == written


@pytest.mark.parametrize(
    ("lo", "hi", "written"),
    [(0.30211, 0.30613, "0.3021 to 0.3061"), (-0.0074, -0.00001, "-0.0074 to 0.0000"), (1.0, 1.0, "1 to 1")],
)
def test_an_interval_has_the_digits_it_deserves(lo, hi, written):
    assert interval(lo, hi) == written


@pytest.mark.parametrize(("value", "written"), [(3700.0, "3700"), (0.00123, "0.00123"), (math.inf, "infinite")])
def test_a_plain_number(value, written):
    assert plain(value) == written
