"""Text made here: .spe with its angles, DAVE's three formats, Euphonic's JSON, crystals in our CSV."""

import json

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from sqwirrel import limits
from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Beam, Measurement, QGrid, QShells, Spectrum, read, write

ANGLES = np.array([20.0, 22.0, 24.0])
ENERGY = np.linspace(-2.0, 10.0, 10)
COUNTS = np.arange(27.0).reshape(3, 9) + 1
GRID = 'axes = ["[H,H,0]", "energy"]\nlattice = [4, 4, 9, 90, 90, 90]\nranges = { "[-K,K,0]" = [-0.1, 0.1], "[0,0,L]" = [-1, 1] }'


def columns(numbers, form="{:10.4f}"):
    """Eight columns of ten characters a line."""
    cells = [form.format(x) for x in numbers]
    return "\n".join("".join(cells[n : n + 8]) for n in range(0, len(cells), 8)) + "\n"


def spe(values=COUNTS, errors=None, form="{:10.4f}"):
    errors = np.sqrt(values) if errors is None else errors
    out = f"{len(values):8d}{values.shape[1]:8d}\n### Phi Grid\n{columns(np.full(len(values) + 1, 57.3))}"
    out += f"### Energy Grid\n{columns(ENERGY)}"
    pairs = zip(values, errors, strict=True)
    return out + "".join(f"### S(Phi,w)\n{columns(v, form)}### Errors\n{columns(e, form)}" for v, e in pairs)


def phx():
    return "3\n" + "".join(
        f"{10:10d}{0:10d}{angle:10.4f}{5.0:10.4f}{2.0:10.4f}{1.0:10.4f}{1:10d}\n" for angle in ANGLES
    )


def par():
    width = 2 * 6 * np.tan(np.radians(1.0))
    return "3\n" + "".join(f"{6.0:10.4f}{a:10.4f}{-5.0:10.4f}{width:10.6f}{0.02:10.4f}{1:10d}\n" for a in ANGLES)


@pytest.fixture
def beside(tmp_path):
    """An .spe with its .phx."""
    (tmp_path / "a.spe").write_text(spe())
    (tmp_path / "a.phx").write_text(phx())
    return tmp_path / "a.spe"


def test_spe_is_the_map_that_nxspe_makes_of_the_same_detectors(tmp_path, beside):
    with h5py.File(tmp_path / "b.nxspe", "w") as file:
        entry = {
            "definition": np.array([b"NXSPE"]),
            "NXSPE_info/fixed_energy": np.array([20.0]),
            "data/data": COUNTS,
            "data/error": np.sqrt(COUNTS).round(4),
            "data/energy": ENERGY.round(4),
            "data/polar": ANGLES,
            "data/polar_width": np.full(3, 2.0),
        }
        for name, values in entry.items():
            file[f"any/{name}"] = values
    ours, theirs = read(beside, incident_energy=20.0), read(tmp_path / "b.nxspe")
    assert torch.equal(ours.valid, theirs.valid)
    torch.testing.assert_close(ours.intensity, theirs.intensity)
    torch.testing.assert_close(ours.error, theirs.error)
    assert ours.measurement.incident_energy == 20.0


def test_par_gives_the_angular_width_of_phx(beside):
    wide = read(beside, incident_energy=20.0)
    beside.with_suffix(".phx").unlink()
    beside.with_suffix(".par").write_text(par())
    torch.testing.assert_close(read(beside, incident_energy=20.0).intensity, wide.intensity, rtol=1e-3, atol=0)


def test_columns_need_no_space_between_them(beside):
    values = -COUNTS * 1000.1234
    beside.write_text(spe(values, np.abs(values)))
    assert "-1000.1234-2000.2468" in beside.read_text()
    spectrum = read(beside, incident_energy=20.0)
    assert float(spectrum.intensity.min()) < -20000


@pytest.mark.parametrize("mask", [-1e30, -1e20, np.nan])
def test_masked_bins_of_spe_are_unmeasured(beside, mask):
    values = COUNTS.copy()
    values[:, 4] = mask
    beside.write_text(spe(values, np.ones_like(values), "{:10.3g}"))
    valid = read(beside, incident_energy=20.0).valid
    assert not valid[:, 4].any()
    assert valid[:, 3].any()


