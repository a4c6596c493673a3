"""What an experiment asks of large cells: no finer than its grid or a known width, and the same spectrum for it."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from sqwirrel.observe import Experiment, GaussianResolution, Instrument
from sqwirrel.observe.resolution import Resolution, gaussian_kernel, sharpest
from sqwirrel.simulate.compiled.broadened import ACCURACY
from sqwirrel.spectra import Measurement, QPath
from tests.physics.test_large_cells import square


@dataclass(frozen=True)
class Known:
    """A width of 1 meV at all energies, without parameters."""

    names: tuple[str, ...] = ()
    units: ClassVar[dict[str, str]] = {}

    def fwhm(self, energy: Tensor, theta: Tensor) -> Tensor:
        return torch.full((len(theta), len(energy)), 1.0, dtype=energy.dtype)

    def kernel(self, line: Tensor, theta: Tensor, edges: Tensor) -> Tensor:
        return gaussian_kernel(line, self.fwhm(line, theta), edges)


LINE = 0.1 * torch.arange(100, dtype=torch.float64)


def test_a_width_is_known_where_it_has_no_parameter_and_is_above_that_of_the_grid() -> None:
    """The spline of the grid has a standard deviation of half a step."""
    assert sharpest(Known(), LINE) == 1.0
    assert sharpest(Known(), 30 * LINE) == sharpest(GaussianResolution(), 30 * LINE)
    assert sharpest(GaussianResolution(), LINE) == pytest.approx(0.05 * 2.35482, rel=1e-5)


@pytest.mark.parametrize("resolution", [Known(), GaussianResolution()])
@pytest.mark.parametrize("bins", [30, 12])
def test_spectra_of_large_cells_are_those_of_all_modes(resolution: Resolution, bins: int) -> None:
    """A width far below the grid is the worst case: what bins see is then the grid and the bin.

    Twice the promise is allowed: a bin as wide as a line is lower than its peak, which the promise is relative to.
    """
    model = square((16, 8))
    points = QPath(model.lattice, [[0.3, 0.1, 0], [0.45, 0.2, 0], [0.5, 0.5, 0.1]], torch.zeros(3, 3))
    where = Measurement(points, torch.linspace(0.0, 13, bins + 1, dtype=torch.float64), 20.0)
    experiment = Experiment(model, where, Instrument(resolution), samples=1)
    theta = experiment.pack(J=1, D=1, scale=1, background=0, **dict.fromkeys(resolution.names, 1e-3))
    assert experiment.view.solvers[0].fwhm is not None
    with torch.no_grad():
        ours = experiment.signal(theta).expected
        experiment.view.solvers[0].fwhm = None
        exact = experiment.signal(theta).expected
    error = (ours - exact).abs().amax(-1) / exact.amax(-1)
    assert float(error.max()) < 2 * ACCURACY
    if bins == 12:
        assert not torch.equal(ours, exact)
