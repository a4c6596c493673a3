"""Readers on measured files of ../shared/data; expected numbers are its README's or the files' own sums."""

import h5py
import numpy as np
import pytest
import torch
from scipy.io import loadmat

from sqwirrel.errors import InputError
from sqwirrel.spectra import read
from sqwirrel.spectra.readers.nexus.nxspe import _entry, _rings
from sqwirrel.spectra.rings import to_shells
from sqwirrel.units import E_PER_K2

NXSPE = [
    "al_si/silicon_Ei80_300K.nxspe",
    "bi2fe4o9/MAP30475_Ei300.00meV_Rings.nxspe",
    "bi2fe4o9/bi2fe4o9_Ei62_5K.nxspe",
    "formats/MAR11001_test.nxspe",
    "formats/inst_let_ei3p7_240_120.nxspe",
    "formats/nxspe_version1_0.nxspe",
]


def test_mnf2_powder_map(measured):
    path = measured("mnf2/mnf2_powder.mat")
    spectrum, raw = read(path), loadmat(path)
    assert spectrum.measurement.shape == (216, 320)
    assert spectrum.measurement.incident_energy is None
    assert spectrum.measurement.temperature is None
    assert not spectrum.is_counts
    assert int(spectrum.valid.sum()) == 216 * 320 - 13764  # NaN in y
    assert int((spectrum.valid & (spectrum.error == 0)).sum()) == 1099  # measured, counted nothing
    np.testing.assert_array_equal(spectrum.intensity[spectrum.valid], raw["y"][~np.isnan(raw["y"])])
    np.testing.assert_allclose(spectrum.error[spectrum.valid], raw["e"][~np.isnan(raw["y"])], rtol=1e-15)
    centres = spectrum.measurement.points.centres
    assert (float(centres[0]), float(centres[-1])) == pytest.approx((0.15877, 6.0), abs=1e-5)
    assert (
        float(spectrum.measurement.energy_centres[0]),
        float(spectrum.measurement.energy_centres[-1]),
    ) == pytest.approx((-4, 12))


@pytest.mark.parametrize("name", NXSPE)
def test_nxspe_loses_nothing(name, measured):
    path = measured(name)
    with h5py.File(path) as file:
        rings = _rings(_entry(file, path), path)
    shells = to_shells(rings)
    held = np.where(rings.valid, rings.values, 0.0)
    variance = np.where(rings.valid, rings.errors, 0.0) ** 2
    np.testing.assert_allclose((shells.values * shells.weights).sum(axis=0), held.sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose((shells.variances * shells.weights**2).sum(axis=0), variance.sum(axis=0), rtol=1e-9)


@pytest.mark.parametrize("name", NXSPE)
def test_nxspe_stays_within_the_kinematic_limits(name, measured):
    spectrum = read(measured(name))
    incident_energy = spectrum.measurement.incident_energy
    kf = torch.sqrt((incident_energy - spectrum.measurement.energy_centres) / E_PER_K2)
    ki = (incident_energy / E_PER_K2) ** 0.5
    edges = spectrum.measurement.points.edges
    assert (edges[1:, None] > (ki - kf).abs())[spectrum.valid].all()
    assert (edges[:-1, None] < ki + kf)[spectrum.valid].all()
    assert spectrum.intensity.max() < 1e29
    assert spectrum.intensity.min() > -1e29


def test_masked_detectors_of_version_1_0_stay_out(measured):
    spectrum = read(measured("formats/nxspe_version1_0.nxspe"))
    assert 0 < spectrum.valid.double().mean() < 0.5


def test_errors_of_nxspe_are_kept(measured):
    spectrum = read(measured("bi2fe4o9/bi2fe4o9_Ei62_5K.nxspe"))
    assert (spectrum.error[spectrum.valid] > 0).double().mean() > 0.9


def test_aluminium_is_a_mantid_workspace_whatever_its_name(measured):
    spectrum = read(measured("al_si/aluminium_Ei60.nxspe"))
    assert spectrum.measurement.incident_energy == pytest.approx(59.37064727)
    assert spectrum.measurement.energy[[0, -1]].tolist() == pytest.approx([-30.0, 58.2])


def test_aluminium_has_its_bragg_peaks_where_fcc_aluminium_has(measured):
    spectrum = read(measured("al_si/aluminium_Ei60.nxspe")).slice_energy(-1.5, 1.5)
    elastic = (spectrum.intensity * spectrum.valid).sum(dim=1)
    centres = spectrum.measurement.points.centres
    for hkl2 in (3, 4, 8, 11):  # 111, 200, 220, 311 with a = 4.05 A (at 5 K 4.032): within one and a half bins
        expected = 2 * np.pi / 4.032 * hkl2**0.5
        near = (centres - expected).abs() < 0.12
        peak = centres[near][elastic[near].argmax()]
        assert float(peak) == pytest.approx(expected, abs=0.05)


def test_masked_spectra_of_mantid_are_unmeasured(measured):
    path = measured("formats/mantid_processed_in4.nxs")
    spectrum = read(path)
    assert spectrum.measurement.incident_energy == pytest.approx(65.599113534644)
    assert spectrum.measurement.shape[1] == 350  # the last of the 351 bins has no width
    assert bool(spectrum.valid.any())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("formats/ill_in4_raw_tof.nxs", "ill_in4_raw_tof.nxs is raw time-of-flight data, not yet in energy transfer; reduce it first"),
        ("formats/w2d_qe_d2d.sqw", "w2d_qe_d2d.sqw does not hold the range along [0,0,1], which was integrated without bounds; write"),
        ("formats/mdhisto_1d_cut.nxs", "mdhisto_1d_cut.nxs does not hold the lattice; write lattice = [a, b, c, alpha, beta, gamma]"),
        ("pcsmo/nanmask.mat", "nanmask.mat is a MATLAB file without x and y and e; expected the variables x (two axes)"),
        ("al_si/Al_experimental_dos.json", "Al_experimental_dos.json holds a Spectrum1D of Euphonic; only a Spectrum2D of"),
        ("al_temperature/simulated_1.pt", "simulated_1.pt is a zip archive (perhaps a torch or numpy file)"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_in_words(name, message, measured):
    with pytest.raises(InputError) as caught:
        read(measured(name))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", ["formats/MAR11001_test.nxspe", "al_si/aluminium_Ei60.nxspe"])
def test_a_file_cut_short_is_said_to_be(name, part, measured, tmp_path):
    content = measured(name).read_bytes()
    (tmp_path / "cut.nxspe").write_bytes(content[: int(part * len(content))])
    with pytest.raises(InputError, match=r"cut\.nxspe is an HDF5 file that is truncated or damaged"):
        read(tmp_path / "cut.nxspe")
