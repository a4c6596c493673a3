"""Every gridded format on the measured files of ../shared/data, against what h5py and numpy find in the same bytes."""

import shutil

import h5py
import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.spectra import QGrid, QShells, read
from sqwirrel.spectra.readers.text.spe import Held, _detectors

CRYSTAL = 'lattice = [5, 5, 5, 90, 90, 90]\nranges = { "[H,-H,0]" = [-0.1, 0.1], "[0,0,L]" = [-0.1, 0.1] }\n'
NAMED = 'axes = ["[H,H,0]", "energy"]\n'
FE, BEAM = (2.87,) * 3 + (90,) * 3, "beam = [0, 0, 1]\nincident_energy = 140\n"

# file, what is told beside it, kind, bins by (points, energy), unmeasured, cell, E_i, sum of intensity, of variance
TABLE = [
    ("formats/mdhisto_1d_cut.nxs", "lattice = [5, 5, 14, 90, 90, 120]", QGrid, (1, 88), 0, (5, 5, 14, 90, 90, 120), None, 1.76970587, 2.90972438e-5),
    ("formats/w2d_qe_d2d.sqw", BEAM, QGrid, (81, 72), 1034, (3.8498497, 3.8498497, 3.7481, 90, 90, 90), 140, 30330.683, 1935.3058),
    ("formats/wref.sqw", "", QGrid, (21, 20), 22, FE, 787, 52.970667, 0.31906622),
    ("formats/test_sqw_file_read_write_v3_3.sqw", "", QGrid, (125, 5), 528, (4, 5, 6, 91, 92, 93), 50, 493.20854, 11.578723),
    ("formats/faccess_dnd_v4_sample.sqw", "", QGrid, (176, 1), 81, (4.2275,) * 3 + (90,) * 3, None, 1105474.61759, 11018602.7032),
    ("formats/faccess_sqw_v4_sample.sqw", "", QGrid, (21, 1), 0, FE, 787, 3.97288818, 0.0130555623),
    ("formats/test_filetypes.spe", CRYSTAL, QGrid, (35, 66), 658, (5, 5, 5, 90, 90, 90), None, 0.94875647, 0.0173928158),
    ("formats/test_filetypes.xyie", NAMED + CRYSTAL, QGrid, (35, 66), 658, (5, 5, 5, 90, 90, 90), None, 0.94852199, 0.0174011944),
    ("formats/test_filetypes.iexy", NAMED + CRYSTAL, QGrid, (45, 90), 1149, (5, 5, 5, 90, 90, 90), None, 0.46426792, 0.0137054076),
    ("al_si/Al-iqe.h5", "", QShells, (120, 149), 4784, None, None, 8141.929293, 29.537061183),
    ("al_si/graphite-Ei_130-iqe.h5", "incident_energy = 130", QShells, (251, 240), 31230, None, 130, 4.7307102, 2.72103937e-5),
    ("al_si/silicon_Ei80_300K.nxspe", "", QShells, (326, 294), 29368, None, 79.394955, 227349.4697, 200079.5545),
    ("formats/MAR11001_test.nxspe", "", QShells, (415, 110), 13543, None, 12.972837, 2780291.104, 92564737.38),
    ("formats/nxspe_version1_0.nxspe", "", QShells, (20, 30), 497, None, 800, 3305.0375265, 708258.02566),
    ("formats/inst_let_ei3p7_240_120.nxspe", "", QShells, (401, 5), 2000, None, 3.7, 3.2162263513, 0.00367133421),
    ("formats/mantid_processed_in4.nxs", "", QShells, (188, 350), 17549, None, 65.599113535, 849.11437183, 0.16302530),
    ("mnf2/mnf2_powder.mat", "", QShells, (216, 320), 13764, None, None, None, None),
]  # fmt: skip


@pytest.fixture
def told(measured, tmp_path):
    """A copy of a measured file, with what is known of it beside it."""

    def copy(name, lines):
        path = tmp_path / name.rpartition("/")[2]
        shutil.copy(measured(name), path)
        if lines:
            (tmp_path / f"{path.name}.toml").write_text(lines)
        return path

    return copy


