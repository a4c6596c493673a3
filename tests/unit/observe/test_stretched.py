"""Widths in q as a parameter: 1 is what was, derivatives are differences, a line widens as it should, a fit finds it."""

import math

import numpy as np
import pytest
import torch

from sqwirrel.errors import StateError
from sqwirrel.infer import Settings, infer
from sqwirrel.lattice import Lattice
from sqwirrel.model.laws import Fixed, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument
from sqwirrel.observe.covariance.resolution import EllipsoidResolution
from sqwirrel.observe.covariance.spectrometer import Reflector, Spectrometer
from sqwirrel.observe.covariance.table import CovarianceTable
from sqwirrel.spectra import Beam, Measurement, QGrid, QPoints, Spectrum
from tests.cases import build, neighbours, tensor

LATTICE = Lattice(4.0, 4.0, 4.0)
MODEL = build(
    LATTICE.vectors.numpy(),
    [[0, 0, 0]],
    [[0, 0, 1]],
    {"J": (neighbours(LATTICE.vectors.numpy(), [[0, 0, 0]], 4, along=(1, 0, 0)), 1)},
)
SWAP = tensor([[[0, 1, 0], [1, 0, 0], [0, 0, 1]]])
KNOWN = {"J": -1.0, "fwhm_scale": 1.1, "scale": 2.0, "background": 0.1}


def table(covariance):
    """The same covariance of (h, k, E) everywhere."""
    points = torch.cartesian_prod(*(torch.tensor([-5.0, 5.0]),) * 2, torch.tensor([-100.0, 100.0]))
    return CovarianceTable(points, tensor(covariance).expand(len(points), 3, 3))


WIDE = table([[1e-3, 0, 1e-3], [0, 1e-3, 0], [1e-3, 0, 0.02]])


def grid(edges, energy, **more):
    points = QGrid(LATTICE, torch.eye(3), [edges, [-0.05, 0.05], [-0.05, 0.05]], **more)
    return Measurement(points, energy, 4.0, incident_energy=25.0)


def slice_of(q_scale=True, **options):
    edges, energy = np.linspace(0.1, 0.5, 9), np.linspace(0.4, 4.4, 21)
    resolution = EllipsoidResolution(WIDE, q_scale=q_scale)
    return Experiment(MODEL, grid(edges, energy), Instrument(resolution), **({"samples": 32} | options))


def scan(q_scale=True):
    energy = torch.linspace(0.5, 4.0, 15).double()[:, None].expand(-1, 2)
    points = QPoints(LATTICE, torch.tensor([[0.8, 0, 0]]).expand(15, 3), plane=[[1, 0, 0], [0, 1, 0]])
    reflectors = (Reflector("PG002", (40.0, 40.0), -1), Reflector("PG002", (40.0, 40.0), -1))
    spectrometer = Spectrometer(*reflectors, sample_sense=1, horizontal=(40.0,) * 4, vertical=(120.0,) * 4)
    resolution = EllipsoidResolution(spectrometer, q_scale=q_scale)
    return Experiment(MODEL, Measurement(points, energy, 4.0, final_energy=14.7), Instrument(resolution), samples=32)


def beam(q_scale=True, samples=64):
    measurement = grid(np.linspace(0.1, 0.5, 5), np.linspace(0.5, 4.5, 9), beam=Beam((0, 0, 1), 25.0))
    return Experiment(MODEL, measurement, Instrument(EllipsoidResolution(WIDE, q_scale=q_scale)), samples=samples)


def twinned(q_scale=True):
    return slice_of(q_scale, twins=SWAP)


def at(experiment, **values):
    known = KNOWN | {"twin_2": 0.5, "q_fwhm_scale": 1.0} | values
    return experiment.pack(**{name: known[name] for name in experiment.names})


@pytest.mark.parametrize("made", [slice_of, scan, beam, twinned])
def test_one_is_what_was(made) -> None:
    free, held = made(), made(q_scale=False)
    assert [name for name in free.names if name not in held.names] == ["q_fwhm_scale"]
    assert free.units["q_fwhm_scale"] == ""
    with torch.no_grad():
        assert torch.equal(free(at(free)), held(at(held)))
    kept = [k for k, name in enumerate(free.names) if name != "q_fwhm_scale"]
    found, right = free.linearise(at(free)), held.linearise(at(held))
    assert torch.equal(found.expected, right.expected)
    assert torch.equal(found.slope[:, kept], right.slope)


@pytest.mark.parametrize("made", [slice_of, scan, twinned])
def test_its_derivative_is_a_difference_of_predictions(made) -> None:
    """By a five-point rule at half the step that the view takes."""
    experiment = made()
    k, step = experiment.names.index("q_fwhm_scale"), 0.0005
    with torch.no_grad():
        ends = [experiment(at(experiment, q_fwhm_scale=1.2 + n * step)) for n in (-2, -1, 1, 2)]
    right = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3])[0] / (12 * step)
    found = experiment.linearise(at(experiment, q_fwhm_scale=1.2)).slope[0, k]
    assert float(right.abs().max()) > 0.01
    assert float((found - right).abs().max()) < 1e-3 * float(right.abs().max())


