"""Triple-axis scans and tables of peaks of ../shared/data, against their own headers and a second, naive parsing."""

from math import pi, sqrt

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import join, read, read_peaks
from sqwirrel.units import E_PER_K2

SCANS = "nitio3/scans/CG4C_exp0424_scan{:04d}.dat"
NOTHING_COUNTED = {41, 61, 62, 81, 89}
NITIO3 = [5.034785, 5.034785, 13.812004, 90.0, 90.0, 120.0]
JAROSITE = {
    "columns": ("x", "x_error", "energy", "error", "branch", "direction"),
    "lines": {1: ((0, 0, 0), (1 / (2 * pi), 1 / (2 * pi), 0)), 2: ((0, 0, 0), (sqrt(3) / (2 * pi), 0, 0))},
}
"""x = |q| d with d = a / 2 the distance of neighbours; direction 1 is (h, h, 0), 2 is (h, 0, 0): K at x = 2 pi / 3 and
M at x = pi / sqrt(3), as the published fit of this table places them (kit-matan/pyMagCalc, lmfit_KFe3J.py)."""


def spice(path):
    """Header and columns, read line by line."""
    text = path.read_text().splitlines()
    header = dict(line[2:].split(" = ", 1) for line in text if line.startswith("# ") and " = " in line)
    names = text[next(n for n, line in enumerate(text) if "col_headers" in line) + 1][1:].split()
    rows = np.array([line.split() for line in text if line and not line.startswith("#")], dtype=float)
    return header, {name: rows[:, k] for k, name in enumerate(names)}


def cell(spectrum):
    lattice = spectrum.measurement.points.lattice
    return [lattice.a, lattice.b, lattice.c, lattice.alpha, lattice.beta, lattice.gamma]


def check_columns(spectrum, q, energy, counts, exposure):
    measurement = spectrum.measurement
    assert spectrum.is_counts
    np.testing.assert_array_equal(measurement.points.q, np.transpose(q))
    np.testing.assert_array_equal(measurement.energy, np.stack([energy, energy], axis=1))
    valid = spectrum.valid[:, 0].numpy()
    np.testing.assert_array_equal(spectrum.intensity[valid, 0], counts[valid])
    np.testing.assert_array_equal(measurement.exposure[valid, 0], exposure[valid])
    torch.testing.assert_close(spectrum.error**2, spectrum.intensity)


@pytest.mark.parametrize("number", range(1, 93))
def test_nitio3_scans(number, measured):
    """All 92: five in which nothing was counted are refused, the other 87 hold what was counted and no more."""
    path = measured(SCANS.format(number))
    header, columns = spice(path)
    counted = columns["monitor"] > 0
    assert (not counted.any()) == (number in NOTHING_COUNTED)
    if number in NOTHING_COUNTED:
        with pytest.raises(
            InputError, match=rf"{path.name} counted nothing: the monitor is 0 in all of its points \(1\)"
        ):
            read(path)
        return
    spectrum = read(path)
    check_columns(
        spectrum,
        [columns[name] for name in "hkl"],
        columns["e"],
        columns["detector"],
        columns["monitor"],
    )
    assert spectrum.valid[:, 0].tolist() == counted.tolist()
    assert float(spectrum.intensity.sum()) == float(header["Sum of Counts"])
    assert cell(spectrum) == [float(word) for word in header["latticeconstants"].split(",")]
    assert set(spectrum.measurement.points.scan.tolist()) == {number}
    assert (spectrum.measurement.incident_energy, spectrum.measurement.final_energy) == (None, 4.8)
    if number > 10:  # cold, and the crystal aligned
        assert spectrum.measurement.temperature == pytest.approx(columns["sample"][counted].mean())
        assert spectrum.measurement.temperature == pytest.approx(1.43, abs=0.01)
        assert spectrum.measurement.points.plane.tolist() == [[0, 0, 1], [1, 1, 0]]


def test_the_last_point_of_a_stopped_scan_was_not_counted(measured):
    """In 1, 49, 82 and 92 the point where the scan was stopped has monitor 0, though the preset stands in `mcu`."""
    lost = {n: int((~read(measured(SCANS.format(n))).valid).sum()) for n in range(1, 93) if n not in NOTHING_COUNTED}
    assert {n: count for n, count in lost.items() if count} == {1: 1, 49: 1, 82: 1, 92: 1}


def test_the_orientation_matrix_places_every_point_in_the_plane(measured):
    for number in (21, 42, 90):
        points = read(measured(SCANS.format(number))).measurement.points
        normal = torch.linalg.cross(*points.lattice.to_cartesian(points.plane))
        height = points.lattice.to_cartesian(points.q) @ normal / normal.norm()
        assert float(height.abs().max()) < 1e-3  # 1/angstrom: q is written to four digits