def test_the_incident_energy_is_asked_for_and_told_beside_the_file(beside):
    with pytest.raises(InputError) as caught:
        read(beside)
    assert str(caught.value) == (
        "a.spe is a .spe file, which holds no incident energy; write incident_energy = 25.0 into a.spe.toml beside it, "
        "or incident_energy into [measurement] of the config"
    )
    beside.with_name("a.spe.toml").write_text("incident_energy = 20\ntemperature = 5")
    measurement = read(beside).measurement
    assert (measurement.incident_energy, measurement.temperature) == (20.0, 5.0)


def test_the_angles_are_asked_for(beside):
    beside.with_suffix(".phx").rename(beside.with_name("b.phx"))
    assert read(beside, incident_energy=20.0).valid.any()  # the only one in the folder
    beside.with_name("c.par").write_text(par())
    with pytest.raises(
        InputError, match=r"there are 2 \.phx and \.par files beside it \(b\.phx, c\.par\); put one there"
    ):
        read(beside, incident_energy=20.0)
    beside.with_suffix(".phx").write_text(phx().replace("3\n", "4\n", 1))
    with pytest.raises(InputError, match=r"a\.phx holds 4 detectors, but a\.spe has 3; give the right file"):
        read(beside, incident_energy=20.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[: len(s) // 2], "says that it has 3 detectors and 9 energies, but has 5 sections; expected 8"),
        (lambda s: s.replace("    2.0000", "    wrong!"), "a.spe has the line"),
        (lambda s: s.replace("       3       9", "       3 2147483647"), "has 9 numbers in 'S(Phi,w)'"),
        (lambda s: s.replace("       3       9", "      -3       9"), "says that it has -3 detectors"),
    ],
)
def test_a_bad_spe_gets_one_sentence(beside, change, message):
    beside.write_text(change(spe()))
    with pytest.raises(InputError) as caught:
        read(beside, incident_energy=20.0)
    assert message in str(caught.value) or "at most 6291456 are read" in str(caught.value)


X, Y = np.array([-0.5, 0.0, 0.5]), np.array([1.0, 2.0, 3.0, 4.0])
VALUES, ERR = np.arange(12.0).reshape(3, 4), np.ones((3, 4))
VALUES[2, 3], ERR[2, 3] = -1e20, -1


def iexy():
    return "".join(f"{VALUES[a, b]:.6e} {ERR[a, b]:.6e} {X[a]} {Y[b]}\n" for a in range(3) for b in range(4))


def xyie():
    axes = "\n".join(map(str, X)) + "\n \n" + "\n".join(map(str, Y))
    rows = ("\n".join(" ".join(map(str, row)) for row in each.T) for each in (VALUES, ERR))
    return f"   3    4\n \n{axes}\n \n" + "\n \n".join(rows) + "\n"


def grp(unit="meV", scale=1.0, x_name="Energy transfer", y_name="|Q|"):
    out = f"# Number of {x_name} values\n4\n# Number of {y_name} values\n3\n# {x_name} ({unit}) values\n"
    out += (
        "\n".join(str(y * scale) for y in Y) + f"\n# {y_name} (1/Angstroms) values\n" + "\n".join(str(x + 1) for x in X)
    )
    groups = (f"# Group {a}\n" + "\n".join(f"{VALUES[a, b]} {ERR[a, b]}" for b in range(4)) for a in range(3))
    return out + "\n" + "\n".join(groups) + "\n"