def test_rows_of_several_factors_are_each_on_their_own() -> None:
    experiment = slice_of()
    rows = torch.cat([at(experiment, q_fwhm_scale=s, J=J) for s, J in ((1.3, -1), (0.8, -1.1), (1.3, -0.9), (1, -1))])
    with torch.no_grad():
        assert torch.equal(experiment(rows), torch.cat([experiment(row[None]) for row in rows]))
    every = experiment.linearise(rows)
    for n, row in enumerate(rows):
        assert torch.allclose(every.slope[n], experiment.linearise(row[None]).slope[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("mixed", [5e-4, -5e-4])
def test_a_slope_is_broadened_by_the_stretched_ellipsoid(mixed) -> None:
    """E = v q: the variance of E - v q under the law with q stretched by s, in which the covariance with E is s times
    what it was.
    """
    resolution = EllipsoidResolution(table([[1e-4, 0, mixed], [0, 1e-4, 0], [mixed, 0, 0.01]]), q_scale=True)
    points = QGrid(LATTICE, torch.eye(3), [[0.249, 0.251], [0.4, 0.5], [0, 0.1]])
    measurement = Measurement(points, torch.linspace(0, 4, 161), 0.0)
    experiment, velocity = Experiment(MODEL, measurement, Instrument(resolution), samples=4096), 4 * math.pi
    for s in (0.5, 1.0, 1.6):
        theta = experiment.pack(J=-1, q_fwhm_scale=s, fwhm_scale=1, scale=1, background=0)
        with torch.no_grad():
            seen = experiment(theta)[0, 0]
        energy = measurement.energy_centres
        mean = (seen * energy).sum() / seen.sum()
        variance = float((seen * (energy - mean) ** 2).sum() / seen.sum())
        right = 0.01 + velocity**2 * (s**2 * 1e-4 + 0.002**2 / 12) - 2 * velocity * s * mixed
        assert variance == pytest.approx(right, rel=0.03)


@pytest.mark.parametrize(("made", "step"), [(slice_of, 0.02), (beam, 0.2)])
def test_an_anchored_average_is_that_of_many_points_and_so_is_its_derivative(made, step) -> None:
    """To a tenth in the worst bin, beside the mode at no energy. In a beam points are rounded to a mesh, so that small
    steps scatter.
    """
    experiment, dense = made(), made(samples=4096)
    theta = at(experiment, q_fwhm_scale=1.2)
    k, spread = experiment.names.index("q_fwhm_scale"), torch.full((len(experiment.names),), 0.05).double()
    better = experiment.anchored(theta, spread)
    with torch.no_grad():
        right = dense(theta)
        ends = [dense(at(experiment, q_fwhm_scale=1.2 + way)) for way in (step, -step)]
        assert torch.allclose(better.experiment(theta), right, rtol=0, atol=0.02 * float(right.max()))
    steeper = (ends[0] - ends[1])[0] / (2 * step)
    found, rough = (each.linearise(theta).slope[0, k] for each in (better.experiment, experiment))
    assert float((found - steeper).abs().max()) < 0.1 * float(steeper.abs().max())
    assert float((rough - steeper).abs().max()) > 3 * float((found - steeper).abs().max())
    assert float(better.rise[:, k].abs().max()) > 0  # and what is left is told


def test_backward_derivatives_are_refused() -> None:
    experiment = slice_of()
    with pytest.raises(StateError, match="widths in q are differentiated by `linearise` alone"):
        experiment(at(experiment).requires_grad_())


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it
def test_a_fit_finds_widths_that_are_wider_than_was_told() -> None:
    """A slice drawn from many more points with 1.3 times the widths in q, and 2 % noise of its highest bin."""
    truth = slice_of(samples=1024)
    theta = at(truth, q_fwhm_scale=1.3)
    with torch.no_grad():
        clean = truth(theta)[0]
    error = torch.full_like(clean, 0.02 * float(clean.max()))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    measured = Spectrum.from_arrays(clean + error * noise, error, truth.measurement)
    ranges = {"J": Uniform(-1.3, -0.7), "q_fwhm_scale": Uniform(0.5, 2.0), "scale": Uniform(1.0, 4.0)}
    prior = Prior(**ranges, fwhm_scale=Uniform(0.5, 2.0), background=Fixed(0.1))
    posterior = infer(slice_of(), prior, measured, Settings(screen=32, starts=2, draws=100))
    found = posterior.summary()[posterior.names.index("q_fwhm_scale")]
    assert found.interval95[0] < 1.3 < found.interval95[1]
    assert found.interval95[1] - found.interval95[0] < 0.3
    assert found.interval95[0] > 1.05
