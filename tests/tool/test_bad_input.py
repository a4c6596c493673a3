"""Wrong input ends with one sentence and exit status 2."""

import pytest
import torch

from sqwirrel import limits
from sqwirrel.explain.causal.collected import Collection
from sqwirrel.model import library
from sqwirrel.spectra import Spectrum, write

pytestmark = pytest.mark.usefixtures("powder")  # ok.h5
HEAD = 'model = "mnf2"\n[measurement]\nfile = "ok.h5"\n'
PLANNED = 'model = "rb2mnf4"\n[measurement]\ntemperature = 5\n'
SHELLS = PLANNED + "shells = { start = 0.5, stop = 2, bins = 4 }\nenergy = { start = 0, stop = 8, bins = 4 }\n"


def test_missing_file(refused):
    assert refused("show", "nothing.h5") == "there is no file 'nothing.h5'; check the path"


def test_raw_time_of_flight(refused, measured):
    assert refused("show", measured("formats/ill_in4_raw_tof.nxs")).startswith(
        "ill_in4_raw_tof.nxs is raw time-of-flight data, not yet in energy transfer; reduce it first"
    )


def test_mantid_file_under_another_name_is_read_or_named(run, measured):
    result = run("show", measured("al_si/aluminium_Ei60.nxspe"))
    assert result.exit_code == 0
    assert "59.3706 meV" in result.stdout


def test_truncated_file(refused, tmp_path):
    (tmp_path / "cut.h5").write_bytes((tmp_path / "ok.h5").read_bytes()[:3000])
    assert refused("show", "cut.h5").startswith("cut.h5 is an HDF5 file that is truncated or damaged")


def test_data_in_place_of_a_config(refused, tmp_path):
    sentence = (
        '{0} is no config; if it is data, name it in one, a file in TOML with model = "..." and [measurement] '
        'file = "{0}", and give that'
    )
    (tmp_path / "a.csv").write_text("Q [1/angstrom],energy [meV],intensity,error\n1,1,1,1\n")
    (tmp_path / "a.toml").write_text("Q,E\n")
    for verb in ("infer", "simulate"):
        assert refused(verb, "ok.h5") == sentence.format("ok.h5")
        assert refused(verb, "a.csv") == sentence.format("a.csv")
        assert refused(verb, "a.toml").startswith("a.toml is not TOML")


def test_nothing_measured(refused, powder, tmp_path):
    nan = torch.full(powder.measurement.shape, torch.nan, dtype=torch.float64)
    write(tmp_path / "nan.h5", Spectrum.from_arrays(nan, nan, powder.measurement))
    expected = "nan.h5 has no measured bin: all 32 are NaN or masked; check the reduction that made it"
    assert refused("show", "nan.h5") == expected


def test_folder_that_cannot_be_made(refused, tmp_path):
    (tmp_path / "c.toml").write_text(HEAD)
    (tmp_path / "taken").write_text("")
    assert refused("infer", "c.toml", "--out", "taken/in").startswith("cannot make the folder 'taken/in'")


def test_picture_of_unknown_kind(run):
    result = run("show", "ok.h5", "--out", "x.foo")
    assert result.exit_code == 2
    assert result.stderr == "sqwirrel: cannot draw 'x.foo': the name must end in .png, .svg or .pdf\n"


