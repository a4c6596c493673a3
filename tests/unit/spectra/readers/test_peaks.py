"""Tables of peaks made here: what is read of them, and one sentence for what is wrong."""

import pytest

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Peaks, is_peaks, read, read_peaks

CUBIC = Lattice(4.0, 4.0, 4.0)


def written(tmp_path, text):
    (tmp_path / "p.txt").write_text(text, newline="")
    return tmp_path / "p.txt"


def test_a_table_with_everything(tmp_path):
    text = (
        "# lattice [angstrom, degrees]: 5 5 6 90 90 120\n# temperature [K]: 1.5\n"
        "h, k, l, energy, error, intensity, intensity_error, fwhm, h_error\n"
        "0.5, 0, 0, 3, 0.1, 7, 1, 0.5, 0  # a good one\n\n0.6, 0, 0, 4, 0.2, 0, 1, 0.5, 0.01\n"
    )
    peaks = read_peaks(written(tmp_path, text))
    assert (peaks.lattice.c, peaks.lattice.gamma, peaks.temperature) == (6.0, 120.0, 1.5)
    assert peaks.q.tolist() == [[0.5, 0, 0], [0.6, 0, 0]]
    assert peaks.energy.tolist() == [3, 4]
    assert peaks.error.tolist() == [0.1, 0.2]
    assert peaks.intensity.tolist() == [7, 0]  # one mode a row: a measured 0 stays
    assert peaks.intensity_error.tolist() == [1, 1]
    assert peaks.fwhm.tolist() == [0.5, 0.5]
    assert peaks.q_error.tolist() == [[[0, 0, 0]], [[0.01, 0, 0]]]
    assert peaks.search is None


def test_units_of_columns_are_converted(tmp_path):
    text = "h [rlu],k [rlu],l [rlu],energy [THz],error [THz]\n0,0,1,1,0.1\n"
    peaks = read_peaks(written(tmp_path, text), CUBIC)
    assert peaks.energy.tolist() == pytest.approx([4.135667696])
    assert peaks.error.tolist() == pytest.approx([0.4135667696])


def test_energies_without_a_unit_have_that_of_the_peak(tmp_path):
    """The error of each mode that of its energy, the range of all that of the first."""
    text = "h,k,l,EMIN,EMAX,I1,EN1 [THz],sigma1,I2,EN2 [eV],sigma2\n0,0,1,0.5,4,1,2,0.1,1,0.01,0.001\n"
    peaks = read_peaks(written(tmp_path, text), CUBIC)
    assert peaks.energy.tolist() == pytest.approx([2 * 4.135667696, 10])
    assert peaks.error.tolist() == pytest.approx([0.4135667696, 1])
    assert peaks.search[0].tolist() == pytest.approx([0.5 * 4.135667696, 4 * 4.135667696])
    own = read_peaks(written(tmp_path, "h,k,l,energy [THz],error [meV]\n0,0,1,1,0.1\n"), CUBIC)
    assert own.error.tolist() == [0.1]


@pytest.mark.parametrize(
    ("lattice", "edges"),
    [
        ("[nm]: 0.5 0.6 0.7 90 90 120", [5, 6, 7, 120]),
        ("[A, rad]: 5 6 7 1.5707963267948966 1.5707963267948966 2", [5, 6, 7, 114.591559]),
        (": 5 6 7 90 90 90", [5, 6, 7, 90]),
    ],
)
def test_units_of_comments_are_converted(tmp_path, lattice, edges):
    text = f"# lattice {lattice}\n# temperature [mK]: 50\nh,k,l,energy,error\n0,0,1,1,0.1\n"
    peaks = read_peaks(written(tmp_path, text))
    cell = peaks.lattice
    assert [cell.a, cell.b, cell.c, cell.gamma] == pytest.approx(edges)
    assert peaks.temperature == pytest.approx(0.05)


def test_the_lattice_of_the_table_comes_first(tmp_path):
    text = "# lattice [angstrom, degrees]: 8 4 4 90 90 90\nh,k,l,energy,error\n0,0,1,1,0.1\n"
    assert read_peaks(written(tmp_path, text), CUBIC).lattice.a == 8


