"""Readers on files made here: exact round trips, and one sentence for each kind of bad input."""

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Measurement, QPath, QShells, Spectrum, read, write

NAN = float("nan")
EXPECTED = "expected one of the formats that `sqwirrel list` names"
TABLES = (
    "expected, between commas, Q [1/angstrom],energy [meV],intensity,error (powder map), h [rlu],k [rlu],l [rlu],"
    "energy [meV],intensity,error (crystal) or h,k,l,energy,error (peaks)"
)


def matrix(rows):
    return torch.tensor(rows, dtype=torch.float64)


def powder(**conditions):
    measurement = Measurement(
        QShells([0.1, 0.2, 0.3]), [0.0, 1.0, 2.0, 3.0], conditions.pop("temperature", None), **conditions
    )
    return Spectrum.from_arrays(matrix([[1, 0, NAN], [0.1, 1 / 3, 6]]), matrix([[1, 0, NAN], [1, 2, 3]]), measurement)


def path():
    lattice = Lattice(4.1, 5.2, 6.3, 80.0, 95.0, 110.0)
    points = QPath(lattice, [[0.0, 0.1, 0], [0.5, 0.1, 0]], np.diag([0.5, 0.1, 0.0]))
    measurement = Measurement(points, [0.0, 1.0, 2.0], 1.7, field=[0.0, 0.0, 7.0], incident_energy=25.0)
    return Spectrum.from_arrays(matrix([[1, 2], [3, 0]]), matrix([[1, 1.4], [1.7, 0]]), measurement, is_counts=True)


def cornered():
    lattice = Lattice(4.1, 5.2, 6.3, 80.0, 95.0, 110.0)
    points = QPath.along(lattice, [[0.0, 0.1, 0], [0.5, 0.1, 0], [0.5, 0.4, 0]], across=0.1)
    return Spectrum.from_arrays(matrix([[1], [3], [2]]), matrix([[1], [2], [1]]), Measurement(points, [0.0, 1.0], 1.7))


def assert_equal(first, second):
    assert torch.equal(first.intensity, second.intensity)
    assert torch.equal(first.error, second.error)
    assert torch.equal(first.valid, second.valid)
    assert first.is_counts == second.is_counts
    a, b = first.measurement, second.measurement
    assert (a.temperature, a.incident_energy) == (b.temperature, b.incident_energy)
    assert torch.equal(a.energy, b.energy)
    assert torch.equal(a.field, b.field)


@pytest.mark.parametrize("spectrum", [powder(), powder(temperature=5.0, incident_energy=12.3), path(), cornered()])
def test_hdf5_gives_back_exactly_what_was_written(spectrum, tmp_path):
    write(tmp_path / "a.h5", spectrum)
    again = read(tmp_path / "a.h5")
    assert_equal(again, spectrum)
    points, expected = again.measurement.points, spectrum.measurement.points
    assert type(points) is type(expected)
    if isinstance(points, QShells):
        assert torch.equal(points.edges, expected.edges)
    else:
        assert torch.equal(points.q, expected.q)
        assert torch.equal(points.box, expected.box)
        assert torch.equal(points.lattice.vectors, expected.lattice.vectors)
        assert (points.lattice.a, points.lattice.gamma) == (4.1, 110.0)


def test_a_turned_lattice_stays_turned(tmp_path):
    turned = Lattice.from_vectors(matrix([[0, 4, 0], [-4, 0, 0], [0, 0, 5]]))
    points = QPath(turned, [[0.0, 0, 0]], np.zeros((3, 3)))
    spectrum = Spectrum.from_arrays(matrix([[1.0]]), matrix([[1.0]]), Measurement(points, [0.0, 1.0], 2.0))
    write(tmp_path / "a.h5", spectrum)
    assert torch.equal(read(tmp_path / "a.h5").measurement.points.lattice.vectors, turned.vectors)


def test_a_reader_is_chosen_by_content(tmp_path):
    write(tmp_path / "a.h5", powder())
    (tmp_path / "a.h5").rename(tmp_path / "a.csv")
    assert_equal(read(tmp_path / "a.csv"), powder())