INFER = {
    "twins of a powder": (
        HEAD + "twins = [[[0, 1, 0], [1, 0, 0], [0, 0, 1]]]\n",
        "[measurement] twins are of a crystal, and a powder has all orientations, so their weights would do nothing; leave them out",
    ),
    "twins of a powder of phonons": (
        HEAD.replace("mnf2", "al_80k") + "twins = [[[0, 1, 0], [1, 0, 0], [0, 0, 1]]]\n",
        "[measurement] twins are of a crystal, and a powder has all orientations, so their weights would do nothing; leave them out",
    ),
    "unknown section": (
        HEAD + "[measures]\nx = 1\n",
        "c.toml: the config has the unknown key 'measures'; known are model, measurement, prior, instrument, measurements, share, infer, train, check, simulate, advise, causal, discriminate, match, rivals, truth; did you mean 'measurements'?",
    ),
    "unknown key": (
        'model = "mnf2"\n[measurement]\nfil = "ok.h5"\n',
        "c.toml: [measurement] has the unknown key 'fil'; known are file, shells, path, crystal, energy, temperature, field, incident_energy, rebin, trim, exclude, despike, twins; did you mean 'file'?",
    ),
    "unknown key deep down": (
        HEAD + '[instrument.resolution]\nkind = "polynomial"\nordr = 1\n',
        "c.toml: [instrument.resolution] has the unknown key 'ordr'; known are kind, order, tail, offset; did you mean 'order'?",
    ),
    "unknown kind": (
        HEAD + '[instrument.resolution]\nkind = "box"\n',
        "c.toml: [instrument.resolution] needs kind = one of 'gaussian', 'polynomial', 'table'",
    ),
    "unknown background": (
        HEAD + '[instrument.background]\nkind = "wavy"\n',
        "c.toml: [instrument.background] needs kind = one of 'constant', 'sloped', 'planar', 'smooth', 'elastic', 'measured', 'can'",
    ),
    "can with spins": (
        HEAD + '[instrument.background]\nkind = "can"\nmodel = "mnf2"\nfwhm = 3.0\n',
        "[instrument.background] model = 'mnf2' has spins; a can has springs, like 'al_300k'",
    ),
    "can that is not there": (
        HEAD + '[instrument.background]\nkind = "can"\nmodel = "al_301k"\nfwhm = 3.0\n',
        "[instrument.background] model: ",
    ),
    "measured background that is not there": (
        HEAD + '[instrument.background]\nkind = "measured"\nfile = "no.h5"\n',
        "there is no file '",
    ),
    "unknown parameter": (
        HEAD + "[prior]\nJ9 = { uniform = [0, 1] }\n",
        "[prior] names 'J9', but the experiment has parameters J1, J2, J3, D, fwhm, fwhm_q, scale, background",
    ),
    "wrong unit of a parameter": (
        HEAD + '[prior]\nJ1 = { uniform = [0, 1], unit = "K" }\n',
        "[prior] J1: unit 'K' cannot be converted to meV; write a unit of the same kind as meV, or multiply by 0.0861733 meV / K",
    ),
    "unknown unit": (
        HEAD + '[prior]\nJ1 = "0.3 bogus"\n',
        "[prior] J1: unit 'bogus' is not known; expected meV or a unit that converts to it",
    ),
    "wrong unit of a quantity": (
        HEAD + 'temperature = "5 meV"\n',
        "c.toml: [measurement] temperature: unit 'meV' cannot be converted to K; write a unit of the same kind as K",
    ),
    "no quantity": (
        HEAD + 'temperature = "warm"\n',
        "c.toml: [measurement] temperature: 'warm' is not a quantity; expected a number in K, or one with a unit like '0.3 K'",
    ),
    "not TOML": (HEAD + "x =\n", "c.toml is not TOML: Invalid value (at line 4, column 4)"),
    "wrong type": (
        HEAD + '[infer]\ndraws = "many"\n',
        "c.toml: [infer] draws = 'many': input should be a valid integer, unable to parse string as an integer",
    ),
    "half an energy range": (
        HEAD + "energy = [1]\n",
        "c.toml: [measurement] energy: expected [lo, hi] in meV, or { start = 0, stop = 8, bins = 80 }, got [1]",
    ),
    "flat exclusion": (
        HEAD + "exclude = [1, 2]\n",
        "c.toml: [measurement] exclude: expected a list in [ ], got 1",
    ),
    "missing section": ('model = "mnf2"\n', "c.toml: the config lacks the key 'measurement'"),
    "outside the data": (
        HEAD + "energy = [8.5, 9.5]\n",
        "no energy bin lies between 8.5 and 9.5 meV; the spectrum covers 1 to 8 meV",
    ),
    "outside the kinematics": (
        HEAD + "energy = [1, 30]\n",
        "[measurement] energy reaches 30 meV, outside the kinematics: a neutron of 29 meV cannot lose more than it has",
    ),
    "never stable": (
        HEAD + "[prior]\nJ2 = { uniform = [-0.5, -0.1] }\n[infer]\nscreen = 8\n",
        "the prior never gives a stable order in 8 draws; for the first of them the assumed order of model 'mnf2' is not a minimum of the energy with these parameters: it is unstable at q =",
    ),
    "counts that are none": (
        HEAD + '[instrument.counting]\nkind = "poisson"\n',
        "Poisson counting needs raw counts, this spectrum is reduced data; use counting kind = 'gaussian'",
    ),
    "unknown model": (
        HEAD.replace("mnf2", "mnf3"),
        f"there is no model 'mnf3'; the library has {', '.join(library.names())}, and models of phonons like al_80k "
        "(sqwirrel list); or give a .toml file; did you mean 'mnf2'?",
    ),
    "one and several": (HEAD + '[measurements.a]\nfile = "ok.h5"\n', "c.toml: the config has [measurement] and [meas"),
    "a share of one": (HEAD + '[share]\nnuisances = ["fwhm"]\n', "c.toml: [share] is for several measurements"),
    "unknown key of one of several": (
        'model = "mnf2"\n[measurements.a]\nfil = "ok.h5"\n',
        "c.toml: [measurements.a] has the unknown key 'fil'; known are file, shells, path, crystal, energy, temperature,",
    ),
    "unknown kind of measurement": (
        'model = "mnf2"\n[measurements.a]\nkind = "peak"\n',
        "c.toml: [measurements.a] needs kind = one of 'spectrum', 'peaks', 'bulk'",
    ),
    "a heat without a temperature": (
        'model = "mnf2"\n[measurements.a]\nkind = "bulk"\nspecific_heat = { value = 1, error = 0.1 }\n',
        "c.toml: [measurements.a.specific_heat] lacks the key 'temperature'",
    ),
    "a bulk number without an error": (
        'model = "mnf2"\n[measurements.a]\nkind = "bulk"\ncurie_weiss = -80\n',
        "c.toml: [measurements.a] curie_weiss: expected a table, like { value = -80.0, error = 3.0 }, or a list of tables",
    ),
    "no bulk number": (
        'model = "mnf2"\n[measurements.a]\nkind = "bulk"\n',
        "there is no bulk number; give one at least of curie_weiss, specific_heat, ordered_moment, sound_velocity",
    ),
    "a number that the model has not": (
        'model = "mnf2"\n[measurements.a]\nkind = "bulk"\nsound_velocity = { value = 6000, error = 60, direction = [1, 0, 0] }\n',
        "a model of spins has no sound_velocity; leave it out of the bulk numbers of 'mnf2'",
    ),
    "a field of two numbers": (
        'model = "mnf2"\n[measurements.a]\nkind = "bulk"\nordered_moment = { value = 5, error = 1, field = [1, 2] }\n',
        "c.toml: [measurements.a.ordered_moment] field: too few values, got [1, 2]",
    ),
    "an unknown key of bulk numbers": (
        'model = "mnf2"\n[measurements.a]\nkind = "bulk"\ncurie_wess = { value = 5, error = 1 }\n',
        "c.toml: [measurements.a] has the unknown key 'curie_wess'; known are kind, curie_weiss, specific_heat, "
        "ordered_moment, sound_velocity; did you mean 'curie_weiss'?",
    ),
    "a lattice of two numbers": (
        'model = "mnf2"\n[measurements.a]\nkind = "peaks"\nfile = "p.csv"\nlattice = [1, 2]\n',
        "c.toml: [measurements.a] lattice: too few values, got [1, 2]",
    ),
    "a bad name": (
        'model = "mnf2"\n[measurements."6 K"]\nfile = "ok.h5"\n',
        "a measurement is called '6 K'; use letters, digits and _ as it ends names, like ei25",
    ),
    "a name that is taken": (
        'model = "mnf2"\n[measurements.posterior]\nfile = "ok.h5"\n',
        "[measurements.posterior] would be kept as another file of the result; choose another name",
    ),
    "nothing to share": (
        'model = "mnf2"\n[measurements.a]\nfile = "ok.h5"\n[share]\nnuisances = ["fwhm_angle"]\n',
        "'fwhm_angle' cannot be shared, it is no nuisance of these: fwhm, fwhm_q, scale, background",
    ),
    "kinematics of one of several": (
        'model = "mnf2"\n[measurements.a]\nfile = "ok.h5"\nenergy = [1, 30]\n',
        "[measurements.a] energy reaches 30 meV, outside the kinematics",
    ),
    "a prior without its label": (
        'model = "mnf2"\n[prior]\nscale = 1\n[measurements.a]\nfile = "ok.h5"\n',
        "[prior] names 'scale', but the experiment has parameters J1, J2, J3, D, fwhm_a, fwhm_q_a, scale_a",
    ),
    "a table of peaks as a spectrum": (
        'model = "mnf2"\n[measurements.a]\nkind = "peaks"\nfile = "ok.h5"\n',
        "ok.h5 is a spectrum (sqwirrel) and no table of peaks",
    ),
    "everything excluded": (
        HEAD + "exclude = [[0, 9]]\n",
        "no bin of this spectrum was measured (all are NaN, masked or excluded); check [measurement]",
    ),
}


