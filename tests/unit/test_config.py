import dataclasses
import math
import re
from pathlib import Path

import pytest
import torch

from sqwirrel.config import Config, dumps, load, study, verbs
from sqwirrel.config.build import measured as measured_of
from sqwirrel.config.build import model, planned
from sqwirrel.config.instruments.kinematics import check_kinematics, check_reach
from sqwirrel.config.quantity import quantity
from sqwirrel.config.sections import InferSection
from sqwirrel.config.table import fitting
from sqwirrel.errors import InputError
from sqwirrel.infer import Settings
from sqwirrel.lattice import Lattice
from sqwirrel.model.laws import LogUniform, Normal, Uniform
from sqwirrel.observe import (
    ConstantBackground,
    ElasticBackground,
    Gaussian,
    Poisson,
    Robust,
    SlopedBackground,
    SmoothBackground,
)
from sqwirrel.spectra import Measurement, QPath, QPoints, QShells, Spectrum, read, write


@pytest.fixture
def spectrum(tmp_path):
    """A powder map of 6 shells and 8 energies whose intensities are 0 to 47, with one bin not measured."""
    measurement = Measurement(QShells(torch.linspace(0.5, 2, 7)), torch.linspace(1, 9, 9), None, incident_energy=40.0)
    intensity = torch.arange(48, dtype=torch.float64).reshape(6, 8)
    valid = torch.ones(6, 8, dtype=torch.bool)
    valid[2, 3] = False
    made = Spectrum.from_arrays(intensity, torch.ones_like(intensity), measurement, valid=valid)
    write(tmp_path / "map.h5", made)
    return made


def config(tmp_path, text, changes=()):
    (tmp_path / "c.toml").write_text(text)
    return load(tmp_path / "c.toml", changes)


HEAD = 'model = "mnf2"\n[measurement]\nfile = "map.h5"\ntemperature = "5 K"\n'


@pytest.mark.parametrize(
    ("written", "expected", "value"),
    [
        (0.3, "meV", 0.3),
        (2, "meV", 2.0),
        ("0.3 eV", "meV", 300.0),
        ("1 THz", "meV", 4.135667696),
        ({"value": 50, "unit": "1/nm"}, "1/angstrom", 5.0),
        ("20 mK", "K", 0.02),
    ],
)
def test_a_quantity_carries_its_unit(written, expected, value):
    assert quantity(written, expected) == pytest.approx(value, rel=1e-9)  # constants to ten digits


@pytest.mark.parametrize(
    "written", ["5", "x meV", True, [1], {"value": 1}, float("nan"), {"value": [1], "unit": "meV"}]
)
def test_what_is_no_quantity_is_refused(written):
    with pytest.raises(InputError):
        quantity(written, "meV")


def test_the_file_is_found_beside_the_config_and_prepared_in_order(tmp_path, spectrum):
    text = HEAD + "energy = [2, 9]\nrebin = { q = 2 }\ntrim = 1\nexclude = [[2, 3]]\n"
    used = study(config(tmp_path, text)).spectrum
    assert used.measurement.shape == (3, 7)
    assert used.measurement.temperature == 5.0
    assert used.measurement.incident_energy == 40.0
    assert used.valid.sum(1).tolist() == [0, 5, 0]  # the rim is trimmed after merging, one energy is excluded
    assert float(used.intensity[1, 1]) == float(spectrum.intensity[3, 2] + spectrum.intensity[2, 2]) / 2


def test_every_parameter_gets_a_wide_prior_and_the_config_shows_it(tmp_path, spectrum):
    work = study(config(tmp_path, HEAD + '[prior]\nJ1 = "-0.06 meV"\nJ2 = { uniform = [200, 400], unit = "ueV" }\n'))
    assert (*work.prior.names, *work.prior.fixed) == ("J2", "J3", "D", "fwhm", "fwhm_q", "scale", "background", "J1")
    assert work.prior.fixed == {"J1": -0.06}
    assert work.prior.bounds[0].tolist() == pytest.approx([0.2, 0.4])
    high = float(spectrum.intensity[spectrum.valid].quantile(0.95))
    assert isinstance(work.prior.free["scale"], LogUniform)
    assert work.prior.free["background"] == Uniform(0.0, float(f"{high:.1e}"))
    assert list(work.config.prior) == list(work.experiment.names)
    assert work.config.prior["J2"] == {"uniform": pytest.approx([0.2, 0.4]), "unit": "meV"}