def test_modes_of_intensity_zero_are_not_there_and_repetitions_count_once(tmp_path):
    row = "0 0 0.5 2 20 1.5 7 0.1 0 0 0\r"
    text = f"QH QK QL EMIN EMAX I1 EN1 sigma1 I2 EN2 sigma2\r{row}0 0 0.6 2 20 1.5 7 0.1 2 9 0.2\r{row}"
    peaks = read_peaks(written(tmp_path, text), CUBIC)
    assert peaks.energy.tolist() == [7, 7, 9]
    assert peaks.q[:, 2].tolist() == [0.5, 0.6, 0.6]
    assert peaks.search.tolist() == [[2, 20]] * 3
    assert peaks.intensity.tolist() == [1.5, 1.5, 2]


def test_the_table_of_spinw(tmp_path):
    text = "QH QK QL minE maxE I1 E1 s1\n[Sperp]\n0 0 0.5 2 20 1.5 7 0.1\n0 0 0.6 2 20 1.5 0 0.1\n"
    peaks = read_peaks(written(tmp_path, text), CUBIC)
    assert (peaks.energy.tolist(), peaks.error.tolist(), peaks.search.tolist()) == ([7], [0.1], [[2, 20]])
    with pytest.raises(InputError, match=r"p\.txt has peaks of the correlation \[Mxx\]; only those of S_perp are read"):
        read_peaks(written(tmp_path, text.replace("Sperp", "Mxx")), CUBIC)


def test_wavevectors_on_lines(tmp_path):
    path = written(tmp_path, "0.1, 3, 0.2, 1\n0.2, 4, 0.2, 2\n#0.3, 5, 0.2, 2\n")
    lines = {1: ((0, 1, 0), (2, 0, 0)), 2: ((0, 0, 0), (0, 0, -1))}
    peaks = read_peaks(path, CUBIC, columns=("x", "energy", "error", "direction"), lines=lines)
    assert peaks.q.tolist() == [[0.2, 1, 0], [0, 0, -0.2]]
    columns = ("x", "energy", "error", "x_error")
    spread = read_peaks(path, CUBIC, columns=columns, lines={1: ((0, 0, 0), (1, -1, 0))})
    assert spread.q_error.tolist() == [[[1, -1, 0]], [[2, -2, 0]]]  # one vector a peak: h and k err together


def test_errors_of_columns_are_independent(tmp_path):
    text = "h,k,l,energy,error,h_error,l_error,k_shift2,l_shift2\n0,0,1,2,1,0.01,0.02,0.1,-0.1\n"
    found = read_peaks(written(tmp_path, text), CUBIC).q_error
    assert found.tolist() == [[[0.01, 0, 0], [0, 0, 0.02], [0, 0.1, -0.1]]]


def test_only_an_error_beside_the_energy_makes_a_table_of_peaks(tmp_path):
    assert is_peaks(written(tmp_path, "h,k,l,energy,error,intensity\n0,0,1,2,3,4\n"))
    assert is_peaks(written(tmp_path, "# h k l E sigma\n0 0 1 2 3\n"))
    assert not is_peaks(written(tmp_path, "h,k,l,energy,intensity,error\n0,0,1,2,3,4\n"))
    assert not is_peaks(written(tmp_path, "Q [1/angstrom],energy [meV],intensity,error\n0,0,1,2\n"))


def test_what_a_table_leaves_open_is_told_beside_it(tmp_path):
    path = written(tmp_path, "h,k,l,energy,error\n0,0,1,2,0.1\n")
    (tmp_path / "p.txt.toml").write_text("lattice = [4, 5, 6, 90, 90, 120]\ntemperature = 3\n")
    peaks = read_peaks(path)
    assert (peaks.lattice.b, peaks.lattice.gamma, peaks.temperature) == (5.0, 120.0, 3.0)
    assert read_peaks(path, CUBIC).lattice is CUBIC
    path.write_text("# temperature [K]: 7\n" + path.read_text())
    assert read_peaks(path).temperature == 7


def test_six_numbers_are_a_lattice(tmp_path):
    path = written(tmp_path, "h,k,l,energy,error\n0,0,1,2,0.1\n")
    lattice = read_peaks(path, [5.2, 5.6, 7.5, 90, 90, 100]).lattice
    assert (lattice.a, lattice.c, lattice.gamma) == (5.2, 7.5, 100)
    with pytest.raises(InputError, match="a lattice has six numbers"):
        read_peaks(path, [5.2, 5.6, 7.5])