@pytest.mark.parametrize(("name", "lines", *"abcdefg"), TABLE, ids=[row[0] for row in TABLE])
def test_what_is_understood(name, lines, a, b, c, d, e, f, g, told):
    spectrum = read(told(name, lines))
    measurement, cell = spectrum.measurement, getattr(spectrum.measurement.points, "lattice", None)
    assert (type(measurement.points), measurement.shape, int((~spectrum.valid).sum())) == (a, b, c)
    assert d is None or (cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma) == pytest.approx(d, rel=1e-7)
    assert measurement.incident_energy == (e if e is None else pytest.approx(e, rel=1e-7))
    if f is not None:
        assert float(spectrum.intensity[spectrum.valid].sum()) == pytest.approx(f, rel=1e-7)
        assert float((spectrum.error[spectrum.valid] ** 2).sum()) == pytest.approx(g, rel=1e-7)


def test_mdhisto_is_what_h5py_finds_with_q_turned_round(told):
    path = told("formats/mdhisto_1d_cut.nxs", TABLE[0][1])
    spectrum = read(path)
    with h5py.File(path) as file:
        data = {name: values[()] for name, values in file["MDHistoWorkspace/data"].items()}
        assert file["MDHistoWorkspace"].attrs["QConvention"] == b"Crystallography"
    np.testing.assert_array_equal(spectrum.intensity[0], data["signal"].ravel())
    np.testing.assert_allclose(spectrum.error[0] ** 2, data["errors_squared"].ravel(), rtol=1e-14)
    np.testing.assert_allclose(spectrum.measurement.energy, data["D3"], rtol=1e-6)
    middle = -(data["D0"].mean() * np.array([1, 0, 0]) + data["D1"].mean() * np.array([-0.5, 1, 0]))
    np.testing.assert_allclose(spectrum.measurement.points.q[0], middle, atol=1e-7)


def pixels(path, start, count):
    """Columns of the pixel block of a sqw file: Q (1/angstrom, by the crystal), energy, signal and variance."""
    block = np.frombuffer(path.read_bytes(), "<f4", 9 * count, start).reshape(-1, 9).astype(float)
    return block[:, :3], block[:, 3], block[:, 7], block[:, 8]


@pytest.mark.parametrize(
    ("name", "start", "count"),
    [
        ("formats/wref.sqw", 3225270 - 36 * 59992, 59992),
        ("formats/faccess_sqw_v4_sample.sqw", 1976305 + 12, 4324),
        ("formats/test_sqw_file_read_write_v3_3.sqw", 13462, 7680),
    ],
)
def test_binned_data_of_horace_are_the_means_of_its_pixels(name, start, count, measured):
    """Every bin: its place, axes, order, mean and variance. The outermost edges hold what float32 rounds beyond them."""
    spectrum, (wave, energy, signal, variance) = read(measured(name)), pixels(measured(name), start, count)
    grid = spectrum.measurement.points
    reciprocal = grid.lattice.reciprocal.numpy()
    busing_levy = np.linalg.cholesky(reciprocal @ reciprocal.T)  # a* along x and b* in the xy plane
    where = np.column_stack([wave @ np.linalg.inv(grid.axes.numpy() @ busing_levy), energy])
    edges = [*(each.numpy() for each in grid.edges), spectrum.measurement.energy.numpy()]
    edges = [np.concatenate([[each[0] - 1e-3], each[1:-1], [each[-1] + 1e-3]]) for each in edges]
    npix, total, spread = (np.histogramdd(where, edges, weights=w)[0] for w in (None, signal, variance))
    assert npix.sum() == count
    some = np.maximum(npix, 1)
    np.testing.assert_array_equal(npix > 0, spectrum.valid.numpy().reshape(npix.shape))
    np.testing.assert_allclose(spectrum.intensity.numpy().reshape(npix.shape), total / some, rtol=1e-4)
    np.testing.assert_allclose(spectrum.error.numpy().reshape(npix.shape) ** 2, spread / some**2, rtol=1e-4)