def test_the_incident_energy_of_a_config_reaches_a_file_that_holds_none(tmp_path):
    angles = [20 + 2 * n for n in range(30)]
    row = "".join(f"{x:10.3f}" for x in (1, 2, 3, 4)) + "\n"
    head = f"{30:8d}{4:8d}\n### Phi Grid\n" + "\n".join(["57.3 " * 8] * 4) + "\n### Energy Grid\n0 2 4 6 8\n"
    (tmp_path / "a.spe").write_text(head + f"### S(Phi,w)\n{row}### Errors\n{row}" * 30)
    (tmp_path / "a.phx").write_text("30\n" + "".join(f"10 0 {angle} 0 2 1 1\n" for angle in angles))
    (tmp_path / "a.toml").write_text('model = "mnf2"\n[measurement]\nfile = "a.spe"\ntemperature = 5\n')
    with pytest.raises(InputError, match="holds no incident energy"):
        measured_of(load(tmp_path / "a.toml"))
    found = measured_of(load(tmp_path / "a.toml", ["measurement.incident_energy=12"]))
    assert (found.measurement.incident_energy, found.measurement.temperature) == (12.0, 5.0)
    assert found.valid.any()


@pytest.mark.usefixtures("spectrum")
def test_a_resolved_config_reads_back_as_itself(tmp_path):
    text = HEAD + '[instrument]\nbackground = { kind = "planar" }\nresolution = { kind = "polynomial", order = 2 }\n'
    work = study(
        config(tmp_path, text, ["infer.seed=7", "measurement.exclude=[[1, 2]]", "measurement.field=[0, 0, '2 T']"])
    )
    for folder in (tmp_path, tmp_path / "below", tmp_path / "a/b/c"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(dumps(work.config, folder))
        again = load(folder / "config.toml")
        assert again == work.config
        assert study(again).config == work.config
    assert again.infer.seed == 7
    assert again.measurement.field == (0.0, 0.0, 2.0)


def test_smooth_background_and_robust_counting_have_their_keys_and_priors(tmp_path, spectrum):
    text = HEAD + '[instrument.background]\nkind = "smooth"\norder_q = 1\norder_energy = 1\n'
    work = study(config(tmp_path, text + '[instrument.counting]\nkind = "robust"\nfreedom = 3\n'))
    assert work.experiment.instrument.background == SmoothBackground(1, 1)
    assert work.experiment.instrument.counting == Robust(3.0)
    high = float(f"{spectrum.intensity[spectrum.valid].quantile(0.95):.1e}")
    terms = [name for name in work.prior.names if name.startswith("background")]
    assert terms == ["background_00", "background_01", "background_10", "background_11"]
    assert {work.prior.free[name] for name in terms} == {Uniform(-high, high)}


@pytest.mark.parametrize(("beside", "build"), [("", ConstantBackground), ('beside = "sloped"\n', SlopedBackground)])
def test_an_elastic_line_has_a_width_and_a_background_beside_it(tmp_path, spectrum, beside, build):
    """Its range allows a tail as high as the 95th percentile where it is highest, in the first of the bins."""
    text = f'[instrument.background]\nkind = "elastic"\nwidth = "400 µeV"\n{beside}'
    work = study(config(tmp_path, HEAD + text))
    assert work.experiment.instrument.background == ElasticBackground(0.4, build())
    high = float(spectrum.intensity[spectrum.valid].quantile(0.95))
    top = 1 / (1 + (2 * float(spectrum.measurement.energy_centres.abs().min()) / 0.4) ** 2)
    free = work.prior.free["background_elastic"]
    assert (free.lo, free.hi) == (0, pytest.approx(high / top, rel=0.1))  # two digits, twice


def test_a_measured_background_is_prepared_as_the_spectrum_and_found_beside_the_config(tmp_path, spectrum):
    below = Spectrum.from_arrays(2 * spectrum.intensity, spectrum.error, spectrum.measurement).without(
        torch.arange(48).reshape(6, 8) == 47
    )
    write(tmp_path / "hot.h5", below)
    text = HEAD + "energy = [2, 9]\nrebin = { q = 2 }\n"
    work = study(config(tmp_path, text + '[instrument.background]\nkind = "measured"\nfile = "hot.h5"\n'))
    background = work.experiment.instrument.background
    assert background.spectrum.measurement.shape == work.spectrum.measurement.shape == (3, 7)
    assert torch.equal(work.experiment.templates[1], background.spectrum.intensity)
    assert work.prior.free["background_measured"].lo == 0
    assert work.prior.free["background_measured"].hi < 1
    (tmp_path / "out").mkdir()
    assert 'file = "../hot.h5"' in dumps(work.config, tmp_path / "out")


def test_bins_without_a_measured_background_are_not_fitted(tmp_path, spectrum):
    write(tmp_path / "hot.h5", spectrum.exclude(1, 2))
    work = study(config(tmp_path, HEAD + '[instrument.background]\nkind = "measured"\nfile = "hot.h5"\n'))
    assert [path.name for path in work.config.files] == ["map.h5", "hot.h5"]
    assert not bool(work.spectrum.valid[:, 0].any())
    assert torch.equal(work.spectrum.valid[:, 1:], spectrum.valid[:, 1:])


CAN = """
name = "can"
crystal = { cell = [4.05, 4.05, 4.05, 90, 90, 90], spacegroup = 225, sites = [{ label = "Al", position = [0, 0, 0] }] }
springs = { max_distance = 3.0 }
defaults = { K1xx = 10.0, K1xy = 11.0, K1zz = -2.0 }
"""


@pytest.mark.usefixtures("spectrum")
def test_a_can_stands_beside_what_is_sloped_and_its_model_is_found_beside_the_config(tmp_path):
    (tmp_path / "can.toml").write_text(CAN)
    written = '[instrument.background]\nkind = "can"\nmodel = "MODEL"\nfwhm = "3 meV"\nbeside = "sloped"\n'
    work, other = (study(config(tmp_path, HEAD + written.replace("MODEL", name))) for name in ("can.toml", "al_300k"))
    assert work.experiment.instrument.background.names == ("background", "background_slope", "background_can")
    assert not torch.equal(work.experiment.templates, other.experiment.templates)
    assert work.prior.free["background_can"].lo == 0
    assert [[path.name for path in each.config.files] for each in (work, other)] == [["map.h5", "can.toml"], ["map.h5"]]
    (tmp_path / "out").mkdir()
    assert 'model = "../can.toml"' in dumps(work.config, tmp_path / "out")


@pytest.mark.usefixtures("spectrum")
def test_a_file_near_the_folder_is_named_from_there_and_another_absolutely(tmp_path):
    written = config(tmp_path, HEAD)
    assert 'file = "../map.h5"' in dumps(written, tmp_path / "out")
    assert f'file = "{tmp_path}/map.h5"' in dumps(written, Path("/elsewhere/far/out"))


def test_a_model_table_is_a_model(tmp_path):
    from sqwirrel.model import library

    lines = (library.FOLDER / "fm_chain.toml").read_text(encoding="utf-8").splitlines()
    nested = [line.replace("[[", "[[model.") if line.startswith("[[") else line.replace("[", "[model.", 1) if line.startswith("[") else line for line in lines]  # fmt: skip
    text = "[model]\n" + "\n".join(nested) + PATH
    made = config(tmp_path, text)
    assert planned(made, model(made).lattice).points.lattice.a == 3.0
    (tmp_path / "again.toml").write_text(dumps(made, tmp_path))
    assert load(tmp_path / "again.toml") == made


PATH = """
[measurement]
temperature = 5
energy = { start = 0, stop = 5, bins = 10 }
path = { corners = [[0, 0, 0], [1, 0, 0], [1, 1, 0]], points = 12, width = [0.1, 0, 0] }
"""


def test_a_path_meets_its_corners_with_even_steps_on_each_leg(tmp_path):
    made = config(tmp_path, 'model = "fm_chain"\n' + PATH)
    points = planned(made, model(made).lattice).points
    assert isinstance(points, QPath)
    corner = (points.q == torch.tensor([1.0, 0.0, 0.0])).all(1).nonzero()
    assert corner.tolist() == [[8]]  # legs of 2.09 and 0.79 1/angstrom share 11 steps
    assert torch.equal(points.q[-1], torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    steps = points.q.diff(dim=0).norm(dim=1)
    assert torch.allclose(steps[:8], steps[:1].expand(8))
    assert points.box.diagonal().tolist() == [0.1, 0.0, 0.0]


def test_settings_of_the_config_are_those_of_infer():
    fields = {name: each.default for name, each in InferSection.model_fields.items() if name != "estimator"}
    assert {"guesses" if name == "guess" else name: value for name, value in fields.items()} == {
        each.name: each.default for each in dataclasses.fields(Settings)
    }
    assert InferSection().build() == Settings()


def test_sections_are_frozen(tmp_path):
    made = config(tmp_path, HEAD)
    with pytest.raises(ValueError, match="frozen"):
        made.model = "x"


def test_kinematics():
    check_kinematics(None, (0, 99))
    check_kinematics(10.0, (0, 10))
    with pytest.raises(InputError, match="outside the kinematics"):
        check_kinematics(10.0, (0, 10.1))


def reach(shells, energy, incident_energy, valid=True):
    """Checks a powder map of one shell and one energy."""
    measurement = Measurement(QShells(torch.tensor(shells)), energy, 5.0, incident_energy=incident_energy)
    one = torch.ones(measurement.shape, dtype=torch.float64)
    check_reach(Spectrum.from_arrays(one, one, measurement, valid=one > 0 if valid else one < 0))


@pytest.mark.parametrize(
    ("shells", "energy", "incident_energy"),
    [
        ([0.1, 0.2], [-1.0, 1.0], 10.0),  # elastic scattering goes down to 0
        ([4.35, 4.45], [-0.01, 0.01], 10.0),  # 2 k_i = 4.39
        ([4.42, 4.48], [-0.01, 0.01], 10.0),  # within 2 %
        ([4.3, 4.9], [-0.01, 0.01], 10.0),  # within half a bin
        ([9.0, 9.1], [5.0, 6.0], None),
    ],
)
def test_bins_within_the_kinematics(shells, energy, incident_energy):
    reach(shells, energy, incident_energy)


@pytest.mark.parametrize(
    ("shells", "energy", "words"),
    [
        ([5.0, 5.1], [-0.01, 0.01], "reaches |Q| from 0.00 to 4.39 1/angstrom at 0 meV, but the map has a measured bin at 5.05"),
        ([0.1, 0.2], [5.0, 6.0], "reaches |Q| from 0.64 to 3.75 1/angstrom at 5.5 meV, but"),
        ([0.1, 0.2], [-6.0, -5.0], "reaches |Q| from 0.49 to 4.98 1/angstrom at -5.5 meV, but"),
        ([3.0, 3.1], [11.0, 12.0], "reaches |Q| from 2.20 to 2.20 1/angstrom at 11.5 meV, but"),
    ],
)  # fmt: skip
def test_bins_that_the_incident_energy_does_not_reach(shells, energy, words):
    """k_i = 2.1968 1/angstrom at 10 meV (E = 2.0721 meV angstrom^2 k^2), k_f = 1.5534 at 5 meV of transfer, ..."""
    with pytest.raises(InputError, match="^" + re.escape(f"[measurement] incident_energy = 10 meV {words}")):
        reach(shells, energy, 10.0)
    reach(shells, energy, 10.0, valid=False)


def test_a_simulated_powder_map_leaves_out_what_is_not_reached(tmp_path):
    text = (
        'model = "mnf2"\n[measurement]\ntemperature = 5\nincident_energy = 10\nenergy = { start = 0, stop = 8, bins = 8 }\n'
        "shells = { start = 0.1, stop = 5.1, bins = 10 }\n[instrument]\nsamples = 2\ncell = 1.0\n"
        "[simulate]\nnoise = false\nparameters = { fwhm = 0.5, fwhm_q = 0.05, scale = 1, background = 1 }\n"
    )
    made = verbs.simulate_into(tmp_path / "out", config(tmp_path, text))
    check_reach(made)
    assert made.valid[:, 0].tolist() == [True] * 9 + [False]
    assert made.valid[:, 7].tolist() == [False] + [True] * 6 + [False] * 3


@pytest.mark.parametrize("name", [
    "al_si/aluminium_Ei60.nxspe", "al_si/silicon_Ei80_300K.nxspe", "bi2fe4o9/MER40874_Ei25.00meV_Rings.nxspe",
    "bi2fe4o9/MAP30475_Ei300.00meV_Rings.nxspe", "formats/mantid_processed_in4.nxs", "formats/inst_let_ei3p7_240_120.nxspe",
])  # fmt: skip
def test_measured_powder_maps_lie_within_the_kinematics(name, measured):
    check_reach(read(measured(name)))


def test_trim_takes_the_rim_along_q(spectrum):
    kept = spectrum.trim(1).valid
    assert kept[[0, 1, 3, 4]].sum(1).tolist() == [0, 7, 7, 8]
    assert not kept[1:4, 3].any()
    assert spectrum.trim(0).valid.equal(spectrum.valid)
    with pytest.raises(InputError, match="at least 0"):
        spectrum.trim(-1)


def test_what_was_written_is_what_is_read(tmp_path, spectrum):
    assert read(tmp_path / "map.h5").intensity.equal(spectrum.intensity)


def test_a_config_needs_no_more_than_a_model_and_a_file():
    assert Config.model_validate({"model": "mnf2", "measurement": {"file": "x"}}).instrument.samples > 0


def scans(folder, *numbers):
    """Files of scans of two points each, named by their numbers."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        points = QPoints(Lattice(4.0, 4.0, 4.0), [[number / 10, 0.0, 0.0], [0.0, 0.0, 1.0]], [number] * 2)
        measurement = Measurement(points, [[1.0, 1.0], [2.0, 2.0]], 5.0, final_energy=5.0)
        counts = torch.full((2, 1), float(number), dtype=torch.float64)
        write(folder / f"s{number}.h5", Spectrum.from_arrays(counts, counts.sqrt(), measurement, is_counts=True))


@pytest.mark.parametrize("file", ['["scans/s2.h5", "scans/s1.h5", "scans/s3.h5"]', '["scans/s2.h5", "scans/s[13].h5"]'])
def test_several_files_of_scans_are_joined_in_their_order(file, tmp_path):
    scans(tmp_path / "scans", 1, 2, 3)
    section = config(tmp_path, f'model = "mnf2"\n[measurement]\nfile = {file}\nenergy = [0.0, 1.5]\n')
    spectrum = measured_of(section)
    assert spectrum.measurement.points.scan.tolist() == [2, 2, 1, 1, 3, 3]
    assert spectrum.valid[:, 0].tolist() == [True, False] * 3
    assert [path.name for path in section.measurement.files] == ["s2.h5", "s1.h5", "s3.h5"]


def test_a_pattern_is_found_beside_the_config_and_kept_in_the_folder_of_the_result(tmp_path):
    scans(tmp_path / "scans", 1, 2)
    section = config(tmp_path, 'model = "mnf2"\n[measurement]\nfile = "scans/*.h5"\n')
    assert measured_of(section).measurement.points.scan.tolist() == [1, 1, 2, 2]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.toml").write_text(dumps(section, tmp_path / "out"))
    assert 'file = "../scans/*.h5"' in (tmp_path / "out" / "config.toml").read_text()
    assert load(tmp_path / "out" / "config.toml").measurement.files == section.measurement.files
    several = config(tmp_path, 'model = "mnf2"\n[measurement]\nfile = ["scans/s1.h5", "scans/s2.h5"]\n')
    assert 'file = ["../scans/s1.h5", "../scans/s2.h5"]' in dumps(several, tmp_path / "out")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ('"scans/*.dat"', r"\[measurement\] file = '.*scans/\*\.dat' fits no file; check the pattern"),
        ('["scans/s1.h5", "scans/gone.h5"]', r"there is no file '.*gone\.h5'; check the path"),
        ('["scans/s1.h5", "scans/s1.h5"]', "scan 1 is given twice; leave out one of them"),
        ("[]", r"\[measurement\] lacks the key 'file'"),
    ],
)
def test_files_that_cannot_be_joined_are_refused(file, message, tmp_path):
    scans(tmp_path / "scans", 1)
    with pytest.raises(InputError, match=message):
        measured_of(config(tmp_path, f'model = "mnf2"\n[measurement]\nfile = {file}\n'))


def counts(folder, points, name="c.h5"):
    """Raw counts, 1, 2, ..., in four bins of energy of each point or shell."""
    measurement = Measurement(points, [1.0, 2.0, 3.0, 4.0, 5.0], 5.0)
    values = torch.arange(1.0, 4 * len(points) + 1, dtype=torch.float64).reshape(-1, 4)
    write(folder / name, Spectrum.from_arrays(values, values.sqrt(), measurement, is_counts=True))


RAW = 'model = "mnf2"\n[measurement]\nfile = "c.h5"\n'
SHELLS = QShells(torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64))


@pytest.mark.parametrize(
    ("said", "law"), [("", Poisson), ('[instrument]\ncounting = { kind = "gaussian" }\n', Gaussian)]
)
@pytest.mark.usefixtures("spectrum")
def test_raw_counts_are_poisson_unless_the_config_says_otherwise(said, law, tmp_path):
    counts(tmp_path, SHELLS)
    work = study(config(tmp_path, RAW + said))
    assert isinstance(work.experiment.instrument.counting, law)
    assert f'[instrument.counting]\nkind = "{law.__name__.lower()}"' in dumps(work.config, tmp_path)
    reduced = study(config(tmp_path, HEAD))
    assert isinstance(reduced.experiment.instrument.counting, Gaussian)
    assert '[instrument.counting]\nkind = "gaussian"' in dumps(reduced.config, tmp_path)


@pytest.mark.usefixtures("spectrum")
def test_each_of_several_has_the_counting_of_its_own_data(tmp_path):
    counts(tmp_path, SHELLS)
    text = 'model = "mnf2"\n[measurements.a]\nfile = "c.h5"\n[measurements.b]\nfile = "map.h5"\ntemperature = 5\n'
    work = study(config(tmp_path, text))
    laws = [type(each.instrument.counting) for each in work.simulator.experiments.values()]
    assert laws == [Poisson, Gaussian]
    (tmp_path / "again.toml").write_text(dumps(work.config, tmp_path))
    assert study(load(tmp_path / "again.toml")).config == work.config


PLACE = Lattice(4.8736, 4.8736, 3.2998)


@pytest.mark.parametrize(
    ("q", "said", "message"),
    [
        (
            [[1, 0, 0], [2, 0, 0]],
            'q_width = { kind = "angular" }',
            r"\[instrument\] q_width is the width in \|Q\| of a po",
        ),
        ([[1, 0, 0], [2, 0, 0]], "q_response = 2", r"\[instrument\] q_response is the response along \|Q\| of a po"),
        (
            [[1, 0, 0]],
            "multiple_scattering = true",
            r"\[instrument\] multiple_scattering adds the mean over",
        ),
    ],
)
def test_a_key_that_can_do_nothing_is_refused(q, said, message, tmp_path):
    counts(tmp_path, QPath(PLACE, q, [[0, 0, 0]] * 3))
    with pytest.raises(InputError, match=message):
        study(config(tmp_path, f"{RAW}[instrument]\n{said}\n"))
    planned = RAW.replace(
        'file = "c.h5"', f"temperature = 5\npath = {{ corners = {q} }}\nenergy = {{ start=0, stop=9, bins=3 }}"
    )
    if len(q) > 1:
        with pytest.raises(InputError, match=message):
            verbs.simulate_into(tmp_path / "out", config(tmp_path, f"{planned}[instrument]\n{said}\n"))


def test_a_key_that_can_do_nothing_is_not_in_the_resolved_config(tmp_path):
    counts(tmp_path, QPath(PLACE, [[1, 0, 0], [2, 0, 0]], [[0, 0, 0]] * 3))
    assert "q_width" not in dumps(study(config(tmp_path, RAW)).config, tmp_path)
    counts(tmp_path, SHELLS)
    assert '[instrument.q_width]\nkind = "constant"' in dumps(study(config(tmp_path, RAW)).config, tmp_path)


@pytest.mark.usefixtures("spectrum")
def test_what_is_common_to_several_may_do_nothing_to_one(tmp_path):
    counts(tmp_path, QPath(PLACE, [[1, 0, 0], [2, 0, 0]], [[0, 0, 0]] * 3))
    text = 'model = "mnf2"\n[measurements.a]\nfile = "map.h5"\ntemperature = 5\n[measurements.b]\nfile = "c.h5"\n'
    common = text + '[instrument]\nq_width = { kind = "angular" }\n'
    work = study(config(tmp_path, common))
    assert work.config.measurements["a"].instrument.q_width.kind == "angular"
    assert work.config.measurements["b"].instrument.q_width is None
    (tmp_path / "again.toml").write_text(dumps(work.config, tmp_path))
    assert study(load(tmp_path / "again.toml")).config == work.config
    alone = common.replace('[measurements.a]\nfile = "map.h5"\ntemperature = 5\n', "")
    with pytest.raises(InputError, match=r"\[instrument\] q_width does nothing to any of these measurements"):
        study(config(tmp_path, alone))
    own = text + '[measurements.b.instrument]\nq_width = { kind = "constant" }\n'
    with pytest.raises(InputError, match=r"\[measurements\.b\.instrument\] q_width is the width"):
        study(config(tmp_path, own))


def test_constant_widths_of_a_crystal(tmp_path):
    counts(tmp_path, QPath(PLACE, [[1, 0, 0], [2, 0, 0]], [[0, 0, 0]] * 3))
    kind = '[instrument]\nresolution = {{ kind = "widths", q_fwhm = [0.1, 0, {}], fwhm = 0.5 }}\n'
    for last, axes in ((0, 2), (0.2, 3)):
        work = study(config(tmp_path, RAW + kind.format(last)))
        resolution = work.experiment.instrument.resolution
        covariance = resolution.source.at(
            torch.rand(1, 3, dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)
        )
        expected = torch.tensor([*(0.1, 0, last)[:axes], 0.5], dtype=torch.float64)
        assert torch.allclose(covariance[0].diagonal().sqrt() * (8 * math.log(2)) ** 0.5, expected, atol=2e-6)
        assert "fwhm_scale" in work.prior.names
        assert load_again(tmp_path, work).config == work.config
    with pytest.raises(InputError, match="q_fwhm"):
        config(tmp_path, RAW + '[instrument]\nresolution = { kind = "widths", q_fwhm = [-1, 0, 0], fwhm = 1 }\n')
    counts(tmp_path, SHELLS)
    with pytest.raises(InputError, match="needs a crystal"):
        study(config(tmp_path, RAW + kind.format(0)))


def test_widths_in_q_that_are_a_parameter(tmp_path):
    counts(tmp_path, QPath(PLACE, [[1, 0, 0], [2, 0, 0]], [[0, 0, 0]] * 3))
    kind = '[instrument]\nresolution = {{ kind = "widths", q_fwhm = [{}, 0, 0], fwhm = 0.5, q_scale = true }}\n'
    work = study(config(tmp_path, RAW + kind.format(0.1)))
    assert work.config.prior["q_fwhm_scale"] == {"uniform": [0.5, 2.0]}
    assert work.experiment.names.index("q_fwhm_scale") + 1 == work.experiment.names.index("fwhm_scale")
    assert load_again(tmp_path, work).config == work.config
    fixed = study(config(tmp_path, RAW + kind.format(0.1) + "[prior]\nq_fwhm_scale = 1.3\n"))
    assert fixed.prior.fixed["q_fwhm_scale"] == 1.3
    with pytest.raises(InputError, match="q_scale is a factor on the widths along h, k and l, and all of q_fwhm are 0"):
        config(tmp_path, RAW + kind.format(0))


def load_again(folder, work):
    (folder / "again.toml").write_text(dumps(work.config, folder))
    return study(load(folder / "again.toml"))


def test_a_file_that_is_no_text_is_said_in_words(tmp_path):
    with pytest.raises(InputError, match=r"c\.toml: \[measurement\] file = 7: input should be a valid string"):
        config(tmp_path, 'model = "mnf2"\n[measurement]\nfile = 7\n')


LINES = """model = "zncu2v2o7"
[measurements.tas]
kind = "peaks"
file = "modes.txt"
temperature = 2
columns = ["x", "energy", "error", "branch", "direction"]
lines = { 1 = [[0, 0, 0], [0, 1, 0]], 2 = [[0, 2, 0], [1, 0, 0]] }
"""


def test_a_table_along_lines_works_from_a_config(tmp_path):
    (tmp_path / "modes.txt").write_text(
        "1.875, 2.939, 0.05, 1, 1\n2.000, 1.338, 0.01, 1, 1\n0.025, 1.401, 0.04, 1, 2\n"
    )
    work = study(config(tmp_path, LINES))
    assert work.data["tas"].q.tolist() == [[0, 1.875, 0], [0, 2, 0], [0.025, 2, 0]]
    assert work.data["tas"].lattice == work.simulator.experiments["tas"].model.lattice
    assert load_again(tmp_path, work).config == work.config
    (tmp_path / "modes.txt.toml").write_text("lattice = [7.7, 8.1, 10.2, 90, 110, 90]")
    assert study(config(tmp_path, LINES)).data["tas"].lattice.a == 7.7
    with pytest.raises(InputError, match="has the direction 2, for which lines gives no q"):
        study(config(tmp_path, LINES.replace(", 2 = [[0, 2, 0], [1, 0, 0]]", "")))


@pytest.mark.parametrize("text", ["h,k,l,energy,error\n0,0,1,2,0.1\n", "0 0 1 2 0.1\n"])
def test_a_table_of_peaks_as_the_only_measurement_is_told_where_it_goes(text, tmp_path):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError, match=r'\[measurements\.NAME\].* with kind = "peaks"'):
        study(config(tmp_path, 'model = "mnf2"\n[measurement]\nfile = "p.csv"\n'))
    with pytest.raises(InputError, match=r'table of peaks goes into \[measurements\.NAME\] with kind = "peaks"'):
        config(tmp_path, 'model = "mnf2"\n[measurement]\nkind = "peaks"\nfile = "p.csv"\n')


def test_a_negative_error_is_refused(tmp_path):
    rows = "".join(f"{q},{e},1,{-0.1 if q == e == 2 else 0.1}\n" for q in (1, 2) for e in (1, 2, 3))
    (tmp_path / "a.csv").write_text("Q [1/angstrom],energy [meV],intensity,error\n" + rows)
    with pytest.raises(
        InputError, match=r"a\.csv has the error -0\.1; an error is one standard deviation, not below 0"
    ):
        read(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text((tmp_path / "a.csv").read_text().replace("1,-0.1", ","))
    assert read(tmp_path / "a.csv").valid.sum() == 5


SPICE = """# scan = {n}
# builtin_command = scan e 1 2 1
# latticeconstants = 4.0,4.0,6.0,90.0,90.0,90.0
# ubmatrix = 0.25,0,0,0,0.25,0,0,0,0.166667
# plane_normal = 0.0,0.0,1.0
# def_x = e
# def_y = detector
# col_headers =
#   Pt. h k l e detector monitor ei ef
1 0.{n} 0 0 1.0 4 {monitor} 6.0 5.0
2 0.{n} 0 0 2.0 5 {monitor} 7.0 5.0
"""


def test_scans_that_counted_nothing_are_left_out_of_a_pattern_with_a_note(tmp_path, caplog):
    for n, monitor in ((1, 900), (2, 0), (3, 900)):
        (tmp_path / f"s{n}.dat").write_text(SPICE.format(n=n, monitor=monitor))
    text = 'model = "mnf2"\n[measurement]\nfile = {}\n'
    assert measured_of(config(tmp_path, text.format('"s*.dat"'))).measurement.points.scan.tolist() == [1, 1, 3, 3]
    (note,) = caplog.messages
    assert note.startswith("s2.dat counted nothing: ")
    assert note.endswith(": left out")
    for named in ('["s1.dat", "s2.dat"]', '"s2.dat"', '["s2.dat", "s*.dat"]', '"s[2].dat"'):
        with pytest.raises(InputError, match=r"s2\.dat counted nothing"):
            measured_of(config(tmp_path, text.format(named)))


def test_a_pattern_counts(tmp_path: Path) -> None:
    for name in ("run10.csv", "run2.csv", "a9.csv", "run1.csv"):
        (tmp_path / name).touch()
    assert [each.name for each in fitting(str(tmp_path / "*.csv"))] == ["a9.csv", "run1.csv", "run2.csv", "run10.csv"]


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        ('model = "k/phonopy.yaml"', 'model = "../k/phonopy.yaml"'),
        (
            '[model]\nforce_constants = "k/phonopy.yaml"\nsum_rule = true',
            '[model]\nforce_constants = "../k/phonopy.yaml"\nsum_rule = true',
        ),
        ('[model]\nname = "x"\n[model.crystal]\ncif = "k/x.cif"', '[model.crystal]\ncif = "../k/x.cif"'),
    ],
)
def test_files_of_models_are_found_beside_the_config(tmp_path, monkeypatch, model, kept):
    (tmp_path / "c.toml").write_text(f"{model}\n[measurement]\ntemperature = 5\n")
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    config = load(tmp_path / "c.toml")
    text = dumps(config, tmp_path / "out")
    assert kept in text
    (tmp_path / "out" / "config.toml").write_text(text)
    assert load(tmp_path / "out" / "config.toml") == config


@pytest.mark.usefixtures("spectrum")
def test_a_pattern_is_of_the_parameters_that_nothing_before_it_names(tmp_path):
    text = HEAD + '[prior]\n"J*" = { normal = [0.0, 0.5] }\nJ2 = { uniform = [0, 1] }\n"*3" = 0.1\n'
    found = study(config(tmp_path, text)).prior
    assert found.free["J1"] == Normal(0.0, 0.5, "meV")
    assert found.free["J2"] == Uniform(0, 1, "meV")
    assert found.free["J3"] == Normal(0.0, 0.5, "meV")
    with pytest.raises(InputError, match=r"\[prior\] 'K\*' fits no parameter; the experiment has J1"):
        study(config(tmp_path, HEAD + '[prior]\n"K*" = 0.1\n'))