HEAD = "h,k,l,energy,error\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "p.txt has no rows; expected columns such as h,k,l,energy,error"),
        (HEAD + "0,0,1,2\n", "line 2 of p.txt has 4 values for 5 columns; it may be truncated"),
        (HEAD + "0,0,1,2,x\n", "line 2 of p.txt has 'x' in the column 'error'; expected a number"),
        (HEAD + "0,0,1,nan,1\n", "line 2 of p.txt has 'nan' in the column 'energy'; expected a number"),
        ("h,k,l,energy,error,h_error\n0,0,1,2,1,-1\n", "p.txt has a negative error of h, k or l; give one standard"),
        (HEAD + "0,0,1,2,0\n", "the error of a peak is 0 meV; it must be positive"),
        ("h,k,energy,error\n0,0,1,2\n", "p.txt has no column of l; if its wavevectors lie on lines, give columns with"),
        ("h k l energy\n0 0 1 2\n", "p.txt has no column of error for the energy; expected columns such as"),
        ("h,k,l,energy\n0,0,1,2\n", "p.txt is a spectrum (csv) and no table of peaks, which has an error beside each energy"),
        ("h,k,l,I1,EN1,sigma1,I2,EN2\n0,0,1,2,3,4,5,6\n", "p.txt has no column of error for the energy 2; expected columns"),
        ("h,k,l,I1,EN1,sigma1\n0,0,1,0,3,4\n", "p.txt holds no peak: all intensities are 0"),
        ("h,k,l,energy [K],error [K]\n0,0,1,0,3\n", "column 'energy [K]' of p.txt: unit 'K' cannot be converted to meV"),
        ("h [1/angstrom],k,l,energy,error\n0,0,1,2,3\n", "column 'h [1/angstrom]' of p.txt is not in rlu; give h, k, l"),
        ("# temperature [C]: 5\n" + HEAD + "0,0,1,2,3\n", "the temperature of p.txt: unit 'C' cannot be converted to K"),
        ("# lattice [nm, nm]: 5 5 5 5 5 5\n" + HEAD + "0,0,1,2,3\n", "the lattice of p.txt: unit 'nm' cannot be converted"),
        ("0,0,1,2,3\n", "p.txt does not name its columns; give them as columns=(...), expected columns such as"),
        ("", "p.txt does not name its columns; give them as columns=(...), expected columns such as"),
    ],
)  # fmt: skip
def test_a_bad_table_of_peaks_gets_one_sentence(text, message, tmp_path):
    with pytest.raises(InputError) as caught:
        read_peaks(written(tmp_path, text), CUBIC)
    assert str(caught.value).startswith(message)


def test_what_is_asked_for_is_said(tmp_path):
    path = written(tmp_path, HEAD + "0,0,1,2,1\n")
    with pytest.raises(InputError, match="does not tell its lattice; give one, or add the line '# lattice"):
        read_peaks(path)
    with pytest.raises(
        InputError, match=r"is a table of peaks and no spectrum; in a config .* read it with read_peaks"
    ):
        read(path)
    with pytest.raises(InputError, match="is to be read along lines but has no columns 'x' and 'direction'"):
        read_peaks(path, CUBIC, lines={1: ((0, 0, 0), (1, 0, 0))})
    columns = ("x", "_", "direction", "energy", "error")
    with pytest.raises(InputError, match="has the direction 1, for which lines gives no q"):
        read_peaks(path, CUBIC, columns=columns, lines={2: ((0, 0, 0), (1, 0, 0))})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"q": [[0, 0]]}, "q must hold one finite (h, k, l) a row"),
        ({"energy": [1.0, 2.0]}, "energy of peaks must hold finite numbers of the shape (1,), got (2,)"),
        ({"q_error": [[-0.1, 0, 0]]}, "the error of a wavevector is negative"),
        ({"q_error": [[[0.1, 0]]]}, "q_error of peaks must hold finite numbers of the shape (1, 1, 3), got (1, 1, 2)"),
        ({"fwhm": [-1.0]}, "the width of a peak is -1; it must not be negative"),
        ({"search": [[5.0, 2.0]]}, "an energy range that was searched ends below its start"),
        ({"temperature": -1.0}, "the temperature is -1.0 K; it must not be negative"),
    ],
)
def test_peaks_are_checked(changes, message):
    given = {"q": [[0.0, 0, 1]], "energy": [1.0], "error": [0.1], **changes}
    with pytest.raises(InputError) as caught:
        Peaks(CUBIC, given.pop("q"), given.pop("energy"), given.pop("error"), **given)
    assert str(caught.value).startswith(message)
