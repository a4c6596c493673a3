"""The elastic line that `sqwirrel show` finds."""

import pytest
import torch

from sqwirrel.config.verbs.looking.bragg import of_aluminium
from sqwirrel.config.verbs.looking.line import elastic_line
from sqwirrel.spectra import Measurement, QShells, Spectrum

SIGMA = 0.42466


def powder(centre: float, fwhm: float, *, start: float = -20.0, stop: float = 50.0, step: float = 0.25) -> Spectrum:
    """An elastic line on a flat background, a band of phonons far from it, a corner that was not measured with a spike
    at its rim.
    """
    edges = torch.arange(start, stop + step / 2, step, dtype=torch.float64)
    measurement = Measurement(QShells(torch.linspace(1, 5, 9)), edges, 300.0)
    energy = measurement.energy_centres
    line = 100 * torch.exp(-(((energy - centre) / (SIGMA * fwhm)) ** 2) / 2)
    band = 3 * torch.exp(-(((energy - 30) / 5) ** 2) / 2)
    rise = torch.linspace(0.5, 1.5, 8, dtype=torch.float64)[:, None]
    intensity = rise * (0.4 + line + band)
    intensity[:, -1] = 1000.0
    intensity[:3, -20:] = torch.nan
    return Spectrum.from_arrays(intensity, intensity.sqrt(), measurement)


@pytest.mark.parametrize(("centre", "fwhm"), [(-0.31, 3.5), (0.0, 2.0), (0.8, 2.8), (0.05, 1.5)])
def test_the_elastic_line_is_found_where_it_is(centre: float, fwhm: float) -> None:
    found = elastic_line(powder(centre, fwhm))
    assert found is not None
    assert found.centre == pytest.approx(centre, abs=0.02)
    assert found.fwhm == pytest.approx(fwhm, rel=0.03)


def test_what_is_no_elastic_line_is_none() -> None:
    inside = powder(-0.31, 3.5)
    assert elastic_line(inside.slice_energy(5, 50)) is None  # not covered
    assert elastic_line(inside.slice_energy(-3, 50)) is None  # nothing beside it on one side
    assert elastic_line(powder(12.0, 3.5)) is None  # not at zero
    assert elastic_line(powder(0.0, 0.5)) is None  # two bins wide
    flat = powder(0.0, 3.5)
    constant = torch.full(flat.measurement.shape, 2.0, dtype=torch.float64)
    assert elastic_line(Spectrum.from_arrays(constant, constant, flat.measurement)) is None


def test_bins_of_two_widths_do_not_move_it() -> None:
    even = powder(0.0, 3.5, step=0.125)
    edges = even.measurement.energy
    few = torch.cat((edges[edges < 0][::4], edges[edges >= 0]))
    centres = (few[1:] + few[:-1]) / 2
    line = 100 * torch.exp(-((centres / (SIGMA * 3.5)) ** 2) / 2) + 0.4
    uneven = Spectrum.from_arrays(
        line.expand(8, -1), line.sqrt().expand(8, -1), Measurement(even.measurement.points, few, 300.0)
    )
    found = elastic_line(uneven)
    assert found is not None
    assert found.centre == pytest.approx(0.0, abs=0.03)


def rings(lines: list[float], centre: float = 0.0) -> Spectrum:
    """An elastic line with Bragg lines 0.08 / A wide at some |Q|."""
    edges = torch.arange(-10, 10.1, 0.5, dtype=torch.float64)
    measurement = Measurement(QShells(torch.arange(1.0, 6.0, 0.04)), edges, 300.0)
    q, energy = measurement.points.centres, measurement.energy_centres
    height = torch.ones_like(q) + sum(20 * torch.exp(-(((q - line) / 0.04) ** 2)) for line in lines)
    level = 0.1 + height[:, None] * torch.exp(-(((energy - centre) / 1.5) ** 2))
    return Spectrum.from_arrays(level, level.sqrt(), measurement)


def test_lines_of_aluminium_are_told_from_others() -> None:
    silicon = [2.004, 3.272, 3.837, 4.628, 5.043]
    assert of_aluminium(rings(silicon), 3.0) == ()
    assert of_aluminium(rings([*silicon, 2.687]), 3.0) == ()
    assert of_aluminium(rings([*silicon, 2.687, 4.387], centre=-0.4), 3.0) == pytest.approx((2.687, 4.387), abs=0.03)
    assert of_aluminium(rings([]), 3.0) == ()