def test_csv_gives_back_values_and_conditions(tmp_path):
    write(tmp_path / "a.csv", powder(temperature=5.0, incident_energy=12.3))
    again = read(tmp_path / "a.csv")
    torch.testing.assert_close(again.intensity, powder().intensity, rtol=0, atol=0)
    assert torch.equal(again.valid, powder().valid)
    torch.testing.assert_close(again.measurement.points.edges, powder().measurement.points.edges)
    assert (again.measurement.temperature, again.measurement.incident_energy) == (5.0, 12.3)


def test_csv_converts_units_and_takes_rows_in_any_order(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("energy [THz],Q [1/nm],error,counts\n1,20,1,4\n0,20,1,3\n1,10,1,2\n0,10,,\n")
    spectrum = read(file)
    assert spectrum.is_counts
    assert spectrum.measurement.points.centres.tolist() == pytest.approx([1.0, 2.0])
    assert spectrum.measurement.energy_centres.tolist() == pytest.approx([0.0, 4.135667696])
    assert spectrum.intensity.tolist() == [[0, 2], [3, 4]]
    assert spectrum.valid.tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Q [1/angstrom],energy [K],intensity,error\n", "column 'energy' of a.csv: unit 'K' cannot be converted to meV; write a unit of the same kind as meV, or multiply by 0.0861733 meV / K"),
        ("Q,energy [meV],intensity,error\n1,2,3,4\n", "a.csv gives no unit for 'Q'; write 'Q [1/angstrom]' in the header"),
        ("Q [1/A],energy [meV],intensity\n", "a.csv has no column 'error', only Q, energy, intensity; expected, between commas, the header Q [1/angstrom],energy [meV],intensity,error"),
        ("Q [1/A],energy [meV],intensity,error\n", "a.csv has a header but no rows"),
        ("Q [1/A],energy [meV],intensity,error\n1,2,x,4\n", "line 2 of a.csv is '1,2,x,4'; expected 4 numbers"),
        ("Q [1/A],energy [meV],intensity,error\n1,2,3\n", "line 2 of a.csv has 3 fields; the header has 4"),
        ("Q [1/A],energy [meV],intensity,error\n1,1,1,1\n1,2,1,1\n2,1,1,1\n", "a.csv has 3 rows for 2 values of Q and 2 of energy; expected each pair once (4 rows; leave intensity empty where unmeasured)"),
        ("Q [1/A],energy [meV],intensity,error\n1,1,1,1\n1,2,1,1\n", "a.csv has one value of Q or of energy only; bin widths need two along each axis"),
        ("Q [1/A],energy [meV],intensity,error\n1,1,,\n1,2,,\n2,1,,\n2,2,,\n", "a.csv has no measured bin: all 4 are NaN or masked; check the reduction that made it"),
        ("# temperature [K]: cold\nQ [1/A],energy [meV],intensity,error\n1,1,1,1\n1,2,1,1\n2,1,1,1\n2,2,1,1\n", "a.csv: the temperature is 'cold'; expected a number"),
        ("hello\n", f"a.csv is a text file that begins with 'hello', which no reader knows; {EXPECTED}"),
        ("", f"a.csv is empty; {EXPECTED}"),
        ("q,dE,signal,err\n1,2,3,0.1\n", f"a.csv has the columns q, dE, signal, err (between commas), which no reader knows; {TABLES}"),
        ("made by me\n# Q [1/A]; energy (meV); I; dI\n1; 2; 3; 0.1\n", f"a.csv has the columns Q, energy, I, dI (between semicolons), which no reader knows; {TABLES}"),
        ("q\tom\tS\te\n1\t2\t3\t0.1\n", f"a.csv has the columns q, om, S, e (between tabs), which no reader knows; {TABLES}"),
        ("q om S e\n1 2 3 0.1\n", f"a.csv has the columns q, om, S, e (between blanks), which no reader knows; {TABLES}"),
        ("q om S\n1 2 3 0.1\n", f"a.csv is a text file that begins with 'q om S', which no reader knows; {EXPECTED}"),
    ],
)  # fmt: skip
def test_a_bad_table_gets_one_sentence(text, message, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.csv")
    assert str(caught.value) == message


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file '.*gone\.h5'; check the path"):
        read(tmp_path / "gone.h5")
    with pytest.raises(InputError, match="is a folder; give the file in it that holds what is to be read"):
        read(tmp_path)


@pytest.mark.parametrize("part", [20, 0.3, 0.9])
def test_a_truncated_file_is_said_to_be_truncated(part, tmp_path):
    write(tmp_path / "a.h5", powder())
    content = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(content[: part if part > 1 else int(part * len(content))])
    with pytest.raises(
        InputError, match=r"a\.h5 is an HDF5 file that is truncated or damaged .*; fetch a complete copy"
    ):
        read(tmp_path / "a.h5")


def test_a_newer_version_is_refused(tmp_path):
    write(tmp_path / "a.h5", powder())
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["version"] = 3
    with pytest.raises(InputError, match=r"a\.h5 has the format version 3; this sqwirrel reads 1 and 2"):
        read(tmp_path / "a.h5")


def test_foreign_hdf5_is_described(tmp_path):
    with h5py.File(tmp_path / "raw.nxs", "w") as file:
        file["entry/instrument/detector/time_of_flight"] = np.arange(3.0)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["things/a"] = 1
    with pytest.raises(InputError, match=r"raw\.nxs is raw time-of-flight data.* reduce it first"):
        read(tmp_path / "raw.nxs")
    with pytest.raises(
        InputError, match=r"other\.h5 is an HDF5 file that no reader knows, with the groups \['things'\]"
    ):
        read(tmp_path / "other.h5")


def mat_struct(**changes):
    axes = np.empty(2, dtype=object)
    axes[:] = [np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.0])]
    labels = {"x": "Energy Transfer (meV)", "y": "$|Q|$ (1/A)"}
    return {"x": axes, "y": np.array([[1.0, 0, NAN], [4, 5, 6]]), "e": np.ones((2, 3)), "labels": labels} | changes


