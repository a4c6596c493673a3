"""Densities of states, and what atoms scatter each for itself with any number of phonons: sum rules that hold at any Q
and temperature, detailed balance, and the instrument's switch.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.learn.kept.purpose import Purpose
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument
from sqwirrel.observe.views.incoherent import Incoherent
from sqwirrel.observe.views.sampling import Sampling
from sqwirrel.simulate.phonon.density import Density, Lines, neutron_weighted
from sqwirrel.simulate.phonon.dynamical import basis, dynamical
from sqwirrel.simulate.phonon.incoherent import PhononExpansion, orders, scattered
from sqwirrel.simulate.phonon.thermal import ThermalMotion
from sqwirrel.spectra import Measurement, QPath, QShells
from sqwirrel.units import K_B, RECOIL, SIGMA
from tests.physics.test_phonons import model_of

AL = library.load("al_80k")
MG = library.load("mg_290k")
"""Two atoms in the cell."""


def at(model: PhononModel, Q: list[float]) -> Sampling:
    """A cell at each |Q|, 1/angstrom."""
    q = model.lattice.to_rlu(torch.tensor([[0.0, 0.0, each] for each in Q], dtype=torch.float64))
    return Sampling(q, torch.arange(len(Q)), torch.ones(len(Q), dtype=torch.float64), None)


def all_alone(model: PhononModel) -> PhononModel:
    """With nuclei that scatter incoherently alone, 4 pi barn each: 1000 mb / sr."""
    n = len(model.positions)
    return replace(model, lengths=torch.zeros(n), incoherent=torch.full((n,), 4 * math.pi))


@pytest.mark.parametrize("model", [AL, MG], ids=["one atom", "two atoms"])
def test_a_density_integrates_to_one(model: PhononModel) -> None:
    energy = torch.linspace(-10, 80, 900, dtype=torch.float64)
    density = Density(model)(model.pack(), Lines(energy, 1.0))
    step = float(energy[1] - energy[0])
    assert torch.allclose(density.sum(-1) * step, torch.ones(1, len(model.positions)).double(), atol=1e-6)
    assert torch.allclose(neutron_weighted(model, density), density.mean(1), rtol=1e-9)  # one element


def test_sums_of_lines_are_those_of_gaussians() -> None:
    model = model_of("rock salt")
    density, energy, sigma = Density(model, modes=600), torch.linspace(0, 40, 81).double(), 1.5 * SIGMA
    at, share, _ = density.shares(model.pack())
    line = torch.exp(-(((energy - at.flatten(1)[..., None]) / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))
    exact = torch.einsum("bml,bmi->bil", line, share.flatten(1, 2))
    found = density(model.pack(), Lines(energy, 1.5))
    assert torch.allclose(found, exact, atol=1e-3 * float(exact.max()))


def test_two_elements_have_their_own_densities_and_neutrons_see_their_sum() -> None:
    """Of rock salt against a sum over an even mesh of the zone, with the cross-sections of Sears (1992) in barn."""
    model, n = model_of("rock salt"), 22
    assert model.elements == ("Na", "Cl")
    axes = [(np.arange(n) + aside) / n for aside in (0.13, 0.29, 0.41)]  # no two points are alike
    mesh = torch.from_numpy(np.stack(np.meshgrid(*axes), -1).reshape(-1, 3))
    D = dynamical(basis(model, model.cell.to_cartesian(mesh)), model.pack())[0].numpy()
    square, e = np.linalg.eigh(D)
    mine = (np.abs(e.reshape(len(mesh), 2, 3, 6)) ** 2).sum(2)  # of each atom in each mode
    energy, sigma = np.linspace(0, 1.1 * square.max() ** 0.5, 150), 1.5 * SIGMA
    line = np.exp(-(((energy - np.sqrt(square)[..., None]) / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))
    direct = np.einsum("qml,qim->il", line, mine) / (3 * len(mesh))
    weight = np.array([3.28 / 22.990, 16.8 / 35.453])
    found = Density(model, modes=2**16)(model.pack(), Lines(torch.from_numpy(energy), 1.5))
    seen = neutron_weighted(model, found)[0].numpy()
    assert np.abs(direct[0] - direct[1]).max() > 0.2 * direct.max()  # they differ
    assert found[0].numpy() == pytest.approx(direct, abs=0.02 * direct.max())  # some 6e4 modes in either
    assert seen == pytest.approx(weight / weight.sum() @ direct, abs=0.02 * direct.max())
    assert seen == pytest.approx(weight / weight.sum() @ found[0].numpy(), rel=5e-3)  # of the tables


def test_the_density_of_a_debye_solid_rises_as_the_square() -> None:
    """Below the first singular point g(E) = a E^2, a from the velocities of sound: three times the energy, nine times
    the states."""
    energy = torch.tensor([3.0, 9.0], dtype=torch.float64)
    low, high = Density(AL, modes=3 * 10**5)(AL.pack(), Lines(energy, 1.5))[0, 0]
    sigma = 1.5 / math.sqrt(8 * math.log(2))
    assert float(high / low) == pytest.approx((81 + sigma**2) / (9 + sigma**2), rel=0.08)  # dispersion bends by 7 %


def test_displacements_are_those_of_thermal_motion() -> None:
    for temperature, close in ((0.0, 0.01), (300.0, 0.01)):
        P = PhononExpansion(AL, temperature=temperature)(AL.pack()).intensity.sum()
        U = ThermalMotion(AL, temperature, mesh=16)(AL.pack())[0, 0].diagonal().mean()
        assert float(P) == pytest.approx(float(U), rel=close)


@pytest.mark.parametrize("temperature", [0.0, 30.0, 300.0])
@pytest.mark.parametrize("model", [AL, MG], ids=["one atom", "two atoms"])
def test_sum_rules_hold_at_any_momentum(model: PhononModel, temperature: float) -> None:
    """All but the elastic line: 1 - exp(-Q^2 U); the mean energy is that of a free atom, hbar^2 Q^2 / 2 m (Placzek)."""
    alone, Q = all_alone(model), [2.0, 6.0, 10.0]
    line = torch.arange(-400, 400, dtype=torch.float64)
    seen = Incoherent(alone, temperature, at(alone, Q), line, 0)
    grid, square = seen(alone.pack())[0][0], torch.tensor(Q).double() ** 2
    U = PhononExpansion(alone, temperature=temperature)(alone.pack()).intensity.sum() / len(model.positions)
    assert torch.allclose(grid.sum(-1), 1000 * (1 - torch.exp(-square * U)), rtol=2e-3)
    recoil = (RECOIL / (2 * model.masses)).mean()
    assert torch.allclose((grid * line).sum(-1), 1000 * square * recoil, rtol=2e-3)


def test_gain_and_loss_are_in_detailed_balance() -> None:
    line = torch.arange(-60, 61, dtype=torch.float64) * 0.5
    grid = Incoherent(all_alone(AL), 100.0, at(AL, [8.0]), line, 0)(AL.pack())[0][0, 0]
    inside = (line > 4) & (line < 25)
    ratio = grid.flip(0)[inside] / grid[inside]
    assert torch.allclose(ratio, torch.exp(-line[inside] / (K_B * 100.0)), rtol=0.02)  # lines have a width


def test_orders_are_convolutions() -> None:
    generator = torch.Generator().manual_seed(1)
    P = torch.zeros(1, 1, 400, dtype=torch.float64)
    P[0, 0, 190:215] = torch.rand(25, generator=generator, dtype=torch.float64)
    once, twice = orders(P, 0.5)[0, 0, :2]
    assert torch.allclose(once, P[0, 0], atol=1e-12)
    direct = torch.conv1d(P, P.flip(-1), padding=399)[0, 0] * 0.5  # index k is the energy k - 400 of both
    assert torch.allclose(twice, direct[200:600], atol=1e-12)


def test_coherent_nuclei_scatter_two_phonons_alone_and_not_one() -> None:
    P = torch.zeros(1, 1, 64, dtype=torch.float64)
    P[0, 0, 40] = 1.0
    every, U, square = orders(P, 1.0), P.sum(-1), torch.tensor([0.01], dtype=torch.float64)
    lengths = replace(AL, incoherent=torch.zeros(1))
    found = scattered(lengths, every, U, square)[0, 0]
    assert abs(float(found[40])) < 1e-12
    assert float(found[48]) == pytest.approx(float(AL.coherent_per_sr[0]) * math.exp(-0.01) * 0.01**2 / 2, rel=1e-9)


@pytest.mark.parametrize("model", [AL, MG], ids=["one atom", "two atoms"])
def test_derivatives_are_those_of_differences(model: PhononModel) -> None:
    seen = Incoherent(model, 300.0, at(model, [3.0, 9.0]), torch.arange(10, 100, dtype=torch.float64) * 0.4, 0)
    theta = model.pack()
    value, rise, _ = seen.slopes(theta)
    assert torch.allclose(value, seen(theta)[0], rtol=1e-12)
    for k in range(theta.shape[1]):
        step = torch.zeros_like(theta)
        step[0, k] = 1e-4
        assert torch.allclose(rise[k], (seen(theta + step)[0] - seen(theta - step)[0]) / 2e-4, rtol=1e-4, atol=1e-5)


def test_an_instrument_leaves_it_out_where_it_was_taken_off() -> None:
    measurement = Measurement(QShells(torch.linspace(1, 9, 21)), torch.linspace(5, 80, 41), 300.0)
    with_it, without = (
        Experiment(AL, measurement, Instrument(multiphonon=on), samples=8, cell=0.4) for on in (True, False)
    )
    theta = with_it.pack(fwhm=2.0, fwhm_q=0.1, scale=1.0, background=0.0)
    both, one = (each(theta)[0] for each in (with_it, without))
    above = measurement.energy_centres > 48  # no single phonon of aluminium has this energy
    assert float(one[:, above].abs().max()) < 1e-6 * float(one.max())
    two = above & (measurement.energy_centres < 70)
    assert bool((both[10:, two] > 1e-3 * one.max()).all())


def test_an_anchored_average_keeps_it() -> None:
    measurement = Measurement(QShells(torch.linspace(1, 9, 9)), torch.linspace(45, 80, 21), 300.0)
    experiment = Experiment(AL, measurement, Instrument(), samples=8, cell=1.0)  # no single phonon has such an energy
    theta = experiment.pack(fwhm=4.0, fwhm_q=0.2, scale=1.0, background=0.0)
    better = experiment.anchored(theta, 0.1 * theta[0].abs() + 0.01).experiment
    coarse, fine = (each.predict(theta).expected[0] for each in (experiment, better))
    assert torch.allclose(coarse[:, 5:], fine[:, 5:], rtol=0.03)


def test_a_narrow_window_sees_the_same_as_a_wide_one() -> None:
    """Phonons above it are still emitted and absorbed at once, and still take from all other scattering."""
    wide, narrow = (torch.arange(2, n, dtype=torch.float64) * 0.25 for n in (600, 24))
    theta = AL.pack()
    far, near = (Incoherent(AL, 300.0, at(AL, [3.0, 9.0]), line, 0)(theta)[0] for line in (wide, narrow))
    assert torch.allclose(near[..., 1:], far[..., 1:22], rtol=1e-6)


def test_rows_with_imaginary_energies_are_not_stable() -> None:
    """On a path that does not meet them, too."""
    q = torch.tensor([[1.0, 0.02, 0.01]], dtype=torch.float64)
    measurement = Measurement(QPath(AL.lattice, q, torch.zeros(3, 3)), torch.linspace(5, 45, 11), 5.0)
    experiment = Experiment(AL, measurement, Instrument(), samples=1)
    how = {"fwhm": 2.0, "scale": 1.0, "background": 0.0}
    bent = experiment.pack(**how, K1xx=10.0, K1xy=10.0, K1zz=-2.0, K2xx=-12.0, K2yy=3.0)
    assert bool(experiment.predict(experiment.pack(**how)).stable)
    steady = Incoherent(AL, 5.0, at(AL, [3.0]), experiment.line, 0)(bent[:, : len(AL.names)])[1]
    assert not bool(steady)
    assert not bool(experiment.predict(bent).stable)


def test_vanadium_gets_better_with_more_points() -> None:
    """What is incoherent shows the density of states, whose modes are counted."""
    V = replace(AL, lengths=torch.tensor([-0.4]), incoherent=torch.tensor([5.08]))
    measurement = Measurement(QShells(torch.linspace(3, 5, 3)), torch.linspace(10, 40, 31), 300.0)
    experiment = Experiment(V, measurement, Instrument(), samples=8, cell=1.0)
    theta = experiment.pack(fwhm=1.0, fwhm_q=0.1, scale=1.0, background=0.0)
    mean = float(experiment(theta).mean())
    few, many = (float((experiment.anchored(theta, more=n).scatter ** 2).mean().sqrt()) / mean for n in (1, 8))
    assert few < 0.02
    assert many < few / 2


def test_networks_know_whether_it_was_there() -> None:
    measurement = Measurement(QShells(torch.linspace(1, 9, 5)), torch.linspace(5, 45, 11), 300.0)
    with_it, without, bent = (
        Purpose.of(Experiment(AL, measurement, Instrument(multiphonon=on, q_response=n), samples=2, cell=1.0), Prior())
        for on, n in ((True, 0), (False, 0), (True, 2))
    )
    assert "several phonons at once" in with_it.otherwise(without)
    assert "response along |Q|" in with_it.otherwise(bent)
    assert with_it.otherwise(with_it) == ""


def test_a_density_needs_a_mode() -> None:
    with pytest.raises(InputError, match="from 0 modes; give at least one"):
        Density(AL, modes=0)