@pytest.mark.parametrize(("config", "sentence"), INFER.values(), ids=INFER)
def test_infer_refuses(refused, tmp_path, config, sentence):
    (tmp_path / "c.toml").write_text(config)
    assert refused("infer", "c.toml", "--out", "out").startswith(sentence)


CELLS = {
    "edges": ("-4.8736, 4.8736", "the cell edges a, b, c = -4.8736, 4.8736, 3.2998 angstrom must be positive"),
    "angles": ("90.0, 150.0, 20.0]", "no cell has the angles 90.0, 150.0, 20.0 degrees: each must be smaller than"),
}


@pytest.mark.parametrize(("cell", "sentence"), CELLS.values(), ids=CELLS)
def test_impossible_cell(refused, tmp_path, cell, sentence):
    text = (library.FOLDER / "mnf2.toml").read_text(encoding="utf-8")
    old = "4.8736, 4.8736" if "4.8736" in cell else "90.0, 90.0, 90.0]"
    (tmp_path / "my.toml").write_text(text.replace(old, cell), encoding="utf-8")
    (tmp_path / "c.toml").write_text(HEAD.replace('"mnf2"', '"my.toml"'))
    assert refused("infer", "c.toml").startswith(sentence)


COUNTS = '[instrument]\ncounting = { kind = "poisson" }\n'
SPRINGS = SHELLS.replace("rb2mnf4", "fe_295k").replace("stop = 8", "stop = 40") + COUNTS

