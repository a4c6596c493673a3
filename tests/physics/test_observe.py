"""What an instrument does to a spectrum of spin waves keeps the laws that the spin waves obey."""

import math

import pytest
import torch
from torch import Tensor

from sqwirrel.model import library
from sqwirrel.observe import (
    AngularQWidth,
    Experiment,
    GaussianResolution,
    Instrument,
    OffsetResolution,
    PolynomialResolution,
    TailedResolution,
)
from sqwirrel.observe.resolution import Resolution
from sqwirrel.spectra import Measurement, QPath, QShells
from sqwirrel.units import K_B

CHAIN = library.load("fm_chain")
H = torch.tensor([0.15, 0.25, 0.4, 0.5, 0.7], dtype=torch.float64)
MODE = 4 * torch.sin(math.pi * H) ** 2  # 4 |J| S sin^2(pi h), J = -1 meV, S = 1
WIDE = torch.linspace(-8, 8, 641, dtype=torch.float64)


def chain(
    temperature: float, resolution: Resolution, energy: Tensor = WIDE, box: float = 0.0, samples: int = 1
) -> Experiment:
    q = torch.stack((H, 0 * H, 0 * H), -1)
    extent = torch.diag(torch.tensor([box, 0, 0], dtype=torch.float64))
    where = Measurement(QPath(CHAIN.lattice, q, extent), energy, temperature)
    return Experiment(CHAIN, where, Instrument(resolution), samples=samples)


def moments(experiment: Experiment, spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """Integral and mean energy at each point."""
    total = spectrum @ experiment.measurement.energy.diff()
    return total, spectrum @ (experiment.measurement.energy.diff() * experiment.measurement.energy_centres) / total


@pytest.mark.parametrize(
    ("resolution", "widths", "shift"),
    [
        (GaussianResolution(), {"fwhm": 0.4}, 0.0),
        (TailedResolution(GaussianResolution()), {"fwhm": 0.4, "tail": 0.3, "tail_length": 0.25}, -0.075),
        (OffsetResolution(GaussianResolution()), {"fwhm": 0.4, "energy_offset": -0.21}, -0.21),
        (
            OffsetResolution(TailedResolution(GaussianResolution())),
            {"fwhm": 0.4, "tail": 0.3, "tail_length": 0.25, "energy_offset": 0.1},
            0.025,
        ),
    ],
)
def test_energy_and_intensity_of_a_mode_survive_the_resolution(resolution, widths, shift) -> None:
    """Closed form of the chain: E = 4 |J| S sin^2(pi h), S_perp the same at every q; the tail lowers the mean by tail *
    length, an offset moves it.
    """
    experiment = chain(0.1, resolution)
    theta = experiment.pack(**widths, scale=3, background=0)
    total, mean = moments(experiment, experiment(theta)[0])
    with torch.no_grad():
        intensity = experiment.view.solvers[0](theta[:, :1]).intensity[0].sum(-1)
    # A tail of 0.25 meV reaches 32 lengths down; a sharp Gaussian's first moment is kept by bins of 0.025 meV to 1e-12.
    assert torch.allclose(total, 3 * intensity, rtol=1e-9)
    assert torch.allclose(mean, MODE + shift, atol=1e-6)


def test_width_is_that_at_the_energy_of_the_mode() -> None:
    experiment = chain(0.1, PolynomialResolution(1))
    spectrum = experiment(experiment.pack(fwhm_0=0.6, fwhm_1=-0.08, scale=1, background=0))[0]
    total, mean = moments(experiment, spectrum)
    away = experiment.measurement.energy_centres - mean[:, None]
    variance = (spectrum * experiment.measurement.energy.diff() * away**2).sum(-1) / total
    expected = (0.6 - 0.08 * MODE) ** 2 / (8 * math.log(2)) + 0.025**2 / 12  # the bins add width^2 / 12
    assert torch.allclose(variance, expected, atol=1e-6)


def test_detailed_balance_of_a_resolved_line() -> None:
    """S(q, -E) = exp(-E / kT) S(q, E), integrated over each line; at h = 0.4 and 20 K the lines are far apart."""
    experiment = chain(20.0, GaussianResolution())
    spectrum = experiment(experiment.pack(fwhm=0.3, scale=1, background=0))[0]
    loss, gain = spectrum[:, 320:].sum(-1), spectrum[:, :320].sum(-1)
    resolved = MODE > 1
    assert torch.allclose((gain / loss)[resolved], torch.exp(-MODE / (K_B * 20))[resolved], rtol=1e-6)


def test_a_bin_of_momentum_is_averaged_not_taken_at_its_centre() -> None:
    """At the top of the band, E = 4 sin^2(pi h) averaged over a box of width w: 2 + 2 sin(pi w) / (pi w)."""
    w = 0.2
    experiment = chain(0.1, GaussianResolution(), box=w, samples=200)
    _, mean = moments(experiment, experiment(experiment.pack(fwhm=0.3, scale=1, background=0))[0])
    expected = 2 - 2 * torch.cos(2 * math.pi * H) * math.sin(math.pi * w) / (math.pi * w)
    # 200 spread points: an error of about 1 / 200 of the spread of the energies in the box, 0.5 meV.
    assert torch.allclose(mean, expected, atol=5e-3)
    assert float((mean - MODE).abs().max()) > 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_integrated_intensity_of_a_map_does_not_depend_on_the_width(seed: int) -> None:
    """Energy resolution only redistributes; so does a |Q| width as far as the signal is linear in |Q| across it."""
    model = library.load("rb2mnf4")
    edges = torch.linspace(0.8, 1.8, 11, dtype=torch.float64)
    where = Measurement(QShells(edges), torch.linspace(-3, 12, 151, dtype=torch.float64), 2.0, incident_energy=30)
    experiment = Experiment(model, where, Instrument(q_width=AngularQWidth()), samples=32, cell=0.1, seed=seed)
    sharp, blurred, wide = (
        experiment(experiment.pack(fwhm=fwhm, fwhm_angle=angle, scale=1, background=0))[0].sum(-1)
        for fwhm, angle in ((0.3, 0.3), (1.0, 0.3), (0.3, 2.0))
    )
    # The |Q| width is that of the bin's energy, so a wider energy kernel changes which of them a mode meets.
    assert torch.allclose(sharp, blurred, rtol=1e-4)
    assert float(wide[2:-2].sum()) == pytest.approx(float(sharp[2:-2].sum()), rel=0.02)


def test_error_of_the_average_falls_with_the_number_of_points() -> None:
    """Spread of a map over six choices of points: 7 % with 16 a cell, 2 % with 256 (at random it would fall by 4)."""
    model = library.load("rb2mnf4")
    edges = torch.linspace(0.8, 1.8, 6, dtype=torch.float64)
    where = Measurement(QShells(edges), torch.linspace(1, 8, 15, dtype=torch.float64), 2.0)

    def noise(samples: int) -> tuple[Tensor, float]:
        maps = []
        for seed in range(6):
            experiment = Experiment(model, where, Instrument(), samples=samples, cell=0.1, seed=seed)
            maps.append(experiment(experiment.pack(fwhm=0.5, fwhm_q=0.05, scale=1, background=0))[0])
        mean = torch.stack(maps).mean(0)
        return mean, float(torch.stack(maps).std(0).norm() / mean.norm())

    (few, rough), (many, fine) = noise(16), noise(256)
    assert fine < 0.03
    assert rough > 2 * fine
    assert float((few - many).norm() / many.norm()) < 2 * rough / 6**0.5
