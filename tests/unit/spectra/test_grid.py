import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Beam, Measurement, QGrid, QPoints, Spectrum, read, write
from sqwirrel.units import E_PER_K2

HEXAGONAL = Lattice(5.0, 5.0, 14.0, gamma=120.0)
UNEVEN = ([0.0, 0.1, 0.3], [-1.0, 0.0, 1.0], [0.2, 0.4])


def hexagonal(beam=None):
    """A grid along (h h 0), (-k k 0) and l."""
    return QGrid(HEXAGONAL, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], UNEVEN, (0.5, 0.0, 0.0), beam)


def scans():
    return QPoints(HEXAGONAL, [[1.0, 0, 0], [1.0, 0, 0.5], [2.0, 0, 0]], [7, 7, 8], [[1, 0, 0], [0, 0, 1]])


def test_bins_lie_on_axes_at_any_angle_the_last_axis_fastest():
    grid = hexagonal()
    assert len(grid) == 4
    assert grid.shape == (2, 2, 1)
    torch.testing.assert_close(grid.q[1], torch.tensor([0.5 + 0.05 - 0.5, 0.05 + 0.5, 0.3], dtype=torch.float64))
    torch.testing.assert_close(grid.box[2], torch.tensor([[0.2, 0.2, 0], [-1, 1, 0], [0, 0, 0.2]]).double())


def test_a_beam_gives_the_component_that_was_not_measured():
    energy = torch.tensor([0.0, 10.0, 30.0, 60.0]).double()
    grid = hexagonal(Beam((0, 0, 1), 50.0))
    q = grid.at(energy)
    wave = HEXAGONAL.to_cartesian(q)
    ki = (50.0 / E_PER_K2) ** 0.5 * torch.tensor([0.0, 0.0, 1.0]).double()
    kf = (ki - wave).norm(dim=-1)
    torch.testing.assert_close(kf[:, :3] ** 2 * E_PER_K2, (50.0 - energy[:3]).expand(4, 3))
    assert bool(q[:, 3].isnan().all(-1).all())  # no neutron of 50 meV loses 60
    flat = q[..., :2] - (grid.coordinates @ grid.axes + grid.origin)[:, None, :2]
    assert float(flat[:, :3].abs().max()) < 1e-12
    c = HEXAGONAL.c
    expected = c / (2 * np.pi) * ((50 / E_PER_K2) ** 0.5 - torch.sqrt(40 / E_PER_K2 - (wave[:, 1, :2] ** 2).sum(-1)))
    torch.testing.assert_close(q[:, 1, 2], expected)  # physics.md: L = c / 2 pi (k_i - sqrt(k_f^2 - Q_ab^2))


def test_a_grid_without_a_beam_stands_still():
    assert hexagonal().at(torch.tensor([0.0, 5.0]).double()).shape == (4, 1, 3)


@pytest.mark.parametrize(
    ("points", "energy", "extra"),
    [
        (hexagonal(), [0.0, 1.0, 2.5], {"incident_energy": 20.0}),
        (hexagonal(Beam((0, 0, 1), 50.0)), [0.0, 1.0, 2.5], {"temperature": 3.0}),
        (scans(), [[1.0, 1.2], [2.0, 2.2], [3.0, 3.0]], {"final_energy": 4.8, "exposure": [[1.0], [2.0], [0.5]]}),
    ],
)
def test_everything_survives_a_file(tmp_path, points, energy, extra):
    measurement = Measurement(points, energy, **{"temperature": None, **extra})
    values = torch.arange(measurement.shape[0] * measurement.shape[1]).double().reshape(measurement.shape)
    valid = values != 1
    write(tmp_path / "x.h5", Spectrum.from_arrays(values, values.sqrt(), measurement, valid=valid, is_counts=True))
    again = read(tmp_path / "x.h5")
    assert torch.equal(again.valid, valid)
    assert torch.equal(again.intensity[valid], values[valid])
    assert type(again.measurement.points) is type(points)
    for name in ("q", "box", "axes", "origin", "scan", "plane"):
        if hasattr(points, name):
            assert torch.equal(getattr(again.measurement.points, name), getattr(points, name))
    if isinstance(points, QGrid) and points.beam is not None:
        assert again.measurement.points.beam.incident_energy == 50.0
    assert torch.equal(again.measurement.energy, measurement.energy)
    assert again.measurement.final_energy == measurement.final_energy
    if measurement.exposure is not None:
        assert torch.equal(again.measurement.exposure, measurement.exposure)


def test_energies_of_single_points_are_sliced_and_excluded_one_by_one():
    measurement = Measurement(scans(), [[1.0, 1.2], [2.0, 2.2], [3.0, 3.0]], 1.5)
    spectrum = Spectrum.from_arrays(torch.ones(3, 1).double(), torch.ones(3, 1).double(), measurement)
    assert spectrum.slice_energy(1.5, 3.5).valid.flatten().tolist() == [False, True, True]
    assert spectrum.exclude(1.9, 2.1).valid.flatten().tolist() == [True, False, True]
    with pytest.raises(InputError, match="no energy bin lies between 5 and 6 meV; the spectrum covers 1 to 3 meV"):
        spectrum.slice_energy(5, 6)
    with pytest.raises(InputError, match="are not merged; leave out rebin"):
        spectrum.rebin(q=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QGrid(HEXAGONAL, np.ones((3, 3)), UNEVEN), "the axes of a grid must be three independent (h, k, l)"),
        (lambda: Beam((0, 0, 0), 5.0), "the direction of the beam must be one (h, k, l), not zero"),
        (lambda: Beam((0, 0, 1), 0.0), "the incident energy is 0.0 meV; it must be positive"),
        (lambda: QPoints(HEXAGONAL, np.eye(3), [1, 2]), "there are 3 points and scan numbers of shape (2,)"),
        (lambda: QPoints(HEXAGONAL, np.eye(3), plane=[[1, 0, 0], [2, 0, 0]]), "a scattering plane needs two (h, k, l)"),
        (lambda: Measurement(scans(), [0.0, 1.0], 5.0), "3 points of scans need a lower and an upper energy each"),
        (lambda: Measurement(hexagonal(), [0, 1], 5.0, exposure=np.zeros((4, 1))), "exposures must be positive"),
    ],
)
def test_impossible_bins_are_refused_in_words(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value).startswith(message)