SIMULATE = {
    "nowhere": (PLANNED, "[measurement] needs a file, or one of shells and path, with energy ="),
    "kinematics": (SHELLS + "incident_energy = 5\n", "[measurement] energy reaches 8 meV, outside the kinematics"),
    "missing value": (
        SHELLS + COUNTS,
        "this experiment needs values for 'fwhm', 'fwhm_q', 'scale', 'background' (in a config: [simulate] parameters)",
    ),
    "one missing value of many": (
        SPRINGS + "[simulate.parameters]\nfwhm = 1\nscale = 1\nbackground = 0\n",
        "this experiment needs a value for 'fwhm_q' (in a config: [simulate] parameters)\n",
    ),
    "unknown value": (
        SHELLS + COUNTS + "[simulate.parameters]\nJ7 = 1\n",
        "[simulate.parameters] names 'J7', but the experiment has parameters",
    ),
    "wrong unit": (
        SHELLS + COUNTS + '[simulate.parameters]\nfwhm = "1 T"\n',
        "[simulate.parameters]: unit 'T' cannot be converted to meV",
    ),
    "unstable": (
        SHELLS
        + COUNTS
        + "[simulate]\nparameters = { J1 = -1, fwhm = 0.3, fwhm_q = 0.03, scale = 1, background = 0 }\n",
        "the assumed order of model 'rb2mnf4' is not a minimum of the energy with these parameters",
    ),
    "noise without errors": (
        SHELLS + "[simulate]\nparameters = { fwhm = 0.3 }\n",
        "noise of reduced data needs the errors of a measured spectrum",
    ),
}


@pytest.mark.parametrize(("config", "sentence"), SIMULATE.values(), ids=SIMULATE)
def test_simulate_refuses(refused, tmp_path, config, sentence):
    (tmp_path / "s.toml").write_text(config)
    assert f"{refused('simulate', 's.toml')}\n".startswith(sentence)


