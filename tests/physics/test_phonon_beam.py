"""Phonons of a crystal that stands still in a beam, where the third component of Q follows from the energy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe import Experiment, Instrument
from sqwirrel.observe.views.crystal import beam
from sqwirrel.observe.views.incoherent import Incoherent
from sqwirrel.observe.views.sampling import Sampling
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.phonon.thermal import ThermalMotion
from sqwirrel.spectra import Beam, Measurement, QGrid
from sqwirrel.units import E_PER_K2, SIGMA

AL, MG = library.load("al_80k"), library.load("mg_290k")
KNOWN = {"fwhm": 2.5, "scale": 1.0, "background": 0.0}
WARM = 100.0


def frame(model: PhononModel = AL, incident: float = 120.0, wide: float = 0.02, n: int = 3, **options) -> Experiment:
    """Pixels in a beam along c, some of them next to Bragg points."""
    edges = torch.linspace(0.7, 0.7 + n * wide, n + 1, dtype=torch.float64)
    grid = QGrid(model.lattice, torch.eye(3), [edges, edges + 0.6, [-9, 9]], beam=Beam((0, 0, 1), incident))
    measurement = Measurement(grid, torch.linspace(6, 46, 41), WARM, incident_energy=incident)
    instrument = Instrument(multiphonon=options.pop("multiphonon", False))
    return Experiment(model, measurement, instrument, samples=options.pop("samples", 2), **options)


def seen_by_hand(experiment: Experiment, fwhm: float) -> np.ndarray:
    """Sums of lines where E = E_phonon(Q(E)), 1 / |1 - dE_phonon / dE| of each, from many energies at every point."""
    model, where, measurement = experiment.scene.model, experiment.view.sampling, experiment.measurement
    reciprocal = model.lattice.to_cartesian(torch.eye(3, dtype=torch.float64)).numpy()
    incident, energy = measurement.points.beam.incident_energy, np.linspace(2.0, 50.0, 1601)
    k_i, k_f = np.sqrt(incident / E_PER_K2), np.sqrt((incident - energy) / E_PER_K2)
    up = reciprocal[2] / np.linalg.norm(reciprocal[2])
    edges = measurement.energy.numpy()
    found = np.zeros((int(where.cell[-1]) + 1, len(edges) - 1))
    for q, cell, weight in zip(where.q.numpy(), where.cell.tolist(), where.weight.tolist(), strict=True):
        flat = q[:2] @ reciprocal[:2]
        Q = flat + (k_i - np.sqrt(k_f**2 - flat @ flat))[:, None] * up
        at = torch.from_numpy(Q @ np.linalg.inv(reciprocal))
        modes = Phonons(model, at, temperature=WARM, thermal=ThermalMotion(model, WARM))(model.pack())
        E, strength = modes.energy[0].numpy(), modes.intensity[0].numpy()
        off = E - energy[:, None]
        for n, m in np.argwhere(off[:-1] * off[1:] < 0):
            part = off[n, m] / (off[n, m] - off[n + 1, m])
            jacobian = (energy[n + 1] - energy[n]) / abs(off[n + 1, m] - off[n, m])
            line, sigma = (1 - part) * E[n, m] + part * E[n + 1, m], fwhm * SIGMA
            height = ((1 - part) * strength[n, m] + part * strength[n + 1, m]) * jacobian * weight
            below = torch.special.ndtr(torch.from_numpy((edges - line) / sigma)).numpy()
            found[cell] += height * np.diff(below) / np.diff(edges)
    return found


@pytest.mark.parametrize(
    ("model", "incident", "close"),
    [(AL, 120.0, 0.01), (MG, 200.0, 0.01)],
    ids=["cubic", "two atoms, hexagonal"],
)
def test_bins_see_phonons_where_the_beam_looks_at_their_energies(
    model: PhononModel, incident: float, close: float, monkeypatch
) -> None:
    """Straight lines between few energies are near that, between four times as many at least four times nearer."""
    right = seen_by_hand(frame(model, incident), KNOWN["fwhm"])
    for nodes in (beam.NODES, 4 * beam.NODES):
        monkeypatch.setattr(beam, "NODES", nodes)
        experiment = frame(model, incident)
        assert isinstance(experiment.view.solvers[0], beam.Crossing)
        with torch.no_grad():
            seen = experiment(experiment.pack(**KNOWN))[0].numpy()
        assert np.linalg.norm(seen - right) < close * np.linalg.norm(right)
        assert seen.sum() == pytest.approx(right.sum(), rel=close / 2)
        energy = experiment.measurement.energy_centres.numpy()
        mean, meant = ((each * energy).sum(1) / each.sum(1) for each in (seen, right))
        assert mean == pytest.approx(meant, abs=5 * close)  # meV
        close /= 4


def test_elsewhere_phonons_have_other_energies() -> None:
    """At the wavevectors of elastic scattering the map would be another: the test above tells them apart."""
    experiment = frame()
    points = experiment.measurement.points
    still = QGrid(points.lattice, points.axes, [points.edges[0], points.edges[1], [0.5, 0.52]])
    other = Experiment(AL, replace(experiment.measurement, points=still), Instrument(multiphonon=False), samples=2)
    with torch.no_grad():
        seen, wrong = (each(each.pack(**KNOWN))[0] for each in (experiment, other))
    assert float((seen - wrong).norm()) > 0.5 * float(seen.norm())


@pytest.mark.parametrize("multiphonon", [False, True])
def test_derivatives_are_those_of_differences(multiphonon: bool) -> None:
    experiment = frame(n=2, multiphonon=multiphonon)
    theta = experiment.pack(**KNOWN)
    slope = experiment.linearise(theta).slope[0]
    for k, name in enumerate(experiment.names):
        step = torch.zeros_like(theta)
        step[0, k] = 1e-6
        with torch.no_grad():
            right = (experiment(theta + step) - experiment(theta - step))[0] / 2e-6
        assert torch.allclose(slope[k], right, rtol=1e-3, atol=1e-4 * float(right.abs().max())), name


def test_what_is_under_the_modes_goes_with_the_wavevector_of_each_energy() -> None:
    experiment = frame(multiphonon=True, wide=0.2)
    line, where, below = experiment.line, experiment.view.sampling, experiment.view.incoherent
    assert below is not None
    looked = beam.squares_along(AL.lattice, experiment.measurement, where, line)
    assert torch.equal(looked.square, below.square)
    found = Incoherent(AL, WARM, where, line, 0, looked=looked)(AL.pack())[0][0]
    assert float((looked.square[:, -1] / looked.square[:, 0]).max()) > 1.1  # |Q| changes along the way
    for k in (20, 60, len(line) - 1):
        root = looked.square[:, k].sqrt()
        q = AL.lattice.to_rlu(torch.nn.functional.pad(root[:, None], (0, 2)))
        one = Sampling(q, torch.arange(len(q)), torch.ones(len(q)).double(), None)
        right = Incoherent(AL, WARM, one, line, 0)(AL.pack())[0][0, :, k]
        assert torch.allclose(found[:, k], right, rtol=1e-9)
    assert float(found.sum()) > 0.01 * float(experiment.view(AL.pack()).grid.sum())


def test_energies_that_the_beam_cannot_lose_are_empty() -> None:
    experiment = frame(incident=30.0, multiphonon=True)
    with torch.no_grad():
        seen = experiment(experiment.pack(**KNOWN))[0]
    energy = experiment.measurement.energy_centres
    assert bool(seen.isfinite().all())
    assert float(seen[:, energy > 36].abs().max()) < 1e-9
    assert float(seen[:, energy < 15].max()) > 0


def test_twins_that_are_the_crystal_itself_change_nothing() -> None:
    turn = torch.tensor([[[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]]).double()
    one, both = frame(multiphonon=True), frame(multiphonon=True, twins=turn)
    with torch.no_grad():
        alone, twice = one(one.pack(**KNOWN)), both(both.pack(twin_2=3.0, **KNOWN))
    assert torch.allclose(alone, twice, rtol=1e-3, atol=1e-4 * float(alone.max()))  # meshes of motion lie aside


def test_an_anchored_average_is_that_of_more_points() -> None:
    few, many = (frame(n=1, wide=0.1, multiphonon=True, samples=n) for n in (8, 768))
    theta = few.pack(**KNOWN)
    better = few.anchored(theta, 0.1 * theta[0].abs() + 0.01).experiment
    with torch.no_grad():
        rough, fine, right = (each(theta)[0] for each in (few, better, many))
    assert float((fine - right).norm()) < 0.03 * float(right.norm())
    assert float((fine - right).norm()) < float((rough - right).norm())
    assert torch.allclose(better.linearise(theta).expected[0], fine, rtol=1e-6, atol=1e-9)


def test_motion_that_is_known_has_the_derivatives_of_motion_that_is_found() -> None:
    q = torch.tensor([[1.3, 0.2, 2.1], [0.4, 3.2, 1.1]]).double()
    thermal, theta = ThermalMotion(MG, 290.0), MG.pack()
    found, known = (Phonons(MG, q, temperature=290.0, thermal=each) for each in (thermal, thermal.slopes(theta)))
    tangent = torch.linspace(0.5, 1.5, theta.shape[1]).double()[None]
    with torch.enable_grad():
        one, other = (torch.func.jvp(lambda x, of=of: of(x).intensity, (theta,), (tangent,)) for of in (found, known))
    assert torch.allclose(one[0], other[0], rtol=1e-12)
    assert torch.allclose(one[1], other[1], rtol=1e-9, atol=1e-12 * float(one[1].abs().max()))
