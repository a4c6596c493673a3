"""The library: every entry loads, cites a paper and has the bonds its structure asks for."""

from collections import Counter

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library

BONDS_PER_SPIN = {
    "fm_chain": {"J": 1},
    "rb2mnf4": {"J1": 2, "J2": 2},
    "mnf2": {"J1": 1, "J2": 4, "J3": 2},
    "mnf2_dipole": {"J1": 1, "J2": 4, "J3": 2},
    "la2nio4": {"J1": 2, "J2": 2},
    "pcsmo_goodenough": {"JF1": 1, "JA": 1, "Jperp": 0.5, "JF2": 0.5, "JF3": 0.5},
    "pcsmo_dimer": {"JFS": 0.5, "JFW": 0.5, "JA1": 0.5, "JA2": 0.5, "Jperp": 0.5},
    "pcsmo_dimer_further": dict.fromkeys(("JFS", "JFW", "JA1", "JA2", "Jperp", "JF2", "JF3"), 0.5),
    "pcsmo_zener": {"JFU": 1, "JFD": 1, "JA": 1, "Jperp": 0.5},
    "yb2ti2o7": {"J1": 3, "J2": 3, "J3": 3, "J4": 3},
    "triangular": {"J": 3},
    "dm_chain": {"D": 1},
    "kitaev": {"J": 1.5, "K": 1.5},
    "fcc_biquadratic": {"J1": 6, "J2": 3, "B": 6},
    "canted": {"J": 2},
    "kfe3j": {"J1": 2, "J2": 2, "Dy": 2, "Dz": 2},
    "cu2v2o7": {"J1": 1, "J2": 0.5, "J3": 1, "G": 1, "D": 1},
    "zncu2v2o7": {"J1": 0.5, "J5": 1, "J6": 0.5, "J7": 1, "A": 0.5},
    "luvo3": {"Jab": 2, "Jc": 1},
    "nitio3": {"Jab1": 1.5, "Jab2": 3, "Jab3": 1.5, "Jc1": 0.5, "Jc2": 3, "Jc3": 1.5},
    "bi2fe4o9": {"J44": 0.25, "Jc": 0.25, "J43": 1, "J43p": 1, "J33": 0.25},
}


@pytest.mark.parametrize("name", library.names())
def test_entry_is_complete(name):
    model = library.load(name)
    assert model.name == name
    assert all("doi:10." in paper for paper in model.papers)
    assert model.papers
    assert set(model.prior.names) == set(model.names)
    theta = model.pack()[0]
    lo, hi = model.prior.ordered(model.names).bounds.T
    assert bool(((lo <= theta) & (theta <= hi)).all())


@pytest.mark.parametrize("name", library.names())
def test_bonds_per_spin(name):
    model = library.load(name)
    bonds = Counter()
    for coupling in model.couplings:
        bonds[coupling.name] += len(coupling.i) / len(model.spins)
    assert bonds == BONDS_PER_SPIN[name]


@pytest.mark.parametrize("name", ["rb2mnf4", "mnf2", "mnf2_dipole", "la2nio4", "fcc_biquadratic", "luvo3"])
def test_strongest_coupling_joins_opposite_spins(name):
    model = library.load(name)
    strongest = max(model.couplings, key=lambda c: model.defaults[c.name])
    product = (model.directions[strongest.i] * model.directions[strongest.j]).sum(-1)
    assert torch.allclose(product, torch.tensor(-1.0, dtype=torch.float64))


def test_unknown_names_and_broken_files(tmp_path):
    with pytest.raises(InputError, match="there is no model 'mnf3'; the library has bi2fe4o9, canted, cu2v2o7"):
        library.load("mnf3")
    (tmp_path / "m.toml").write_text("name = ")
    with pytest.raises(InputError, match="not TOML"):
        library.load(tmp_path / "m.toml")