CHANGES = {
    "a": "--set a is not of the form key=value, like --set infer.seed=2",
    "model.x=3": "--set model.x=3: 'model' is not a table of the config",
    "infer.guess=3": "c.toml: [infer] guess: expected a table, like { J1 = 0.66 }, or a list of tables",
    "match.too=3": "c.toml: [match] has the unknown key 'too'; known are estimator, to, fwhm, clean, frames, thin, mirrors; did you mean 'to'?",
    "match.fwhm=0": "c.toml: [match] fwhm = 0: input should be greater than 0",
    "match.thin=1.5": "c.toml: [match] thin = 1.5: input should be less than or equal to 1",
    "match.thin=0.5": "c.toml: the config match: thin and mirrors are of copies of measured frames; give frames, or leave them out",
    "match.to=clean": "c.toml: [match] to = 'clean': input should be 'simulated' or 'measured'",
    "infer.sede=3": "c.toml: [infer] has the unknown key 'sede'; known are screen, starts, draws, rounds, seed, moves, estimator, guess; did you mean 'seed'?",
}


@pytest.mark.parametrize(("change", "sentence"), CHANGES.items())
def test_set_refuses(refused, tmp_path, change, sentence):
    (tmp_path / "c.toml").write_text(HEAD)
    assert refused("infer", "c.toml", "--set", change) == sentence


def test_report_of_nothing(refused):
    assert refused("report", "none") == "'none' holds no config.toml; give a folder that sqwirrel infer has left"


ROWS = "".join(f"{k},{k * k % 7},{k % 3}\n" for k in range(9))
TABLES = {
    "no such column": (
        "a,bb,c\n" + ROWS,
        "a > b > c",
        "t.csv has no column 'b'; its first line names, between commas, a, bb, c; did you mean 'bb'?",
    ),
    "capital letters": (
        "A,b,c\n" + ROWS,
        "a > b > c",
        "t.csv has no column 'a'; its first line names, between commas, A, b, c; did you mean 'A'?",
    ),
    "spaces between columns": (
        "a b c\n" + ROWS.replace(",", " "),
        "a > b > c",
        "t.csv has no column 'a'; its first line names, between commas, a b c",
    ),
    "a line of comment": (
        "# my magnets\na,b,c\n" + ROWS,
        "a > b > c",
        "t.csv starts with '# my magnets'; a first line of names is expected: remove lines of comment",
    ),
    "names after a #": (
        "# a,b,c\n" + ROWS,
        "a > b > c",
        "t.csv starts with '# a'; a first line of names is expected: remove lines of comment, and a # before names",
    ),
    "a comma as decimal sign": (
        "a,b,c\n" + "0,5,1,2,3,4\n" * 9,
        "a > b > c",
        "t.csv, line 2 has 6 cells between commas, the first line names 3 columns; a cell without a number stays "
        "empty, and the decimal sign is a point",
    ),
    "a comma as decimal sign between tabs": (
        "a\tb\tc\n" + "0,5\t1,2\t3,4\n" * 9,
        "a > b > c",
        "t.csv, line 2: '0,5' in column 'a' is no number; expected one like 0.5 (the decimal sign is a point), or an",
    ),
    "a short line": ("a,b,c\n" + ROWS + "1,2\n", "a > b > c", "t.csv, line 11 has 2 cells between commas"),
    "no number that is one in Python": ("a,b,c\n" + ROWS + "1_0,2,3\n", "a > b > c", "t.csv, line 11: '1_0' in col"),
    "infinity": ("a,b,c\n" + ROWS + "1,inf,3\n", "a > b > c", "t.csv, line 11: 'inf' in column 'b' is no number;"),
    "more than a number holds": ("a,b,c\n" + ROWS + "1,2,1e999\n", "a > b > c", "t.csv, line 11: '1e999' in column"),
    "a quote that is left open": ("a,b,c\n" + ROWS + '1,2,"3\n', "a > b > c", "cannot read 't.csv', line 12: unexp"),
    "other letters": (b"a,\xfc,c\n" + ROWS.encode(), "a > c", "cannot read 't.csv': line 1 is not in UTF-8; a CSV"),
    "tiers the other way round": (
        "a,b,c\n" + ROWS,
        "c < b < a",
        "--tiers 'c < b < a': tiers are given with causes first, and '>' between",
    ),
    "the same in other units": (
        "a,b,c\n" + "".join(f"{k},{k * k},{2 * k + 1}\n" for k in range(9)),
        "a > b > c",
        "'a' says the same as c, but for units and zeros; leave one of these 2 out",
    ),
    "a column twice": ("a,b,b\n" + ROWS, "a > b", "t.csv has several columns 'b'; rename them"),
    "text among numbers": (
        "a,b,c\n" + ROWS + "1,warm,3\n",
        "a > b > c",
        "t.csv, line 11: 'warm' in column 'b' is no number; expected one like 0.5, or an empty cell where there is none",
    ),
    "a name in two tiers": (
        "a,b,c\n" + ROWS,
        "a,b > b > c",
        "'b' is named twice in the tiers; each column is in one of them",
    ),
    "one tier": (
        "a,b,c\n" + ROWS,
        "a,b,c",
        "tiers are two at least, none empty, causes before effects; got 'a, b, c'",
    ),
    "an empty tier": (
        "a,b,c\n" + ROWS,
        "a > > c",
        "tiers are two at least, none empty, causes before effects; got 'a >  > c'",
    ),
    "few rows": (
        "a,b,c\n1,2,3\n2,3,5\n4,4,4\n",
        "a > b > c",
        "3 rows of 3 columns say nothing of causes; at least 6 are needed",
    ),
    "no row that is full": (
        "a,b,c\n" + "1,,3\n" * 9,
        "a > b > c",
        "t.csv has no row with a number in each of a, b, c; leave columns out",
    ),
    "the same in every row": (
        "a,b,c\n" + "".join(f"{k},{k * k},5\n" for k in range(9)),
        "a > b > c",
        "'c' is the same in every row; leave it out",
    ),
    "nothing": ("", "a > b", "t.csv is empty; a first line of names is expected, and a row of numbers in each other"),
    "an effect of nothing": (
        "a,b,c\n" + ROWS,
        "c > a,b",
        "'c' is in the first tier, which nothing comes before; ask for",
    ),
    "an effect that is not used": ("a,b,c\n" + ROWS, "a > b", "'c' is no column of this collection; it has a, b"),
}