@pytest.mark.parametrize(("name", "content"), [("a.iexy", iexy()), ("a.xyie", xyie())])
def test_dave_maps_are_read_once_their_axes_are_told(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(
        InputError, match=r"does not hold which of its two axes is energy; write axes = \[\"\[H,H,0\]\""
    ):
        read(tmp_path / name)
    (tmp_path / f"{name}.toml").write_text(GRID)
    spectrum = read(tmp_path / name)
    assert spectrum.measurement.points.axes.tolist() == [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]
    assert spectrum.measurement.points.edges[0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert spectrum.measurement.energy.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert spectrum.valid.tolist() == (VALUES > -1e19).tolist()
    np.testing.assert_array_equal(spectrum.intensity, np.where(VALUES > -1e19, VALUES, 0))


def test_either_axis_of_dave_may_be_the_energy_and_the_other_a_modulus(tmp_path):
    (tmp_path / "a.iexy").write_text(iexy())
    (tmp_path / "a.iexy.toml").write_text('axes = ["energy", "|Q|"]')
    spectrum = read(tmp_path / "a.iexy")
    assert isinstance(spectrum.measurement.points, QShells)
    np.testing.assert_array_equal(spectrum.intensity, np.where(VALUES > -1e19, VALUES, 0).T)


@pytest.mark.parametrize(("unit", "scale"), [("meV", 1.0), ("micro eV", 1000.0)])
def test_grp_names_its_axes_and_units(tmp_path, unit, scale):
    (tmp_path / "a.grp").write_text(grp(unit, scale))
    spectrum = read(tmp_path / "a.grp")
    assert spectrum.measurement.points.edges.tolist() == [0.25, 0.75, 1.25, 1.75]
    np.testing.assert_allclose(spectrum.measurement.energy, [0.5, 1.5, 2.5, 3.5, 4.5], rtol=1e-12)
    np.testing.assert_array_equal(spectrum.intensity, np.where(VALUES > -1e19, VALUES, 0))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.grp", grp()[:-40]),
        ("a.grp", grp().replace("\n4\n", "\n5\n", 1)),
        ("a.xyie", xyie()[:-20]),
        ("a.xyie", "0 4\n\n1\n"),
    ],
)
def test_a_damaged_map_of_dave_is_refused(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    (tmp_path / f"{name}.toml").write_text(GRID)
    with pytest.raises(InputError, match=rf"^{name} (has|says)"):
        read(tmp_path / name)


def euphonic(**changes):
    content = {
        "__euphonic_class__": "Spectrum2D",
        "x_data": [0.0, 10.0, 20.0],
        "x_data_unit": "1 / nanometer",
        "y_data": [0.0, 1.0, 2.0],
        "y_data_unit": "terahertz",
        "z_data": [[1.0, float("nan")], [3.0, 4.0]],
        "z_data_unit": "millibarn / millielectron_volt",
    }
    return json.dumps(content | changes)


def test_a_simulated_map_of_euphonic_has_no_errors(tmp_path):
    (tmp_path / "a.json").write_text(euphonic())
    spectrum = read(tmp_path / "a.json")
    np.testing.assert_allclose(spectrum.measurement.points.edges, [0, 1, 2])
    np.testing.assert_allclose(spectrum.measurement.energy, np.arange(3) * 4.135667696, rtol=1e-9)
    assert spectrum.valid.tolist() == [[True, False], [True, True]]
    assert not spectrum.error.any()


@pytest.mark.parametrize(
    ("unit", "size"), [("millielectron_volt", 1.0), ("1 / centimeter", 0.12398419843), ("electron_volt", 1000.0)]
)
def test_energies_of_euphonic_in_any_unit(tmp_path, unit, size):
    (tmp_path / "a.json").write_text(euphonic(y_data_unit=unit))
    np.testing.assert_allclose(read(tmp_path / "a.json").measurement.energy, np.arange(3) * size, rtol=1e-9)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (euphonic(__euphonic_class__="Spectrum1D"), "holds a Spectrum1D of Euphonic; only a Spectrum2D of"),
        (euphonic(x_data_unit=""), "has the unit '' along x; expected |Q| along x and energy along y"),
        (euphonic(z_data="no"), "'z_data' of a.json does not hold numbers"),
        (euphonic(z_data=[1.0]), "has z_data of shape (1,); expected (|Q|, energy)"),
        (euphonic(x_data=[1.0, 2.0, 3.0, 4.0]), "has 4 |Q| and 3 energies for (2, 2) bins"),
        (euphonic()[:-1], "is JSON that is damaged"),
    ],
)
def test_other_json_of_euphonic_is_refused(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.json")
    assert message in str(caught.value)


def crystal(**changes):
    made = {"axes": [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], "edges": ([-0.1, 0.1, 0.3], [-1.0, 0.0, 1.0], [0.2, 0.5])}
    made |= changes
    return QGrid(Lattice(5.0, 5.0, 14.0, gamma=120.0), made["axes"], made["edges"], (0.5, 0.0, 0.1), made.get("beam"))


@pytest.mark.parametrize("energy", [[0.0, 1.0, 2.0], [1.0, 1.5]])
@pytest.mark.parametrize("is_counts", [True, False])
def test_a_grid_survives_a_table(tmp_path, energy, is_counts):
    measurement = Measurement(crystal(), energy, 5.0, incident_energy=20.0)
    values = torch.arange(float(np.prod(measurement.shape))).double().reshape(measurement.shape)
    valid = values != 1
    spectrum = Spectrum.from_arrays(values, values.sqrt(), measurement, valid=valid, is_counts=is_counts)
    write(tmp_path / "a.csv", spectrum)
    again = read(tmp_path / "a.csv")
    for edges, expected in zip(again.measurement.points.edges, measurement.points.edges, strict=True):
        torch.testing.assert_close(edges, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(again.measurement.points.axes, measurement.points.axes)
    torch.testing.assert_close(again.measurement.points.q, measurement.points.q)
    torch.testing.assert_close(again.measurement.energy, measurement.energy, rtol=0, atol=1e-12)
    assert (
        again.measurement.points.lattice == measurement.points.lattice or again.measurement.points.lattice.gamma == 120
    )
    assert torch.equal(again.valid, valid)
    torch.testing.assert_close(again.intensity, torch.where(valid, values, 0.0))
    assert again.is_counts == is_counts
    assert (again.measurement.temperature, again.measurement.incident_energy) == (5.0, 20.0)


HEAD = "# lattice [angstrom, deg]: 4 4 9 90 90 90\nh [rlu],k [rlu],l [rlu],energy [meV],intensity,error\n"
ROWS = "".join(f"{h},0,0,{e},{10 * h + e},1\n" for e in (1, 2) for h in (0.5, 0.25))


def test_rows_of_a_crystal_come_in_any_order(tmp_path):
    (tmp_path / "a.csv").write_text("# widths [axis]: 1 0.1 0.3\n" + HEAD + ROWS)
    spectrum = read(tmp_path / "a.csv")
    assert [edges.tolist() for edges in spectrum.measurement.points.edges] == [
        [0.125, 0.375, 0.625],
        [-0.05, 0.05],
        [-0.15, 0.15],
    ]
    assert spectrum.intensity.tolist() == [[3.5, 4.5], [6.0, 7.0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + ROWS, "a.csv has one value along an axis, whose width it does not say; add the comment '# widths"),
        (HEAD + ROWS + ROWS, "a.csv has 8 rows for 2 x 1 x 1 x 2 bins along its axes and energy; expected each once"),
        (
            HEAD.partition("\n")[2] + ROWS,
            "a.csv has h, k, l but no '# lattice [angstrom, deg]: a b c alpha beta gamma'",
        ),
        (HEAD.replace("9 90", "90") + ROWS, "the lattice of a.csv should have 6 numbers, got '4 4 90 90 90'"),
        ("# axes [rlu]: 1 0 0 2 0 0 0 0 1\n" + HEAD + ROWS, "the axes of a.csv are not three independent directions"),
        (
            HEAD.replace("l [rlu],", "") + ROWS,
            "a.csv has no column 'l', only h, k, energy, intensity, error; expected, between commas, the header h [rlu],k [rlu],l [rlu],energy",
        ),
        (HEAD + ROWS.replace("0.5,0,0", "nan,0,0"), "a.csv has a row without h, k, l or energy"),
    ],
)
def test_a_bad_table_of_a_crystal_gets_one_sentence(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.csv")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (crystal(beam=Beam((0, 0, 1), 50.0)), "a.csv: CSV holds powder maps and full grids only"),
        (crystal(edges=([0.0, 0.1, 0.3], [0.0, 1.0], [0.0, 1.0])), "a.csv: CSV holds even bins only and the axis 1 bins are not"),
        (
            QGrid(Lattice.from_vectors(torch.diag(torch.tensor([2.0, 3, 4]).double()).roll(1, 0)), np.eye(3), [[0, 1.0]] * 3),
            "a.csv: CSV does not keep the orientation of a lattice",
        ),
    ],
)  # fmt: skip
def test_what_a_table_cannot_keep_is_refused(tmp_path, points, message):
    measurement = Measurement(points, [0.0, 1.0], None)
    ones = torch.ones(measurement.shape).double()
    with pytest.raises(InputError) as caught:
        write(tmp_path / "a.csv", Spectrum.from_arrays(ones, ones, measurement))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["a.csv", "a.spe", "a.json"])