def test_dnd_of_version_2_and_4_are_the_bytes_in_the_file(measured, told):
    old, new = measured("formats/w2d_qe_d2d.sqw"), measured("formats/faccess_dnd_v4_sample.sqw")
    s, e = np.frombuffer(old.read_bytes(), "<f4", 2 * 81 * 72, 903).reshape(2, 72, 81)
    npix = np.frombuffer(old.read_bytes(), "<i8", 81 * 72, 903 + 8 * 81 * 72).reshape(72, 81)
    spectrum = read(told("formats/w2d_qe_d2d.sqw", BEAM))
    np.testing.assert_array_equal(spectrum.valid, (npix > 0).T)
    np.testing.assert_array_equal(spectrum.intensity, np.where(npix > 0, s, 0).T)
    np.testing.assert_allclose(spectrum.error**2, np.where(npix > 0, e, 0).T, rtol=1e-6)
    s, e = np.frombuffer(new.read_bytes(), "<f8", 2 * 176, 1080 + 12).reshape(2, 11, 16)
    spectrum = read(new)
    np.testing.assert_array_equal(spectrum.intensity.reshape(16, 11), s.T)
    np.testing.assert_allclose(spectrum.error.reshape(16, 11) ** 2, e.T, rtol=1e-12)
    np.testing.assert_allclose(spectrum.measurement.points.axes, [[1, 1, 0], [0, 0, 1], [1, -1, 0]], atol=1e-6)


def test_a_still_crystal_sees_spin_waves_where_its_beam_puts_them(told):
    """The band of w2d_qe_d2d has its top near (1/2 1/2) at 55 meV and its bottom at (1 1), and L grows with energy."""
    spectrum = read(told("formats/w2d_qe_d2d.sqw", BEAM))
    energy = spectrum.measurement.energy_centres
    top = [float(energy[spectrum.intensity[n].argmax()]) for n in (20, 60)]
    assert top == pytest.approx([55, 55], abs=4)
    third = spectrum.measurement.points.at(energy)[60, :, 2]
    assert bool((third[1:] > third[:-1]).all())


def test_dave_formats_hold_the_same_map(told):
    spe, xyie, iexy = (read(told(f"formats/test_filetypes.{end}", lines)) for end, lines in (("spe", CRYSTAL), ("xyie", NAMED + CRYSTAL), ("iexy", NAMED + CRYSTAL)))  # fmt: skip
    assert torch.equal(spe.valid, xyie.valid)
    torch.testing.assert_close(spe.intensity, xyie.intensity, rtol=6e-3, atol=1e-8)  # three digits
    torch.testing.assert_close(spe.error, xyie.error, rtol=6e-3, atol=1e-8)
    torch.testing.assert_close(spe.measurement.points.q, xyie.measurement.points.q, rtol=0, atol=1e-4)
    for spectrum in (xyie, iexy):  # another cut of the same cone at (-1/2 -1/2 0)
        low = spectrum.slice_energy(0.1, 0.5)
        mean = (low.intensity * low.valid).sum(1)[8:] / low.valid.sum(1)[8:].clamp(min=1)
        peak = spectrum.measurement.points.q[8:][mean.argmax()]
        assert peak.tolist() == pytest.approx([-0.5, -0.5, 0], abs=0.03)


@pytest.mark.parametrize("name", ["al_si/Al-iqe.h5", "al_si/graphite-Ei_130-iqe.h5"])
def test_i_q_e_keeps_the_variance_as_one(name, measured):
    path = measured(name)
    spectrum = read(path)
    with h5py.File(path) as file:
        entry = next(iter(file.values()))
        data, variance = entry["data"][()], entry["errors"][()]
    np.testing.assert_array_equal(spectrum.valid, ~np.isnan(data))
    np.testing.assert_allclose(spectrum.error**2, np.nan_to_num(variance), rtol=1e-12)
    grown = np.polyfit(np.log(data[data > 0]), np.log(variance[data > 0]), 1)[0]
    assert grown == pytest.approx(1, abs=0.2)  # as counts; a standard deviation would grow with 1/2


