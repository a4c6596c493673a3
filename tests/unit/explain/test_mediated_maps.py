"""Mediation of the interventions of a causal map: the same changes, region by region, over several spectra."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.design import intervene
from sqwirrel.explain.causal.paths import mediated
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Joint, Poisson
from sqwirrel.spectra import Measurement, QShells, Spectrum

MNF2 = library.load("mnf2")
TRUTH = {"fwhm": 0.5, "fwhm_q": 0.05, "scale": 300.0, "background": 1.0}
PRIOR = {
    **{name: MNF2.defaults[name] for name in ("J1", "J3")},
    **{f"{name}_{label}": value for name, value in TRUTH.items() for label in ("cold", "warm")},
    "J2": {"uniform": [0.25, 0.35]},
    "D": {"uniform": [-0.1, 0.05]},  # D > 0 is an easy plane, and the order none
    "scale_cold": {"uniform": [200, 400]},
}


def experiment(temperature: float) -> Experiment:
    where = Measurement(QShells([0.8, 1.2, 1.6]), torch.linspace(0.5, 8, 16), temperature)
    return Experiment(MNF2, where, Instrument(counting=Poisson()), samples=12)


@pytest.fixture(scope="module")
def system() -> Spectra:
    """Two temperatures, a few bins of one not measured."""
    both = {"cold": experiment(5.0), "warm": experiment(60.0)}
    data = {name: each.sample(each.pack(**TRUTH), 1) for name, each in both.items()}
    valid = data["warm"].valid.clone()
    valid[0, 3:6] = False
    data["warm"] = Spectrum.from_arrays(
        data["warm"].intensity, data["warm"].error, data["warm"].measurement, valid=valid, is_counts=True
    )
    return Spectra.of(Joint(both), Prior.from_mapping(PRIOR), data)


def test_regions_of_a_map_are_moved_as_the_map_saw(system: Spectra) -> None:
    changes = intervene(system, 32, 3)
    cells = changes.change.shape[2]
    of = torch.arange(cells) * 3 // cells  # the second of three regions lies in both spectra
    every = {cause: mediated(system, changes, cause, of) for cause in system.prior.names}
    for k, found in enumerate(every.values()):
        good = changes.good[:, k]
        energy = changes.energy(k)[good].double()
        seen = torch.stack([energy[:, of == region].sum(1).mean().sqrt() for region in range(3)])
        assert torch.allclose(found.effect.value, seen, rtol=1e-4)
        assert found.left_out == int((~good).sum()) > 0
        assert found.paths == ("energies", "intensities", "thermal", "instrument")
    scale = every["scale_cold"]
    assert float(scale.effect.value[2]) == 0
    assert torch.allclose(scale.alone.value[:, :2].T, torch.tensor([0.0, 0, 0, 1]).double(), rtol=0, atol=1e-12)
    assert bool(scale.alone.value[:, 2].isnan().all())


def test_what_is_no_cause_is_refused(system: Spectra) -> None:
    changes = intervene(system, 32, 3)
    with pytest.raises(InputError, match="'J1' is no cause of this map; its causes are "):
        mediated(system, changes, "J1", torch.zeros(changes.change.shape[2], dtype=torch.int64))
