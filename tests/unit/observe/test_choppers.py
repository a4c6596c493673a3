import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from sqwirrel.errors import InputError
from sqwirrel.observe.choppers import chopper_resolution
from sqwirrel.units import SIGMA


class Instrument:
    """Stands for that of resins: a width that falls with the energy transfer, and is not known beyond 9 meV."""

    @staticmethod
    def available_instruments():
        return ["MARI", "LET"]

    @classmethod
    def from_default(cls, name):
        return cls() if name else None

    def get_resolution_function(self, **told):
        if told.get("chopper_package") == "X":
            raise ValueError("no package X;\n choose A")
        return SimpleNamespace(get_characteristics=lambda e: {"sigma": np.where(e < 9, 0.2 - 0.01 * e, np.nan)[:, 0]})


@pytest.fixture
def resins(monkeypatch):
    stand_in = ModuleType("resins")
    stand_in.Instrument = Instrument
    monkeypatch.setitem(sys.modules, "resins", stand_in)


@pytest.mark.usefixtures("resins")
def test_widths_are_those_of_the_package():
    table = chopper_resolution("MARI", 12.0, frequency=200, package="S")
    np.testing.assert_allclose(np.array(table.widths) * SIGMA, 0.2 - 0.01 * np.array(table.energies), rtol=1e-12)
    assert max(table.energies) < 9 < 0.98 * 12.0


@pytest.mark.usefixtures("resins")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chopper_resolution("MARY", 12.0), "resins knows no instrument 'MARY'; it has MARI, LET"),
        (lambda: chopper_resolution("MARI", 12.0, package="X"), "resins has no resolution for MARI with"),
    ],
)
def test_what_the_package_does_not_know_is_said_in_one_line(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_without_the_package_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "resins", None)
    with pytest.raises(InputError, match="needs the package resins"):
        chopper_resolution("MARI", 12.0)


def test_mari_has_the_widths_of_the_facility():
    """MARI, S chopper, 200 Hz, 11.9 meV: sigma .133, .108, .089, .072 meV at 0, 3, 6, 10 meV."""
    pytest.importorskip("resins", reason="the optional package resins is not installed")
    table = chopper_resolution("MARI", 11.9, frequency=200, package="S")
    sigma = np.interp([0, 3, 6, 10], table.energies, np.array(table.widths) * SIGMA)
    np.testing.assert_allclose(sigma, [0.133, 0.108, 0.089, 0.072], atol=1e-3)