def test_mat_keeps_zeros_and_marks_nan(tmp_path):
    savemat(tmp_path / "a.dat", mat_struct())
    spectrum = read(tmp_path / "a.dat")
    assert spectrum.valid.tolist() == [[True, True, False], [True, True, True]]
    assert spectrum.measurement.points.edges.tolist() == [0.25, 0.75, 1.25]
    assert spectrum.measurement.energy.tolist() == [-0.5, 0.5, 1.5, 2.5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"e": np.ones((3, 2))}, "a.mat has y of shape (2, 3) and e of (3, 2); expected one 2-D shape"),
        ({"labels": {"x": "time", "y": "|Q|"}}, "a.mat labels its axes ['time', '|Q|']; expected one with 'Energy' (meV) and one with '|Q|' (1/angstrom)"),
        ({"y": np.ones((5, 3)), "e": np.ones((5, 3))}, "a.mat has 2 |Q| values and 3 energies for y of shape (5, 3); expected y as (|Q|, energy)"),
        ({"y": "text"}, "the variable y of a.mat does not hold numbers"),
    ],
)  # fmt: skip
def test_a_bad_mat_file_gets_one_sentence(changes, message, tmp_path):
    savemat(tmp_path / "a.mat", mat_struct(**changes))
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.mat")
    assert str(caught.value) == message


def test_a_truncated_mat_file_is_refused(tmp_path):
    savemat(tmp_path / "a.mat", mat_struct())
    (tmp_path / "a.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:300])
    with pytest.raises(InputError, match=r"a\.mat is a MATLAB file"):
        read(tmp_path / "a.mat")


def test_nothing_half_written_stays_behind(tmp_path):
    uneven = Measurement(QShells([0.0, 1.0, 5.0, 6.0]), [0.0, 1.0, 2.0], None)
    spectrum = Spectrum.from_arrays(torch.ones(3, 2).double(), torch.ones(3, 2).double(), uneven)
    with pytest.raises(InputError, match=r"CSV holds even bins only and the \|Q\| bins are not"):
        write(tmp_path / "a.csv", spectrum)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.xls", "cannot write 'a.xls': the name must end in .h5 or .csv"),
        ("nowhere/a.h5", "there is no folder"),
    ],
)
def test_where_a_file_cannot_go_is_said(name, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write(tmp_path / name, powder())


def test_a_path_does_not_fit_a_table(tmp_path):
    with pytest.raises(InputError, match=r"CSV holds powder maps and full grids only; write this spectrum as \.h5"):
        write(tmp_path / "a.csv", path())
