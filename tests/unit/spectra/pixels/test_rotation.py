"""A rotation scan: what is known of (h, k, l) lands there, sums are right, bad files get one sentence."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Beam, Goniometer, QGrid, read, read_rotation, write
from sqwirrel.spectra.pixels import binning
from sqwirrel.spectra.readers.text.spe import _columns
from tests import rotation as scans

CUBE = Lattice(scans.SIDE, scans.SIDE, scans.SIDE)
EI = 40.0
MOUNTED = Goniometer(CUBE, (1, 0, 0), (0, 1, 0))
WIDE = QGrid(CUBE, torch.eye(3), [[-9, 9], [-9, 9], [-9, 9]])


def found(binned):
    """(h, k, l) and energy of the only bin with an intensity."""
    point, energy = (binned.spectrum.intensity > 0).nonzero()[0].tolist()
    measurement = binned.spectrum.measurement
    assert int((binned.spectrum.intensity > 0).sum()) == 1
    return measurement.points.q[point].tolist(), float(measurement.energy_centres[energy])


def around(q, energy):
    """A grid of 3 x 3 x 3 x 3 bins with q and energy in the middle of the central one."""
    edges = [[x - 0.03, x - 0.01, x + 0.01, x + 0.03] for x in q]
    return QGrid(CUBE, torch.eye(3), edges), [energy - 0.3, energy - 0.1, energy + 0.1, energy + 0.3]


@pytest.mark.parametrize("psi", [-70.0, -20.0, 0.0, 35.0, 110.0])
@pytest.mark.parametrize("side", [(1.2, 2.0, 0.0), (1.2, -2.0, 0.0), (1.2, 0.5, 0.9), (1.2, -0.4, -0.9)])
def test_a_bragg_peak_lands_at_its_hkl(psi, side, tmp_path):
    """Detectors right and left of the beam, below and above it (k_f = k_i - Q), for both signs of psi."""
    back = np.radians(-psi)
    q = (np.cos(back) * side[0] - np.sin(back) * side[1], np.sin(back) * side[0] + np.cos(back) * side[1], side[2])
    polar, azimuth, energy = scans.where(q, psi, EI)
    assert (azimuth > 0) == (side[2] < 0 or azimuth == 180)
    assert (abs(azimuth) > 90) == (side[1] > 0)
    step = 0.2 * np.arange(-2, 4) + energy - 0.1
    values = np.zeros((1, 5))
    values[0, 2] = 7.0
    path = scans.save(
        tmp_path / "a",
        **{"data/data": values, "data/error": np.sqrt(values), "data/energy": step, "data/polar": np.array([polar])},
        **{"data/azimuthal": np.array([azimuth]), "NXSPE_info/psi": np.array([psi])},
        **{"NXSPE_info/fixed_energy": np.array([EI])},
    )
    grid, edges = around(q, energy)
    at, where = found(read_rotation([path], MOUNTED, grid, edges))
    assert at == pytest.approx(q, abs=1e-9)
    assert where == pytest.approx(energy, abs=1e-9)


def test_psi_and_dpsi_add_and_another_u_is_another_psi():
    whole = MOUNTED.to_rlu(33.0)
    np.testing.assert_allclose(Goniometer(CUBE, (1, 0, 0), (0, 1, 0), dpsi=30.0).to_rlu(3.0), whole, atol=1e-14)
    np.testing.assert_allclose(Goniometer(CUBE, (1, 1, 0), (0, 1, 0)).to_rlu(78.0), whole, atol=1e-14)
    np.testing.assert_allclose(Goniometer(CUBE, (0, 1, 0), (-2, 1, 0)).to_rlu(123.0), whole, atol=1e-14)
    upside_down = Goniometer(CUBE, (1, 0, 0), (0, -1, 0)).to_rlu(0.0)
    np.testing.assert_allclose(upside_down, np.diag([1.0, -1.0, -1.0]), atol=1e-14)


def test_arcs_tilt_about_their_axes():
    """gl tips the vertical towards k_i; gs turns about u as it tips v up; with omega = 90 the arc of gs lies along v."""
    lab = lambda **arcs: np.linalg.inv(Goniometer(CUBE, (1, 0, 0), (0, 1, 0), **arcs).to_rlu(0.0))  # noqa: E731
    small = np.radians(2.0)
    np.testing.assert_allclose(lab(gl=2.0) @ [0, 0, 1], [np.sin(small), 0, np.cos(small)], atol=1e-14)
    np.testing.assert_allclose(lab(gs=2.0) @ [0, 1, 0], [0, np.cos(small), np.sin(small)], atol=1e-14)
    np.testing.assert_allclose(lab(gs=2.0, omega=90.0) @ [1, 0, 0], [np.cos(small), 0, -np.sin(small)], atol=1e-14)


def test_a_triclinic_cell_keeps_lengths_and_angles():
    cell = Lattice(4, 5, 6, 81, 97, 104)
    to_rlu = Goniometer(cell, (1, 1, 0), (1, 0.2, 5), dpsi=1, gl=2, gs=3, omega=4).to_rlu(50.0)
    turn = cell.reciprocal.numpy().T @ to_rlu
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(turn) == pytest.approx(1)
    along = np.linalg.inv(Goniometer(cell, (1, 1, 0), (1, 0.2, 5)).to_rlu(0.0))
    assert (along @ [1, 1, 0])[1:] == pytest.approx([0, 0], abs=1e-14)
    assert (along @ [1, 0.2, 5])[2] == pytest.approx(0, abs=1e-14)
    assert (along @ [1, 0.2, 5])[1] > 0


@pytest.fixture
def scan(tmp_path):
    """Seven runs of random values on a bank of detectors, some masked, and what they hold pixel by pixel."""
    generator = np.random.default_rng(3)
    polar, azimuth = generator.uniform(5, 60, 83), generator.uniform(-180, 180, 83)
    energy = np.linspace(-5, 35, 21)
    files, pixels = [], []
    for n, psi in enumerate(np.linspace(-30, 30, 7)):
        values, errors = generator.normal(5, 1, (83, 20)), generator.uniform(0.5, 2, (83, 20))
        values[n], errors[n + 9] = np.nan, -1.0
        path = tmp_path / f"run{n}"
        files.append(
            scans.save(
                path,
                **{"data/data": values, "data/error": errors, "data/energy": energy, "data/polar": polar},
                **{"data/azimuthal": azimuth, "NXSPE_info/psi": np.array([psi])},
                **{"NXSPE_info/fixed_energy": np.array([EI])},
            )
        )
        centres = (energy[1:] + energy[:-1]) / 2
        q = scans.hkl(polar, azimuth, centres, psi, EI)
        table = np.concatenate(
            [q, np.broadcast_to(centres, (83, 20))[..., None], values[..., None], errors[..., None]], -1
        )
        pixels.append(np.delete(table, [n, n + 9], axis=0).reshape(-1, 6))
    return files, np.concatenate(pixels)


@pytest.mark.parametrize("at_once", [10**6, 1])
def test_bins_hold_means_errors_and_numbers_of_their_pixels(at_once, scan, monkeypatch):
    monkeypatch.setattr(binning, "AT_ONCE", at_once)
    files, pixels = scan
    axes = np.array([[1, 1, 0], [-1, 1, 0.2], [0, 0.1, 1]])
    edges = [np.linspace(-2, 2, 6), np.array([-2, -0.7, 0, 0.3, 2.1]), np.array([-1, 0.5, 2])]
    energy = np.array([-1.0, 3, 9, 11, 33])
    grid = QGrid(CUBE, axes, edges, (0.1, 0.2, -0.3))
    binned = read_rotation(files, MOUNTED, grid, energy, temperature=4.0)
    where = np.column_stack([(pixels[:, :3] - [0.1, 0.2, -0.3]) @ np.linalg.inv(axes), pixels[:, 3]])
    number, total, spread = (
        np.histogramdd(where, [*edges, energy], weights=w)[0].reshape(-1, 4)
        for w in (None, pixels[:, 4], pixels[:, 5] ** 2)
    )
    assert number.sum() > 1000
    np.testing.assert_array_equal(binned.pixels, number)
    np.testing.assert_array_equal(binned.spectrum.valid, number > 0)
    some = np.maximum(number, 1)
    np.testing.assert_allclose(binned.spectrum.intensity, total / some, rtol=1e-12)
    np.testing.assert_allclose(binned.spectrum.error, np.sqrt(spread) / some, rtol=1e-12)
    assert binned.spread == (number[number > 0].min(), torch.tensor(number[number > 0]).median(), number.max())
    measurement = binned.spectrum.measurement
    assert (measurement.temperature, measurement.incident_energy) == (4.0, EI)
    assert not binned.spectrum.is_counts


def test_angles_that_replace_those_of_files_are_said(scan, caplog):
    grid = QGrid(CUBE, torch.eye(3), [[-2, 0, 2], [-2, 1, 2], [-1, 1]])
    own = read_rotation(scan[0], MOUNTED, grid, [0, 5, 20]).psi
    assert not caplog.records
    assert read_rotation(scan[0], MOUNTED, grid, [0, 5, 20], psi=[own[0] - 2, *own[1:]]).psi[0] == own[0] - 2
    (record,) = caplog.records
    assert record.getMessage() == (
        f"psi as given differs from what 1 of 7 files say, by most in {scan[0][0].name}: {own[0] - 2:g} degrees in "
        f"place of {own[0]:g}"
    )
    caplog.clear()
    read_rotation(scan[0], MOUNTED, grid, [0, 5, 20], psi=[each + 360 for each in own])
    assert not caplog.records


def spe(path):
    """The .spe file of an NXSPE file, with ten characters a number, and rows of its detectors for .phx and .par."""
    with h5py.File(path) as file:
        data = {name: file[f"run/data/{name}"][()] for name in ("data", "error", "energy", "polar", "azimuthal")}
    count, energies = data["data"].shape
    lines = lambda row: ["".join(f"{x:10.3E}" for x in row[k : k + 8]) for k in range(0, len(row), 8)]  # noqa: E731
    text = [f"{count:8d}{energies:8d}", "### Phi Grid", *lines(np.zeros(count + 1))]
    text += ["### Energy Grid", *lines(data["energy"])]
    for values, errors in zip(np.nan_to_num(data["data"], nan=-1e30), data["error"], strict=True):
        text += ["### S(Phi,w)", *lines(values), "### Errors", *lines(errors)]
    path.with_suffix(".spe").write_text("\n".join(text) + "\n")
    angles = list(zip(data["polar"], data["azimuthal"], strict=True))
    phx = [f"10 0 {polar:.6f} {azimuth:.6f} 0.3 0.2 {n}" for n, (polar, azimuth) in enumerate(angles)]
    par = [f"6.0 {polar:.6f} {-azimuth:.6f} 0.025 0.017 {n}" for n, (polar, azimuth) in enumerate(angles)]
    return path.with_suffix(".spe"), {"phx": phx, "par": par}


@pytest.mark.parametrize("end", ["phx", "par"])
def test_text_files_hold_what_nexus_files_do(end, scan, tmp_path):
    grid, energy = QGrid(CUBE, torch.eye(3), [[-2, -1, 0, 1, 2], [-2, 0, 2], [-1, 1]]), np.array([0, 9.5, 20])
    nexus = read_rotation(scan[0], MOUNTED, grid, energy)
    texts, detectors = zip(*(spe(path) for path in scan[0]), strict=True)
    (tmp_path / f"bank.{end}").write_text("\n".join(["83", *detectors[0][end]]) + "\n")
    same = read_rotation(texts, MOUNTED, grid, energy, psi=nexus.psi, incident_energy=EI)
    assert torch.equal(same.pixels, nexus.pixels)
    np.testing.assert_allclose(same.spectrum.intensity, nexus.spectrum.intensity, rtol=2e-4)
    np.testing.assert_allclose(same.spectrum.error, nexus.spectrum.error, rtol=2e-4)
    assert same.is_scaled is None
    with pytest.raises(InputError, match=r"run0.spe does not hold psi, the angle of the crystal"):
        read_rotation(texts, MOUNTED, grid, energy, incident_energy=EI)
    with pytest.raises(InputError, match=r"run0.spe is a .spe file, which holds no incident energy"):
        read_rotation(texts, MOUNTED, grid, energy, psi=nexus.psi)


def test_detectors_that_two_files_place_on_two_sides_are_refused(scan, tmp_path):
    grid, (path, detectors) = QGrid(CUBE, torch.eye(3), [[-3, 3], [-3, 3], [-2, 2]]), spe(scan[0][0])
    same_sign = [
        " ".join([*row.split()[:2], str(-float(row.split()[2])), "0.025", "0.017"]) for row in detectors["par"]
    ]
    for end, lines in (("phx", [row.rsplit(" ", 1)[0] for row in detectors["phx"]]), ("par", detectors["par"])):
        (tmp_path / f"bank.{end}").write_text("\n".join(["83", *lines]) + "\n")
    assert read_rotation([path], MOUNTED, grid, [0, 20], psi=[1.0], incident_energy=EI).pixels.sum() > 100
    (tmp_path / "bank.par").write_text("\n".join(["83", *same_sign]) + "\n")
    with pytest.raises(InputError, match=r"the \.par and the \.phx beside run0\.spe have detector \d+ at azimuths of"):
        read_rotation([path], MOUNTED, grid, [0, 20], psi=[1.0], incident_energy=EI)


def test_tables_of_detectors_are_read_with_or_without_numbers_and_spaces(scan, tmp_path):
    grid, (path, detectors) = QGrid(CUBE, torch.eye(3), [[-3, 0, 3], [-3, 0, 3], [-2, 2]]), spe(scan[0][0])
    texts = {"all.phx": detectors["phx"], "few.phx": [row.rsplit(" ", 1)[0] for row in detectors["phx"]]}
    texts |= {"all.par": detectors["par"], "few.par": [row.rsplit(" ", 1)[0] for row in detectors["par"]]}
    found = {}
    for name, lines in texts.items():
        (tmp_path / name).write_text("\n".join(["83", *lines]) + "\n")
        found[name] = read_rotation([path], MOUNTED, grid, [0, 20], psi=[1.0], incident_energy=EI).pixels
        (tmp_path / name).unlink()
    assert all(torch.equal(each, found["all.phx"]) for each in found.values())
    for name, lines, words in (
        ("a.phx", texts["all.par"], "as in a .par"),
        ("a.par", texts["few.phx"], "as in a .phx"),
    ):
        (tmp_path / name).write_text("\n".join(["83", *lines]) + "\n")
        with pytest.raises(InputError, match=words):
            read_rotation([path], MOUNTED, grid, [0, 20], psi=[1.0], incident_energy=EI)
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"a\.par is a table of detectors and no run"):
        read_rotation([path, tmp_path / "a.par"], MOUNTED, grid, [0, 20])


def test_columns_without_spaces_are_told_by_their_width():
    line = "    6.0233    5.8669-159.33470    0.0254    0.0168         1"
    assert [_columns(text, 6, Path("a.par")) for text in (line, line[:50])] == [6, 5]
    assert _columns("   10     0     5.8669    59.3347     0.2416     0.1598        1", 7, Path("a.phx")) == 7


def test_an_incident_energy_that_neutrons_lost_more_than_is_refused(scan, tmp_path):
    path, detectors = spe(scan[0][0])
    (tmp_path / "bank.phx").write_text("\n".join(["83", *detectors["phx"]]) + "\n")
    words = r"run0\.spe has measured bins from 33 meV on, which a neutron of 30 meV cannot lose; check incident_energy"
    with pytest.raises(InputError, match=words):
        read_rotation([path], MOUNTED, WIDE, [0, 20], psi=[1.0], incident_energy=30.0)
    with pytest.raises(InputError, match=words):
        read(path, incident_energy=30.0)


def test_a_detector_at_a_negative_angle_is_on_the_other_side(scan, tmp_path):
    grid, energy = QGrid(CUBE, torch.eye(3), [[-3, -1, 0, 1, 3], [-3, 0, 3], [-2, 0, 2]]), np.array([0, 9.5, 20])
    path, detectors = spe(scan[0][0])
    rows = [row.split() for row in detectors["phx"]]
    there = [f"10 0 -{row[2]} {float(row[3]) + 180} 0.3 0.2 1" for row in rows]
    found = []
    for lines in (detectors["phx"], there):
        (tmp_path / "bank.phx").write_text("\n".join(["83", *lines]) + "\n")
        found.append(read_rotation([path], MOUNTED, grid, energy, psi=[1.0], incident_energy=EI))
    assert torch.equal(found[0].pixels, found[1].pixels)


def test_what_is_written_is_read_back(scan, tmp_path):
    binned = read_rotation(scan[0], MOUNTED, QGrid(CUBE, torch.eye(3), [[-2, 0, 2], [-2, 1, 2], [-1, 1]]), [0, 5, 20])
    write(tmp_path / "a.h5", binned.spectrum)
    again = read(tmp_path / "a.h5")
    assert torch.equal(binned.spectrum.pixels, binned.pixels.clamp(min=1).double())
    assert int(binned.pixels.max()) > 1
    for name in ("intensity", "error", "valid", "pixels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(binned.spectrum, name))
    assert again.measurement.same_bins(binned.spectrum.measurement)
    assert again.measurement.incident_energy == EI


def test_a_spin_wave_lies_on_its_branch(tmp_path):
    """A branch E = 10 (1 - cos 2 pi h) meV, drawn on the pixels of 41 runs, is where it should be in (h, E), all l."""
    polar, azimuth = (each.ravel() for each in np.meshgrid(np.linspace(3, 75, 60), np.linspace(-180, 180, 48)))
    energy = np.linspace(2, 24, 45)
    centres = (energy[1:] + energy[:-1]) / 2
    files = []
    for n, psi in enumerate(np.linspace(-40, 40, 41)):
        h = scans.hkl(polar, azimuth, centres, psi, EI)[..., 0]
        values = np.exp(-0.5 * ((centres - 10 * (1 - np.cos(2 * np.pi * h))) / 0.8) ** 2)
        names = {"data/data": values, "data/error": 0.1 + 0 * values, "data/energy": energy, "data/polar": polar}
        angles = {"data/azimuthal": azimuth, "NXSPE_info/psi": np.array([psi])}
        files.append(scans.save(tmp_path / str(n), **names, **angles, **{"NXSPE_info/fixed_energy": np.array([EI])}))
    steps = np.linspace(-0.51, 0.51, 52)
    binned = read_rotation(files, MOUNTED, QGrid(CUBE, torch.eye(3), [steps, [-3, 3], [-3, 3]]), energy)
    q = binned.spectrum.measurement.points.q[:, 0].numpy()
    intensity, valid = binned.spectrum.intensity.numpy(), binned.spectrum.valid.numpy()
    middle = 10 * (1 - np.cos(2 * np.pi * q))
    near = np.abs(centres - middle[:, None]) < 2.5
    seen = (near <= valid).all(1) & (middle > 5) & (middle < 19)  # where the window of energies does not cut the line
    assert (q[seen] > 0).sum() >= 10
    assert (q[seen] < 0).sum() >= 4
    mean = (intensity * centres * near)[seen].sum(1) / (intensity * near)[seen].sum(1)
    np.testing.assert_allclose(mean, middle[seen], atol=0.1)  # a fifth of an energy bin


@pytest.mark.parametrize("chunks", [None, (7, 3), (83, 1)])
def test_files_in_chunks_are_read_alike(chunks, tmp_path):
    values = np.arange(83 * 20.0).reshape(83, 20)
    polar = {
        "data/polar": np.linspace(5, 60, 83),
        "data/azimuthal": np.zeros(83),
        "data/energy": np.linspace(0, 10, 21),
    }
    path = scans.save(tmp_path / "a", **polar, **{"data/data": None, "data/error": values})
    with h5py.File(path, "r+") as file:
        file.create_dataset(
            "run/data/data", data=values.astype("f4"), chunks=chunks, compression="gzip" if chunks else None
        )
    binned = read_rotation([path], MOUNTED, WIDE, [0, 10])
    assert binned.pixels.item() == 83 * 20
    assert binned.spectrum.intensity.item() == pytest.approx(values.mean())


def test_psi_is_taken_from_the_file_or_told(tmp_path):
    grid = QGrid(CUBE, torch.eye(3), [np.linspace(-3, 3, 61), np.linspace(-3, 3, 61), [-1, 1]])
    path, bare = (
        scans.save(tmp_path / "a.nxspe"),
        scans.save(tmp_path / "b.nxspe", **{"NXSPE_info/psi": np.array([np.nan])}),
    )
    whole = read_rotation([path], MOUNTED, grid, [-2, 10]).pixels
    assert torch.equal(read_rotation([bare], MOUNTED, grid, [-2, 10], psi=[10.0]).pixels, whole)
    assert not torch.equal(read_rotation([path], MOUNTED, grid, [-2, 10], psi=[40.0]).pixels, whole)
    with pytest.raises(
        InputError, match=r"^b.nxspe does not hold psi, the angle of the crystal \(degrees\); write psi = 30.0"
    ):
        read_rotation([bare], MOUNTED, grid, [-2, 10])
    (tmp_path / "b.nxspe.toml").write_text("psi = 10.0\n")
    assert torch.equal(read_rotation([bare], MOUNTED, grid, [-2, 10]).pixels, whole)


@pytest.mark.parametrize(("said", "scaled"), [([1], True), ([0], False), (None, None)])
def test_whether_values_were_multiplied_is_kept(said, scaled, tmp_path):
    said = None if said is None else np.array(said)
    path = scans.save(tmp_path / "a.nxspe", **{"NXSPE_info/ki_over_kf_scaling": said})
    assert read_rotation([path], MOUNTED, WIDE, [-2, 10]).is_scaled is scaled


def test_what_is_written_beside_any_file_is_heard(tmp_path):
    files = [scans.save(tmp_path / f"{name}.nxspe") for name in "abc"]
    binned = lambda **more: read_rotation(files, MOUNTED, WIDE, [-2, 10], **more).spectrum.measurement  # noqa: E731
    assert binned().temperature is None
    (tmp_path / "b.nxspe.toml").write_text("temperature = 7.0\n")
    assert binned().temperature == 7
    (tmp_path / "c.nxspe.toml").write_text("temperature = 7\n")
    assert binned().temperature == 7
    (tmp_path / "c.nxspe.toml").write_text("temperature = 9.0\n")
    with pytest.raises(InputError, match=r"^b.nxspe.toml says 7 K and c.nxspe.toml 9 K; give files of one temperature"):
        binned()
    assert binned(temperature=8.0).temperature == 8
    (tmp_path / "c.nxspe.toml").write_text("heat = 7.0\n")
    with pytest.raises(InputError, match=r"^c.nxspe.toml has the key 'heat'; expected some of"):
        binned()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"definition": None}, "b.nxspe is not an NXSPE file, nor a .spe file; a scan of angles"),
        ({"data/azimuthal": None}, "b.nxspe has no 'data/azimuthal' in '/run'"),
        ({"data/azimuthal": np.zeros(2)}, "b.nxspe holds data of shape (3, 4), errors (3, 4), 3 polar and 2 azimuthal angles"),
        ({"data/azimuthal": np.array([0, np.nan, 0])}, "b.nxspe: some scattering angles do not lie between 0 and 180"),
        ({"data/polar": np.array([0, 10, 190.0])}, "b.nxspe: some scattering angles do not lie between 0 and 180"),
        ({"data/polar": np.zeros(2)}, "b.nxspe holds data of shape (3, 4), errors (3, 4), 2 polar and 3 azimuthal angles"),
        ({"data/data": np.zeros(12)}, "'data/data' of b.nxspe has the shape (12,); expected two axes"),
        ({"data/data": np.array([[b"a"]])}, "'data/data' of b.nxspe does not hold numbers"),
        ({"data/energy": np.array([0, 2, 1, 3, 4.0])}, "b.nxspe: energy bin edges must be finite and ascending"),
        ({"data/energy": np.array([0, 1, 2, 3, np.inf])}, "b.nxspe: energy bin edges must be finite and ascending"),
        ({"NXSPE_info/fixed_energy": np.array([0.0])}, "b.nxspe: the incident energy is 0 meV; it must be positive"),
        ({"NXSPE_info/fixed_energy": np.array([30.0])}, "a.nxspe was measured with E_i = 20 meV and b.nxspe with 30 meV"),
        ({"NXSPE_info/ki_over_kf_scaling": np.array([0])}, "a.nxspe and b.nxspe do not both say that they were multiplied"),
        ({"NXSPE_info/psi": np.array([1.0, 2.0])}, "'NXSPE_info/psi' of b.nxspe should be one number; it holds 2"),
    ],
)  # fmt: skip
def test_a_bad_file_gets_one_sentence(changes, message, tmp_path):
    files = [scans.save(tmp_path / "a.nxspe"), scans.save(tmp_path / "b.nxspe", **changes)]
    with pytest.raises(InputError) as caught:
        read_rotation(files, MOUNTED, WIDE, [-2, 10])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("files", "mounted", "grid", "energy", "more", "message"),
    [
        ([], MOUNTED, WIDE, [0, 9], {}, "there is no file to bin"),
        (["a.nxspe"] * 2, MOUNTED, WIDE, [0, 9], {}, "a.nxspe is given twice"),
        (["none"], MOUNTED, WIDE, [0, 9], {}, "there is no file '"),
        (["a.nxspe"], MOUNTED, WIDE, [0, 9], {"psi": [1, 2]}, "there are 1 files and 2 angles psi"),
        (["a.nxspe"], MOUNTED, WIDE, [0, 9], {"psi": [np.nan]}, "a.nxspe: psi is nan degrees; it must be finite"),
        (["a.nxspe"], MOUNTED, WIDE, [3], {}, "energy bin edges"),
        (["a.nxspe"], MOUNTED, WIDE, [50, 60], {}, "no pixel of 1 files lies in the grid: in energy (meV) they reach from -0.5 to 8.5, and the grid from 50 to 60"),
        (["a.nxspe"], MOUNTED, QGrid(CUBE, torch.eye(3), [[-9, 9], [50, 60], [-9, 9]]), [0, 9], {}, "no pixel of 1 files lies in the grid: along [0, 1, 0] they reach from"),
        (["a.nxspe"], MOUNTED, QGrid(CUBE, torch.eye(3), [[-9, 9], [-9, 9], [-9, 9]], beam=Beam((1, 0, 0), 20)), [0, 9], {}, "pixels of a crystal that is turned"),
        (["a.nxspe"], MOUNTED, QGrid(CUBE, torch.eye(3), [np.arange(1000.0)] * 2 + [[-9, 9]]), np.arange(9.0), {}, "a grid of 999 x 999 x 1 bins and 8 energies has more than"),
        (["a.nxspe"], Goniometer(Lattice(3, 4, 5), (1, 0, 0), (0, 1, 0)), WIDE, [0, 9], {}, "the grid and the goniometer have different lattices"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(files, mounted, grid, energy, more, message, tmp_path):
    scans.save(tmp_path / "a.nxspe")
    with pytest.raises(InputError) as caught:
        read_rotation([tmp_path / file for file in files], mounted, grid, energy, **more)
    assert str(caught.value).startswith(message)


def test_pixels_that_meet_every_axis_but_never_all(tmp_path):
    grid = QGrid(CUBE, torch.eye(3), [[-9, 9], [-1, -0.95], [-9, 9]])
    with pytest.raises(InputError, match="but never along all at once, or hold nothing measured there"):
        read_rotation([scans.save(tmp_path / "a")], MOUNTED, grid, [-2, 0])


def test_energies_above_the_incident_energy_are_refused(tmp_path):
    path = scans.save(tmp_path / "a", **{"data/energy": np.linspace(30, 40, 5)})
    with pytest.raises(InputError, match="no neutron of their incident energies has their energy transfers to lose"):
        read_rotation([path], MOUNTED, WIDE, [0, 50])


def test_values_beyond_all_bounds_become_unmeasured(tmp_path):
    values = np.full((3, 4), 1e200)
    values[0] = 1.7e308
    path = scans.save(tmp_path / "a", **{"data/data": values, "data/error": values})
    spectrum = read_rotation([path], MOUNTED, WIDE, [-2, 10]).spectrum
    assert not spectrum.valid.any()


def test_a_file_that_promises_too_much_is_refused(tmp_path):
    path = scans.save(tmp_path / "a", **{"data/data": None})
    with h5py.File(path, "r+") as file:
        file.create_dataset("run/data/data", shape=(10**6, 100), dtype="f4", chunks=(100, 100))
    with pytest.raises(InputError, match="says that 'data/data' has 100000000 numbers; at most 50000000 are read"):
        read_rotation([path], MOUNTED, WIDE, [-2, 10])


@pytest.mark.parametrize(
    ("u", "v", "more", "message"),
    [
        ((1, 0, 0), (-2, 0, 0), {}, "u = [1, 0, 0] and v = [-2, 0, 0] are parallel"),
        ((0, 0, 0), (1, 0, 0), {}, "u must be one (h, k, l), not zero, got [0, 0, 0]"),
        ((1, 0, 0), (1, np.nan, 0), {}, "v must be one (h, k, l), not zero"),
        ((1, 0, 0), (0, 1, 0), {"gl": np.inf}, "gl is inf degrees; it must be finite"),
    ],
)
def test_a_mounting_that_cannot_be_is_refused(u, v, more, message):
    with pytest.raises(InputError) as caught:
        Goniometer(CUBE, u, v, **more)
    assert str(caught.value).startswith(message)


def test_damaged_files_are_refused_in_words(tmp_path):
    """Bytes changed at random, or the end cut off: a spectrum or one sentence, never a traceback."""
    content, generator = scans.save(tmp_path / "a").read_bytes(), np.random.default_rng(7)
    path, refused = tmp_path / "b.nxspe", []
    for _ in range(200):
        damaged = bytearray(content)
        for place in generator.integers(0, len(content), generator.integers(1, 20)):
            damaged[place] = generator.integers(0, 256)
        path.write_bytes(damaged[: generator.integers(1, len(content)) if generator.random() < 0.2 else None])
        try:
            read_rotation([path], MOUNTED, WIDE, [-2, 10], psi=[0.0])
        except InputError as error:
            refused.append(str(error))
    assert 40 < len(refused) < 200
    assert [words for words in refused if "b.nxspe" not in words and "1 files" not in words] == []
