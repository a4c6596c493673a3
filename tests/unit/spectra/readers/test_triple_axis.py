"""Triple-axis scans on files made here: what is computed, what is unmeasured, and one sentence for what is wrong."""

import numpy as np
import pytest
import torch

from sqwirrel import limits
from sqwirrel.errors import InputError
from sqwirrel.spectra import read
from sqwirrel.spectra.readers.triple_axis.plane import plane_of

SPICE = """# scan = 7
# command = scan e 1 2 1
# builtin_command = scan e 1 2 1
{header}# latticeconstants = 4.000000,4.000000,6.000000,90.000000,90.000000,90.000000
# ubmatrix = 0.25,0,0,0,0.25,0,0,0,0.166667
# plane_normal = 0.000000,0.000000,1.000000
# def_x = e
# def_y = detector
# col_headers =
#   Pt. h k l e time detector monitor mcu ei ef tsample temp
{rows}# Sum of Counts = 9
"""
ROWS = "1 0.5 0 0 1.0 9.0 4 900 1.0 6.0 5.0 1.5 300\n# motor stopped\n2 0.5 0 0 2.0 0.0 0 0 1.0 7.0 5.0 1.7 300\n"

ILL = """RRRR
  000012      1      0
ILL TAS data in the new ASCII format follow after the line VV...V
VVVV
FILE_: 000012
POSQE: QH=  1.0000, QK=  0.5000, QL=  0.2500, EN=   2.0000, UN={unit}
STEPS: {steps}
PARAM: FX= {fx}, KFIX=   1.55000
PARAM: AS=   4.00000, BS=   5.00000, CS=   6.00000
PARAM: AA= 90.0000, BB= 90.0000,CC= 90.0000
PARAM: AX=   1.000, AY=   0.000, AZ=   0.000
PARAM: BX=   0.000, BY=   1.000, BZ=   1.000
DATA_:
 {table}
"""


