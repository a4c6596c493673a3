"""Background: templates are one, distances from the middle, Legendre polynomials, and other measurements."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.observe import (
    ConstantBackground,
    ElasticBackground,
    Experiment,
    Instrument,
    PlanarBackground,
    Poisson,
    SlopedBackground,
    SmoothBackground,
    TemplateBackground,
)
from sqwirrel.spectra import Measurement, QPath, QPoints, QShells, Spectrum

ENERGY = [0.0, 1.0, 2.0, 4.0]
MAP = Measurement(QShells([1.0, 1.5, 2.0]), ENERGY, 5.0)
PATH = Measurement(QPath(Lattice(4, 4, 4, 90, 90, 90), [[0.1, 0, 0], [0.2, 0, 0]], torch.zeros(3, 3)), ENERGY, 5.0)
AWAY = [[-1.5, -0.5, 1.0]] * 2


@pytest.mark.parametrize("measurement", [MAP, PATH], ids=["map", "path"])
def test_constant_and_slope(measurement: Measurement) -> None:
    assert ConstantBackground().templates(measurement).tolist() == [[[1.0] * 3] * 2]
    assert SlopedBackground().templates(measurement).tolist() == [[[1.0] * 3] * 2, AWAY]


def test_plane_has_a_slope_along_momentum() -> None:
    assert PlanarBackground().templates(MAP).tolist() == [[[1.0] * 3] * 2, AWAY, [[-0.25] * 3, [0.25] * 3]]


def test_plane_is_refused_on_a_path() -> None:
    with pytest.raises(InputError, match="needs a powder map"):
        PlanarBackground().templates(PATH)


def measured(measurement: Measurement = MAP, seed: int = 1) -> Spectrum:
    values = torch.rand(measurement.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    valid = torch.ones(measurement.shape, dtype=torch.bool)
    valid[1, 2] = False
    return Spectrum.from_arrays(values, values, measurement, valid=valid)


@pytest.mark.parametrize(
    "background",
    [
        ConstantBackground(),
        SlopedBackground(),
        PlanarBackground(),
        SmoothBackground(2, 3),
        TemplateBackground(measured(), SlopedBackground()),
        ElasticBackground(0.4),
        ElasticBackground(0.4, SlopedBackground()),
    ],
)
def test_every_template_has_a_name_and_a_unit(background: PlanarBackground) -> None:
    assert len(background.templates(MAP)) == len(background.names)
    assert tuple(background.units) == background.names


@pytest.mark.parametrize("measurement", [MAP, PATH], ids=["map", "path"])
def test_smooth_background_of_lowest_orders_is_the_constant(measurement: Measurement) -> None:
    background = SmoothBackground(0, 0)
    assert background.names == ("background_00",)
    assert torch.equal(background.templates(measurement), ConstantBackground().templates(measurement))


def test_smooth_background_is_made_of_products_of_legendre_polynomials() -> None:
    """20 x 30 even bins: sums over bin centres come as near to the integrals, 2 / (2 i + 1) each, as bins are narrow."""
    measurement = Measurement(QShells(torch.linspace(1, 3, 21)), torch.linspace(5, 20, 31), 5.0)
    background = SmoothBackground(2, 3)
    flat = background.templates(measurement).flatten(1)
    assert background.names[:5] == ("background_00", "background_01", "background_02", "background_03", "background_10")
    gram = flat @ flat.T / flat.shape[1]
    orders = [(int(name[-2]), int(name[-1])) for name in background.names]
    expected = torch.diag(torch.tensor([1 / ((2 * i + 1) * (2 * j + 1)) for i, j in orders], dtype=torch.float64))
    assert torch.allclose(gram, expected, atol=0.01)  # midpoint rule: order^2 / bins^2
    x, y = (measurement.points.centres - 2) / 1, (measurement.energy_centres - 12.5) / 7.5
    product = ((3 * x**2 - 1) / 2)[:, None] * ((5 * y**3 - 3 * y) / 2)
    assert torch.allclose(flat[-1].reshape(20, 30), product, atol=1e-12)


def test_smooth_background_runs_along_the_length_of_a_path_with_corners() -> None:
    lattice = Lattice(4, 8, 4, 90, 90, 90)
    path = QPath(lattice, [[0, 0, 0], [0.5, 0, 0], [0.5, 1, 0], [0.5, 1, 0.5]], torch.zeros(3, 3))  # equal steps, 1/A
    found = SmoothBackground(1, 0).templates(Measurement(path, ENERGY, 5.0))[1, :, 0]
    assert found.tolist() == pytest.approx([-1, -1 / 3, 1 / 3, 1])


def test_smooth_background_is_refused_for_scans_and_for_high_orders() -> None:
    points = QPoints(Lattice(4, 4, 4, 90, 90, 90), [[0.1, 0, 0], [0.2, 0, 0]])
    with pytest.raises(InputError, match="needs a map"):
        SmoothBackground().templates(Measurement(points, [[1.0, 2.0], [1.0, 2.0]], 5.0))
    for orders in ((-1, 0), (0, 10)):
        with pytest.raises(InputError, match="two orders from 0 to 9"):
            SmoothBackground(*orders)


def test_measured_background_stands_beside_another_one() -> None:
    background = TemplateBackground(measured())
    assert background.names == ("background", "background_measured")
    assert torch.equal(background.templates(MAP)[1], measured().intensity)
    assert torch.equal(background.templates(MAP)[:1], ConstantBackground().templates(MAP))


def test_bins_that_a_measured_background_lacks_are_left_out() -> None:
    whole = Spectrum.from_arrays(torch.ones(2, 3).double(), torch.ones(2, 3).double(), MAP)
    assert torch.equal(TemplateBackground(measured()).covered(whole).valid, measured().valid)


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        (MAP, Measurement(MAP.points, [0.0, 1.0, 2.0, 5.0], 5.0)),
        (MAP, Measurement(MAP.points, [0, 1], 5)),
        (MAP, Measurement(QShells([3.0, 3.5, 4.0]), ENERGY, 5.0)),
        (MAP, PATH),
        (PATH, Measurement(QPath(PATH.points.lattice, PATH.points.q + 0.1, PATH.points.box), ENERGY, 5.0)),
        (PATH, Measurement(QPath(PATH.points.lattice, PATH.points.q, 0.1 * torch.eye(3)), ENERGY, 5.0)),
    ],
)
def test_measured_background_on_other_bins_is_refused(mine: Measurement, other: Measurement) -> None:
    with pytest.raises(InputError, match="reduce both onto the same bins"):
        TemplateBackground(measured(mine)).templates(other)


def test_a_measured_background_on_other_shells_is_refused_with_both() -> None:
    with pytest.raises(InputError) as caught:
        TemplateBackground(measured()).templates(Measurement(QShells([3.0, 3.5, 4.0]), ENERGY, 5.0))
    assert str(caught.value) == (
        "the measured background has 2 x 3 bins, |Q| 1.00 to 2.00 1/angstrom, 0 to 4 meV, the spectrum 2 x 3 bins, "
        "|Q| 3.00 to 4.00 1/angstrom, 0 to 4 meV; reduce both onto the same bins"
    )


def test_only_a_measured_background_changes_with_its_bins() -> None:
    whole = TemplateBackground(measured(), SlopedBackground())
    merged = whole.rebinned(2, 2)
    assert torch.equal(merged.spectrum.intensity, measured().rebin(q=2, energy=2).intensity)
    assert torch.equal(merged.templates(merged.spectrum.measurement)[2], merged.spectrum.intensity)
    for shape in (ConstantBackground(), SlopedBackground(), PlanarBackground(), SmoothBackground()):
        assert shape.rebinned(2, 2) == shape


SCAN = Measurement(
    QPoints(PATH.points.lattice, [[0.1, 0, 0]] * 4), torch.tensor([0.0, 0.3, -0.3, 6.0])[:, None].expand(4, 2), 5.0
)


def test_the_elastic_line_is_a_lorentzian_round_zero_energy() -> None:
    """Its value at E = 0 is the parameter, half of it is left half a width away, and it falls as 1 / E^2."""
    background = ElasticBackground(0.6)
    assert background.names == ("background", "background_elastic")
    scan = background.templates(SCAN)
    assert torch.equal(scan[:1], ConstantBackground().templates(SCAN))
    assert scan[1, :, 0].tolist() == pytest.approx([1, 0.5, 0.5, 0.05**2], rel=3e-3)
    for measurement in (MAP, PATH):
        tail = background.templates(measurement)[1]
        assert tail.tolist() == [pytest.approx([1 / (1 + (2 * e / 0.6) ** 2) for e in (0.5, 1.5, 3.0)])] * 2


def test_the_elastic_line_stands_beside_a_slope() -> None:
    background = ElasticBackground(0.6, SlopedBackground())
    assert torch.equal(background.templates(MAP)[:2], SlopedBackground().templates(MAP))
    assert background.rebinned(2, 2) == background
    for width in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="meV wide; its full width must be positive"):
            ElasticBackground(width)


@pytest.mark.parametrize("exposed", [False, True])
def test_a_tail_is_found_under_scans(exposed: bool) -> None:
    """Counts of a tail and nothing else: its parameter comes back within four standard errors, by least squares."""
    model = library.load("fm_chain")
    energy = torch.linspace(0.5, 4, 60, dtype=torch.float64)[:, None].expand(60, 2)
    exposure = torch.linspace(1, 3, 60, dtype=torch.float64)[:, None] if exposed else None
    points = QPoints(model.lattice, [[0.5, 0, 0]] * 60)
    where = Measurement(points, energy, 5.0, final_energy=14.7, exposure=exposure)
    experiment = Experiment(model, where, Instrument(background=ElasticBackground(0.4), counting=Poisson()))
    theta = experiment.pack(fwhm=0.3, scale=0.0, background=20.0, background_elastic=3000.0)
    counts = experiment.sample(theta, 1).intensity[:, 0]
    shapes, mean = experiment.templates[:, :, 0], experiment(theta)[0, :, 0]
    fisher = (shapes / mean) @ shapes.T
    found = torch.linalg.solve(fisher, (shapes / mean) @ counts)
    error = torch.linalg.inv(fisher).diagonal().sqrt()
    assert float(error[1]) < 200
    assert bool(((found - torch.tensor([20.0, 3000.0]).double()).abs() < 4 * error).all())