def test_a_text_file_that_is_too_long_is_not_read(tmp_path, monkeypatch, name):
    monkeypatch.setattr(limits, "LONGEST", 10)
    content = {"a.csv": HEAD + ROWS, "a.spe": spe(), "a.json": euphonic()}[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"{name} holds more than 10 bytes of text"):
        read(tmp_path / name)


def iqe(path, **changes):
    made = {
        "data": COUNTS[:2, :3],
        "errors": COUNTS[:2, :3] / 10,
        "Q": [0.0, 1.0, 2.0],
        "E": [-1.0, 0.0, 1.0, 2.0],
    } | changes
    with h5py.File(path, "w") as file:
        for name in ("data", "errors"):
            file[f"iqe/{name}"] = made[name]
        for n, (name, unit) in enumerate(
            (("Q", "1e+10*m**-1"), ("E", made.get("unit", "1.602176634e-22*m**2*kg*s**-2")))
        ):
            file[f"iqe/grid/{name}/bin boundaries"] = np.array(made[name])
            file[f"iqe/grid/{name}"].attrs.update({"unit": unit, "index": made.get("index", n)})
    return path


def test_a_histogram_of_i_q_e_holds_variances(tmp_path):
    spectrum = read(iqe(tmp_path / "a.h5"))
    np.testing.assert_allclose(spectrum.error**2, COUNTS[:2, :3] / 10, rtol=1e-14)
    assert spectrum.measurement.points.edges.tolist() == [0, 1, 2]
    np.testing.assert_allclose(spectrum.measurement.energy, [-1, 0, 1, 2], rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"errors": np.ones(3)}, "has data of shape (2, 3) and errors of (3,)"),
        ({"unit": "s"}, "has an axis in 's'; expected Q in m**-1"),
        ({"index": 0}, "gives its axes the places [0, 0]; expected 0 and 1"),
    ],
)
def test_another_histogram_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError) as caught:
        read(iqe(tmp_path / "a.h5", **changes))
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["a.h5", "a.nxspe", "a.mat", "iqe.h5", "a.xyie", "a.spe"])
def test_an_array_above_the_limit_is_refused_before_it_is_read(tmp_path, monkeypatch, name):
    measurement = Measurement(QShells([0.0, 1.0, 2.0, 3.0]), ENERGY, None)
    write(tmp_path / "a.h5", Spectrum.from_arrays(torch.from_numpy(COUNTS), torch.from_numpy(COUNTS), measurement))
    with h5py.File(tmp_path / "a.nxspe", "w") as file:
        file["any/definition"] = np.array([b"NXSPE"])
        file["any/data/data"] = COUNTS
    savemat(tmp_path / "a.mat", {"x": COUNTS, "y": COUNTS, "e": COUNTS})
    iqe(tmp_path / "iqe.h5", data=COUNTS, errors=COUNTS, Q=range(4), E=range(10))
    (tmp_path / "a.xyie").write_text("5 6\n \n" + "1\n" * 80)
    (tmp_path / "a.xyie.toml").write_text(GRID)
    (tmp_path / "a.spe").write_text(spe(np.ones((3, 30))))
    monkeypatch.setattr(limits, "LARGEST", 8 * 20)
    with pytest.raises(InputError, match=r"says that '.*' has \d+ numbers; at most 20 are read"):
        read(tmp_path / name)


@pytest.mark.parametrize("count", ["inf", "nan", "2.5", "1e30"])
def test_a_count_that_is_none_gets_one_sentence(tmp_path, count):
    (tmp_path / "a.spe").write_text(f"{count} 9\n" + spe().partition("\n")[2])
    (tmp_path / "a.xyie").write_text(f"{count} 6\n \n" + "1\n" * 80)
    (tmp_path / "a.xyie.toml").write_text(GRID)
    for name in ("a.spe", "a.xyie"):
        with pytest.raises(InputError, match=rf"{name} says that it has .*; expected counts"):
            read(tmp_path / name)