def written(tmp_path, text, name="a.dat"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path / name


def spice(rows=ROWS, header=""):
    return SPICE.format(rows=rows, header=header)


def ill(table, steps="EN= 0.5", unit="meV", fx="2."):
    return ILL.format(table=table, steps=steps, unit=unit, fx=fx)


def test_a_point_without_monitor_is_unmeasured_whatever_mcu_says(tmp_path):
    spectrum = read(written(tmp_path, spice()))
    assert spectrum.valid[:, 0].tolist() == [True, False]
    assert spectrum.intensity[0, 0] == 4
    assert spectrum.error[0, 0] == 2
    measurement = spectrum.measurement
    assert measurement.exposure[0, 0] == 900
    assert measurement.exposure_unit == "monitor"
    assert measurement.energy.tolist() == [[1, 1], [2, 2]]
    assert (measurement.incident_energy, measurement.final_energy, measurement.temperature) == (None, 5.0, 1.5)
    assert measurement.points.scan.tolist() == [7, 7]
    assert measurement.points.plane.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_a_dead_monitor_leaves_time(tmp_path):
    rows = "1 0 0 0 1.0 9.0 4 0 0.0 6.0 5.0 1.5 300\n2 0 0 0 2.0 3.0 0 0 0.0 7.0 5.0 1.7 300\n"
    spectrum = read(written(tmp_path, spice(rows)))
    assert spectrum.measurement.exposure[:, 0].tolist() == [9, 3]
    assert spectrum.measurement.exposure_unit == "time"
    assert spectrum.valid.all()
    assert spectrum.measurement.temperature == pytest.approx(1.6)


def test_the_incident_energy_is_named_where_it_stands_still(tmp_path):
    rows = "1 0 0 0 1.0 9.0 4 9 1 6.0 5.0 1.5 300\n2 0 0 0 2.0 3.0 0 9 1 6.0 4.0 9.7 300\n"
    measurement = read(written(tmp_path, spice(rows))).measurement
    assert (measurement.incident_energy, measurement.final_energy) == (6.0, None)
    assert measurement.temperature is None  # from 1.5 to 9.7 K is not one temperature


def test_a_name_that_is_not_utf8_does_no_harm(tmp_path):
    text = spice(header="# users = J. M\xfcller\n").encode("latin-1")
    assert read(written(tmp_path, text)).measurement.shape == (2, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (spice(rows=""), "a.dat has no points: the scan was stopped before the first one"),
        (spice(rows="1 0.5 0 0 1.0 0.0 0 0 1.0 6.0 5.0 1.5 300\n"), "a.dat counted nothing: the monitor is 0 in all of its points (1), the scan was stopped"),
        (spice()[:280], "a.dat ends before the names of its columns (col_headers); fetch a complete copy"),
        (spice().replace(" 1.7 300\n", "\n"), "line 13 of a.dat has 11 values for 13 columns; it may be truncated"),
        (spice().replace("detector monitor", "preamp monitor"), "a.dat has no column of counts (detector or cnts or counts), only pt., h, k, l, e, time, preamp, monitor, ...; fetch a complete copy"),
        (spice().replace("# Pt. h k", "# Pt. s1 s2").replace("#   Pt. h k", "#   Pt. s1 s2"), "a.dat has no column of h (h or qh or qx or q(x)), only pt., s1, s2, l, e, time, detector, monitor, ...; a scan of angles alone does not say where it went"),
        (spice().replace("1.0 9.0 4", "1.0 9.0 ****"), "line 11 of a.dat has '****' in the column 'detector'; expected a number"),
        (spice().replace("1 0.5 0", "1 nan 0"), "line 11 of a.dat has 'nan' in the column 'h'; expected a number"),
        (spice().replace("9.0 4 900", "9.0 -4 900"), "a.dat has -4 counts in a point; expected none below 0"),
        (spice().replace("4.000000,4.000000,", "4.000000,"), "a.dat has 5 numbers for latticeconstants; expected 6"),
        (spice().replace("4.000000,4.000000,", "4.000000,x,"), "a.dat has latticeconstants = 'x'; expected a number"),
        (spice(header="# preset_type = countfile\n"), "a.dat counts each point several times (a countfile, as for polarised neutrons), which is not read; write one table a state"),
        (ill("PNT QH QK QL EN M1 CNTS\n 1 1 0 0 2 9 3")[:300], "a.dat ends before its data (DATA_:); fetch a complete copy"),
        (ill("PNT QH QK QL EN M1 CNTS\n 1 1 0 0 2 9"), "line 15 of a.dat has 6 values for 7 columns; it may be truncated"),
        (ill("1 1 0 0 2 9"), "a.dat does not name its columns after DATA_:; fetch a complete copy"),
        (ill("PNT QH QK QL EN M1 CNTS PAL\n 1 1 0 0 2 9 3 1"), "a.dat mixes states of polarisation (PAL), which is not read; write one table a state"),
        (ill("PNT QH QK QL EN M1 CNTS\n 1 1 0 0 2 9 3", unit="THz"), "a.dat gives energies in THz; only meV is read: convert its EN column"),
        (ill("PNT QH QK QL EN M1 CNTS\n 1 1 0 0 2 9 3", fx="3."), "a.dat does not say by FX = 1 or 2 whether k_i or k_f was held"),
        (ill("PNT GU M1 CNTS\n 1 1.5 9 3", steps="GU = 1.0"), "a.dat has no column of energy (e or en), only pnt, gu, m1, cnts; a scan of angles alone does not say where it went"),
        (ill("PNT A3 M1 CNTS\n 1 1.5 9 3", steps="A3 = 1.0"), "a.dat has no column of h (h or qh or qx or q(x)), only pnt, a3, m1, cnts; a scan of angles alone does not say where it went"),
        ("#ICE 0.4\n#Lattice 4 4 6 90 90 90\n", "a.dat ends before the names of its columns (#Columns); fetch a complete copy"),
        ("#ICE 0.4\n#Columns QX QY QZ E Monitor Detector\n1 0 0 2 9 3\n", "a.dat does not say by '#FixedE Ef 14.7' or Ei which energy was held"),
        ("#ICE 0.4\n#FixedE Ef 14.7\n#Columns QX QY QZ E Monitor Detector\n1 0 0 2 9 3\n", "a.dat has no '#Lattice' in its header; it is needed to place the points"),
        ("'a.ng5' 'Jan' 'Q' 9. 1 'NEUT' 1 'RAW'\n Filename Date Scan Mon Prf Base #pts Type\n", "a.dat ends before the names of its columns; fetch a complete copy"),
        ("a.ng5\n Filename Date Scan Mon Prf Base #pts Type\n", "a.dat has 'a.ng5' for its first line; expected file, date, type and monitor"),
        (spice() + " " * 20000 + "\0", "a.dat is binary from byte"),
    ],
)  # fmt: skip
def test_a_bad_scan_gets_one_sentence(text, message, tmp_path):
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, text))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_too_much_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_LINES", 1)
    with pytest.raises(InputError, match=r"a\.dat has more than 1 lines; no more are read"):
        read(written(tmp_path, spice()))
    monkeypatch.setattr(limits, "LONGEST", 2**8)
    with pytest.raises(InputError, match=r"a\.dat holds more than 256 bytes of text; no more are read: split it"):
        read(written(tmp_path, spice()))


