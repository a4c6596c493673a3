"""Resolution in |Q|: what is constant stays constant, what is linear stays linear, variances add, angles have a lever."""

import math

import pytest
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.observe import AngularQWidth, ConstantQWidth, Experiment, Instrument
from sqwirrel.observe.momentum import SMALL_ANGLE, shell_kernels, smear_momentum
from sqwirrel.spectra import Measurement, QPoints, QShells
from sqwirrel.units import E_PER_K2, SIGMA

CELLS = torch.linspace(0.5, 3.5, 61, dtype=torch.float64)
SHELLS = torch.linspace(1.5, 2.5, 6, dtype=torch.float64)
FWHM = 0.2


def centres(edges: Tensor) -> Tensor:
    return (edges[1:] + edges[:-1]) / 2


def kernel(fwhm: float = FWHM) -> Tensor:
    return shell_kernels(CELLS, SHELLS, torch.full((1, 1, 60), fwhm, dtype=torch.float64))[0, 0]


@pytest.mark.parametrize("fwhm", [0.0, 0.03, 0.2])
def test_constant_stays_constant_and_linear_stays_linear(fwhm: float) -> None:
    # The nearest end of the cells is 1 / angstrom away, 12 standard deviations of the widest kernel.
    one, ramp = kernel(fwhm).sum(-1), kernel(fwhm) @ centres(CELLS)
    assert torch.allclose(one, torch.ones_like(one), atol=1e-9)
    assert torch.allclose(ramp, centres(SHELLS), atol=1e-9)


def test_variances_of_cell_bin_and_smearing_add() -> None:
    """Both averages are over a width, not at a centre: a parabola rises by w_bin^2 / 12 + 2 w_cell^2 / 12 + sigma^2.

    One w_cell^2 / 12 is that of the mean over a cell; the other that of the same value all over the cell.
    """
    cell, shell = float(CELLS[1] - CELLS[0]), float(SHELLS[1] - SHELLS[0])
    over_cell = centres(CELLS) ** 2 + cell**2 / 12
    rise = kernel() @ over_cell - centres(SHELLS) ** 2
    expected = shell**2 / 12 + 2 * cell**2 / 12 + (SIGMA * FWHM) ** 2
    assert torch.allclose(rise, torch.full_like(rise, expected), rtol=1e-6)
    assert shell**2 / 12 > 0.2 * expected  # centres would be noticed


def test_sharp_kernel_is_the_overlap_of_cell_and_bin() -> None:
    expected = torch.zeros(5, 60, dtype=torch.float64)
    for k in range(5):
        expected[k, 20 + 4 * k : 24 + 4 * k] = 0.25
    assert torch.allclose(kernel(0.0), expected, atol=1e-5)


def measurement(incident: float | None = 20.0) -> Measurement:
    return Measurement(QShells(SHELLS), torch.linspace(1, 9, 41), 5.0, incident_energy=incident)


@pytest.mark.parametrize("transfer", [0.0, 3.0, 8.0])
@pytest.mark.parametrize("angle", [20.0, 60.0, 120.0])
def test_angular_width_is_the_slope_of_momentum_against_angle(transfer: float, angle: float) -> None:
    ki, kf = math.sqrt(20 / E_PER_K2), math.sqrt((20 - transfer) / E_PER_K2)

    def momentum(degrees: float) -> float:
        return math.sqrt(ki**2 + kf**2 - 2 * ki * kf * math.cos(math.radians(degrees)))

    half = 0.01
    slope = (momentum(angle + half) - momentum(angle - half)) / (2 * half)
    Q, energy = (torch.tensor([x], dtype=torch.float64) for x in (momentum(angle), transfer))
    width = AngularQWidth().fwhm(Q, energy, measurement(), torch.tensor([[1.5]], dtype=torch.float64))
    # Central difference over 0.02 degrees of a curve of order one.
    assert float(width) == pytest.approx(1.5 * slope, rel=1e-6)


def test_angular_width_stays_positive_where_no_angle_reaches() -> None:
    Q, energy = torch.tensor([0.0, 0.1, 9.0], dtype=torch.float64), torch.tensor([0.0, 19.0, 25.0], dtype=torch.float64)
    lever = AngularQWidth().fwhm(Q, energy, measurement(), torch.ones(1, 1, dtype=torch.float64)) / math.radians(1)
    assert float(lever.min()) >= 0.1 * SMALL_ANGLE * math.sqrt(20 / E_PER_K2) * (1 - 1e-12)
    assert bool(lever.isfinite().all())


def test_angular_width_needs_the_incident_energy() -> None:
    Q = torch.ones(1, dtype=torch.float64)
    with pytest.raises(InputError, match="incident_energy"):
        AngularQWidth().fwhm(Q, Q, measurement(None), Q[None])


def test_smearing_is_linear_between_nodes() -> None:
    spectrum = torch.rand(1, 60, 41, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    kernels, nodes = torch.stack((kernel(0.1), kernel(0.3)))[None], torch.tensor([2.0, 4.0], dtype=torch.float64)
    energy = torch.linspace(1, 5, 41, dtype=torch.float64)
    smeared = smear_momentum(spectrum, kernels, nodes, energy)
    for k, share in ((0, 0.0), (10, 0.0), (15, 0.25), (30, 1.0), (40, 1.0)):
        expected = torch.lerp(kernel(0.1), kernel(0.3), share) @ spectrum[0, :, k]
        assert torch.allclose(smeared[0, :, k], expected, atol=1e-12)


def test_one_node_is_one_kernel() -> None:
    spectrum = torch.rand(1, 60, 41, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    width = ConstantQWidth()
    nodes = width.nodes(measurement())
    fwhm = width.fwhm(centres(CELLS), nodes, measurement(), torch.tensor([[FWHM]], dtype=torch.float64))
    smeared = smear_momentum(spectrum, shell_kernels(CELLS, SHELLS, fwhm), nodes, spectrum[0, 0])
    assert torch.allclose(smeared[0], kernel() @ spectrum[0], atol=1e-12)


def test_nodes_span_the_energy_range() -> None:
    nodes = AngularQWidth().nodes(measurement())
    assert (float(nodes[0]), float(nodes[-1])) == (1, 9)
    assert AngularQWidth().units == {"fwhm_angle": "deg"}
    assert ConstantQWidth().units == {"fwhm_q": "1/angstrom"}


def test_an_angular_width_may_be_shared_with_scans() -> None:
    """It is no parameter of theirs: an instrument of a powder map serves them, too."""
    model = library.load("fm_chain")
    energy = torch.tensor([[2.0, 2.0], [3.0, 3.0]], dtype=torch.float64)
    where = Measurement(QPoints(model.lattice, [[0.25, 0, 0]] * 2), energy, 5.0, final_energy=14.7)
    experiment = Experiment(model, where, Instrument(q_width=AngularQWidth()))
    assert "fwhm_angle" not in experiment.names
    assert bool((experiment(experiment.pack(fwhm=0.5, scale=1.0, background=0.0)) > 0).any())
