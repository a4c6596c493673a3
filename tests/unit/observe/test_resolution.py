"""Resolution in energy: kernels conserve intensity, their FWHM is their FWHM, tails go down in energy."""

import math

import pytest
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.observe import GaussianResolution, PolynomialResolution, TableResolution, TailedResolution
from sqwirrel.observe.resolution import Resolution
from sqwirrel.units import SIGMA

STEP = 0.05
LINE = STEP * torch.arange(161, dtype=torch.float64) - 2  # -2 to 6 meV
EDGES = torch.linspace(-4, 8, 2401, dtype=torch.float64)  # bins of 5 ueV
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
KINDS = {
    "gaussian": (GaussianResolution(), [0.3]),
    "polynomial": (PolynomialResolution(2), [0.3, 0.02, -0.003]),
    "table": (TableResolution([0, 3], [0.4, 0.25]), [1.1]),
    "tailed": (TailedResolution(GaussianResolution()), [0.3, 0.4, 0.2]),
}


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def kernel(resolution: Resolution, *theta: float, edges: Tensor = EDGES) -> Tensor:
    return resolution.kernel(LINE, row(*theta), edges)[0]


def spread(density: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each row, from bins so fine that their width (2e-6 meV^2) does not matter."""
    share = density * EDGES.diff()
    mean = share @ CENTRES
    return mean, (share * (CENTRES - mean[:, None]) ** 2).sum(-1)


@pytest.mark.parametrize("kind", KINDS)
def test_intensity_of_a_line_inside_the_range_is_conserved(kind: str) -> None:
    resolution, theta = KINDS[kind]
    total = (kernel(resolution, *theta) * EDGES.diff()).sum(-1)
    # The tail of 0.2 meV keeps exp(-2 / 0.2) = 5e-5 of its 0.4 below the lowest bin; a Gaussian nothing.
    assert torch.allclose(total, torch.ones_like(total), atol=3e-5 if kind == "tailed" else 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bin_holds_the_average_not_the_centre(kind: str) -> None:
    """A coarse bin has the mean of the fine ones in it; the value at its centre is up to 15 % off for these widths."""
    resolution, theta = KINDS[kind]
    fine, coarse = kernel(resolution, *theta), kernel(resolution, *theta, edges=EDGES[::50])
    averaged = fine.unflatten(1, (-1, 50)).mean(-1)
    assert torch.allclose(coarse, averaged, atol=1e-12)
    centre = fine.unflatten(1, (-1, 50))[..., 24:26].mean(-1)
    assert float((coarse - centre).abs().max()) > 0.02 * float(coarse.max())


def test_fwhm_is_the_full_width_at_half_maximum_of_a_deposited_mode() -> None:
    """Three lines share the mode; wherever it lies between them the width is the one asked for."""
    three = kernel(GaussianResolution(), 0.3)[39:42]
    away = (torch.arange(50, dtype=torch.float64) + 0.5) / 50 - 0.5
    shares = torch.stack(((0.5 - away) ** 2 / 2, 0.75 - away**2, (0.5 + away) ** 2 / 2), dim=-1)
    shifted = shares @ three
    mean, variance = spread(shifted)
    assert torch.allclose(mean, LINE[40] + STEP * away, atol=1e-12)
    # The width of the bins adds 1.3e-4, what the deposit would add without its correction is 3.8e-2.
    assert torch.allclose(variance, torch.full_like(variance, (0.3 * SIGMA) ** 2), rtol=3e-4)
    widths = [width_at_half_maximum(profile) for profile in shifted]
    assert min(widths) == pytest.approx(0.3, rel=1e-3)
    assert max(widths) == pytest.approx(0.3, rel=1e-3)


def width_at_half_maximum(profile: Tensor) -> float:
    """Between the points where the profile crosses half of its maximum, linear between bins."""
    half = profile.max() / 2
    above = (profile >= half).nonzero()[:, 0]
    crossings = []
    for inner, outer in ((above[0], above[0] - 1), (above[-1], above[-1] + 1)):
        share = (profile[inner] - half) / (profile[inner] - profile[outer])
        crossings.append(torch.lerp(CENTRES[inner], CENTRES[outer], share))
    return float(crossings[1] - crossings[0])


def test_tail_goes_to_lower_energy_transfer() -> None:
    core, tailed = (
        kernel(GaussianResolution(), 0.3)[80:],
        kernel(TailedResolution(GaussianResolution()), 0.3, 0.4, 0.2)[80:],
    )
    (m0, v0), (m1, v1) = spread(core), spread(tailed)
    # Law of a mixture: with probability p the energy is lower by an exponential of mean t (variance t^2); 4 meV hold it all.
    p, t = 0.4, 0.2
    assert torch.allclose(m1, m0 - p * t, atol=1e-6)
    assert torch.allclose(v1, v0 + 2 * p * t**2 - (p * t) ** 2, atol=1e-5)
    low, high = LINE[80] - 0.6 > CENTRES, LINE[80] + 0.6 < CENTRES
    assert float(tailed[0][low].sum()) > 100 * float(tailed[0][high].sum())


def test_tail_is_the_convolution_with_an_exponential() -> None:
    p, t, k = 0.4, 0.2, 90
    core, step = kernel(GaussianResolution(), 0.3)[k], float(EDGES[1] - EDGES[0])
    lag = torch.arange(400, dtype=torch.float64)
    decay = torch.exp(-lag * step / t) * -math.expm1(-step / t)
    late = torch.stack([core[j : j + 400] @ decay for j in range(1000, 1400)])
    tailed = kernel(TailedResolution(GaussianResolution()), 0.3, p, t)[k, 1000:1400]
    # The sum takes the exponential in steps of 5 ueV, half a step (2.5 ueV of 0.3 meV) too high.
    assert torch.allclose(tailed, (1 - p) * core[1000:1400] + p * late, atol=0.03)


@pytest.mark.parametrize(("fraction", "length"), [(0.0, 0.2), (0.3, 0.0)])
def test_no_tail_is_the_core(fraction: float, length: float) -> None:
    tailed = kernel(TailedResolution(GaussianResolution()), 0.3, fraction, length)
    # A length below 1 ueV counts as that.
    assert torch.allclose(tailed, kernel(GaussianResolution(), 0.3), atol=0.01)
    assert bool(tailed.isfinite().all())


def test_polynomial_and_table_widths() -> None:
    energy = torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.5], dtype=torch.float64)
    assert PolynomialResolution(2).fwhm(energy, row(0.3, 0.1, 0.01))[0].tolist() == pytest.approx(
        [0.21, 0.3, 0.41, 0.54, 0.7725]
    )
    table = TableResolution([0, 2, 3], [0.4, 0.2, 0.6])
    assert table.fwhm(energy, row(1))[0].tolist() == pytest.approx([0.4, 0.4, 0.3, 0.2, 0.6])
    assert table.fwhm(energy, row(2))[0].tolist() == pytest.approx([0.8, 0.8, 0.6, 0.4, 1.2])


def test_width_is_that_of_the_energy_of_the_line() -> None:
    _, variance = spread(kernel(TableResolution([0, 3], [0.4, 0.25]), 1.0)[40:101])
    energy = LINE[40:101]
    expected = (SIGMA * (0.4 - 0.05 * energy)) ** 2 - STEP**2 / 4
    assert torch.allclose(variance, expected, rtol=1e-3)


def test_batch_equals_rows_one_by_one() -> None:
    for resolution, theta in KINDS.values():
        rows = torch.stack([row(*theta)[0], 1.2 * row(*theta)[0]])
        together = resolution.kernel(LINE, rows, EDGES[::50])
        assert torch.equal(together[1:], resolution.kernel(LINE, rows[1:], EDGES[::50]))


def test_names_come_with_units() -> None:
    assert PolynomialResolution(3).names == ("fwhm_0", "fwhm_1", "fwhm_2", "fwhm_3")
    assert PolynomialResolution(3).units == {"fwhm_0": "meV", "fwhm_1": "", "fwhm_2": "meV^-1", "fwhm_3": "meV^-2"}
    assert TailedResolution(PolynomialResolution(0)).names == ("fwhm_0", "tail", "tail_length")
    for resolution, theta in KINDS.values():
        assert set(resolution.units) == set(resolution.names)
        assert len(resolution.names) == len(theta)


def test_wrong_resolutions_are_refused() -> None:
    with pytest.raises(InputError, match="order 5"):
        PolynomialResolution(5)
    for energies, widths in [([0, 1], [1]), ([0], [1]), ([1, 0], [1, 1]), ([0, 1], [1, 0])]:
        with pytest.raises(InputError, match="as many energies as widths"):
            TableResolution(energies, widths)