def test_spe_of_measured_detectors_is_the_map_of_their_nxspe(measured, tmp_path):
    """MAR11001 written again as .spe and .phx, with their ten characters a number."""
    path = measured("formats/MAR11001_test.nxspe")
    with h5py.File(path) as file:
        entry = next(iter(file.values()))
        held = {name: entry[f"data/{name}"][()] for name in ("data", "error", "energy", "polar", "polar_width")}
        incident_energy = float(entry["NXSPE_info/fixed_energy"][0])
    blocks = [("Phi Grid", np.zeros(len(held["data"]) + 1)), ("Energy Grid", held["energy"])]
    for values, errors in zip(held["data"], held["error"], strict=True):
        blocks += [("S(Phi,w)", values), ("Errors", errors)]
    lines = [f"{held['data'].shape[0]:8d}{held['data'].shape[1]:8d}"]
    for title, numbers in blocks:
        lines.append(f"### {title}")
        lines += ["".join(f"{x:10.4g}" for x in numbers[n : n + 8]) for n in range(0, len(numbers), 8)]
    (tmp_path / "a.spe").write_text("\n".join(lines) + "\n")
    pairs = zip(held["polar"], held["polar_width"], strict=True)
    rows = [f"{10:10d}{0:10d}{p:10.5f}{0:10d}{w:10.5f}{0:10d}{0:10d}" for p, w in pairs]
    (tmp_path / "a.phx").write_text("\n".join([str(len(rows)), *rows]) + "\n")
    ours, theirs = read(tmp_path / "a.spe", incident_energy), read(path)
    assert ours.measurement.shape == theirs.measurement.shape
    assert float((ours.valid == theirs.valid).double().mean()) > 0.999
    both = ours.valid & theirs.valid
    assert float((ours.intensity - theirs.intensity)[both].abs().sum()) < 2e-3 * float(
        theirs.intensity[both].abs().sum()
    )


@pytest.mark.parametrize(
    ("name", "detectors", "unmeasured"),
    [("formats/spe_with_NANs.spe", 5, 2), ("formats/Fe4_2K_reduced_11l.spe", 16, 0)],
)
def test_measured_spe_is_read_with_angles_beside_it(name, detectors, unmeasured, told):
    path = told(name, "incident_energy = 200")
    with pytest.raises(
        InputError, match=r"holds no scattering angles, and there are 0 \.phx and \.par files beside it"
    ):
        read(path)
    rows = [f"{10:10d}{0:10d}{10.0 + 5 * n:10.4f}{0:10d}{0.5:10.4f}{0.5:10.4f}{n:10d}" for n in range(detectors)]
    path.with_suffix(".phx").write_text("\n".join([str(detectors), *rows]) + "\n")
    spectrum = read(path)
    content = path.read_text().lower()
    assert content.count("nan") == unmeasured
    assert spectrum.measurement.shape[1] == (30 if detectors == 5 else 16)
    assert bool(spectrum.valid.any(0)[-1])
    assert float(spectrum.intensity.abs().max()) > 0


def test_angles_of_phx_and_par_of_one_instrument_agree(measured):
    lines = {
        end: measured(f"formats/MAPS_A1_and_A2_first_pack.{end}").read_text().split("\n")[1:1025]
        for end in ("par", "phx")
    }
    par, phx = (np.array([line.split() for line in lines[end]], dtype=float) for end in ("par", "phx"))
    source = measured("formats/MAPS_A1_and_A2_first_pack.phx").with_suffix(".spe")
    nothing = np.zeros((1024, 1))
    two_theta, width, azimuth = _detectors(Held([], nothing, nothing), source)
    np.testing.assert_allclose(two_theta, par[:, 1], atol=1e-3)
    np.testing.assert_allclose(azimuth, -par[:, 2], atol=1e-3)
    np.testing.assert_allclose(width, np.degrees(2 * np.arctan(par[:, 3] / 2 / par[:, 0])), rtol=2e-3)
    np.testing.assert_allclose(width, phx[:, 4], rtol=1e-12)
