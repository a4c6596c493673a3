"""Bragg peaks that look like excitations, and the mosaic that their rocking curves tell."""

from pathlib import Path

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.observe import EllipsoidResolution
from sqwirrel.observe.covariance import (
    CovarianceTable,
    Reflector,
    Spectrometer,
    bragg_fwhm,
    covariance,
    mosaic_of,
    spurious,
)
from sqwirrel.observe.covariance.cooper_nathans import triangle_of
from sqwirrel.spectra import Measurement, QPoints, Spectrum, read

SCANS = Path(__file__).parents[5] / "shared" / "data" / "nitio3" / "scans"
LATTICE = Lattice(5.0, 5.0, 14.0, gamma=120)
PLANE = [[0, 0, 1], [1, 1, 0]]
TAS = Spectrometer(
    Reflector("PG002", (30.0, 30.0), -1),
    Reflector("PG002", (30.0, 30.0), -1),
    sample_sense=1,
    horizontal=(40.0, 40.0, 40.0, 80.0),
    vertical=(120.0, 120.0, 120.0, 120.0),
)


def points(q, energy):
    rows = torch.tensor(energy, dtype=torch.float64)[:, None].expand(-1, 2)
    return Measurement(QPoints(LATTICE, q, plane=PLANE), rows, 1.4, final_energy=4.8)


def at_random(n, seed=1):
    draw = torch.rand(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return points(
        torch.stack((draw[:, 0] * 0.4, draw[:, 0] * 0.4, 2.5 + draw[:, 1]), 1), (0.5 + 3 * draw[:, 2]).tolist()
    )


def test_elastic_scattering_with_the_lengths_that_were_set_is_the_wavevector_itself() -> None:
    measurement = points([[0, 0, 3], [0.1, 0.1, 2.8]], [0.0, 0.0])
    triangle = triangle_of(TAS, measurement)
    assert torch.allclose(LATTICE.to_rlu(triangle.elastic(triangle.initial)), measurement.points.q, atol=1e-12)


def test_accidental_scattering_is_found_where_a_bragg_peak_lies_on_the_elastic_wavevector() -> None:
    measurement = at_random(200)
    triangle = triangle_of(TAS, measurement)
    for length in (triangle.initial, triangle.final):
        bragg = LATTICE.to_rlu(triangle.elastic(length))[17]
        hit = spurious(TAS, measurement, [bragg.tolist()], tail=1e-3, accidental=1e-6)[:, 0]
        assert hit.nonzero().tolist() == [[17]]


def test_the_tail_is_that_of_the_resolution() -> None:
    measurement = at_random(500)
    bragg = torch.tensor([0.2, 0.2, 3.0], dtype=torch.float64)
    away = torch.cat((bragg - measurement.points.q, -measurement.energy_centres), dim=1)
    distance = torch.linalg.solve(covariance(TAS, measurement), away[..., None])[..., 0].mul(away).sum(1).sqrt()
    tail = float(distance.sort().values[249:251].mean())
    hit = spurious(TAS, measurement, [bragg.tolist()], tail=tail, accidental=0.0)
    assert int(hit.sum()) == 250
    assert torch.equal(hit[:, 0], distance < tail)


def test_points_near_bragg_peaks_are_left_out_of_what_a_resolution_covers() -> None:
    measurement = points([[0.0, 0, 3], [0.3, 0.3, 3]], [0.1, 2.0])
    spectrum = Spectrum.from_arrays(torch.ones(2, 1).double(), torch.ones(2, 1).double(), measurement)
    assert EllipsoidResolution(TAS).covered(spectrum) is spectrum
    assert EllipsoidResolution(TAS, ((0, 0, 3),)).covered(spectrum).valid[:, 0].tolist() == [False, True]


def test_a_table_has_no_triangle_to_look_for_bragg_peaks_with() -> None:
    nodes = torch.cartesian_prod(*(torch.tensor([-5.0, 5.0]),) * 3).double()
    table = CovarianceTable(nodes, torch.eye(3).double().expand(8, 3, 3))
    spectrum = Spectrum.from_arrays(torch.ones(1, 1).double(), torch.ones(1, 1).double(), points([[0, 0, 3]], [0.1]))
    with pytest.raises(InputError, match="no scattering triangle"):
        EllipsoidResolution(table, ((0, 0, 3),)).covered(spectrum)


def test_bragg_peaks_are_rows_of_three() -> None:
    with pytest.raises(InputError, match="rows"):
        spurious(TAS, points([[0, 0, 3]], [0.1]), [[0, 3]])


@pytest.mark.skipif(not SCANS.exists(), reason="../shared/data is not here")
def test_the_accidental_peak_of_nitio3_is_found() -> None:
    """127 counts at (0.1, 0.1, 3.2), 1.8 meV, where magnons give 50 at 2.2 meV; its mirror image has nothing there."""
    scan = read(SCANS / "CG4C_exp0424_scan0057.dat").slice_energy(1.0, 3.0)
    hit = spurious(TAS, scan.measurement, [[0, 0, 3]])
    marked = {round(float(e), 1) for e in scan.measurement.energy_centres[hit & scan.valid]}
    counts = torch.where(scan.valid, scan.intensity, 0.0)
    assert round(float(scan.measurement.energy_centres[counts.argmax()]), 1) in marked
    assert {1.7, 1.8, 1.9} <= marked <= {1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1, 2.2}


def test_the_mosaic_behind_a_rocking_curve_is_found_again() -> None:
    """The other way round: the rocking widths that Cooper and Nathans give with a mosaic. More points do not matter."""
    peak, mosaic = points([[0, 0, 3], [0.1, 0.1, 3]], [0.0, 2.0]), (55.0, 80.0)
    triangle = triangle_of(TAS, peak)
    law = covariance(TAS.with_mosaic(mosaic), peak)[:1].expand(2, 4, 4)
    turned = LATTICE.to_rlu(triangle.frame[0, 1:] * triangle.modulus[0])
    wide = torch.rad2deg(bragg_fwhm(law, torch.nn.functional.pad(turned, (0, 1))))
    found = mosaic_of(TAS.with_mosaic((10.0, 10.0)), peak, tuple(wide.tolist()))
    assert found.tolist() == pytest.approx(mosaic, rel=1e-6)


def test_a_rocking_curve_narrower_than_the_resolution_is_refused() -> None:
    with pytest.raises(InputError, match="narrower than the resolution"):
        mosaic_of(TAS, points([[0, 0, 3]], [0.0]), (0.01, 5.0))