def test_coordinates_that_stand_still_are_those_of_posqe(tmp_path):
    spectrum = read(written(tmp_path, ill("PNT EN M1 CNTS\n 1 2.01 9 3\n 2 2.51 9 4\n", steps="QH= 0.0, EN= 0.5")))
    assert spectrum.measurement.points.q.tolist() == [[1.0, 0.5, 0.25]] * 2
    assert spectrum.measurement.energy[:, 0].tolist() == [2.01, 2.51]


def test_a_turned_crystal_stays_in_its_plane(tmp_path):
    """The plane holds (1, 0, 0) and (0, 1, 1), so l = k; turning the crystal leaves E where POSQE has it."""
    spectrum = read(written(tmp_path, ill("PNT A3 QH QK M1 CNTS\n 1 9.0 0.9 0.6 9 3\n", steps="A3= 0.5", fx="1.")))
    assert spectrum.measurement.points.q.tolist() == [[0.9, 0.6, 0.6]]
    assert spectrum.measurement.energy.tolist() == [[2.0, 2.0]]
    assert spectrum.measurement.incident_energy == pytest.approx(4.978, abs=1e-3)  # 2.072 k^2


def test_counts_of_a_multidetector_are_left_out(tmp_path):
    text = ill("PNT QH QK QL EN M1 CNTS\n 1 1 0 0 2 9 3\nMULTI:\n 1 2 3\n")
    assert read(written(tmp_path, text)).intensity.tolist() == [[3]]


def test_a_field_stands_on_the_plane(tmp_path):
    text = (
        "#ICE 0.4\n#FixedE Ei 14.7\n#Lattice 4 4 6 90 90 120\n#Orient 1 0 0 0 0 1\n#Signal 6 Detector\n"
        "#Columns QX QY QZ E Monitor Detector MagField Temp\n1 0 0 2 9 3 5.0 N/A\n1 0 0 3 9 3 5.0 N/A\n"
    )
    measurement = read(written(tmp_path, text, "scan0042.bt7")).measurement
    normal = measurement.points.lattice.to_cartesian(measurement.points.plane) @ measurement.field
    assert float(measurement.field.norm()) == pytest.approx(5.0)
    assert normal.tolist() == pytest.approx([0, 0], abs=1e-12)
    assert measurement.temperature is None
    assert measurement.points.scan.tolist() == [42, 42]
    with pytest.raises(InputError, match="a field of 5 T, but no scattering plane"):
        read(written(tmp_path, text.replace("#Orient 1 0 0 0 0 1\n", "")))


def test_the_plane_of_a_matrix_is_found_in_small_integers():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn = turn * np.sign(np.linalg.det(turn))
    ub = turn @ np.diag([0.2, 0.25, 0.1])
    for u, v in (((1, 1, 0), (0, 0, 1)), ((1, 0, 0), (0, 1, 2)), ((0.31, 0.87, 0.2), (0.1, 0.4, -0.93))):
        normal = np.cross(ub @ u, ub @ v)
        plane = plane_of(ub, normal)
        assert np.abs(plane @ ub.T @ normal).max() < 1e-12 * np.linalg.norm(normal)
        assert np.cross(*(plane @ ub.T)) @ normal > 0
    assert plane_of(ub, np.cross(ub @ (1, 1, 0), ub @ (0, 0, 1))).tolist() == [[0, 0, 1], [1, 1, 0]] or torch.tensor(
        plane_of(ub, np.cross(ub @ (1, 1, 0), ub @ (0, 0, 1)))
    ).abs().tolist() == [[1, 1, 0], [0, 0, 1]]
    assert plane_of(np.zeros((3, 3)), np.ones(3)) is None
