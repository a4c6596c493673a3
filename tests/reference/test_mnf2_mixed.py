"""Measured MnF2 from three kinds of data: what each adds, by the inverse map at published couplings."""

from pathlib import Path

import torch

from sqwirrel.config.build import study
from sqwirrel.config.toml import load
from sqwirrel.explain.causal.inverse import inverse
from sqwirrel.explain.causal.system import Spectra

EXAMPLE = Path(__file__).parents[2] / "examples" / "mnf2_mixed.toml"
COARSE = ("measurements.map.rebin.q=12", "measurements.map.rebin.energy=4", "instrument.samples=32")
HERE = {"J1": -0.069, "J2": 0.306, "J3": -0.004, "D": -0.019}


def test_what_a_resonance_and_a_curie_weiss_temperature_add_to_a_powder_map(measured):
    """The mode at the zone centre tells of D what the map does not; 4 K of 82 K hardly add to what the map has."""
    measured("mnf2/mnf2_powder.mat")
    work = study(load(EXAMPLE, COARSE))
    system = Spectra.of(work.simulator, work.prior, work.data)
    names = work.prior.names
    middle = work.prior.quantile(torch.full((1, len(names)), 0.5, dtype=torch.float64))
    theta = torch.tensor([[HERE.get(name, value) for name, value in zip(names, middle[0].tolist(), strict=True)]])
    of = torch.cat([torch.full((each.term.size,), k) for k, each in enumerate(system.cells)])
    labels = [each.term.label for each in system.cells]
    assert labels == ["map", "resonance", "squid"]
    grown = inverse(system, of, 3, theta.double()).inflation
    without = {label: dict(zip(names, row.tolist(), strict=True)) for label, row in zip(labels, grown, strict=True)}
    assert without["map"]["J2"] > 5
    assert without["resonance"]["D"] > 2
    assert without["squid"]["J2"] < 1.2
