"""What bins of a crystal see: a beam, a resolution in (q, E), twins."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.observe import Experiment, Instrument
from sqwirrel.observe.covariance.cooper_nathans import covariance
from sqwirrel.observe.covariance.resolution import EllipsoidResolution
from sqwirrel.observe.covariance.spectrometer import Reflector, Spectrometer
from sqwirrel.observe.covariance.table import CovarianceTable
from sqwirrel.observe.resolution import GaussianResolution, TableResolution
from sqwirrel.observe.views.crystal.beam import Passing
from sqwirrel.observe.views.crystal.blur import Ellipsoids
from sqwirrel.observe.views.lines import Blur, deposit, deposit_slopes, fine_grid
from sqwirrel.observe.views.places import Places
from sqwirrel.observe.views.sampling import same_cell
from sqwirrel.observe.views.view import View, differences, slopes
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.modes import Modes
from sqwirrel.spectra import Beam, Measurement, QGrid, QPath, QPoints
from sqwirrel.units import SIGMA
from tests.cases import build, neighbours, tensor

PCSMO, CHAIN = library.load("pcsmo_goodenough"), library.load("fm_chain")
SWAP = tensor([[[0, 1, 0], [1, 0, 0], [0, 0, 1]]])
WINDOWS = [10.0, 16.0, 22.0, 28.0, 34.0, 40.0]


def frame(model=PCSMO, n=4, **options):
    """A few pixels in a beam of 70 meV along c."""
    edges = torch.linspace(0.1, 0.1 + 0.1 * n, n + 1)
    grid = QGrid(model.lattice, torch.eye(3), [edges, edges + 0.2, [-9, 9]], beam=Beam((0, 0, 1), 70.0))
    measurement = Measurement(grid, WINDOWS, 5.0, incident_energy=70.0)
    return Experiment(model, measurement, Instrument(), **options)


def table(covariance):
    """The same covariance of (h, k, E) everywhere."""
    points = torch.cartesian_prod(*(torch.tensor([-5.0, 5.0]),) * 2, torch.tensor([-100.0, 100.0]))
    return CovarianceTable(points, tensor(covariance).expand(len(points), 3, 3))


def test_a_beam_sees_the_same_by_looks_and_by_spin_waves_along_its_way(monkeypatch) -> None:
    """Modes that do not depend on the free component, found by either of the two ways."""
    from sqwirrel.observe.views import build
    from sqwirrel.observe.views.crystal import beam

    monkeypatch.setattr(beam, "_mesh", lambda *_: (0, 0, 0))
    looks = frame(samples=4)
    monkeypatch.setattr(build, "standing", lambda *_: None)
    monkeypatch.setattr(beam, "NODES", 96)
    waves = frame(samples=4)
    assert isinstance(waves.view.solvers[0], Passing)
    theta = looks.pack(fwhm=2.0, scale=1.0, background=0.0)
    with torch.no_grad():
        one, other = looks(theta)[0], waves(theta)[0]
    # 96 nodes interpolate the form of the layers
    assert float((one - other).norm() / other.norm()) < 0.03
    assert float(one.sum() / other.sum()) == pytest.approx(1.0, abs=0.02)


def test_slopes_of_looks_are_those_of_spin_waves_along_the_way(monkeypatch) -> None:
    from sqwirrel.observe.views import build
    from sqwirrel.observe.views.crystal import beam

    monkeypatch.setattr(beam, "_mesh", lambda *_: (0, 0, 0))
    looks = frame(n=1, samples=2)
    monkeypatch.setattr(build, "standing", lambda *_: None)
    monkeypatch.setattr(beam, "NODES", 200)
    waves = frame(n=1, samples=2)
    theta = looks.pack(fwhm=3.0, scale=1.0, background=0.1)
    one, other = looks.linearise(theta).slope, waves.linearise(theta).slope
    for k, name in enumerate(looks.names):
        size = float(other[0, k].abs().max())
        assert torch.allclose(one[0, k], other[0, k], atol=0.03 * size), name


def test_twins_are_seen_turned_and_weighed() -> None:
    one, both = frame(samples=2), frame(samples=2, twins=SWAP)
    assert both.names[-4:] == ("twin_2", "fwhm", "scale", "background")
    known = {"fwhm": 2.0, "scale": 1.0, "background": 0.0}
    with torch.no_grad():
        alone, none = one(one.pack(**known)), both(both.pack(twin_2=0, **known))
        same, twice = both(both.pack(twin_2=1, **known)), both(both.pack(twin_2=2, **known))
    assert torch.allclose(alone, none, atol=1e-12)
    other = 2 * same - alone
    assert torch.allclose(twice, (alone + 2 * other) / 3, atol=1e-12)
    assert float((other - alone).abs().max()) > 0.1 * float(alone.max())


def test_a_twin_of_a_crystal_without_a_beam_sees_rotated_wavevectors() -> None:
    points = QPath(PCSMO.lattice, [[0.3, 0.9, 0.2]], torch.zeros(3, 3))
    measurement = Measurement(points, WINDOWS, 5.0)
    both = Experiment(PCSMO, measurement, Instrument(), twins=SWAP)
    at = PCSMO.lattice.to_rlu(PCSMO.lattice.to_cartesian(points.q) @ SWAP[0])
    turned = Experiment(
        PCSMO, dataclasses.replace(measurement, points=QPath(PCSMO.lattice, at, torch.zeros(3, 3))), Instrument()
    )
    known = {"fwhm": 2.0, "scale": 1.0, "background": 0.0}
    with torch.no_grad():
        mixed, other = both(both.pack(twin_2=1e9, **known)), turned(turned.pack(**known))
    assert torch.allclose(mixed, other, atol=1e-7)


def test_a_twin_in_a_beam_sees_the_field_turned() -> None:
    """A field is an axial vector, and modes in one field do not serve another."""
    plain = frame(samples=2)
    measurement = dataclasses.replace(plain.measurement, field=tensor([0.0, 3.0, 0.0]))
    both = Experiment(PCSMO, measurement, Instrument(), samples=2, twins=SWAP, shared=plain.amplitudes)
    assert [solver.amplitudes.field.tolist() for solver in both.view.solvers] == [[0, 3, 0], [-3, 0, 0]]
    assert frame(samples=2, shared=plain.amplitudes).amplitudes is plain.amplitudes


TURNS = {"2 along c": (-1, -1, 1), "mirror": (1, 1, -1), "2 along a": (1, -1, -1), "inversion": (-1, -1, -1)}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
def test_twins_that_turn_the_beams_axis_over_see_its_phases_turned(turn, monkeypatch) -> None:
    """Sites at two heights without a mirror between them: the interference along the beam tells up from down."""
    from sqwirrel.observe.views import build as views
    from sqwirrel.observe.views.crystal import beam

    inside = ([0, 1, 0, 1], [0, 1, 0, 1], [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    terms = {"J1": (([0], [1], [[0, 0, 0]]), -2.0), "J2": (([0], [1], [[-1, 0, 0]]), -1.0), "Ja": (inside, -1.5)}
    model = build(np.diag([5.0, 5, 8]), [[0, 0, 0], [0.3, 0.2, 0.3]], np.tile([0, 0, 1.0], (2, 1)), terms)
    edges = torch.linspace(0.1, 0.5, 5)
    grid = QGrid(model.lattice, torch.eye(3), [edges, edges + 0.2, [-9, 9]], beam=Beam((0, 0, 1), 50.0))
    where = Measurement(grid, [2.0, 5, 8, 11, 14, 17, 20], 0.0, incident_energy=50.0)
    twins = torch.diag(tensor(turn))[None]
    looks = Experiment(model, where, Instrument(), samples=4, twins=twins)
    monkeypatch.setattr(views, "standing", lambda *_: None)
    monkeypatch.setattr(beam, "NODES", 120)
    waves = Experiment(model, where, Instrument(), samples=4, twins=twins)
    known = {"J1": 1.0, "J2": 1.0, "Ja": 1.0, "twin_2": 1e9, "fwhm": 1.0, "scale": 1.0, "background": 0.0}
    with torch.no_grad():
        one, other = (e(e.pack(**known))[0] for e in (looks, waves))
    assert float((one - other).norm() / other.norm()) < 0.05  # 120 nodes interpolate the phases


def test_bad_twins_are_refused() -> None:
    with pytest.raises(InputError, match="twins must be orthogonal 3 x 3 matrices"):
        frame(twins=2 * SWAP)


@pytest.mark.parametrize("turns", [None, SWAP])
def test_compiled_slopes_are_those_of_forward_mode(turns) -> None:
    """On a path, in one orientation and in two, with the modes of degenerate layers, one row unstable."""
    points = QPath(PCSMO.lattice, [[0.3, 0.9, 0.2], [0.55, 0.5, 0.0]], 0.05 * torch.eye(3).expand(2, 3, 3))
    both = Experiment(PCSMO, Measurement(points, WINDOWS, 5.0), Instrument(), twins=turns, samples=4)
    weight = {} if turns is None else {"twin_2": 0.6}
    theta = both.pack(fwhm=2.0, scale=1.0, background=0.0, **weight)[:, : len(both.modelled)]
    theta = theta * torch.tensor([1.0, 1.02, -1.0], dtype=torch.float64)[:, None]
    mine, known = both.view.slopes(theta), slopes(both.view, theta)
    assert mine[2].tolist() == known[2].tolist() == [True, True, False]
    for one, other in zip(mine[:2], known[:2], strict=True):
        assert torch.allclose(one, other, atol=1e-12 * float(other.abs().max()))


@pytest.mark.parametrize("blurred", [False, True])
def test_the_compiled_deposit_is_the_differentiable_one(blurred: bool) -> None:
    torch.manual_seed(1)
    modes = Modes(torch.rand(2, 12, 3).double() * 6 - 1, torch.rand(2, 12, 3).double(), torch.rand(2, 12) > 0.2)
    cells, line = torch.arange(4).repeat_interleave(3), fine_grid(torch.linspace(0.0, 4, 9).double())
    nodes = torch.linspace(0, 4, 5).double()
    blur = Blur(nodes, torch.rand(12, 5).double(), torch.randn(12, 5).double() / 9) if blurred else None
    weight = torch.rand(12).double()
    with torch.enable_grad():
        right = deposit(modes, weight, cells, line, blur)
    with torch.no_grad():
        assert torch.allclose(deposit(modes, weight, cells, line, blur), right, atol=1e-14)
    rise = torch.randn(1, 2, 2, 12, 3).double()
    laid = deposit_slopes(modes, rise, weight, cells, line, blur)
    assert torch.allclose(laid[0], right, atol=1e-14)
    with torch.enable_grad():
        inner = lambda *parts: deposit(Modes(*parts, modes.stable), weight, cells, line, blur)  # noqa: E731
        slope = torch.func.jvp(inner, (modes.energy, modes.intensity), tuple(rise[0].unbind(1)))[1]
    assert torch.allclose(laid[1][0], slope, atol=1e-12 * float(slope.abs().max()))


def test_points_of_an_ellipsoid_have_its_moments() -> None:
    """Drawn deviations with their weights and shifts have the covariance, at every energy."""
    narrow, wide = tensor([[4e-4, 1e-4, -0.02], [1e-4, 5e-4, 0.01], [-0.02, 0.01, 4.0]]), tensor([1.3, 1.3, 1.1])
    nodes = torch.stack((narrow, wide[:, None] * narrow * wide))
    whole = torch.zeros(1, 2, 4, 4).double()
    kept = torch.tensor([0, 1, 3])
    whole[..., kept[:, None], kept] = nodes
    one = Places(torch.zeros(1, 3).double(), torch.zeros(1).long(), tensor([0.0]), tensor([50.0]))
    ellipsoids = Ellipsoids(tensor([0.0, 50.0]), whole, one)
    normal = torch.randn(1, 200_000, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    away, blur = ellipsoids.draw(normal)
    assert float(away[..., 2].abs().max()) == 0
    for k, right in enumerate(nodes):
        moved = torch.cat((away[0, :, :2], -blur.shift[:, k : k + 1]), dim=1)  # seen at the energy less the deviation
        found = torch.einsum("s,sa,sb->ab", blur.factor[:, k] / len(moved), moved, moved)
        found[2, 2] += (ellipsoids.fwhm[0, k] * SIGMA) ** 2
        size = right.diagonal().sqrt()
        assert float(((found - right) / size / size[:, None]).abs().max()) < 0.02


def test_a_resolution_in_q_broadens_a_slope_and_tilts_with_it() -> None:
    """E = v q seen with a covariance: the line has the variance of E - v q, focused or not."""
    lattice = Lattice(4.0, 4.0, 4.0)
    bonds = {"J": (neighbours(lattice.vectors.numpy(), [[0, 0, 0]], 4, along=(1, 0, 0)), 1)}
    model = build(lattice.vectors.numpy(), [[0, 0, 0]], [[0, 0, 1]], bonds)
    grid = QGrid(lattice, torch.eye(3), [[0.249, 0.251], [0.4, 0.5], [0, 0.1]])
    measurement = Measurement(grid, torch.linspace(0, 4, 161), 0.0)
    velocity = 2 * 2 * math.pi  # of 2 |J| S (1 - cos 2 pi h) at h = 1/4, meV / rlu
    variances = []
    for mixed in (0.0005, -0.0005):
        resolution = EllipsoidResolution(table([[1e-4, 0, mixed], [0, 1e-4, 0], [mixed, 0, 0.01]]))
        experiment = Experiment(model, measurement, Instrument(resolution), samples=4096)
        with torch.no_grad():
            seen = experiment(experiment.pack(J=-1, fwhm_scale=1, scale=1, background=0))[0, 0]
        energy = measurement.energy_centres
        mean = (seen * energy).sum() / seen.sum()
        variances.append(float((seen * (energy - mean) ** 2).sum() / seen.sum()))
        right = 0.01 + velocity**2 * (1e-4 + 0.002**2 / 12) - 2 * velocity * mixed
        assert variances[-1] == pytest.approx(right, rel=0.03)
        assert float(seen.sum() * 0.025) == pytest.approx(float(_intensity(model, grid)), rel=0.01)
    assert variances[0] < variances[1] / 2


def _intensity(model, grid):
    with torch.no_grad():
        return SpinWaves(model, grid.q)(tensor([[-1.0]])).intensity.sum()


def test_points_of_a_scan_are_seen_with_the_width_of_each() -> None:
    """A flat mode through a triple-axis spectrometer: its width is that of vanadium at each point."""
    lattice = Lattice(4.0, 4.0, 4.0)
    model = build(lattice.vectors.numpy(), [[0, 0, 0]], [[0, 0, 1]], {}, anisotropies={"D": np.diag([0.0, 0, 1])})
    energy = torch.linspace(0.5, 3.5, 61).double()
    points = QPoints(lattice, torch.tensor([[1.0, 0, 0]]).expand(61, 3), plane=[[1, 0, 0], [0, 1, 0]])
    exposure = torch.linspace(1, 3, 61).double()[:, None]
    measurement = Measurement(points, energy[:, None].expand(-1, 2), 0.0, final_energy=14.7, exposure=exposure)
    reflectors = (Reflector("PG002", (40.0, 40.0), -1), Reflector("PG002", (40.0, 40.0), -1))
    spectrometer = Spectrometer(*reflectors, sample_sense=1, horizontal=(40.0,) * 4, vertical=(120.0,) * 4)
    resolution = EllipsoidResolution(spectrometer)
    experiment = Experiment(model, measurement, Instrument(resolution), samples=512)
    theta = experiment.pack(D=-1.0, fwhm_scale=1, scale=1, background=0)
    with torch.no_grad():
        seen = experiment(theta)[0, :, 0]
    law = covariance(spectrometer, measurement)[:, 3, 3]
    mode = float(_flat(model))
    right = torch.exp(-((energy - mode) ** 2) / (2 * law)) / (2 * math.pi * law).sqrt()
    strength = float(_strength(model))
    assert float(seen.max()) > 0
    expected = right * strength * (exposure / exposure.median())[:, 0]
    assert torch.allclose(seen, expected, atol=0.03 * float(expected.max()))


def _flat(model):
    with torch.no_grad():
        return SpinWaves(model, tensor([[1.0, 0, 0]]))(tensor([[-1.0]])).energy.max()


def _strength(model):
    with torch.no_grad():
        return SpinWaves(model, tensor([[1.0, 0, 0]]))(tensor([[-1.0]])).intensity.sum()


def test_single_points_without_an_ellipsoid_have_the_width_in_energy() -> None:
    points = QPoints(CHAIN.lattice, [[0.25, 0, 0]] * 3)
    measurement = Measurement(points, [[1.9, 1.9], [2.0, 2.0], [2.5, 2.5]], 0.0)
    path = Measurement(QPath(CHAIN.lattice, [[0.25, 0, 0]], torch.zeros(3, 3)), torch.linspace(0.0, 4, 401), 0.0)
    known = {"fwhm": 0.4, "scale": 1.0, "background": 0.3}
    one, other = (
        Experiment(CHAIN, where, Instrument(GaussianResolution()), samples=1) for where in (measurement, path)
    )
    with torch.no_grad():
        seen, curve = one(one.pack(**known))[0, :, 0], other(other.pack(**known))[0, 0]
    at = [curve[k - 1 : k + 1].mean() for k in (190, 200, 250)]
    assert torch.allclose(seen, torch.stack(at), rtol=0.02)


def test_slopes_of_points_of_scans_are_finite_differences() -> None:
    points = QPoints(CHAIN.lattice, [[0.2, 0, 0], [0.25, 0, 0]])
    measurement = Measurement(points, [[1.9, 1.9], [2.1, 2.1]], 0.0, exposure=[[1.0], [2.0]])
    experiment = Experiment(CHAIN, measurement, Instrument(), samples=1)
    theta = experiment.pack(fwhm=0.5, scale=2.0, background=0.3)
    exact, (_, rough, _) = experiment.linearise(theta), differences(lambda x: (experiment(x), x), theta)
    assert torch.allclose(exact.slope[0], rough[:, 0], rtol=1e-4, atol=1e-6)


def test_slopes_by_differences_are_those_by_forward_mode() -> None:
    points = QPath(CHAIN.lattice, [[0.2, 0, 0], [0.3, 0, 0]], np.diag([0.1, 0, 0]))
    view = Experiment(CHAIN, Measurement(points, torch.linspace(0, 4, 9), 0.0), Instrument(), samples=8).view
    assert isinstance(view, View)
    theta = CHAIN.pack()
    exact, rough = slopes(view, theta)[1], differences(view, theta)[1]
    assert torch.allclose(exact, rough, atol=1e-4 * float(exact.abs().max()))


@pytest.mark.parametrize(
    ("cell", "turn"),
    [((8.0, 8.1, 19.0), [2, 2, 1]), ((4.02, 4.03, 19.1), [1, 1, 1]), ((2.0, 4.0, 19.0), [0.5, 1, 1])],
)
def test_cells_of_one_crystal_convert_by_simple_numbers(cell, turn) -> None:
    found = same_cell(Lattice(4.0, 4.05, 19.0), Lattice(*cell))
    assert torch.equal(found, torch.diag(tensor(turn)))


def test_cells_of_two_crystals_are_refused() -> None:
    with pytest.raises(InputError, match="which is no simple multiple of it; use a model in the same axes"):
        same_cell(Lattice(4.0, 4.0, 4.0), Lattice(5.6, 4.0, 4.0))


def scan_of(energy, q=(0.25, 0, 0), **instrument):
    """Points of one scan along energy, seen with the widths of a table."""
    rows = torch.tensor(energy, dtype=torch.float64)[:, None].expand(-1, 2)
    measurement = Measurement(QPoints(CHAIN.lattice, [list(q)] * len(rows)), rows, 0.0)
    return Experiment(CHAIN, measurement, Instrument(**instrument), samples=64)


def test_modes_beyond_the_energies_of_a_scan_are_seen_with_a_wide_resolution() -> None:
    """The mode of the chain lies at 2 meV, all points above 4 meV."""
    wide = TableResolution([0.0, 10.0], [4.0, 4.0])
    near, far = (scan_of(energy, resolution=wide) for energy in ([2.0, 4.0, 5.0, 6.0], [4.0, 5.0, 6.0]))
    known = {"fwhm_scale": 1.0, "scale": 1.0, "background": 0.0}
    with torch.no_grad():
        assert torch.allclose(far(far.pack(**known))[0], near(near.pack(**known))[0, 1:], rtol=1e-3)
        assert float(far(far.pack(**known))[0, 0]) > 0.01


def test_points_without_extent_are_looked_at_once() -> None:
    assert len(scan_of([1.0, 2.0, 3.0]).view.sampling.q) == 1


def test_rows_of_scans_are_worked_on_in_parts_that_fit_into_memory() -> None:
    from sqwirrel.observe.experiment import ROWS_BYTES

    scan = scan_of(torch.linspace(1, 3, 200).tolist())
    assert scan._rows() * scan.smear.bytes_per_row <= ROWS_BYTES
    theta = scan.pack(fwhm=0.3, scale=1.0, background=0.0)
    with torch.no_grad():
        many = scan(theta.expand(3 * scan._rows() + 1, -1))
        assert torch.equal(many[-1], many[0])


def test_multiple_scattering_of_scans_is_their_mean_at_the_same_energy() -> None:
    energy = torch.linspace(0.5, 4.0, 36).double()
    q = torch.tensor([[0.1, 0, 0], [0.25, 0, 0], [0.4, 0, 0]]).double().repeat_interleave(36, dim=0)
    measurement = Measurement(QPoints(CHAIN.lattice, q), energy.repeat(3)[:, None].expand(-1, 2), 0.0)
    scans = Experiment(CHAIN, measurement, Instrument(multiple_scattering=True), samples=1)
    known = {"fwhm": 0.4, "scale": 1.0, "background": 0.0}
    with torch.no_grad():
        once, more = (scans(scans.pack(**known, multiple=x))[0].reshape(3, 36) for x in (0.0, 0.2))
    assert torch.allclose(more, once + 0.2 * once.mean(0), atol=1e-9)
    assert float(once.mean(0).max()) > 5 * float(once.mean(0).min())
