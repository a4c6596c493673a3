"""What an intervention does to a spectrum is shared between its paths as closed forms say."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.paths import Routes, mediation, routes
from sqwirrel.model import library
from sqwirrel.model.phonon import library as phonons
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, OffsetResolution
from sqwirrel.observe.views.crystal.beam import Crossing, Passing
from sqwirrel.simulate.crosssection import bose
from sqwirrel.simulate.looks.standing import Standing
from sqwirrel.simulate.phonon.folded import FoldedPhonons
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.phonon.thermal import ThermalMotion
from sqwirrel.simulate.spinwave import SpinWaves
from sqwirrel.spectra import Beam, Measurement, QGrid, QPath, QShells
from tests.cases import build, neighbours
from tests.physics.test_large_cells import square
from tests.unit.observe.test_stretched import slice_of

CHAIN, MNF2, SQUARE, AL = (
    library.load("fm_chain"),
    library.load("mnf2"),
    library.load("rb2mnf4"),
    phonons.load("al_80k"),
)
NUISANCES = {"fwhm": 0.5, "scale": 40.0, "background": 0.3}
SWAP = torch.tensor([[[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]], dtype=torch.float64)
H = torch.tensor([0.15, 0.25, 0.4, 0.5], dtype=torch.float64)
WIDE = torch.linspace(-12, 12, 481, dtype=torch.float64)


def path(model, temperature: float, energy: Tensor = WIDE, resolution=None, at: Tensor = H) -> Experiment:
    q = torch.stack((at, 0.3 * at, 0 * at), -1)
    where = Measurement(QPath(model.lattice, q, torch.zeros(3, 3)), energy, temperature)
    return Experiment(model, where, Instrument(resolution or GaussianResolution(), multiphonon=False), samples=1)


def powder(model, energy: Tensor, temperature: float = 30.0) -> Experiment:
    return Experiment(model, Measurement(QShells([1.0, 1.4, 1.8, 2.2]), energy, temperature), Instrument(), samples=12)


def beam(model, incident: float, energy: Tensor) -> Experiment:
    edges = torch.linspace(0.7, 0.76, 4, dtype=torch.float64)
    grid = QGrid(model.lattice, torch.eye(3), [edges, edges + 0.6, [-9, 9]], beam=Beam((0, 0, 1), incident))
    return Experiment(model, Measurement(grid, energy, 60.0, incident_energy=incident), Instrument(), samples=2)


def twinned() -> Experiment:
    edges = [torch.linspace(0.2, 0.5, 4), torch.linspace(0.1, 0.3, 3), torch.tensor([-0.05, 0.05])]
    where = Measurement(QGrid(MNF2.lattice, torch.eye(3), edges), torch.linspace(1, 8, 15), 30.0)
    return Experiment(MNF2, where, Instrument(), samples=4, twins=SWAP)


SPINS = torch.linspace(1, 8, 29, dtype=torch.float64)
LATTICE = torch.linspace(6, 46, 21, dtype=torch.float64)
VIEWS = {
    "path of spin waves": (lambda: path(CHAIN, 10.0), SpinWaves, False),
    "powder of spin waves": (lambda: powder(MNF2, SPINS), SpinWaves, False),
    "twins": (twinned, SpinWaves, False),
    "layers in a beam": (lambda: beam(SQUARE, 25.0, SPINS), Standing, False),
    "crystal of spin waves in a beam": (lambda: beam(MNF2, 25.0, SPINS), Passing, False),
    "path of phonons": (lambda: path(AL, 80.0, LATTICE), Phonons, False),
    "powder of phonons": (lambda: powder(AL, LATTICE, 100.0), FoldedPhonons, True),
    "crystal of phonons in a beam": (lambda: beam(AL, 120.0, LATTICE), Crossing, True),
}


def pair(experiment: Experiment, changed: Mapping[str, float]) -> tuple[Tensor, Tensor]:
    others = {name: x for name, x in {"twin_2": 0.7, "fwhm_q": 0.05}.items() if name in experiment.names}
    wide = {"fwhm": 2.5} if experiment.model is AL else {}
    before = experiment.pack(**others, **{**NUISANCES, **wide})
    after = before.clone()
    for name, factor in changed.items():
        after[:, experiment.names.index(name)] *= factor
    return before, after


def switched(experiment: Experiment, **changed: float) -> Routes:
    with torch.no_grad():
        return routes(experiment, *pair(experiment, changed))


def integral(experiment: Experiment, spectrum: Tensor) -> Tensor:
    """Over energy, at each point."""
    return (spectrum * experiment.measurement.energy.diff()).sum(-1)[0]


@pytest.mark.parametrize("name", VIEWS)
def test_both_ends_are_what_the_experiment_predicts(name: str) -> None:
    make, solver, under = VIEWS[name]
    experiment = make()
    assert isinstance(experiment.view.solvers[0], solver)
    assert (experiment.view.incoherent is not None) == under
    changed = dict.fromkeys((*experiment.model.names, *experiment.names[-3:]), 1.1)
    before, after = pair(experiment, changed)
    with torch.no_grad():
        found, ends = routes(experiment, before, after), experiment(torch.cat((before, after)))
    assert bool(found.stable.all())
    size = float(ends.abs().max())
    assert torch.allclose(torch.cat((found.before, found.after)), ends, rtol=0, atol=1e-5 * size)
    assert set(found.alone) - {"multiphonon"} == {"energies", "intensities", "thermal", "instrument"}
    assert float((found.alone["energies"] - found.before).abs().max()) > 0.01 * size
    assert ("multiphonon" in found.alone) == under


@pytest.mark.parametrize("name", VIEWS)
def test_nuisances_go_through_the_instrument_alone(name: str) -> None:
    experiment = VIEWS[name][0]()
    nuisances = experiment.names[len(experiment.model.names) :]
    for nuisance in (nuisances[0], "scale", "background"):  # the first is the weight of a twin, or a width
        found = switched(experiment, **{nuisance: 1.3})
        assert torch.equal(found.alone["instrument"], found.after)
        assert not torch.equal(found.before, found.after)
        assert all(torch.equal(each, found.before) for key, each in found.alone.items() if key != "instrument")


def test_an_offset_goes_through_the_instrument_alone() -> None:
    experiment = path(CHAIN, 5.0, resolution=OffsetResolution(GaussianResolution()))
    before = experiment.pack(energy_offset=0.0, **NUISANCES)
    after = experiment.pack(energy_offset=0.2, **NUISANCES)
    whole = torch.ones(1, *experiment.measurement.shape, dtype=torch.bool)
    found = mediation(experiment, before, after, lambda x: x, whole)
    assert found.paths == ("energies", "intensities", "thermal", "instrument")
    assert found.alone.value[:, 0].tolist() == [0, 0, 0, 1]
    assert (float(found.rest.value), float(found.joint.value)) == (0, 0)


def test_exchange_of_a_ferromagnet_moves_energies_alone_when_cold() -> None:
    """S_perp of a ferromagnet at 0 K does not depend on J, and nothing is excited."""
    for temperature in (0.0, 0.05):
        experiment = path(CHAIN, temperature, torch.linspace(0.2, 9, 89, dtype=torch.float64))
        found = switched(experiment, J=1.4)
        assert torch.equal(found.alone["thermal"], found.before)
        assert torch.allclose(found.alone["intensities"], found.before, rtol=0, atol=1e-9)
        assert torch.allclose(found.alone["energies"], found.after, rtol=0, atol=1e-9)
        assert float((found.after - found.before).norm()) > 0.5 * float(found.before.norm())


def test_all_couplings_of_an_antiferromagnet_together_leave_intensities_alone() -> None:
    experiment = path(SQUARE, 0.0)
    together = switched(experiment, J1=1.3, J2=1.3, D=1.3)
    assert torch.allclose(together.alone["intensities"], together.before, rtol=0, atol=1e-7)
    assert torch.allclose(together.alone["energies"], together.after, rtol=0, atol=1e-7)


def test_anisotropy_of_an_antiferromagnet_acts_on_intensities_by_the_closed_form() -> None:
    """S_perp goes as ((A - B) / (A + B))^1/2, A = 2 J1 - 2 J2 (1 - z) - D, B = 2 J1 g (see rb2mnf4.toml)."""
    experiment = path(
        SQUARE, 0.0, torch.linspace(-1, 12, 261, dtype=torch.float64), at=torch.tensor([0.05, 0.1]).double()
    )
    found, q = switched(experiment, D=8.0), experiment.measurement.points.q
    g = torch.cos(torch.pi * (q[:, 0] + q[:, 1])) * torch.cos(torch.pi * (q[:, 0] - q[:, 1]))
    z = torch.cos(2 * torch.pi * q[:, 0]) * torch.cos(2 * torch.pi * q[:, 1])
    J1, J2, D = SQUARE.pack()[0]
    A, B = (2 * J1 - 2 * J2 * (1 - z) - D * torch.tensor([[1.0], [8.0]]).double()), 2 * J1 * g
    factor = ((A - B) / (A + B)).sqrt()
    background = NUISANCES["background"] * 13
    parts = [integral(experiment, each) - background for each in (found.before, found.alone["intensities"])]
    assert torch.allclose(parts[1] / parts[0], factor[1] / factor[0], rtol=1e-4)
    assert float((factor[1] / factor[0] - 1).abs().min()) > 0.05


def test_thermal_factors_of_a_warm_ferromagnet() -> None:
    """2 n(E) + 1 over both signs of energy: by the energies of b in the thermal path, those of a in all others."""
    T, experiment = 40.0, path(CHAIN, 40.0)
    found = switched(experiment, J=1.4)
    q = experiment.measurement.points.q[:, 0]
    low = 4 * torch.sin(torch.pi * q) ** 2
    weight = [bose(E, T) + bose(-E, T) for E in (low, 1.4 * low)]
    background = NUISANCES["background"] * 24
    parts = {name: integral(experiment, each) - background for name, each in found.alone.items()}
    start = integral(experiment, found.before) - background
    assert torch.allclose(parts["thermal"] / start, weight[1] / weight[0], rtol=1e-4)
    for name in ("energies", "intensities"):
        assert torch.allclose(parts[name], start, rtol=1e-4)
    middle = experiment.measurement.energy_centres
    loss = middle > 0
    moved = ((each - NUISANCES["background"])[0] * loss for each in (found.alone["thermal"], found.alone["energies"]))
    means = [(each * middle).sum(1) / each.sum(1) for each in moved]
    assert torch.allclose(means[0][2:], low[2:], atol=0.02)
    assert torch.allclose(means[1][2:], 1.4 * low[2:], atol=0.02)


def test_stiffer_springs_by_path() -> None:
    """Springs times s: energies by s^1/2, amplitudes (1 / E) by s^-1/2, thermal factors by Bose and Debye-Waller."""
    T, s = 150.0, 1.3
    experiment = path(AL, T, torch.linspace(-70, 70, 1401, dtype=torch.float64), at=torch.tensor([1.2, 2.3]).double())
    found = switched(experiment, **dict.fromkeys(AL.names, s))
    theta, q = AL.pack(), experiment.measurement.points.q
    U = [ThermalMotion(AL, T)(k * theta)[0, 0] for k in (1, s)]
    wave = AL.lattice.to_cartesian(q)
    damped = [torch.exp(-torch.einsum("qa,ac,qc->q", wave, each, wave)) for each in U]
    still = Phonons(AL, q)(theta)
    E, strength = (x[0, :, :3] for x in (still.energy, still.intensity))
    heat = [(bose(k * E, T) + bose(-k * E, T)) for k in (1, s**0.5)]
    background = NUISANCES["background"] * 140
    start = integral(experiment, found.before) - background
    parts = {name: (integral(experiment, each) - background) / start for name, each in found.alone.items()}
    first = (strength * heat[0]).sum(-1) * damped[0]
    assert torch.allclose(parts["energies"], torch.ones(2).double(), rtol=1e-4)
    assert torch.allclose(parts["intensities"], torch.full((2,), s**-0.5).double(), rtol=1e-4)
    assert torch.allclose(parts["thermal"], (strength * heat[1]).sum(-1) * damped[1] / first, rtol=1e-4)
    assert torch.equal(found.alone["instrument"], found.before)


def two_chains(K: float) -> SpinModel:
    """Chains that do not know each other, one hardly seen: 4 J S sin^2(pi h) of one, with K of the other."""
    vectors = np.diag([3.0, 8.0, 9.0])
    bonds = neighbours(vectors, [[0, 0, 0]], 3.0)
    model = build(
        vectors,
        [[0, 0, 0], [0, 0.5, 0]],
        [[0, 0, 1], [0, 0, 1]],
        {"J": (bonds, 1.0), "K": (([1], [1], bonds[2]), 1.0)},
        g=np.stack([2 * np.eye(3), 0.2 * np.eye(3)]),
    )
    return replace(model, defaults={"J": -1.0, "K": K})


def test_modes_that_cross_exchange_their_strengths_and_that_undoes_itself() -> None:
    experiment = path(two_chains(-1.5), 0.0, torch.linspace(0.2, 12, 119, dtype=torch.float64))
    whole = torch.ones(1, *experiment.measurement.shape, dtype=torch.bool)
    apart, across = (mediation(experiment, *pair(experiment, {"J": by}), lambda x: x, whole) for by in (1.3, 2.0))
    through = across.paths.index("intensities")
    assert float(apart.alone.value[through]) == pytest.approx(0, abs=1e-9)
    assert float(apart.joint.value) == pytest.approx(0, abs=1e-9)
    assert float(across.alone.value[through]) > 0.1
    assert float(across.joint.value) > 0.1


def test_degenerate_modes_share_evenly_whatever_the_solver() -> None:
    """Equal chains have one energy: with those of the others, each of the two has half of what both are seen with."""
    experiment = path(two_chains(-1.0), 0.0, torch.linspace(-1, 12, 261, dtype=torch.float64))
    found = switched(experiment, J=2.0)
    assert torch.allclose(routes(experiment, *pair(experiment, {"J": 2.0})).alone["energies"], found.alone["energies"])
    middle = experiment.measurement.energy_centres
    high = middle > 6  # at h = 1/2 modes are at 4 and 8 meV
    seen = (found.alone["energies"] - NUISANCES["background"])[0, 3]
    assert float(seen[high].sum()) == pytest.approx(float(seen[~high].sum()), rel=1e-4)


def test_large_cells_are_solved_mode_by_mode() -> None:
    model = square((16, 8))
    points = QPath(model.lattice, [[0.3, 0.1, 0], [0.45, 0.2, 0]], torch.zeros(3, 3))
    where = Measurement(points, torch.linspace(0.0, 13, 31, dtype=torch.float64), 20.0)
    experiment = Experiment(model, where, Instrument(GaussianResolution()), samples=1)
    before = experiment.pack(J=1, D=1, **NUISANCES)
    after = experiment.pack(J=1.1, D=1, **NUISANCES)
    assert experiment.view.solvers[0].fwhm is not None
    with torch.no_grad():
        found = routes(experiment, before, after)
        assert experiment.view.solvers[0].fwhm is not None
        experiment.view.solvers[0].fwhm = None
        ends = experiment(torch.cat((before, after)))
    assert torch.allclose(torch.cat((found.before, found.after)), ends, rtol=0, atol=1e-5 * float(ends.max()))


def test_pairs_without_an_order_are_left_out_and_parts_make_the_whole(monkeypatch) -> None:
    experiment = path(CHAIN, 5.0)
    before = experiment.pack(**NUISANCES).repeat(5, 1)
    before[:, 0] = torch.tensor([-1.0, -0.8, 0.5, -1.1, -1.3])
    after = before.clone()
    after[:, 0] *= 1.3
    whole = torch.ones(1, *experiment.measurement.shape, dtype=torch.bool)
    found = mediation(experiment, before, after, lambda x: x, whole, seed=3)
    monkeypatch.setattr("sqwirrel.explain.causal.paths.mediate.ROWS_BYTES", 1)
    again = mediation(experiment, before, after, lambda x: x, whole, seed=3)
    assert found.left_out == again.left_out == 1
    assert all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(found.alone, again.alone, strict=True))
    assert bool((found.alone.low <= found.alone.value).all() & (found.alone.value <= found.alone.high).all())
    with pytest.raises(InputError, match="none of 1 pairs has a stable order"):
        mediation(experiment, before[2:3], after[2:3], lambda x: x, whole)


def test_what_has_no_modes_to_exchange_is_refused() -> None:
    experiment = powder(MNF2, SPINS)
    before, after = pair(experiment, {"J2": 1.1})
    with pytest.raises(InputError, match="an anchored experiment adds to its modes"):
        routes(experiment.anchored(before).experiment, before, after)
    with pytest.raises(InputError, match=r"expected as many of both, with 8 parameters each: J1, J2, J3, D"):
        routes(experiment, before[:, 1:], after[:, 1:])
    twice = slice_of(q_scale=True)
    theta = torch.ones(1, len(twice.names), dtype=torch.float64)
    with pytest.raises(InputError, match="widths in q that are a parameter move the points"):
        routes(twice, theta, theta)
    with pytest.raises(InputError, match="an emulator has no modes to exchange; give the experiment itself"):
        routes(experiment.seen_by(Emulator(experiment.view)), before, after)


class Emulator(nn.Module):
    """What lays modes out without being a view."""

    exact, bytes_per_row = True, 1

    def __init__(self, view) -> None:
        super().__init__()
        self.line, self.inside, self.slopes = view.line, view.inside, view.slopes

    def forward(self, _: Tensor):
        raise AssertionError("nobody asks")