def test_scans_of_nitio3_are_joined(measured):
    numbers = [n for n in range(21, 93) if n not in NOTHING_COUNTED]
    parts = [read(measured(SCANS.format(n))) for n in numbers]
    whole = join(parts)
    assert whole.measurement.shape == (2583, 1)
    assert list(dict.fromkeys(whole.measurement.points.scan.tolist())) == numbers
    assert float(whole.intensity.sum()) == sum(float(part.intensity.sum()) for part in parts)
    assert int(whole.valid.sum()) == 2580
    assert cell(whole) == NITIO3


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ((SCANS.format(11), SCANS.format(21)), "scans 11 and 21 cannot be joined: the lattices differ, 5.044 5.044 13.82"),
        (("formats/scan0003.ng5", "formats/scan0004.bt7"), "scans 3 and 4 cannot be joined: the final energies (meV) differ, 5 and 14.7"),
        ((SCANS.format(2), SCANS.format(6)), "scans 2 and 6 cannot be joined: the temperatures (K) differ, 118.154 and 83.9098"),
        ((SCANS.format(30), SCANS.format(30)), "scan 30 is given twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_said(names, what, measured):
    with pytest.raises(InputError) as caught:
        join([read(measured(name)) for name in names])
    assert str(caught.value).startswith(what)


def test_hb1a_scan_of_temperature_in_a_field(measured):
    """7 T along the normal of (0kl), -a of the orthorhombic cell; no one temperature; E_i of HB-1A is fixed."""
    path = measured("formats/HB1A_exp0718_scan0206.dat")
    header, columns = spice(path)
    spectrum = read(path)
    check_columns(spectrum, [columns[name] for name in "hkl"], columns["e"], columns["detector"], columns["monitor"])
    assert float(spectrum.intensity.sum()) == float(header["Sum of Counts"]) == 2599016
    assert spectrum.measurement.temperature is None
    assert (spectrum.measurement.incident_energy, spectrum.measurement.final_energy) == (14.6339, None)
    assert {tuple(each) for each in spectrum.measurement.points.plane.tolist()} == {(0, 0, 1), (0, 1, 0)}
    assert spectrum.measurement.field.tolist() == pytest.approx([-7.0, 0.0, 0.0])


def ill(path):
    """Columns, by position."""
    text = path.read_text().splitlines()
    start = next(n for n, line in enumerate(text) if line.startswith("DATA_:")) + 1
    rows = np.array([line.split() for line in text[start + 1 :] if line.strip()], dtype=float)
    return dict(zip(text[start].replace("#", "").split(), rows.T, strict=True))


@pytest.mark.parametrize(
    ("name", "points", "kfix"),
    [("091215", 41, 2.66202), ("091217", 77, 2.66202), ("091246", 91, 2.66140)],
)
def test_in20_scans(name, points, kfix, measured):
    path = measured(f"bi2fe4o9/in20/{name}")
    columns, spectrum = ill(path), read(path)
    check_columns(spectrum, [columns[q] for q in ("QH", "QK", "QL")], columns["EN"], columns["CNTS"], columns["M1"])
    assert spectrum.measurement.shape == (points, 1)
    assert spectrum.measurement.final_energy == pytest.approx(E_PER_K2 * kfix**2)
    assert spectrum.measurement.final_energy == pytest.approx(14.68, abs=0.005)
    assert spectrum.measurement.incident_energy is None
    assert spectrum.measurement.temperature == pytest.approx(columns["TT"].mean())
    assert spectrum.measurement.points.plane.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert cell(spectrum) == [7.99135, 8.42968, 6.007, 90.0, 90.0, 90.0]
    assert spectrum.measurement.points.scan[0] == int(name)


def test_in20_scan_of_an_angle_lies_in_its_plane(measured):
    """A3 with QH and QK alone: QL from the plane, EN from POSQE; stopped after 16 of 21 points."""
    path = measured("bi2fe4o9/in20/091174")
    columns, spectrum = ill(path), read(path)
    zero = np.zeros(16)
    check_columns(spectrum, [columns["QH"], columns["QK"], zero], zero, columns["CNTS"], columns["M1"])
    length = spectrum.measurement.points.lattice.to_cartesian(spectrum.measurement.points.q).norm(dim=1)
    k = 2.6614  # elastic, A4 = 34.47 degrees
    assert length.tolist() == pytest.approx([2 * k * np.sin(np.radians(34.47 / 2))] * 16, rel=2e-3)


@pytest.mark.parametrize("name", ["091175", "091176", "091180", "091190"])
def test_in20_scans_of_angles_without_q_are_refused_by_name(name, measured):
    """Two of A3 and two of the tilt GU: POSQE is where the last command stood, not where these points lie."""
    with pytest.raises(InputError, match=f"{name} has no column of .* a scan of angles alone does not say"):
        read(measured(f"bi2fe4o9/in20/{name}"))


@pytest.mark.parametrize(("name", "points", "first", "last"), [
    ("4100", 21, [0.9749, 0.9750, 0.0], [1.0248, 1.0250, 0.0]),
    ("4101", 101, [1.0, -0.0499, 0.0], [0.9996, 0.0501, 0.0]),
])  # fmt: skip
def test_eiger_scans_hold_the_incident_energy(name, points, first, last, measured):
    path = measured(f"bi2fe4o9/eiger/eiger2013n00{name}.scn")
    columns, spectrum = ill(path), read(path)
    check_columns(spectrum, [columns[q] for q in ("QH", "QK", "QL")], columns["EN"], columns["CNTS"], columns["M1"])
    assert spectrum.measurement.points.q[[0, -1]].tolist() == [first, last]
    assert spectrum.measurement.shape == (points, 1)
    assert spectrum.measurement.incident_energy == pytest.approx(E_PER_K2 * 2.662**2)
    assert spectrum.measurement.final_energy is None
    assert cell(spectrum) == [5.0928, 5.0928, 15.794, 90.0, 90.0, 90.0]


def test_bt7_scan(measured):
    path = measured("formats/scan0004.bt7")
    text = path.read_text().splitlines()
    names = next(line for line in text if line.startswith("#Columns")).split()[1:]
    rows = [line.split() for line in text if not line.startswith("#")]
    columns = {
        name: np.array([float(row[names.index(name)]) for row in rows])
        for name in ("H", "K", "L", "E", "Detector", "Monitor", "Temp")
    }
    spectrum = read(path)
    check_columns(spectrum, [columns[q] for q in "HKL"], columns["E"], columns["Detector"], columns["Monitor"])
    assert spectrum.measurement.shape == (25, 1)  # Npoints
    assert spectrum.measurement.final_energy == 14.7
    assert spectrum.measurement.temperature == pytest.approx(columns["Temp"].mean())
    assert spectrum.measurement.points.plane.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert cell(spectrum) == [3.81, 3.81, 6.25, 90.0, 90.0, 90.0]


def test_ng5_scan(measured):
    path = measured("formats/scan0003.ng5")
    rows = np.array([line.split() for line in path.read_text().splitlines()[12:]], dtype=float)
    spectrum = read(path)
    check_columns(spectrum, rows.T[:3], rows[:, 3], rows[:, 6], np.full(87, 250000.0))
    assert spectrum.measurement.shape == (87, 1)  # as its first line says
    assert spectrum.measurement.final_energy == 5.0
    assert spectrum.measurement.temperature == pytest.approx(rows[:, 4].mean())
    assert spectrum.measurement.points.plane.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert cell(spectrum) == [3.81, 3.81, 6.25, 90.0, 90.0, 90.0]


BI2FE4O9, LUVO3 = Lattice(7.965, 8.448, 6.007), Lattice(5.27, 5.57, 7.56)


@pytest.mark.parametrize(
    ("name", "lattice", "modes", "count", "search"),
    [("bi2fe4o9/in20_fitted_modes.txt", BI2FE4O9, 3, 49, [5.2, 30.0]), ("peaks/LuVO3_fitted_modes_spinw.txt", LUVO3, 2, 17, [2.0, 40.0])],
)  # fmt: skip
def test_fitted_modes(name, lattice, modes, count, search, measured):
    """Modes of intensity 0 are not there; IN20 lists (2.5, 2.5, 0) twice, which is one measurement with two peaks."""
    path = measured(name)
    rows = np.loadtxt(path, skiprows=1)
    expected = [
        (*row[:3], *row[[6 + 3 * m, 7 + 3 * m, 5 + 3 * m]]) for row in rows for m in range(modes) if row[5 + 3 * m] != 0
    ]
    expected = list(dict.fromkeys(expected))
    peaks = read_peaks(path, lattice)
    assert len(peaks) == len(expected) == count
    found = torch.cat([peaks.q, torch.stack([peaks.energy, peaks.error, peaks.intensity], dim=1)], dim=1)
    np.testing.assert_array_equal(found, np.array(expected))
    assert peaks.search.tolist() == [search] * count
    assert peaks.temperature is None


def test_the_same_modes_as_a_list(measured):
    """LuVO3: the same energies as the SpinW table; one of the errors was changed by whoever made the list."""
    listed = read_peaks(measured("peaks/LuVO3_modes.txt"), LUVO3)
    table = read_peaks(measured("peaks/LuVO3_fitted_modes_spinw.txt"), LUVO3)
    torch.testing.assert_close(listed.q, table.q)
    torch.testing.assert_close(listed.energy, table.energy)
    changed = (listed.error - table.error).abs() > 1e-9
    assert listed.error[changed].tolist() == [0.1]
    assert table.error[changed].tolist() == [0.0933]


def test_jarosite_peaks_lie_where_the_published_fit_puts_them(measured):
    path = measured("peaks/sw_KFe3J.txt")
    rows = np.loadtxt(path, delimiter=",")
    lattice = Lattice(7.33009, 7.33009, 17.1374, 90, 90, 120)
    peaks = read_peaks(path, lattice, **JAROSITE)
    different = np.unique(np.delete(np.where(rows[:, :1] == 0, rows * [1, 1, 1, 1, 0, 0], rows), 4, axis=1), axis=0)
    assert len(peaks) == len(different) == 37  # at Gamma, branches and directions are one peak
    x = lattice.to_cartesian(peaks.q).norm(dim=1) * lattice.a / 2
    np.testing.assert_allclose(np.unique(x.numpy().round(9)), np.unique(rows[:, 0]), atol=1e-9)
    assert peaks.q_error.shape == (37, 1, 3)
    by_q = peaks.q_error[:, 0].any(dim=1)
    assert set(peaks.energy[by_q].tolist()) == {3.0, 4.0, 5.0, 5.5, 9.5, 11.0, 13.0, 14.0, 15.0}  # where E was held
    spread = lattice.to_cartesian(peaks.q_error[by_q, 0]).norm(dim=1) * lattice.a / 2
    slope = peaks.error[by_q] / spread  # the error in energy is the one in q times a velocity, the same for all but two
    assert int((slope - 11.0267).abs().lt(0.02).sum()) == int(by_q.sum()) - 2 == 10


@pytest.mark.parametrize(
    ("name", "lines", "count", "first", "last"),
    [
        ("sw_ZnCVO.txt", {1: ((0, 0, 0), (0, 1, 0)), 2: ((0, 2, 0), (1, 0, 0))}, 41, [0, 1.875, 0, 2.939, 0.05], [1, 2, 0, 4.96, 0.13]),
        ("sw_aCVO.txt", {1: ((0, 1.75, 0), (1, 0, 0)), 2: ((0, 0, 0), (0, 1, 0)), 3: ((0, 2, 0), (0, 0, 1))}, 55, [0.1, 1.75, 0, 0.716, 0.069], [0, 2, 0.2, 5.7, 0.46]),
    ],
)  # fmt: skip
def test_vanadate_peaks(name, lines, count, first, last, measured):
    """Columns and lines of q as the published fits of these tables use them (lmfit_ZnCVO.py, lmfit_cvo.py).

    Rows behind # are left out; in ZnCVO (0, 2, 0) is on both lines: two peaks that are listed twice.
    """
    path = measured(f"peaks/{name}")
    columns = ("x", "energy", "error", "branch", "direction")
    peaks = read_peaks(path, Lattice(7.689, 8.0289, 10.1065, 90, 110.252, 90), columns=columns, lines=lines)
    text = path.read_bytes().replace(b"\r", b"\n").decode().split("\n")
    rows = [line for line in text if line.strip() and not line.strip().startswith("#")]
    assert len(peaks) == count == len(rows) - (2 if "Zn" in name else 0)
    for at, expected in ((0, first), (-1, last)):
        assert [*peaks.q[at].tolist(), float(peaks.energy[at]), float(peaks.error[at])] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bi2fe4o9/in20_fitted_modes.txt", "is a table of peaks and no spectrum; in a config it goes into [measurements.NAME]"),
        ("peaks/LuVO3_modes.txt", "is a table of peaks and no spectrum; in a config it goes into [measurements.NAME]"),
        ("peaks/sw_KFe3J.txt", "is a table of numbers that does not name its columns; if they are peaks, it goes into [measurements.NAME]"),
    ],
)  # fmt: skip
def test_peaks_are_no_spectrum(name, message, measured):
    with pytest.raises(InputError) as caught:
        read(measured(name))
    assert message in str(caught.value)


@pytest.mark.parametrize(("name", "kind"), [("bi2fe4o9/in20/091217", "ill"), ("mnf2/mnf2_powder.mat", "mat")])
def test_a_spectrum_is_no_table_of_peaks(name, kind, measured):
    with pytest.raises(
        InputError, match=rf"is a spectrum \({kind}\) and no table of peaks, .*; read it with read\(path\)"
    ):
        read_peaks(measured(name), BI2FE4O9)