@pytest.mark.parametrize(("table", "tiers", "sentence"), TABLES.values(), ids=TABLES)
def test_collection_refuses(refused, tmp_path, table, tiers, sentence):
    (tmp_path / "t.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    assert refused("collection", "t.csv", "--tiers", tiers, "--effect", "c").startswith(sentence)
    assert not (tmp_path / "t-collection").exists()


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_collection_knows_what_is_between_columns(tmp_path, mark):
    """Empty lines before the names, empty columns after the last, and gaps say nothing."""
    lines = f"{mark * 2}\n\na,b,c,\n{ROWS}9,,2\n".replace(",", mark)
    (tmp_path / "t.csv").write_text(lines.replace("\n", f"{mark}{mark}\n"), encoding="utf-8-sig")
    found = Collection.read(tmp_path / "t.csv", [["a"], ["c", "b"]])
    assert found.rows[:3].tolist() == [[0, 0, 0], [1, 1, 1], [2, 2, 4]]
    assert (len(found.rows), found.left_out) == (9, 1)


def test_collection_of_a_file_that_is_too_large(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LONGEST", 50)
    (tmp_path / "t.csv").write_text("a,b,c\n" + ROWS)
    assert refused("collection", "t.csv", "--tiers", "a > b").startswith("t.csv holds more than 50 bytes of text;")


def test_collection_of_no_table(refused, tmp_path):
    assert refused("collection", "no.csv", "--tiers", "a > b") == "there is no file 'no.csv'; check the path"
    assert refused("collection", tmp_path, "--tiers", "a > b").endswith(
        "is a folder; give the file in it that holds what is to be read"
    )
    assert refused("collection", "ok.h5", "--tiers", "a > b").startswith("ok.h5 is binary from byte ")
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{k},{k * k % 7}\n" for k in range(9)))
    assert refused("collection", "t.csv", "--tiers", "a > b", "--out", "ok.h5/in").startswith(
        "cannot make the folder 'ok.h5/in'"
    )
